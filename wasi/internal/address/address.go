// Package address tells which addresses a name may stand for, and reads the host
// names that guests write.
package address

import (
	"net/netip"
	"strings"
)

// special are the blocks of the IANA special-purpose address registries that are
// not globally reachable, and what is not unicast. Of IPv6, nothing outside of
// 2000::/3 is public.
var special = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // shared by carriers
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, where clouds tell machines their credentials
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // relays of 6to4
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
	"2001::/23",       // protocol assignments, Teredo
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4, which has an IPv4 address inside
	"3fff::/20",       // documentation
)

var (
	unicast6 = netip.MustParsePrefix("2000::/3")
	nat64    = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		list[i] = netip.MustParsePrefix(s)
	}
	return list
}

// Public reports whether an address is one of the public internet: neither of
// this machine, nor of a network that it is in, nor one that stands for many.
func Public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsValid() || a.Is6() && !unicast6.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// StandsFor reports whether an address may be meant by a rule that only has a
// name: public ones, and those of this machine for localhost.
func StandsFor(name string, a netip.Addr) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return a.Unmap().IsLoopback()
	}
	return Public(a)
}

// Host is who a guest wants to reach: an address or a name.
type Host struct {
	Addr netip.Addr // without a zone, and IPv4 if it is that in IPv6's clothes
	Name string     // in lower case, without a dot at its end
}

// ParseHost reads a host as URLs and lookups have it; an address of IPv6 may
// stand in brackets. Names are ASCII (internationalised ones in Punycode) and
// never look like a number: 127.1, 2130706433 and 0x7f.1 mean addresses to some
// resolvers.
func ParseHost(s string) (Host, bool) {
	inner, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		if inner, bracketed = strings.CutSuffix(inner, "]"); !bracketed {
			return Host{}, false
		}
	}
	if a, err := netip.ParseAddr(inner); err == nil {
		return Host{Addr: a.Unmap()}, a.Zone() == "" && (!bracketed || a.Is6())
	}
	if bracketed {
		return Host{}, false
	}
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	return Host{Name: name}, validName(name)
}

func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	var last string
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case '0' <= c && c <= '9', 'a' <= c && c <= 'z', c == '-', c == '_':
			default:
				return false
			}
		}
		last = label
	}
	return !number(last)
}

// number reports whether a label is a number, in the notations of C.
func number(label string) bool {
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}
