package oci

import (
	"net/http"
	"net/url"
	"testing"
)

// A registry elsewhere has nothing to ask of this machine.
func TestCheckPlace(t *testing.T) {
	for _, c := range []struct {
		from, to string
		refused  bool
	}{
		{"https://r.example/v2/", "https://storage.example/x", false},
		{"https://r.example/v2/", "http://127.0.0.1:2375/containers", true},
		{"https://r.example/v2/", "https://localhost/x", true},
		{"https://r.example/v2/", "https://LOCALHOST:8443/x", true},
		{"https://r.example/v2/", "http://[::1]:80/x", true},
		{"https://r.example/v2/", "http://[::ffff:127.0.0.1]/x", true},
		{"https://r.example/v2/", "http://127.1.2.3/x", true},
		{"http://localhost:5000/v2/", "http://127.0.0.1:9000/x", false},
		{"http://localhost:5000/v2/", "https://storage.example/x", false},
	} {
		from, err := url.Parse(c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := url.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		first := &http.Request{URL: from}
		if err := checkRedirect(&http.Request{URL: to}, []*http.Request{first}); (err != nil) != c.refused {
			t.Errorf("redirected from %s to %s: %v", c.from, c.to, err)
		}
		u := &upload{}
		err = u.locate(&http.Response{Request: first, Header: http.Header{"Location": {c.to}}})
		if (err != nil) != c.refused || c.refused && u.session != nil {
			t.Errorf("upload from %s to %s: %v", c.from, c.to, err)
		}
	}
	via := make([]*http.Request, 10)
	for i := range via {
		via[i] = &http.Request{URL: &url.URL{Host: "r.example"}}
	}
	if checkRedirect(via[0], via) == nil {
		t.Error("ten redirects are followed by another")
	}
}
