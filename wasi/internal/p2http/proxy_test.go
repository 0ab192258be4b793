package p2http

import (
	"io"
	"net/http"
	"testing"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

// proxy hands a request on to target and its response back, piece by piece: it
// sends the answer to each piece before it reads the next.
func proxy(c *Client, target string) func(*guest, bind.IncomingRequest, bind.ResponseOutparam) error {
	return func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		received, err := in.Consume(g.ctx)
		g.must(err)
		from, err := received.Stream(g.ctx)
		g.must(err)
		r := g.request("POST", target)
		sending, err := r.Body(g.ctx)
		g.must(err)
		to, err := sending.Write(g.ctx)
		g.must(err)
		future, err := c.Handle(g.ctx, r, nil)
		g.must(err)

		var answer bind.InputStream
		var answering bind.IncomingBody
		var back bind.OutputStream
		var body bind.OutgoingBody
		for {
			piece, err := from.BlockingRead(g.ctx, 4096)
			if _, ok := err.(bind.StreamErrorClosed); ok {
				break
			}
			g.must(err)
			g.write(to, string(piece))
			if answer == nil {
				response, code := g.wait(future)
				if code != nil {
					return code
				}
				status, _ := response.Status(g.ctx)
				answering, err = response.Consume(g.ctx)
				g.must(err)
				answer, err = answering.Stream(g.ctx)
				g.must(err)
				body, back = g.respond(out, status)
			}
			for n := 0; n < len(piece); {
				b, err := answer.BlockingRead(g.ctx, 4096)
				g.must(err)
				g.write(back, string(b))
				n += len(b)
			}
		}
		g.finish(sending, to, nil)
		if b, err := answer.BlockingRead(g.ctx, 4096); err != (bind.StreamErrorClosed{}) {
			g.t.Errorf("after the end: %q, %v", b, err)
		}
		g.must(from.Drop(g.ctx))
		g.must(received.Drop(g.ctx))
		g.must(answer.Drop(g.ctx))
		g.must(answering.Drop(g.ctx))
		g.finish(body, back, nil)
		return nil
	}
}

func TestProxyStreamsBothWays(t *testing.T) {
	upstream := start(t, handler(t, nil, echo))
	s := start(t, handler(t, nil, proxy(anywhere(), upstream.URL)))
	for range 2 { // over the same connections
		pr, pw := io.Pipe()
		go pw.Write([]byte("one"))
		r, err := s.Client().Post(s.URL, "text/plain", pr)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != http.StatusOK {
			t.Errorf("status %d", r.StatusCode)
		}
		buf := make([]byte, 100)
		for _, piece := range []string{"one", "two", "three"} {
			if piece != "one" {
				pw.Write([]byte(piece))
			}
			if n, err := io.ReadFull(r.Body, buf[:len(piece)]); string(buf[:n]) != piece || err != nil {
				t.Fatalf("%q, %v; want %q", buf[:n], err, piece)
			}
		}
		pw.Close()
		if rest := body(t, r); rest != "" {
			t.Errorf("rest %q", rest)
		}
	}
}
