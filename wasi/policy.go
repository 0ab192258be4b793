package wasi

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wasi/internal/address"
)

// hostRule allows outgoing requests to some hosts.
type hostRule struct {
	scheme string // or "" for both
	name   string // in lower case; "" for every host or those of prefix
	below  bool   // the names below name instead of name itself
	prefix netip.Prefix
	port   int // or 0 for any
}

// parseHostRule reads a rule such as "example.com", "*.example.com:8443",
// "https://example.com", "10.0.0.0/8" or "*".
func parseHostRule(text string) (r hostRule, err error) {
	bad := func() (hostRule, error) {
		return hostRule{}, fmt.Errorf("%q does not say where requests may go: want [http://|https://]HOST[:PORT], with * for every public host or *.NAME for those below a name, and names in ASCII", text)
	}
	rest := text
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return bad()
		}
		r.scheme, rest = scheme, strings.TrimSuffix(after, "/")
	}
	if p, err := netip.ParsePrefix(rest); err == nil {
		r.prefix = plainPrefix(p)
		return r, nil
	}
	if host, port, err := net.SplitHostPort(rest); err == nil {
		rest = host
		if r.port, err = net.LookupPort("tcp", port); err != nil || r.port == 0 {
			return bad()
		}
	}
	if rest == "*" {
		return r, nil
	}
	rest, r.below = strings.CutPrefix(rest, "*.")
	host, ok := address.ParseHost(rest)
	if !ok || r.below && host.Addr.IsValid() {
		return bad()
	}
	if r.name = host.Name; r.name == "" {
		r.prefix = netip.PrefixFrom(host.Addr, host.Addr.BitLen())
	}
	return r, nil
}

// plainPrefix is a range as addresses are compared with it: IPv4 is not written
// as IPv6.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// plainAddr is an address as it is compared with ranges.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// covers reports whether scheme and port of a URL are those of the rule.
func (r hostRule) covers(u *url.URL) bool {
	if r.scheme != "" && r.scheme != u.Scheme {
		return false
	}
	if r.port == 0 {
		return true
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, err := strconv.Atoi(port)
	return err == nil && n == r.port
}

// matches reports whether the rule is about the host that a URL names.
func (r hostRule) matches(h address.Host) bool {
	switch {
	case r.prefix.IsValid():
		return h.Addr.IsValid() && r.prefix.Contains(h.Addr)
	case r.below:
		return strings.HasSuffix(h.Name, "."+r.name)
	case r.name == "":
		return !h.Addr.IsValid() || address.Public(h.Addr)
	}
	return r.name == h.Name
}

// reaches reports whether a, found for the host of a URL, is what the rule
// means.
func (r hostRule) reaches(h address.Host, a netip.Addr) bool {
	switch {
	case r.prefix.IsValid():
		return r.prefix.Contains(plainAddr(a))
	case r.name == "":
		return address.Public(a)
	}
	return r.matches(h) && address.StandsFor(h.Name, a)
}

// httpPolicy decides on requests by rules.
type httpPolicy []hostRule

func newHTTPPolicy(texts []string) (p httpPolicy, err error) {
	for _, text := range texts {
		r, err := parseHostRule(text)
		if err != nil {
			return nil, err
		}
		p = append(p, r)
	}
	return p, nil
}

// allow decides on a request by its URL.
func (p httpPolicy) allow(_ string, u *url.URL) bool {
	h, ok := address.ParseHost(hostOf(u))
	return ok && slices.ContainsFunc(p, func(r hostRule) bool { return r.covers(u) && r.matches(h) })
}

// reach decides on an address that a connection for an allowed URL is to be made
// to.
func (p httpPolicy) reach(u *url.URL, a netip.AddrPort) bool {
	h, ok := address.ParseHost(hostOf(u))
	return ok && !a.Addr().IsUnspecified() &&
		slices.ContainsFunc(p, func(r hostRule) bool { return r.covers(u) && r.reaches(h, a.Addr()) })
}

// hostOf is the host of a URL without its port; an address of IPv6 is in
// brackets.
func hostOf(u *url.URL) string {
	if h := u.Hostname(); !strings.Contains(h, ":") {
		return h
	} else {
		return "[" + h + "]"
	}
}
