package canon

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever takes long polls on its way, and ends where that says so.
func TestPoll(t *testing.T) {
	const polls = 4
	const size = polls * pollBytes
	stop := errors.New("stop")
	for _, c := range []struct {
		name     string
		from, to Encoding
		typ      *Type
		units    uint32
		fill     [2]byte
		free     bool // nothing is to be checked
	}{
		{"UTF-8", UTF8, UTF8, String, size, [2]byte{'a', 'b'}, false},
		{"two bytes", UTF8, UTF8, String, size, [2]byte{0xc3, 0xa9}, false},
		{"UTF-8 to UTF-16", UTF8, UTF16, String, size, [2]byte{0xc3, 0xa9}, false},
		{"UTF-8 to Latin-1", UTF8, Latin1UTF16, String, size, [2]byte{0xc3, 0xa9}, false},
		{"UTF-8 beyond Latin-1", UTF8, Latin1UTF16, String, size, [2]byte{0xc4, 0x80}, false},
		{"UTF-16", UTF16, UTF16, String, size / 2, [2]byte{'a', 1}, false},
		{"UTF-16 to UTF-8", UTF16, UTF8, String, size / 2, [2]byte{'a', 1}, false},
		{"Latin-1 to UTF-8", Latin1UTF16, UTF8, String, size, [2]byte{'a', 0xe9}, true},
		{"UTF-16 to Latin-1", Latin1UTF16, Latin1UTF16, String, size/2 | utf16Tag, [2]byte{'a', 0}, false},
		{"bytes", UTF8, UTF8, List(U8), size, [2]byte{}, true},
		{"bools", UTF8, UTF8, List(Bool), size, [2]byte{}, true},
		{"floats", UTF8, UTF8, List(F32Type), size / 4, [2]byte{}, true},
		{"chars", UTF8, UTF8, List(Char), size / 4, [2]byte{}, false},
		{"options", UTF8, UTF8, List(Option(U8)), size / 2, [2]byte{}, false},
	} {
		ft := Func(false, []Field{{Name: "a", Type: c.typ}}, nil)
		flat := ft.FlattenLift(false, false)
		core := []uint64{16, uint64(c.units)}
		guests := func() (from, to *Context) {
			from, g := newGuest(0, c.from)
			g.b = bytes.Repeat(c.fill[:], size/2+8)
			to, _ = newGuest(6*size, c.to)
			from.HostBytes = 1 << 30
			return from, to
		}
		for way, pass := range map[string]func(from, to *Context){
			"copied": func(from, to *Context) {
				var v Values
				copier := NewCopier(ft)
				copier.LiftParams(&v, from, core)
				copier.LowerParams(&v, to, make([]uint64, 2))
			},
			"lifted": func(from, to *Context) {
				from.Fused = true
				to.LowerParams(nil, ft, flat, from.LiftParams(ft, flat, core))
			},
		} {
			from, to := guests()
			lifting, lowering := 0, 0
			from.Poll = func() { lifting++ }
			to.Poll = func() { lowering++ }
			pass(from, to)
			if lowering < polls/2 || lifting < polls/2 && !(way == "copied" && c.free) {
				t.Errorf("%s, %s: %d polls while lifting, %d while lowering %d bytes", c.name, way, lifting, lowering, size)
			}
			from, to = guests()
			to.Poll = func() { panic(stop) }
			func() {
				defer func() {
					if r := recover(); r != stop {
						t.Errorf("%s, %s: %v", c.name, way, r)
					}
				}()
				pass(from, to)
			}()
		}
	}
}
