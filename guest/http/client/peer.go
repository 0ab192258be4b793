package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/outgoinghandler"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/types"
	"github.com/ashlar-wasm/ashlar/guest/internal/message"
)

// peer is the other end of a connection: it reads requests in the form of
// HTTP/1.1, sends them with wasi:http, and writes the responses.
type peer struct {
	conn            net.Conn
	scheme, address string
	fail            func(error)
}

// serve answers requests, one after the other, until the connection is closed.
func (p *peer) serve() {
	defer p.conn.Close()
	in := bufio.NewReader(p.conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if err := p.exchange(in, r); err != nil {
			p.end(err)
			return
		}
	}
}

// end closes the connection, which has the transport read the error.
func (p *peer) end(err error) {
	if err != nil && err != io.EOF && !errors.Is(err, errCancelled) {
		p.fail(err)
	}
	p.conn.Close()
}

// exchange sends a request and passes on its response. After an error the
// connection is of no more use.
func (p *peer) exchange(in *bufio.Reader, r *http.Request) error {
	request, err := p.request(r)
	if err != nil {
		return err
	}
	var body *message.Writer
	if r.ContentLength != 0 {
		outgoing, err := request.Body()
		if err != nil {
			return err
		}
		if body, err = message.NewWriter(outgoing); err != nil {
			return err
		}
	}
	future, err := outgoinghandler.Handle(request, nil)
	if err != nil {
		if body != nil {
			body.Abort()
		}
		if code, ok := errors.AsType[types.ErrorCode](err); ok {
			return message.Error{Code: code}
		}
		return err
	}
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		if _, err := io.WriteString(p.conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	// One goroutine sends the body and then looks whether the transport is still
	// there: it closes the connection when a request is cancelled.
	down := &response{}
	up := make(chan error, 1)
	go func() {
		err := send(body, r)
		if err == nil {
			_, err = in.Peek(1) // the next request
		}
		up <- err
		if err != nil {
			down.cancel()
		}
	}()
	complete, err := down.receive(p.conn, r, future)
	if err != nil || !complete {
		if body != nil {
			body.Abort()
		}
		p.end(err)
	}
	if sent := <-up; err == nil {
		err = sent
	}
	if err == nil && !complete {
		err = io.EOF
	}
	return err
}

// request makes a request of wasi:http.
func (p *peer) request(r *http.Request) (*types.OutgoingRequest, error) {
	host, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return nil, err
	}
	authority := p.address
	if port == map[string]string{"http": "80", "https": "443"}[p.scheme] {
		authority = host
		if strings.Contains(host, ":") {
			authority = "[" + host + "]"
		}
	}
	header := r.Header
	if r.ContentLength >= 0 && header.Get("Content-Length") == "" && (r.ContentLength > 0 || r.Method != http.MethodGet && r.Method != http.MethodHead) {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	if r.Host != authority && r.Host != p.address {
		header.Set("Host", r.Host)
	}
	request := types.NewOutgoingRequest(message.Fields(header))
	scheme := types.Scheme(types.SchemeHTTP{})
	if p.scheme == "https" {
		scheme = types.SchemeHTTPS{}
	}
	path := r.URL.RequestURI()
	for _, err := range []error{
		request.SetMethod(message.MethodOf(r.Method)),
		request.SetScheme(scheme),
		request.SetAuthority(&authority),
		request.SetPathWithQuery(&path),
	} {
		if err != nil {
			request.Close()
			return nil, fmt.Errorf("the host refuses %s %s://%s%s", r.Method, p.scheme, authority, path)
		}
	}
	return request, nil
}

// send sends the body of a request, nil if there is none.
func send(body *message.Writer, r *http.Request) error {
	if body == nil {
		return nil
	}
	b := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(b)
		if n > 0 {
			if _, err := body.Write(b[:n]); err != nil {
				// The response may say why, and is read first.
				_, _ = io.Copy(io.Discard, r.Body)
				return nil
			}
		}
		switch {
		case err == io.EOF:
			_ = body.Finish(r.Trailer) // the response says what is wrong with it
			return nil
		case err != nil:
			body.Abort()
			return err
		case n > 0 && r.ContentLength < 0:
			// What has no length may be a conversation.
			_ = body.Flush()
		}
	}
}

var errCancelled = errors.New("request is cancelled")

// response is a response that is awaited or passed on.
type response struct {
	gate   message.Gate
	body   *message.Reader
	closed bool
}

// cancel ends receive.
func (d *response) cancel() {
	d.closed = true
	if d.body != nil {
		d.body.Close()
	}
	d.gate.Close()
}

// receive writes a response to w. It reports whether the connection can be used
// again.
func (d *response) receive(w io.Writer, r *http.Request, future *types.FutureIncomingResponse) (complete bool, err error) {
	incoming, err := d.await(future)
	if err != nil {
		return false, err
	}
	defer incoming.Close()
	status := incoming.Status()
	header := message.Header(incoming.Headers())
	body, err := incoming.Consume()
	if err != nil {
		return false, err
	}
	if d.body, err = message.NewReader(body); err != nil {
		return false, err
	}
	defer d.body.Close()
	if d.closed {
		return false, errCancelled
	}
	bare := r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	length := header.Get("Content-Length")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(int(status)))
	header.Del("Transfer-Encoding")
	header.Del("Connection")
	if !bare && length == "" {
		header.Set("Transfer-Encoding", "chunked")
	}
	if err := header.Write(&b); err != nil {
		return false, err
	}
	b.WriteString("\r\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return false, err
	}
	if bare {
		return true, nil
	}
	if length != "" {
		n, err := io.CopyBuffer(onlyWriter{w}, d.body, make([]byte, 32<<10))
		return err == nil && strconv.FormatInt(n, 10) == length, err
	}
	return true, d.chunks(w)
}

// onlyWriter hides other methods of a writer.
type onlyWriter struct{ io.Writer }

// await waits for the response.
func (d *response) await(future *types.FutureIncomingResponse) (*types.IncomingResponse, error) {
	defer future.Close()
	if d.gate.Enter() != nil {
		return nil, errCancelled
	}
	defer d.gate.Leave()
	if err := d.gate.Wait(future.Subscribe()); err != nil {
		return nil, errCancelled
	}
	outcome := future.Get()
	switch {
	case outcome == nil || outcome.IsErr:
		return nil, errors.New("the host has no response")
	case outcome.Ok.IsErr:
		return nil, message.Error{Code: outcome.Ok.Err}
	}
	return outcome.Ok.Ok, nil
}

// chunks writes the body in chunks, with the trailers.
func (d *response) chunks(w io.Writer) error {
	const room = 8 // for the length of a chunk
	b := make([]byte, room+32<<10+2)
	for {
		n, err := d.body.Read(b[room : len(b)-2])
		if n > 0 {
			head := strconv.AppendInt(nil, int64(n), 16)
			head = append(head, "\r\n"...)
			start := room - len(head)
			copy(b[start:], head)
			copy(b[room+n:], "\r\n")
			if _, err := w.Write(b[start : room+n+2]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	var end bytes.Buffer
	end.WriteString("0\r\n")
	if err := d.body.Trailer().Write(&end); err != nil {
		return err
	}
	end.WriteString("\r\n")
	_, err := w.Write(end.Bytes())
	return err
}
