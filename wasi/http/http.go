// Package http serves requests with components that export
// wasi:http/incoming-handler.
package http

import (
	"context"
	"net/http"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2http"
)

// Instance is an instance of a component: a *component.Instance.
type Instance interface {
	abi.Exporter
	Close(ctx context.Context) error
}

// Handler serves every request with an instance of its own. It is safe for
// concurrent use, and is not to be copied after the first. Bodies stream both ways;
// bounds on their size, on time and on concurrency are set around it, with
// http.MaxBytesHandler for instance.
//
// As with those of net/http, a ResponseWriter should take 2 KiB between two flushes
// without waiting for the client, or a guest that writes without waiting does.
type Handler struct {
	// Instantiate makes the instance for a request. What it imports must be
	// offered by a wasi.System.
	Instantiate func(ctx context.Context) (Instance, error)
	// Context, if not nil, makes the context that the guest is called with from
	// that of the request: to give it standard streams of its own, say.
	Context func(r *http.Request) context.Context
	// Error, if not nil, is told of a request that failed: the guest trapped,
	// gave no response, or broke off its body. The client gets status 500, or a
	// broken connection where the response had begun.
	Error func(r *http.Request, err error)

	flusher p2http.Flusher
}

// Errors that Handler.Error is told beside traps and failures of Instantiate.
var (
	// ErrNoResponse is a guest that returned without a response.
	ErrNoResponse = p2http.ErrNoResponse
	// ErrIncomplete is a guest that did not finish the body of its response.
	ErrIncomplete = p2http.ErrIncomplete
)

// ResponseError is an error-code that a guest gave in place of a response.
type ResponseError = p2http.ResponseError

// ServeHTTP has a fresh instance serve the request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.Context != nil {
		r = r.WithContext(h.Context(r))
	}
	outcome := p2http.NotBegun
	i, err := h.Instantiate(r.Context())
	if err == nil {
		outcome, err = p2http.Serve(w, r, i, &h.flusher)
	}
	if err != nil && h.Error != nil {
		h.Error(r, err)
	}
	switch outcome {
	case p2http.NotBegun:
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	case p2http.Broken:
		panic(http.ErrAbortHandler)
	}
}
