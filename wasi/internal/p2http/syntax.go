package p2http

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wasi/internal/address"
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

// What bounds the parts of a request, in bytes.
const (
	maxURI    = 64 << 10 // path with query
	maxHost   = 1 << 10  // authority
	maxScheme = 64
	maxMethod = 256
)

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
	return s != "" && len(s) <= maxScheme
}

// validAuthority accepts a host with an optional port, and user information
// before it.
func validAuthority(a string) bool {
	if a == "" || len(a) > maxHost || strings.ContainsAny(a, "/?# ") {
		return false
	}
	u, err := url.Parse("//" + a)
	if err != nil || u.Path != "" || strings.HasSuffix(u.Host, ":") {
		return false
	}
	host := u.Host
	if p := u.Port(); p != "" {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return false
		}
		host = strings.TrimSuffix(host, ":"+p)
	}
	h, ok := address.ParseHost(host)
	return ok && (!strings.Contains(host, ":") || host[0] == '[' && h.Addr.IsValid())
}
