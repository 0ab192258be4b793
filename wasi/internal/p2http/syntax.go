package p2http

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

var methods = map[string]bind.Method{
	"GET": bind.MethodGet{}, "HEAD": bind.MethodHead{}, "POST": bind.MethodPost{},
	"PUT": bind.MethodPut{}, "DELETE": bind.MethodDelete{}, "CONNECT": bind.MethodConnect{},
	"OPTIONS": bind.MethodOptions{}, "TRACE": bind.MethodTrace{}, "PATCH": bind.MethodPatch{},
}

func methodOf(name string) bind.Method {
	if m, ok := methods[name]; ok {
		return m
	}
	return bind.MethodOther{Value: name}
}

func methodName(m bind.Method) string {
	if o, ok := m.(bind.MethodOther); ok {
		return o.Value
	}
	for name, v := range methods {
		if v == m {
			return name
		}
	}
	return ""
}

// maxURI bounds the parts of a request's URI.
const maxURI = 64 << 10

func validPath(p string) bool {
	if len(p) > maxURI {
		return false
	}
	for i := range len(p) {
		// Other bytes than those of a URI are let through as long as they can't
		// change the shape of the request.
		if c := p[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return p == "" || p[0] == '/' || p[0] == '?' || p == "*"
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		switch {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= s[i] && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// validAuthority accepts a host with an optional port, and user information
// before it.
func validAuthority(a string) bool {
	if a == "" || len(a) > maxURI || strings.ContainsAny(a, "/?# ") {
		return false
	}
	u, err := url.Parse("//" + a)
	if err != nil || u.Host == "" || u.Path != "" || u.Hostname() == "" {
		return false
	}
	if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if p := u.Port(); p != "" {
		_, err := strconv.ParseUint(p, 10, 16)
		return err == nil
	}
	return true
}
