package wasi

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// hostRule allows outgoing requests to some hosts.
type hostRule struct {
	scheme string // or "" for both
	host   string // in lower case, or "" for every host
	below  bool   // the names below host instead of host itself
	prefix netip.Prefix
	port   string // or "" for any
}

// parseHostRule reads a rule such as "example.com", "*.example.com:8443",
// "https://example.com", "10.0.0.0/8" or "*".
func parseHostRule(text string) (r hostRule, err error) {
	bad := func() (hostRule, error) {
		return hostRule{}, fmt.Errorf("%q does not say where requests may go: want [http://|https://]HOST[:PORT], with * for every host or *.NAME for those below a name", text)
	}
	rest := text
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return bad()
		}
		r.scheme, rest = scheme, strings.TrimSuffix(after, "/")
	}
	if p, err := netip.ParsePrefix(rest); err == nil {
		r.prefix = p.Masked()
		return r, nil
	}
	if host, port, err := net.SplitHostPort(rest); err == nil {
		r.port, rest = port, host
		if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
			return bad()
		}
	} else if strings.HasPrefix(rest, "[") {
		rest = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")
	}
	if rest == "*" {
		return r, nil
	}
	if a, err := netip.ParseAddr(rest); err == nil {
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return r, nil
	}
	rest, r.below = strings.CutPrefix(rest, "*.")
	r.host = strings.ToLower(strings.TrimSuffix(rest, "."))
	if r.host == "" || strings.ContainsAny(r.host, "*/:?#@ []") {
		return bad()
	}
	return r, nil
}

func (r hostRule) allows(u *url.URL) bool {
	if r.scheme != "" && r.scheme != u.Scheme {
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if r.port != "" && r.port != port {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case r.prefix.IsValid():
		a, err := netip.ParseAddr(host)
		return err == nil && r.prefix.Contains(a.Unmap())
	case r.below:
		return strings.HasSuffix(host, "."+r.host)
	}
	return r.host == "" || r.host == host
}
