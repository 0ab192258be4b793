package wasm

import (
	"bytes"
	"testing"
)

// elementModule has an imported global, a table of 4 and the element segments.
func elementModule(elements ...byte) []byte {
	return binaryModule(
		section(1, 1, 0x60, 0, 0),
		section(2, 1, 1, 'm', 1, 'g', 3, 0x7f, 0),
		section(3, 1, 0),
		section(4, 1, 0x70, 0, 4),
		section(8, 0),
		section(9, elements...),
		section(10, 1, 2, 0, 0x0b),
	)
}

func TestCheckElements(t *testing.T) {
	for name, c := range map[string]struct {
		elements []byte
		code     []byte // of the start function; nil where none is needed
	}{
		"fits":         {elements: []byte{1, 0, 0x41, 3, 0x0b, 1, 0}},
		"empty at end": {elements: []byte{1, 0, 0x41, 4, 0x0b, 0}},
		"passive":      {elements: []byte{1, 1, 0, 1, 0}},
		// table.init, elem.drop, call of the start function there was.
		"beyond": {elements: []byte{1, 0, 0x41, 4, 0x0b, 1, 0},
			code: []byte{0, 0x41, 4, 0x41, 0, 0x41, 1, 0xfc, 12, 0, 0, 0xfc, 13, 0, 0x10, 0, 0x0b}},
		"empty beyond": {elements: []byte{1, 0, 0x41, 5, 0x0b, 0},
			code: []byte{0, 0x41, 5, 0x41, 0, 0x41, 0, 0xfc, 12, 0, 0, 0xfc, 13, 0, 0x10, 0, 0x0b}},
		"negative": {elements: []byte{1, 0, 0x41, 0x7f, 0x0b, 1, 0},
			code: []byte{0, 0x41, 0x7f, 0x41, 0, 0x41, 1, 0xfc, 12, 0, 0, 0xfc, 13, 0, 0x10, 0, 0x0b}},
		"global, behind a passive one": {elements: []byte{2, 1, 0, 1, 0, 0, 0x23, 0, 0x0b, 1, 0},
			code: []byte{0, 0x23, 0, 0x41, 0, 0x41, 1, 0xfc, 12, 1, 0, 0xfc, 13, 1, 0x10, 0, 0x0b}},
		"sum": {elements: []byte{1, 0, 0x23, 0, 0x41, 1, 0x6a, 0x0b, 1, 0},
			code: []byte{0, 0x23, 0, 0x41, 1, 0x6a, 0x41, 0, 0x41, 1, 0xfc, 12, 0, 0, 0xfc, 13, 0, 0x10, 0, 0x0b}},
	} {
		input := elementModule(c.elements...)
		m, err := Decode(input)
		if err == nil {
			err = Validate(m)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m.CheckElements("check")
		if c.code == nil {
			if !bytes.Equal(m.Encode(), input) {
				t.Errorf("%s: the module was changed", name)
			}
			continue
		}
		out, err := Decode(m.Encode())
		if err == nil {
			err = Validate(out)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out.Start == nil || out.Start.Func != 1 || len(out.Code) != 2 || !bytes.Equal(out.Code[1].Code, c.code) {
			t.Errorf("%s: start %v, code %x, want %x", name, out.Start, out.Code[len(out.Code)-1].Code, c.code)
		}
		if n := out.Names(); n.Functions[1] != "check" || len(n.Functions) != 1 {
			t.Errorf("%s: names %v", name, n)
		}
	}
}
