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
		{rule: "example.com", yes: []string{"http://example.com/", "https://EXAMPLE.com:8443/x", "https://example.com./", "http://x@example.com/"},
			no: []string{"http://example.com@evil.example/", "http://example.com../", "http://www.example.com/", "http://example.com.evil/", "http://notexample.com/"}},
		{rule: "*.example.com", yes: []string{"http://www.example.com/", "http://a.b.example.com/"},
			no: []string{"http://example.com/", "http://notexample.com/"}},
		{rule: "https://example.com", yes: []string{"https://example.com/"}, no: []string{"http://example.com/"}},
		{rule: "example.com:443", yes: []string{"https://example.com/", "http://example.com:443/"}, no: []string{"http://example.com/", "https://example.com:444/"}},
		{rule: "http://localhost:8080/", yes: []string{"http://localhost:8080/"}, no: []string{"https://localhost:8080/", "http://localhost/"}},
		{rule: "10.0.0.0/8", yes: []string{"http://10.1.2.3/"}, no: []string{"http://11.0.0.1/", "http://example.com/", "http://10.1.2.3.example.com/"}},
		{rule: "127.0.0.1:80", yes: []string{"http://127.0.0.1/"}, no: []string{"http://127.0.0.1:81/", "http://127.0.0.2/"}},
		{rule: "[::1]:80", yes: []string{"http://[::1]/"}, no: []string{"http://[::2]/"}},
		{rule: "[::1]", yes: []string{"http://[::1]:99/"}, no: []string{"http://localhost/"}},
		{rule: "*", yes: []string{"http://anything/", "https://1.1.1.1:5/", "http://[2606:4700::1]/"},
			no: []string{
				"https://[::1]:5/", "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/",
				"http://[64:ff9b::10.0.0.1]/", "http://[2002:7f00:1::]/", "http://[fe80::1%25eth0]/", "http://0.0.0.0/", "http://255.255.255.255/",
				"http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://１２７.０.０.１/",
			}},
		{rule: "0.0.0.0/0", yes: []string{"http://127.0.0.1/", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/"}, no: []string{"http://name/", "http://[::1]/", "http://127.1/"}},
		{rule: "::/0", yes: []string{"http://[::1]/", "http://[64:ff9b::10.0.0.1]/"}, no: []string{"http://127.0.0.1/", "http://[::ffff:127.0.0.1]/"}},
		{rule: "::ffff:10.0.0.0/104", yes: []string{"http://10.9.9.9/"}, no: []string{"http://11.0.0.1/"}},
		{rule: "::ffff:127.0.0.1", yes: []string{"http://127.0.0.1/", "http://[::ffff:127.0.0.1]/"}, no: []string{"http://127.0.0.2/"}},
		{rule: "localhost", yes: []string{"http://LOCALHOST./"}, no: []string{"http://127.0.0.1/", "http://a.localhost/"}},
		{rule: "https://example.com:http", no: []string{"https://example.com/"}, yes: []string{"https://example.com:80/", "https://example.com:080/"}},
		{rule: "127.1", wrong: true}, {rule: "bücher.example", wrong: true}, {rule: "*.10.0.0.1", wrong: true}, {rule: "[::1", wrong: true}, {rule: "fe80::1%eth0", wrong: true},
		{rule: "https://*", yes: []string{"https://anything/"}, no: []string{"http://anything/"}},
		{rule: "", wrong: true}, {rule: "ftp://x", wrong: true}, {rule: "a*b", wrong: true}, {rule: "x:", wrong: true},
		{rule: "x:y:z", wrong: true}, {rule: "x/y", wrong: true}, {rule: "user@x", wrong: true}, {rule: "x:99999", wrong: true},
	} {
		p, err := newHTTPPolicy([]string{c.rule})
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
				if p.allow("GET", u) != want {
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
		{rules: []string{"*:443"}, yes: []use{tcp("1.2.3.4:443"), tcp("[2606:4700::1]:443")}, no: []use{tcp("1.2.3.4:80")}},
		{rules: []string{"*"}, yes: []use{tcp("1.2.3.4:1"), udp("1.2.3.4:1")}, no: []use{
			listen("1.2.3.4:1"), tcp("127.0.0.1:1"), tcp("10.0.0.1:1"), udp("169.254.169.254:80"), udp("224.0.0.1:1"), udp("255.255.255.255:1"),
			tcp("[::1]:1"), tcp("[::ffff:127.0.0.1]:1"), tcp("[64:ff9b::7f00:1]:1"), tcp("[fe80::1%1]:1"), udp("[ff02::1]:1"), tcp("[2002:a00:1::]:1"),
		}},
		{rules: []string{"tcp-listen://*"}, yes: []use{listen("0.0.0.0:1"), listen("127.0.0.1:1")}, no: []use{tcp("1.2.3.4:1")}},
		{rules: []string{"fe80::/10", "*"}, yes: []use{tcp("[fe80::1%1]:1")}, no: []use{tcp("[fec0::1]:1")}},
		{rules: []string{"::ffff:10.0.0.0/104"}, yes: []use{tcp("10.1.1.1:1"), tcp("[::ffff:10.1.1.1]:1")}, no: []use{tcp("11.1.1.1:1")}},
		{rules: []string{"127.1"}, wrong: true}, {rules: []string{"2130706433"}, wrong: true}, {rules: []string{"::1%1"}, wrong: true},
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
	a := netip.MustParseAddrPort("93.184.215.14:5432")
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
	inside, alias := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("::ffff:10.0.0.5")
	if told := p.Found("db.example", []netip.Addr{inside, alias, a.Addr()}); len(told) != 1 || told[0] != a.Addr() {
		t.Errorf("guests are told %v", told)
	}
	if p.Allow(socket.ConnectTCP, netip.AddrPortFrom(inside, 5432)) {
		t.Error("a name gave an address of a private network")
	}
	both, _ := newNetPolicy([]string{"tcp://db.example:5432", "10.0.0.0/24:5432", "localhost"})
	if told := both.Found("db.example", []netip.Addr{inside, a.Addr(), netip.MustParseAddr("127.0.0.1")}); len(told) != 2 {
		t.Errorf("guests are told %v", told)
	}
	if !both.Allow(socket.ConnectTCP, netip.AddrPortFrom(inside, 5432)) || both.Allow(socket.ConnectTCP, netip.AddrPortFrom(inside, 22)) {
		t.Error("not what the range says")
	}
	loop := netip.MustParseAddr("127.0.0.1")
	both.Found("localhost", []netip.Addr{loop, inside})
	if !both.Allow(socket.ConnectTCP, netip.AddrPortFrom(loop, 22)) || both.Allow(socket.ConnectTCP, netip.AddrPortFrom(inside, 22)) {
		t.Error("localhost is not this machine")
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
			u := &url.URL{Scheme: "http", Host: "x"}
			p := httpPolicy{r}
			if p.allow("GET", u) && p.reach(u, netip.MustParseAddrPort("169.254.169.254:80")) && !r.prefix.IsValid() {
				t.Errorf("%q reaches what is not public", text)
			}
		}
		if r, err := parseNetRule(text); err == nil && r.from > r.to {
			t.Errorf("%q: ports %d-%d", text, r.from, r.to)
		}
	})
}
