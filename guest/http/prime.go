//go:build initialize_once

package wasihttp

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
)

func init() { prime() }

// primed is written to so that what prime allocates is not left out.
var primed any

// prime does what a program does when it answers its first request, as every request
// is where all instances begin with the state after initialisation: the runtime fills
// the tables that it fills when something is used for the first time.
func prime() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := (&http.Request{Method: http.MethodGet, Header: http.Header{}, Body: http.NoBody}).WithContext(ctx)
	r.URL, _ = url.ParseRequestURI("/prime?a=b")
	r.Header.Add(textproto.CanonicalMIMEHeaderKey("user-agent"), "prime")
	w := &response{request: r, header: http.Header{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Del("Content-Type")
		fmt.Fprintf(w, "%s %d %v\n", r.URL.Path, 1, r.Header)
		io.WriteString(w, "more")
	})
	mux.ServeHTTP(w, r)
	w.sniff(nil)
	w.trailer()
	primed = maps.Clone(w.sending)
	primed = nil
}
