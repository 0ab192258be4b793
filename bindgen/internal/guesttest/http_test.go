package guesttest_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/bindgen/internal/guesttest"
	"github.com/ashlar-wasm/ashlar/wasi"
	wasihttp "github.com/ashlar-wasm/ashlar/wasi/http"
)

var program = guesttest.New("../../..", "bindgen/testdata/http/main.go", "", `
package test:http;
world http {
	import wasi:http/outgoing-handler@0.2.0;
	export wasi:http/incoming-handler@0.2.0;
}
`, "http")

// A log is what guests print and what goes wrong with them.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve serves the guest.
func serve(t *testing.T) (url string, output *log) {
	t.Helper()
	engine, code := program.Compile(t)
	output = &log{}
	system, err := wasi.New(wasi.Options{Stderr: output, Stdout: output, HTTP: wasi.HTTP{Allow: []string{"127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { system.Close() })
	linker := engine.NewLinker()
	if err := system.AddTo(linker); err != nil {
		t.Fatal(err)
	}
	prepared, err := linker.Prepare(context.Background(), code)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&wasihttp.Handler{
		Instantiate: func(ctx context.Context) (wasihttp.Instance, error) { return prepared.Instantiate(ctx) },
		Error:       func(r *http.Request, err error) { fmt.Fprintln(output, "failed:", r.URL.Path, err) },
	})
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(output)
		}
	})
	return server.URL, output
}

func do(t *testing.T, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestHandler(t *testing.T) {
	url, output := serve(t)
	host := strings.TrimPrefix(url, "http://")

	resp, body := do(t, "GET", url+"/request?q=1%202", nil, "X-Many", "a", "X-Many", "b")
	if want := "GET /request map[q:[1 2]] " + host + " [a b] 0 /request?q=1%202\n"; body != want || resp.ContentLength != int64(len(want)) {
		t.Errorf("got %q, length %d; want %q", body, resp.ContentLength, want)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("type %q", got)
	}
	if !strings.Contains(output.String(), "a request path=/request") {
		t.Error("slog did not write")
	}
	resp, body = do(t, "HEAD", url+"/request", nil)
	if resp.StatusCode != 200 || body != "" {
		t.Errorf("HEAD gave %s, %q", resp.Status, body)
	}
	resp, body = do(t, "GET", url+"/status", nil)
	if resp.StatusCode != 204 || body != "" || resp.Header.Get("X-Status") != "no content" {
		t.Errorf("got %s, %q", resp.Status, body)
	}
	resp, body = do(t, "GET", url+"/missing", nil)
	if resp.StatusCode != 404 || body != "404 page not found\n" {
		t.Errorf("got %s, %q", resp.Status, body)
	}
	resp, body = do(t, "GET", url+"/trailer", nil)
	if body != "short" || resp.Trailer.Get("X-Late") != "late" {
		t.Errorf("got %q, trailers %v", body, resp.Trailer)
	}
	if resp, body = do(t, "POST", url+"/after", strings.NewReader("a body")); body != "done" {
		t.Errorf("got %s %q", resp.Status, body)
	}
	resp, _ = do(t, "GET", url+"/panic", nil)
	if resp.StatusCode != 500 || !strings.Contains(output.String(), "panic: in the handler") {
		t.Errorf("a panic gave %s", resp.Status)
	}
	if resp, err := http.Get(url + "/abort"); err == nil {
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("a response that was aborted seems complete")
		}
		resp.Body.Close()
	}
}

func TestHandlerBodies(t *testing.T) {
	url, _ := serve(t)
	data := make([]byte, 5<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	for _, n := range []int{0, 1, 2047, 2048, 2049, 65536, len(data)} {
		if _, got := do(t, "POST", url+"/echo?stream", io.MultiReader(bytes.NewReader(data[:n]))); got != string(data[:n]) {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
		req, err := http.NewRequest("POST", url+"/echo", io.MultiReader(bytes.NewReader(data[:n])))
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"X-Sum": {"sum"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, data[:n]) {
			t.Errorf("%d bytes came back as %d: %v", n, len(got), err)
		}
		if got, want := resp.Trailer.Get("X-Count"), fmt.Sprint(n, nil, " [sum]"); got != want {
			t.Errorf("trailer %q, want %q", got, want)
		}
	}
}

func TestHandlerStreams(t *testing.T) {
	url, _ := serve(t)
	in, out := io.Pipe()
	req, err := http.NewRequest("POST", url+"/conversation", in)
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(out, "hello\n")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, next := range []string{"bye\n", ""} {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		t.Log(line)
		if next == "" {
			out.Close()
		} else {
			io.WriteString(out, next)
		}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 || resp.StatusCode != 202 {
		t.Errorf("%s, %q, %v", resp.Status, rest, err)
	}
}

func TestClient(t *testing.T) {
	url, _ := serve(t)
	release := make(chan struct{})
	gone := make(chan string, 10)
	var together sync.WaitGroup
	together.Add(10)
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-From", "backend")
		w.Header().Set("Trailer", "X-Late")
		w.WriteHeader(201)
		fmt.Fprint(w, "first ")
		w.(http.Flusher).Flush()
		<-release
		fmt.Fprint(w, "second")
		w.Header().Set("X-Late", "late")
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "first")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		for i := range 1 << 16 {
			fmt.Fprintf(w, "%0127d\n", i)
		}
	})
	mux.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, len(b), err, r.Trailer)
	})
	mux.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/together", func(w http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait() // for all ten
		fmt.Fprint(w, r.URL.RawQuery)
	})
	mux.HandleFunc("/never", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "begin" {
			fmt.Fprint(w, "begin")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		gone <- r.URL.RawQuery
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = nil
	server.Start()
	defer server.Close()
	get := func(path, target string) (*http.Response, string) {
		t.Helper()
		return do(t, "GET", url+path+"?url="+target, nil)
	}

	resp, err := http.Get(url + "/fetch?url=" + server.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first " {
		t.Errorf("got %q, %v", first, err)
	}
	close(release)
	rest, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(rest) != "second" || resp.StatusCode != 201 || resp.Header.Get("X-From") != "backend" {
		t.Errorf("got %s %v %q, %v", resp.Status, resp.Header, rest, err)
	}
	if got := resp.Trailer.Get("X-Error"); got != "EOF [late]" {
		t.Errorf("trailer %q", got)
	}

	resp, body := get("/fetch", server.URL+"/broken")
	if got := resp.Trailer.Get("X-Error"); body != "first" || got == "" || strings.HasPrefix(got, "EOF") {
		t.Errorf("of a body that broke off: %q, %q", body, got)
	}
	if _, body := get("/fetch", server.URL+"/large"); len(body) != 128<<16 || !strings.HasSuffix(body, "65535\n") {
		t.Errorf("got %d bytes", len(body))
	}
	if _, body := do(t, "POST", url+"/upload?url="+server.URL+"/put", io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)))); body != "PUT1048576 <nil> map[X-End:[end]]" {
		t.Errorf("got %q", body)
	}
	if _, body := get("/many", server.URL+"/post"); body != "19900\n" {
		t.Errorf("got %q", body)
	}
	if _, body := get("/together", server.URL+"/together"); body != "[0<nil> 1<nil> 2<nil> 3<nil> 4<nil> 5<nil> 6<nil> 7<nil> 8<nil> 9<nil>]\n" {
		t.Errorf("got %q", body)
	}
	if _, body := get("/timeout", server.URL+"/never"); body != "true\ntrue\ntrue\ntrue\n" {
		t.Errorf("got %q", body)
	}
	for range 4 {
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("the host goes on with a request that was cancelled")
		}
	}

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, body = get("/refused", "http://"+closed.Addr().String())
	lines := strings.Split(body, "\n")
	if !strings.HasPrefix(lines[0], "true") || !strings.HasPrefix(lines[1], "true") {
		t.Errorf("got %q", body)
	}
}
