package wasi

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
)

func TestHostRules(t *testing.T) {
	for _, c := range []struct {
		rule  string
		yes   []string
		no    []string
		wrong bool
	}{
		{rule: "example.com", yes: []string{"http://example.com/", "https://EXAMPLE.com:8443/x", "https://example.com./"},
			no: []string{"http://www.example.com/", "http://example.com.evil/", "http://notexample.com/"}},
		{rule: "*.example.com", yes: []string{"http://www.example.com/", "http://a.b.example.com/"},
			no: []string{"http://example.com/", "http://notexample.com/"}},
		{rule: "https://example.com", yes: []string{"https://example.com/"}, no: []string{"http://example.com/"}},
		{rule: "example.com:443", yes: []string{"https://example.com/", "http://example.com:443/"}, no: []string{"http://example.com/", "https://example.com:444/"}},
		{rule: "http://localhost:8080/", yes: []string{"http://localhost:8080/"}, no: []string{"https://localhost:8080/", "http://localhost/"}},
		{rule: "10.0.0.0/8", yes: []string{"http://10.1.2.3/"}, no: []string{"http://11.0.0.1/", "http://example.com/", "http://10.1.2.3.example.com/"}},
		{rule: "127.0.0.1:80", yes: []string{"http://127.0.0.1/"}, no: []string{"http://127.0.0.1:81/", "http://127.0.0.2/"}},
		{rule: "[::1]:80", yes: []string{"http://[::1]/"}, no: []string{"http://[::2]/"}},
		{rule: "[::1]", yes: []string{"http://[::1]:99/"}, no: []string{"http://localhost/"}},
		{rule: "*", yes: []string{"http://anything/", "https://[::1]:5/"}},
		{rule: "https://*", yes: []string{"https://anything/"}, no: []string{"http://anything/"}},
		{rule: "", wrong: true}, {rule: "ftp://x", wrong: true}, {rule: "a*b", wrong: true}, {rule: "x:", wrong: true},
		{rule: "x:y:z", wrong: true}, {rule: "x/y", wrong: true}, {rule: "user@x", wrong: true}, {rule: "x:99999", wrong: true},
	} {
		r, err := parseHostRule(c.rule)
		if (err != nil) != c.wrong {
			t.Errorf("%q: %v", c.rule, err)
			continue
		}
		check := func(list []string, want bool) {
			for _, text := range list {
				u, err := url.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				if r.allows(u) != want {
					t.Errorf("%q on %s: %v", c.rule, text, !want)
				}
			}
		}
		check(c.yes, true)
		check(c.no, false)
	}
}

func TestNetRules(t *testing.T) {
	type use struct {
		use  socket.Use
		addr string
	}
	tcp := func(a string) use { return use{socket.ConnectTCP, a} }
	udp := func(a string) use { return use{socket.SendUDP, a} }
	listen := func(a string) use { return use{socket.ListenTCP, a} }
	for _, c := range []struct {
		rules []string
		yes   []use
		no    []use
		wrong bool
	}{
		{no: []use{tcp("127.0.0.1:80")}},
		{rules: []string{"127.0.0.1:80"}, yes: []use{tcp("127.0.0.1:80"), udp("127.0.0.1:80")},
			no: []use{tcp("127.0.0.1:81"), tcp("127.0.0.2:80"), listen("127.0.0.1:80")}},
		{rules: []string{"tcp://10.0.0.0/8:8000-8080"}, yes: []use{tcp("10.9.8.7:8000"), tcp("10.0.0.1:8080")},
			no: []use{tcp("10.0.0.1:8081"), udp("10.0.0.1:8000"), tcp("11.0.0.1:8000")}},
		{rules: []string{"udp://[fd00::]/8:53"}, yes: []use{udp("[fd12::1]:53")}, no: []use{udp("[fe80::1]:53"), tcp("[fd12::1]:53")}},
		{rules: []string{"::1", "tcp-listen://0.0.0.0:0-1024"}, yes: []use{tcp("[::1]:9"), listen("0.0.0.0:80")}, no: []use{listen("0.0.0.0:2000"), listen("127.0.0.1:80")}},
		{rules: []string{"*:443"}, yes: []use{tcp("1.2.3.4:443"), tcp("[2001:db8::1]:443")}, no: []use{tcp("1.2.3.4:80")}},
		{rules: []string{"*"}, yes: []use{tcp("1.2.3.4:1")}, no: []use{listen("1.2.3.4:1")}},
		{rules: []string{"ftp://x"}, wrong: true}, {rules: []string{"1.2.3.4:"}, wrong: true}, {rules: []string{"1.2.3.4:9-8"}, wrong: true},
		{rules: []string{"1.2.3.4:70000"}, wrong: true}, {rules: []string{""}, wrong: true}, {rules: []string{"tcp-listen://name:80"}, wrong: true},
		{rules: []string{"10.0.0.0/33"}, wrong: true},
	} {
		p, err := newNetPolicy(c.rules)
		if (err != nil) != c.wrong {
			t.Errorf("%q: %v", c.rules, err)
			continue
		}
		if err != nil {
			continue
		}
		check := func(list []use, want bool) {
			for _, u := range list {
				got := p.Allow != nil && p.Allow(u.use, netip.MustParseAddrPort(u.addr))
				if got != want {
					t.Errorf("%q on %v: %v", c.rules, u, got)
				}
			}
		}
		check(c.yes, true)
		check(c.no, false)
	}
}

func TestNetRuleWithAName(t *testing.T) {
	p, err := newNetPolicy([]string{"tcp://db.example:5432"})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Lookup("db.example") || p.Lookup("other.example") {
		t.Error("lookups are not those of the rule")
	}
	a := netip.MustParseAddrPort("192.0.2.7:5432")
	if p.Allow(socket.ConnectTCP, a) {
		t.Error("allowed before it is known")
	}
	p.Found("other.example", []netip.Addr{a.Addr()})
	if p.Allow(socket.ConnectTCP, a) {
		t.Error("allowed by another name")
	}
	p.Found("db.example", []netip.Addr{a.Addr()})
	if !p.Allow(socket.ConnectTCP, a) || p.Allow(socket.ConnectTCP, netip.AddrPortFrom(a.Addr(), 22)) || p.Allow(socket.SendUDP, a) {
		t.Error("not what the rule says")
	}
	none, _ := newNetPolicy([]string{"10.0.0.0/8"})
	if none.Lookup("db.example") {
		t.Error("a rule with a range allows lookups")
	}
}

func TestNew(t *testing.T) {
	for what, o := range map[string]Options{
		"directory":       {Dirs: []Dir{{Host: "/does/not/exist", Guest: "/"}}},
		"guest's name":    {Dirs: []Dir{{Host: t.TempDir()}}},
		"variable":        {Env: []string{"novalue"}},
		"empty variable":  {Env: []string{"=x"}},
		"zero byte":       {Args: []string{"a\x00b"}},
		"network":         {Net: []string{"ftp://x"}},
		"HTTP":            {HTTP: HTTP{Allow: []string{"a*b"}}},
		"too many of all": {Dirs: make([]Dir, MaxDirs+1)},
	} {
		if s, err := New(o); err == nil {
			s.Close()
			t.Errorf("a bad %s was accepted", what)
		}
	}
	s, err := New(Options{Dirs: []Dir{{Host: t.TempDir(), Guest: "/"}}, Env: []string{"A=b=c"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzRules(f *testing.F) {
	for _, s := range []string{"a:1", "tcp://[::1]:1-2", "*.x", "10.0.0.0/8", "https://[::1]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := parseHostRule(text); err == nil {
			r.allows(&url.URL{Scheme: "http", Host: "x"})
		}
		if r, err := parseNetRule(text); err == nil && r.from > r.to {
			t.Errorf("%q: ports %d-%d", text, r.from, r.to)
		}
	})
}
