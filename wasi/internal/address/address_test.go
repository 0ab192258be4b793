package address

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPublic(t *testing.T) {
	for _, s := range []string{
		"1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.255",
		"2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
	} {
		if !Public(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "224.0.0.1",
		"239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1",
		"64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:a00:1::1", "2001::1",
		"2001:db8::1", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "5f00::1", "3fff::1",
	} {
		if Public(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestStandsFor(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		want       bool
	}{
		{"example.com", "8.8.8.8", true}, {"example.com", "127.0.0.1", false}, {"example.com", "10.1.1.1", false},
		{"localhost", "127.0.0.1", true}, {"localhost", "::1", true}, {"localhost", "::ffff:127.0.0.1", true},
		{"a.localhost", "127.0.0.2", true}, {"localhost", "10.0.0.1", false}, {"localhost", "8.8.8.8", false},
		{"notlocalhost", "127.0.0.1", false}, {"localhost.example.com", "127.0.0.1", false},
	} {
		if got := StandsFor(c.name, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s for %s: %v", c.name, c.addr, got)
		}
	}
}

func TestParseHost(t *testing.T) {
	for s, want := range map[string]Host{
		"example.com": {Name: "example.com"}, "EXAMPLE.com.": {Name: "example.com"}, "a_b.example": {Name: "a_b.example"},
		"xn--bcher-kva.example": {Name: "xn--bcher-kva.example"}, "1.2.3.4": {Addr: netip.MustParseAddr("1.2.3.4")},
		"1.2.3.4.example": {Name: "1.2.3.4.example"}, "0x7f.example": {Name: "0x7f.example"}, "0xg": {Name: "0xg"},
		"::1": {Addr: netip.MustParseAddr("::1")}, "[::1]": {Addr: netip.MustParseAddr("::1")},
		"[::ffff:127.0.0.1]": {Addr: netip.MustParseAddr("127.0.0.1")},
	} {
		if got, ok := ParseHost(s); !ok || got != want {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{
		"", ".", "..", "a..b", ".a", "a..", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0x", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5",
		"127.0.0.0x1", "256.1.1.1", "01.2.3.4", "[1.2.3.4]", "[::1", "::1]", "[example.com]", "[fe80::1%eth0]", "fe80::1%1",
		"bücher.example", "１２７.０.０.１", "evil。example", "a b", "a\nb", "a\x00b", "a/b", "a%20b", "a@b", "a:b", "*",
		strings.Repeat("a", 64), strings.Repeat("a.", 127) + "aa",
	} {
		if got, ok := ParseHost(s); ok {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// Whatever is taken for a name is no address by any notation, and reads the same
// again.
func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"example.com.", "[::1]", "::ffff:1.2.3.4", "127.1", "0x7f.1", "2130706433", "a_b", "fe80::1%eth0", "bücher"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, ok := ParseHost(s)
		if !ok {
			return
		}
		if h.Addr.IsValid() == (h.Name != "") {
			t.Fatalf("%q: %v", s, h)
		}
		again := h.Name
		if h.Addr.IsValid() {
			again = h.Addr.String()
		}
		if h2, ok := ParseHost(again); !ok || h2 != h {
			t.Errorf("%q: %v, then %v, %v", s, h, h2, ok)
		}
	})
}
