// Package ocitest starts OCI registries for tests: with TLS of an own CA, with
// credentials and tokens, and with faults.
package ocitest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Auth is how a registry wants to know its users.
type Auth int

// The ways.
const (
	Open  Auth = iota // it does not
	Basic             // HTTP basic authentication
	Token             // tokens of a token server, which it is itself
)

// The credentials that registries accept.
const (
	User          = "alyssa"
	Password      = "correct horse battery"
	IdentityToken = "identity-8c1f0e"
	accessToken   = "access-77aa31"
	anonymous     = "anonymous-5b2d44" // reads, no more
)

// Options are for [Start].
type Options struct {
	TLS  bool
	Auth Auth
	// Anonymous lets a registry with tokens give everybody one to read with.
	Anonymous bool
	// Handler is the registry; nil means one in memory.
	Handler http.Handler
	// Referrers says that the one in memory has the API for them, and tells those who
	// push that it does.
	Referrers bool
	// Fault sees every request before the registry does, and may answer it itself:
	// then it returns true.
	Fault func(w http.ResponseWriter, r *http.Request) bool
}

// Registry is a registry in this process.
type Registry struct {
	Host string // its name, as references have it
	CA   []byte // the PEM certificate of its CA, if it speaks TLS
	o    Options
	next http.Handler

	server   *httptest.Server
	mu       sync.Mutex
	requests []string
}

// Start starts a registry that ends with the test.
func Start(t testing.TB, o Options) *Registry {
	t.Helper()
	r := &Registry{o: o, next: o.Handler}
	if r.next == nil {
		r.next = registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(o.Referrers))
	}
	s := httptest.NewUnstartedServer(r)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if o.TLS {
		s.StartTLS()
		r.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	r.server = s
	r.Host = s.Listener.Addr().String()
	return r
}

// Handler returns the registry without its faults and credentials.
func (r *Registry) Handler() http.Handler { return r.next }

// Close ends the registry before the test does.
func (r *Registry) Close() { r.server.Close() }

// Requests returns the requests so far, as "GET /v2/...", and forgets them.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.requests
	r.requests = nil
	return all
}

// ServeHTTP implements [http.Handler].
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	r.mu.Unlock()
	if r.o.Fault != nil && r.o.Fault(w, req) {
		return
	}
	if req.URL.Path == "/token" {
		r.token(w, req)
		return
	}
	if !r.allowed(req) {
		switch r.o.Auth {
		case Basic:
			w.Header().Set("Www-Authenticate", `Basic realm="test"`)
		case Token:
			scheme := "http"
			if r.o.TLS {
				scheme = "https"
			}
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s/token",service="test",scope="repository:any:pull"`, scheme, r.Host))
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you? %s"}]}`, strings.ReplaceAll(req.Header.Get("Authorization"), `"`, ""))
		return
	}
	if r.o.Referrers && req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
		tellSubject(w, req)
	}
	r.next.ServeHTTP(w, req)
}

// tellSubject answers as the distribution specification asks of registries that list
// referrers, which the one in memory leaves out.
func tellSubject(w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(b))
	var manifest struct {
		Subject struct{ Digest string }
	}
	if json.Unmarshal(b, &manifest) == nil && manifest.Subject.Digest != "" {
		w.Header().Set("OCI-Subject", manifest.Subject.Digest)
	}
}

func (r *Registry) allowed(req *http.Request) bool {
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	switch r.o.Auth {
	case Basic:
		user, password, ok := req.BasicAuth()
		return ok && user == User && password == Password
	case Token:
		switch req.Header.Get("Authorization") {
		case "Bearer " + accessToken:
			return true
		case "Bearer " + anonymous:
			return reads && r.o.Anonymous
		}
		return false
	}
	return true
}

// token is the token server.
func (r *Registry) token(w http.ResponseWriter, req *http.Request) {
	give := func(token string) {
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token, "access_token": token})
	}
	user, password, basic := req.BasicAuth()
	switch {
	case basic && user == User && password == Password:
		give(accessToken)
	case !basic && req.Method == http.MethodPost && req.FormValue("grant_type") == "refresh_token" && req.FormValue("refresh_token") == IdentityToken:
		give(accessToken)
	case !basic && req.Method == http.MethodGet && r.o.Anonymous:
		give(anonymous)
	default:
		w.WriteHeader(http.StatusUnauthorized)
		// A careless server says what it got.
		fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no such user %s with %s %s"}]}`, user, password, req.FormValue("refresh_token"))
	}
}
