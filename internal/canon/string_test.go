package canon

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// units encodes s as Encoding enc would hold it, and the tagged length.
func units(s string, enc Encoding) (b []byte, tagged uint32) {
	wide := func() []byte {
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b
	}
	switch {
	case enc == UTF8:
		return []byte(s), uint32(len(s))
	case enc == UTF16:
		wide()
		return b, uint32(len(b) / 2)
	case strings.ContainsFunc(s, func(r rune) bool { return r > 0xff }):
		wide()
		return b, uint32(len(b)/2) | 1<<31
	}
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b, uint32(len(b))
}

var encodings = map[string]Encoding{"utf8": UTF8, "utf16": UTF16, "latin1+utf16": Latin1UTF16}

var texts = []string{
	"", "a", "hello", "\x00", "\u007f\u0080", "café", "ÿ", "Ā", "aĀ", "éĀé", "aéa€a", "€", "😀", "a😀é", "\uffff\ue000\ud7ff",
	strings.Repeat("é", 100), strings.Repeat("a", 100) + "é", strings.Repeat("a", 100) + "€", strings.Repeat("é", 100) + "😀",
}

// Every pairing of encodings moves every text unchanged.
func TestStringPairings(t *testing.T) {
	for from, src := range encodings {
		for to, dst := range encodings {
			for _, s := range texts {
				in, g := newGuest(1024, src)
				in.Fused = true
				b, tagged := units(s, src)
				copy(g.b[16:], b)
				v := in.liftString(16, tagged)
				out, h := newGuest(4096, dst)
				p, n := out.lowerString(v)
				want, wantTagged := units(s, dst)
				if n != wantTagged || string(h.b[p:][:len(want)]) != string(want) {
					t.Errorf("%s to %s: %q: length %#x, bytes %x, want %#x, %x", from, to, s, n, h.b[p:][:len(want)], wantTagged, want)
				}
				out.Fused = false
				if got := out.LoadString(p, n); got != s {
					t.Errorf("%s to %s: %q is read as %q", from, to, s, got)
				}
			}
		}
	}
}

// From latin1+utf16 to itself, text that is tagged as UTF-16 but need not be
// is narrowed (store_probably_utf16_to_latin1_or_utf16).
func TestStringNarrowing(t *testing.T) {
	in, g := newGuest(64, Latin1UTF16)
	in.Fused = true
	b, n := units("héy", UTF16)
	copy(g.b[16:], b)
	out, h := newGuest(64, Latin1UTF16)
	p, tagged := out.lowerString(in.liftString(16, n|1<<31))
	if tagged != 3 || string(h.b[p:][:3]) != "h\xe9y" {
		t.Errorf("length %#x, bytes %x", tagged, h.b[p:][:3])
	}
}

// What realloc is asked for, as the store functions of CanonicalABI.md do it.
func TestStringAllocation(t *testing.T) {
	for _, c := range []struct {
		from, to Encoding
		s        string
		calls    []string
	}{
		{UTF8, UTF8, "héy", []string{"0->4/1"}},
		{UTF8, UTF16, "hey", []string{"0->6/2"}},
		{UTF8, UTF16, "héy", []string{"0->8/2", "8->6/2"}},
		{UTF8, Latin1UTF16, "hey", []string{"0->3/2"}},
		{UTF8, Latin1UTF16, "héy", []string{"0->4/2", "4->3/2"}},
		{UTF8, Latin1UTF16, "h€", []string{"0->4/2", "4->8/2", "8->4/2"}},
		{UTF16, UTF8, "hey", []string{"0->3/1"}},
		{UTF16, UTF8, "héy", []string{"0->3/1", "3->9/1", "9->4/1"}},
		{UTF16, UTF8, "€€", []string{"0->2/1", "2->6/1"}},
		{UTF16, UTF16, "h€", []string{"0->4/2"}},
		{UTF16, Latin1UTF16, "hé", []string{"0->2/2"}},
		{UTF16, Latin1UTF16, "h€", []string{"0->2/2", "2->4/2"}},
		{Latin1UTF16, UTF8, "hé", []string{"0->2/1", "2->4/1", "4->3/1"}},
		{Latin1UTF16, UTF8, "éé", []string{"0->2/1", "2->4/1"}},
		{Latin1UTF16, UTF16, "hé", []string{"0->4/2"}},
		{Latin1UTF16, Latin1UTF16, "hé", []string{"0->2/2"}},
		{Latin1UTF16, Latin1UTF16, "h€", []string{"0->4/2"}},
	} {
		in, g := newGuest(64, c.from)
		in.Fused = true
		b, n := units(c.s, c.from)
		copy(g.b[16:], b)
		out, h := newGuest(256, c.to)
		out.lowerString(in.liftString(16, n))
		if !slices.Equal(h.calls, c.calls) {
			t.Errorf("%q from %d to %d: %v, want %v", c.s, c.from, c.to, h.calls, c.calls)
		}
	}
}

func TestStringTraps(t *testing.T) {
	for _, c := range []struct {
		enc    Encoding
		bytes  string // at 16, in a memory of 64
		p, n   uint32
		reason string
	}{
		{UTF8, "", 65, 0, "out-of-bounds"},
		{UTF8, "", 64, 0, ""},
		{UTF8, "", 60, 5, "out-of-bounds"},
		{UTF8, "", 60, 4, ""},
		{UTF8, "", 16, 1 << 28, "out-of-bounds"},
		{UTF8, "", 1<<32 - 1, 1<<32 - 1, "out-of-bounds"},
		{UTF16, "", 62, 1, ""},
		{UTF16, "", 63, 0, "unaligned"},
		{UTF16, "", 62, 2, "out-of-bounds"},
		{UTF16, "", 16, 1 << 31, "out-of-bounds"},
		{Latin1UTF16, "", 17, 0, "unaligned"},
		{Latin1UTF16, "", 16, 1<<31 | 25, "out-of-bounds"},
		{Latin1UTF16, "", 16, 1<<31 | 24, ""},
		{Latin1UTF16, "", 16, 48, ""},
		{UTF8, "\xff", 16, 1, "invalid utf-8"},
		{UTF8, "\xc0\x80", 16, 2, "invalid utf-8"},
		{UTF8, "\xed\xa0\x80", 16, 3, "invalid utf-8"}, // a surrogate
		{UTF8, "\xf4\x90\x80\x80", 16, 4, "invalid utf-8"},
		{UTF8, "a\xe2\x82", 16, 3, "incomplete utf-8"},
		{UTF16, "\x00\xd8", 16, 1, "unpaired surrogate"},
		{UTF16, "\x00\xdc\x00\xd8", 16, 2, "unpaired surrogate"},
		{UTF16, "\x00\xd8a\x00", 16, 2, "unpaired surrogate"},
		{UTF16, "\x00\xd8\x00\xdc", 16, 2, ""},
		{Latin1UTF16, "\x00\xd8", 16, 1<<31 | 1, "unpaired surrogate"},
		{Latin1UTF16, "\x00\xd8", 16, 2, ""},
	} {
		cx, g := newGuest(64, c.enc)
		copy(g.b[16:], c.bytes)
		if got := trap(t, func() { cx.LoadString(c.p, c.n) }); c.reason == "" && got != "" || !strings.Contains(got, c.reason) {
			t.Errorf("encoding %d, %q at %d, %#x: trap %q, want %q", c.enc, c.bytes, c.p, c.n, got, c.reason)
		}
	}
}

// What a guest's realloc returns is not trusted.
func TestReallocIsChecked(t *testing.T) {
	for _, c := range []struct {
		enc    Encoding
		s      string
		p      uint32
		reason string
	}{
		{UTF8, "abc", 61, ""}, {UTF8, "abc", 62, "beyond end"}, {UTF8, "abc", 1<<32 - 1, "beyond end"},
		{UTF16, "abc", 3, "unaligned"}, {UTF16, "abc", 58, ""}, {UTF16, "abc", 60, "beyond end"},
		{Latin1UTF16, "abc", 3, "unaligned"},
	} {
		cx, _ := newGuest(64, c.enc)
		cx.Realloc = func(_, _, _, _ uint32) uint32 { return c.p }
		if got := trap(t, func() { cx.StoreString(c.s) }); c.reason == "" && got != "" || !strings.Contains(got, c.reason) {
			t.Errorf("encoding %d at %d: trap %q, want %q", c.enc, c.p, got, c.reason)
		}
	}
	// The second call is checked as the first.
	for _, c := range []struct {
		enc Encoding
		raw text
	}{
		{UTF8, text{b: []byte{0xe9, 0}, enc: utf16Units, units: 1}},
		{UTF16, text{b: []byte("é"), enc: utf8Units, units: 2}},
		{Latin1UTF16, text{b: []byte("é"), enc: utf8Units, units: 2}},
		{Latin1UTF16, text{b: []byte{0xe9, 0}, enc: utf16Units, both: true, units: 1}},
		{Latin1UTF16, text{b: []byte("€"), enc: utf8Units, units: 3}},
	} {
		cx, _ := newGuest(64, c.enc)
		calls := 0
		cx.Realloc = func(_, _, _, _ uint32) uint32 {
			if calls++; calls > 1 {
				return 66
			}
			return 16
		}
		if got := trap(t, func() { cx.lowerString(c.raw) }); !strings.Contains(got, "beyond end") {
			t.Errorf("encoding %d, %+v: trap %q after %d calls", c.enc, c.raw, got, calls)
		}
	}
}

// Memory may move and grow while strings are stored.
func TestMemoryGrowsInRealloc(t *testing.T) {
	for name, enc := range encodings {
		g := &guest{next: 8}
		cx := &Context{Encoding: enc, Memory: g, Realloc: func(old, oldSize, align, size uint32) uint32 {
			g.b = append(make([]byte, 0, len(g.b)+1024), append(g.b, make([]byte, 1024)...)...)
			return g.realloc(old, oldSize, align, size)
		}}
		v := ListVal{StringVal("aé€😀"), StringVal("b"), StringVal("é")}
		p, n := cx.lowerList(v, List(String))
		if got := cx.liftList(p, n, List(String)); show(got) != show(v) {
			t.Errorf("%s: %s", name, show(got))
		}
	}
}

func ExampleContext_StoreString() {
	g := &guest{b: make([]byte, 64), next: 8}
	cx := &Context{Encoding: Latin1UTF16, Memory: g, Realloc: g.realloc}
	p, n := cx.StoreString("né")
	fmt.Printf("%d %d %x\n", p, n, g.b[p:p+n])
	// Output: 8 2 6ee9
}
