package wasi

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ashlar-wasm/ashlar/wasi/internal/address"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
)

// netRule allows some uses of some addresses.
type netRule struct {
	uses     []socket.Use
	prefix   netip.Prefix // or invalid, for every address or those of name
	name     string       // in lower case
	from, to uint16
}

// parseNetRule reads a rule as Options.Net has them.
func parseNetRule(text string) (netRule, error) {
	bad := func(why string) (netRule, error) {
		return netRule{}, fmt.Errorf("%q does not say what of the network is allowed: %s; want [tcp://|udp://|tcp-listen://|udp-listen://]HOST[:PORT[-PORT]], where HOST is an address, a range such as 10.0.0.0/8, a name, or *", text, why)
	}
	r := netRule{uses: []socket.Use{socket.ConnectTCP, socket.SendUDP}, to: 65535}
	rest := text
	if kind, after, ok := strings.Cut(text, "://"); ok {
		rest = after
		switch kind {
		case "tcp":
			r.uses = []socket.Use{socket.ConnectTCP}
		case "udp":
			r.uses = []socket.Use{socket.SendUDP}
		case "tcp-listen":
			r.uses = []socket.Use{socket.ListenTCP}
		case "udp-listen":
			r.uses = []socket.Use{socket.BindUDP}
		default:
			return bad("unknown kind " + strconv.Quote(kind))
		}
	}
	host, ports := rest, ""
	if inner, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && rest[0] == '[' {
		// [ADDRESS], [ADDRESS]/BITS, each with ports behind a colon.
		bits, p, _ := strings.Cut(after, ":")
		host, ports = inner+bits, p
	} else if strings.Count(rest, ":") == 1 {
		host, ports, _ = strings.Cut(rest, ":")
		if ports == "" {
			return bad("there is no port after the colon")
		}
	}
	if ports != "" {
		first, last, span := strings.Cut(ports, "-")
		if !span {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || a > b {
			return bad("bad port")
		}
		r.from, r.to = uint16(a), uint16(b)
	}
	if host == "*" {
		return r, nil
	}
	if p, err := netip.ParsePrefix(host); err == nil {
		r.prefix = plainPrefix(p)
		return r, nil
	}
	h, ok := address.ParseHost(host)
	if !ok {
		return bad("bad host")
	}
	if h.Addr.IsValid() {
		r.prefix = netip.PrefixFrom(h.Addr, h.Addr.BitLen())
		return r, nil
	}
	r.name = h.Name
	if r.uses[0] == socket.ListenTCP || r.uses[0] == socket.BindUDP {
		return bad("listening needs an address")
	}
	return r, nil
}

// netPolicy decides by rules. A rule with a name allows the addresses that
// guests were told the name has.
type netPolicy struct {
	rules []netRule
	mu    sync.Mutex
	found map[string][]netip.Addr
}

// maxFound bounds the addresses that are remembered of one name.
const maxFound = 256

func newNetPolicy(texts []string) (*socket.Policy, error) {
	p := &netPolicy{found: map[string][]netip.Addr{}}
	out := &socket.Policy{}
	lookups := false
	for _, text := range texts {
		r, err := parseNetRule(text)
		if err != nil {
			return nil, err
		}
		p.rules = append(p.rules, r)
		for _, u := range r.uses {
			out.Uses[u] = true
		}
		lookups = lookups || r.lookups()
	}
	if len(p.rules) == 0 {
		return out, nil
	}
	out.Allow, out.Found = p.allow, p.learn
	if lookups {
		out.Lookup = p.lookup
	}
	return out, nil
}

// lookups reports whether the rule makes looking up names of use.
func (r netRule) lookups() bool {
	return slices.Contains(r.uses, socket.ConnectTCP) || slices.Contains(r.uses, socket.SendUDP)
}

// means reports whether a, found for name, is an address that the rule is about.
func (r netRule) means(name string, a netip.Addr) bool {
	switch {
	case r.prefix.IsValid():
		return r.prefix.Contains(a)
	case r.name == "":
		return address.Public(a)
	}
	return r.name == name && address.StandsFor(name, a)
}

func (p *netPolicy) allow(u socket.Use, a netip.AddrPort) bool {
	addr := plainAddr(a.Addr())
	for _, r := range p.rules {
		if !slices.Contains(r.uses, u) || a.Port() < r.from || a.Port() > r.to {
			continue
		}
		switch {
		case r.prefix.IsValid():
			if r.prefix.Contains(addr) {
				return true
			}
		case r.name == "":
			// To listen, * is every address of this machine.
			if !r.lookups() || address.Public(addr) {
				return true
			}
		default:
			p.mu.Lock()
			known := slices.Contains(p.found[r.name], addr)
			p.mu.Unlock()
			if known {
				return true
			}
		}
	}
	return false
}

// lookup allows the names of rules; with a rule for every host, every name.
func (p *netPolicy) lookup(name string) bool {
	return slices.ContainsFunc(p.rules, func(r netRule) bool {
		return r.lookups() && !r.prefix.IsValid() && (r.name == "" || r.name == name)
	})
}

// learn returns those addresses of a name that guests may use, and remembers
// those that only the name allows.
func (p *netPolicy) learn(name string, addrs []netip.Addr) []netip.Addr {
	var told []netip.Addr
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		a = plainAddr(a)
		means := false
		for _, r := range p.rules {
			if !r.lookups() || !r.means(name, a) {
				continue
			}
			means = true
			if known := p.found[name]; r.name != "" && !slices.Contains(known, a) {
				if len(known) == maxFound {
					known = slices.Delete(known, 0, 1)
				}
				p.found[name] = append(known, a)
			}
		}
		if means {
			told = append(told, a)
		}
	}
	return told
}
