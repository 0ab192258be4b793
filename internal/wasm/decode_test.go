package wasm

import (
	"bytes"
	"errors"
	"testing"
)

// section returns a section of the binary format.
func section(id byte, body ...byte) []byte {
	return append(appendU32([]byte{id}, uint32(len(body))), body...)
}

// binaryModule returns a module of the given sections.
func binaryModule(sections ...[]byte) []byte {
	return append(bytes.Clone(preamble), bytes.Join(sections, nil)...)
}

// everySection has an entry of every form in every section, and custom sections between.
var everySection = binaryModule(
	section(0, 2, 'c', '0', 1, 2, 3),
	// (func) (func (param i32 i64) (result f64 v128)) (func (param (ref null 0) (ref extern)))
	section(1, 3, 0x60, 0, 0, 0x60, 2, 0x7f, 0x7e, 2, 0x7c, 0x7b, 0x60, 2, 0x63, 0, 0x64, 0x6f, 0),
	section(2, 5,
		0, 1, 'f', 0, 1,
		1, 'm', 1, 't', 1, 0x70, 0, 3,
		1, 'm', 3, 'm', 'e', 'm', 2, 3, 1, 2,
		1, 'm', 1, 'g', 3, 0x7f, 1,
		1, 'm', 1, 'e', 4, 0, 0),
	section(3, 2, 0, 0),
	section(4, 2, 0x6f, 1, 1, 2, 0x40, 0, 0x64, 0x70, 0, 1, 0xd2, 0, 0x0b),
	section(13, 1, 0, 0),
	section(6, 1, 0x7f, 0, 0x41, 42, 0x0b),
	section(0, 1, 'x'),
	section(7, 2, 1, 'a', 0, 1, 0, 1, 1),
	section(8, 1),
	section(9, 8,
		0, 0x41, 0, 0x0b, 1, 0,
		1, 0, 1, 1,
		2, 1, 0x41, 0, 0x0b, 0, 0,
		3, 0, 1, 2,
		4, 0x41, 0, 0x0b, 1, 0xd0, 0x70, 0x0b,
		5, 0x70, 1, 0xd2, 0, 0x0b,
		6, 1, 0x41, 0, 0x0b, 0x6f, 0,
		7, 0x70, 0),
	section(12, 3),
	section(10, 2, 2, 0, 0x0b, 4, 1, 1, 0x7f, 0x0b),
	section(11, 3, 0, 0x41, 0, 0x0b, 1, 'd', 1, 2, 'e', 'f', 2, 0, 0x41, 1, 0x0b, 0),
	section(0, 4, 'n', 'a', 'm', 'e', 0, 2, 1, 'M', 1, 7, 2, 0, 1, 'f', 1, 1, 'g'),
)

func TestDecodeEverySection(t *testing.T) {
	m, err := Decode(everySection)
	if err != nil {
		t.Fatal(err)
	}
	counts := []int{len(m.Types), len(m.Imports), len(m.Functions), len(m.Tables), len(m.Tags), len(m.Globals),
		len(m.Exports), len(m.Elements), len(m.Code), len(m.Data), len(m.Customs)}
	want := []int{3, 5, 2, 2, 1, 1, 2, 8, 2, 3, 3}
	for i := range want {
		if counts[i] != want[i] {
			t.Errorf("count %d is %d, want %d", i, counts[i], want[i])
		}
	}
	if got := m.Types[2].Params; got[0] != Ref(0, true) || got[1] != Ref(HeapExtern, false) {
		t.Errorf("reference parameters are %v", got)
	}
	if mem := m.Imports[2].Memory.Limits; mem != (Limits{Min: 1, Max: 2, HasMax: true, Shared: true}) {
		t.Errorf("memory limits are %+v", mem)
	}
	if e := m.Elements[6]; e.Mode != Active || e.Table != 1 || e.Type != ExternRef || !e.UsesExprs {
		t.Errorf("element segment 6 is %+v", e)
	}
	if m.Start == nil || m.Start.Func != 1 || *m.DataCount != 3 {
		t.Errorf("start %+v, data count %v", m.Start, *m.DataCount)
	}
	names := m.Names()
	if names.Module != "M" || names.Functions[0] != "f" || names.Functions[1] != "g" {
		t.Errorf("names are %+v", names)
	}
	exports, err := m.ExportTypes()
	if err != nil {
		t.Fatal(err)
	}
	if exports[0].Kind != KindFunc || len(exports[0].Func.Params) != 0 || exports[1].Kind != KindTable || exports[1].Table.Elem != ExternRef {
		t.Errorf("export types are %+v", exports)
	}
	imports, err := m.ImportTypes()
	if err != nil {
		t.Fatal(err)
	}
	if imports[0].Func.Results[1] != V128 || imports[3].Global != (GlobalType{Val: I32, Mutable: true}) {
		t.Errorf("import types are %+v", imports)
	}
}

func TestEncodeIsExact(t *testing.T) {
	m, err := Decode(everySection)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Encode(); !bytes.Equal(got, everySection) {
		t.Errorf("encoded\n%x, want\n%x", got, everySection)
	}
}

func TestEncodeShortensIntegers(t *testing.T) {
	long := binaryModule([]byte{1, 0x85, 0x80, 0x00, 0x81, 0x00, 0x60, 0, 0}, []byte{0, 2, 1, 'x'})
	m, err := Decode(long)
	if err != nil {
		t.Fatal(err)
	}
	want := binaryModule(section(1, 1, 0x60, 0, 0), section(0, 1, 'x'))
	if got := m.Encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded %x, want %x", got, want)
	}
}

func TestRenameImports(t *testing.T) {
	in := binaryModule(
		section(1, 1, 0x60, 0, 0),
		section(2, 2, 0, 0, 0, 0, 1, 'a', 1, 'b', 0, 0),
		section(0, 1, 'x', 9),
	)
	m, err := Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	m.RenameImports(func(i int, imp Import) (string, string) {
		return "inst" + string(rune('0'+i)), imp.Name + "!"
	})
	want := binaryModule(
		section(1, 1, 0x60, 0, 0),
		section(2, 2, 5, 'i', 'n', 's', 't', '0', 1, '!', 0, 0, 5, 'i', 'n', 's', 't', '1', 2, 'b', '!', 0, 0),
		section(0, 1, 'x', 9),
	)
	if got := m.Encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded %x, want %x", got, want)
	}
}

func TestSetNames(t *testing.T) {
	// The function names end early.
	broken := []byte{4, 'n', 'a', 'm', 'e', 0, 2, 1, 'M', 1, 7, 2, 5, 1, 'f', 1, 9, 'g'}
	m, err := Decode(binaryModule(section(0, broken...), section(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	m.SetNames(m.Names())
	want := binaryModule(section(1, 0), section(0, 4, 'n', 'a', 'm', 'e', 0, 2, 1, 'M', 1, 4, 1, 5, 1, 'f'))
	if got := m.Encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded %x, want %x", got, want)
	}
}

func TestEncodePlacesNewSections(t *testing.T) {
	m, err := Decode(binaryModule(
		section(0, 1, 'a'),
		section(1, 1, 0x60, 0, 0),
		section(10, 0),
		section(0, 4, 'n', 'a', 'm', 'e'),
	))
	if err != nil {
		t.Fatal(err)
	}
	m.Memories = []Memory{{MemoryType: MemoryType{Limits: Limits{Min: 1}}}}
	m.Exports = []Export{{Name: "m", Kind: KindMemory}}
	m.Data = []Data{{Mode: Passive, Init: []byte("z")}}
	m.Customs = append(m.Customs, Custom{Name: "new"})
	want := binaryModule(
		section(0, 1, 'a'),
		section(1, 1, 0x60, 0, 0),
		section(5, 1, 0, 1),
		section(7, 1, 1, 'm', 2, 0),
		section(10, 0),
		section(11, 1, 1, 1, 'z'),
		section(0, 4, 'n', 'a', 'm', 'e'),
		section(0, 3, 'n', 'e', 'w'),
	)
	if got := m.Encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded %x, want %x", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		in     []byte
		offset int
		rule   string
	}{
		{"empty", nil, 0, "magic header not detected"},
		{"version", []byte("\x00asm\x02\x00\x00\x00"), 4, "unknown binary version"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), 4, "expected a version header for a module"},
		{"section id", binaryModule(section(14)), 8, "malformed section id"},
		{"order", binaryModule(section(3, 0), section(1, 0)), 11, "unexpected content after last section"},
		{"section too long", binaryModule([]byte{1, 5, 0}), 10, "unexpected end"},
		{"section too short", binaryModule(section(1, 0, 0)), 11, "section size mismatch"},
		{"count", binaryModule(section(1, 5, 0x60)), 10, "unexpected end"},
		{"long integer", binaryModule([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), 9, "integer representation too long"},
		{"large integer", binaryModule([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x10}), 9, "integer too large"},
		{"name", binaryModule(section(0, 1, 0xff)), 11, "malformed UTF-8 encoding"},
		{"no code", binaryModule(section(3, 1, 0)), 12, "function and code section have inconsistent lengths"},
		{"data count", binaryModule(section(12, 1)), 11, "data count and data section have inconsistent lengths"},
		{"opcode", binaryModule(section(6, 1, 0x7f, 0, 0xff, 0x0b)), 13, "illegal opcode"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeAt(tt.in, 100)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Rule != tt.rule || e.Offset != tt.offset+100 || !e.Malformed {
				t.Errorf("error is %+v, want rule %q at %d", e, tt.rule, tt.offset+100)
			}
		})
	}
}

func TestDecodeUnsupported(t *testing.T) {
	tests := []struct {
		feature Feature
		in      []byte
		offset  int
	}{
		{GC, binaryModule(section(1, 1, 0x5f, 0)), 11},
		{GC, binaryModule(section(1, 1, 0x60, 1, 0x6e, 0)), 13},
		{LegacyExceptions, binaryModule(section(6, 1, 0x7f, 0, 0x06, 0x40, 0x0b, 0x0b)), 13},
		{SharedEverything, binaryModule(section(6, 1, 0x7f, 2, 0x41, 0, 0x0b)), 12},
		{StackSwitching, binaryModule(section(1, 1, 0x5d, 0)), 11},
		{CompactImports, binaryModule(section(2, 1, 1, 'm', 0, 0x7f, 0)), 14},
	}
	for _, tt := range tests {
		_, err := Decode(tt.in)
		var e *UnsupportedError
		if !errors.As(err, &e) {
			t.Errorf("%v: error is %v", tt.feature, err)
		} else if e.Feature != tt.feature || e.Offset != tt.offset {
			t.Errorf("error is %+v, want %v at %d", e, tt.feature, tt.offset)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(everySection)
	f.Add(binaryModule(section(6, 1, 0x7f, 0, 0x06, 0x40, 0x0b, 0x0b)))
	f.Add(funcModule(0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b))
	f.Add(funcModule(0x02, 0x69, 0x1f, 0x40, 1, 3, 0, 0x0b, 0x00, 0x0b, 0x0a))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Decode(in)
		if err != nil {
			return
		}
		m.Names()
		m.ImportTypes()
		m.ExportTypes()
		verdict := Validate(m)
		out := m.Encode()
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("decode what was encoded: %v\nin  %x\nout %x", err, in, out)
		}
		if second := Validate(again); (verdict == nil) != (second == nil) {
			t.Fatalf("validation gives %v, and %v after encoding", verdict, second)
		}
		if second := again.Encode(); !bytes.Equal(second, out) {
			t.Fatalf("encoding is not stable:\n%x\n%x", out, second)
		}
	})
}
