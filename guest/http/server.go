// Package wasihttp answers the requests to a component with an
// [http.Handler]: it exports wasi:http/incoming-handler.
//
//	func init() {
//		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
//			fmt.Fprintln(w, "Hello from a component!")
//		})
//		wasihttp.Handle(nil)
//	}
//
// Bodies are streamed in both directions. Up to 2 KiB of a response are held back
// until the handler returns or flushes, so that it has a length. Trailers,
// [http.Flusher] and [http.ResponseController.Flush] work; deadlines, hijacking
// and informational responses do not. A handler that panics ends the instance, and
// the host answers in its place; with [http.ErrAbortHandler] it ends the response
// only. What goroutines do after the handler has returned is done in the next
// request, if there is one.
package wasihttp

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/ashlar-wasm/ashlar/guest/internal/bind/export/wasi/http/incominghandler"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/types"
	"github.com/ashlar-wasm/ashlar/guest/internal/message"
)

// Handle has requests answered by a handler, nil for [http.DefaultServeMux]. It
// is called from an init function.
func Handle(h http.Handler) {
	if h == nil {
		h = http.DefaultServeMux
	}
	incominghandler.Export(server{h})
}

type server struct{ handler http.Handler }

// Handle implements the exported interface.
func (s server) Handle(in *types.IncomingRequest, out *types.ResponseOutparam) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := &response{out: out, header: http.Header{}}
	defer w.dropBody()
	r, err := request(ctx, in)
	if err != nil {
		http.Error(w, "400 Bad Request: "+err.Error(), http.StatusBadRequest)
		w.finish()
		return
	}
	w.request = r
	defer func() {
		r.Body.Close()
		in.Close()
	}()
	if s.serve(w, r) {
		w.finish()
	} else {
		w.abort()
	}
}

// serve calls the handler, and reports whether it did not abort.
func (s server) serve(w *response, r *http.Request) (done bool) {
	defer func() {
		if done {
			return
		}
		if v := recover(); v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	s.handler.ServeHTTP(w, r)
	return true
}

// request makes a request of net/http.
func request(ctx context.Context, in *types.IncomingRequest) (*http.Request, error) {
	r := (&http.Request{
		Method: message.Method(in.Method()),
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: message.Header(in.Headers()),
		Body:   http.NoBody,
	}).WithContext(ctx)
	r.RequestURI = "/"
	if p := in.PathWithQuery(); p != nil && *p != "" {
		r.RequestURI = *p
	}
	if r.Host = r.Header.Get("Host"); r.Host == "" {
		if a := in.Authority(); a != nil {
			r.Host = *a
		}
	}
	delete(r.Header, "Host")
	var err error
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil {
		return nil, err
	}
	switch length := r.Header.Get("Content-Length"); {
	case length != "":
		if r.ContentLength, err = strconv.ParseInt(length, 10, 64); err != nil || r.ContentLength < 0 {
			return nil, strconv.ErrSyntax
		}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		r.ContentLength = -1
	}
	if r.ContentLength != 0 {
		incoming, err := in.Consume()
		if err != nil {
			return nil, err
		}
		body, err := message.NewReader(incoming)
		if err != nil {
			return nil, err
		}
		r.Body = &requestBody{body, r}
	}
	return r, nil
}

// requestBody puts trailers into the request.
type requestBody struct {
	*message.Reader
	request *http.Request
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		for name, values := range b.Trailer() {
			if b.request.Trailer == nil {
				b.request.Trailer = http.Header{}
			}
			b.request.Trailer[name] = values
		}
	}
	return n, err
}
