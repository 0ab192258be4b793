package wasm

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func i32Const(n int32) []byte { return append([]byte{0x41}, leb64(int64(n))...) }

// instantiated is a memory of so many bytes as instantiating with active segments in
// order leaves it, and whether that ends before the last. Offsets are i32.const, or
// global.get 0 for the value of global.
func instantiated(data []Data, size int, global uint32) (memory []byte, ok bool) {
	memory = make([]byte, size)
	for _, d := range data {
		if d.Mode != Active {
			continue
		}
		at := uint64(global)
		if d.At.Code[0] != 0x23 {
			v, _ := d.At.i32()
			at = uint64(v)
		}
		if at+uint64(len(d.Init)) > uint64(size) {
			return memory, false
		}
		copy(memory[at:], d.Init)
	}
	return memory, true
}

// Held segments leave what those of the module would have left, also where one does not
// fit, and take their places.
func TestHoldDataKeepsMemory(t *testing.T) {
	joined := 0
	rapid.Check(t, func(t *rapid.T) {
		const pages = 1
		global := rapid.Uint32Range(0, 1<<17).Draw(t, "global")
		own := rapid.Bool().Draw(t, "own")
		counted := rapid.Bool().Draw(t, "counted")
		m := &Module{}
		memory := Memory{MemoryType: MemoryType{PageSizeLog2: 16, Limits: Limits{Min: pages}}}
		if own {
			m.Memories = []Memory{memory}
		} else {
			m.Imports = []Import{{Extern: Extern{Kind: KindMemory, Memory: memory.MemoryType}}}
		}
		next, file := int32(0), make([]byte, 0, 40*300)
		for n := range rapid.IntRange(0, 40).Draw(t, "segments") {
			// As in a decoded module, the bytes of each are followed by those of the next.
			begin := len(file)
			file = append(file, bytes.Repeat([]byte{byte(n + 1)}, rapid.IntRange(0, 300).Draw(t, "length"))...)
			d := Data{Init: file[begin:]}
			switch rapid.IntRange(0, 20).Draw(t, "kind") {
			case 0:
				d.Mode = Passive
			case 1:
				d.Mode, d.At = Active, Expr{Code: []byte{0x23, 0, 0x0b}} // global.get
			case 2:
				d.Mode, d.At = Active, Expr{Code: append(i32Const(rapid.Int32().Draw(t, "anywhere")), 0x0b)}
			case 3:
				next = pages<<16 - rapid.Int32Range(0, 700).Draw(t, "from the end")
				fallthrough
			default:
				next = max(0, next+rapid.SampledFrom([]int32{0, 0, 1, 7, dataGap, dataGap + 1, -1, -40, -300}).Draw(t, "gap"))
				d.Mode, d.At = Active, Expr{Code: append(i32Const(next), 0x0b)}
				next += int32(len(d.Init))
			}
			m.Data = append(m.Data, d)
		}
		if counted {
			n := uint32(len(m.Data))
			m.DataCount = &n
		}
		before := make([]Data, len(m.Data))
		for i, d := range m.Data {
			before[i] = d
			before[i].Init = bytes.Clone(d.Init)
		}
		source := m.Data
		held := m.HoldData()
		want, ok := instantiated(before, pages<<16, global)
		got, same := instantiated(held, pages<<16, global)
		if !bytes.Equal(want, got) || ok != same {
			t.Fatalf("the memory differs, or ends early: %v, want %v", same, ok)
		}
		for i := range before {
			if !bytes.Equal(before[i].Init, source[i].Init) {
				t.Fatalf("the bytes of segment %d were changed", i)
			}
		}
		// Those of the module are as they were: it may be used more than once.
		for i := range before {
			if counted && (len(m.Data) != len(before) || m.Data[i].Mode != Passive ||
				before[i].Mode == Active && len(m.Data[i].Init) > 0 || before[i].Mode == Passive && !bytes.Equal(m.Data[i].Init, before[i].Init)) {
				t.Fatalf("segment %d of the module is %+v", i, m.Data[i])
			}
		}
		if !counted && len(m.Data) > 0 {
			t.Fatalf("%d segments are left that nothing can name", len(m.Data))
		}
		active := 0
		for _, d := range before {
			if d.Mode == Active {
				active++
			}
		}
		if !own && len(held) != active {
			t.Fatalf("%d segments of a memory that others have, want %d", len(held), active)
		}
		joined += active - len(held)
	})
	if joined == 0 {
		t.Error("none were ever joined")
	}
}

// Many segments with small gaps become few.
func TestHoldDataJoins(t *testing.T) {
	m := &Module{Memories: []Memory{{MemoryType: MemoryType{PageSizeLog2: 16, Limits: Limits{Min: 10}}}}}
	const count = 5000
	for n := range int32(count) {
		m.Data = append(m.Data, Data{Mode: Active, At: Expr{Code: append(i32Const(n*100), 0x0b)}, Init: []byte{byte(n), 1, 2, 3}})
	}
	before := m.Data
	want, _ := instantiated(before, 10<<16, 0)
	held := m.HoldData()
	if got, ok := instantiated(held, 10<<16, 0); !ok || !bytes.Equal(got, want) || len(held) != 1 {
		t.Errorf("%d segments, %v", len(held), ok)
	}
	for n := range before {
		if len(before[n].Init) != 4 {
			t.Fatalf("segment %d was changed", n)
		}
	}
}

// An expression is computed as it is written here: as a tree.
func TestExprValue(t *testing.T) {
	global := func(i uint32) uint64 { return uint64(i) * 0x1_0000_0007 }
	rapid.Check(t, func(t *rapid.T) {
		wide := rapid.Bool().Draw(t, "i64")
		var gen func(depth int) ([]byte, uint64)
		gen = func(depth int) ([]byte, uint64) {
			kind := rapid.IntRange(0, 4).Draw(t, "kind")
			if depth == 0 {
				kind %= 2
			}
			switch kind {
			case 0:
				if wide {
					v := rapid.Int64().Draw(t, "v")
					return append([]byte{0x42}, leb64(v)...), uint64(v)
				}
				v := rapid.Int32().Draw(t, "v")
				return i32Const(v), uint64(uint32(v))
			case 1:
				i := rapid.Uint32Range(0, 300).Draw(t, "global")
				return binary.AppendUvarint([]byte{0x23}, uint64(i)), global(i)
			}
			a, x := gen(depth - 1)
			b, y := gen(depth - 1)
			op := kind - 2
			v := [...]uint64{x + y, x - y, x * y}[op]
			if wide {
				return append(append(a, b...), 0x7c+byte(op)), v
			}
			return append(append(a, b...), 0x6a+byte(op)), v & math.MaxUint32
		}
		code, want := gen(rapid.IntRange(0, 5).Draw(t, "depth"))
		got, ok := Expr{Code: append(code, 0x0b)}.Value(global)
		if !wide {
			got &= math.MaxUint32
			want &= math.MaxUint32
		}
		if !ok || got != want {
			t.Fatalf("% x: %#x, %v; want %#x", code, got, ok, want)
		}
	})
	for _, code := range [][]byte{
		nil, {0x0b}, {0x41, 1}, {0x41}, {0x41, 1, 0x41, 2, 0x0b}, {0x6a, 0x0b}, {0x41, 1, 0x6a, 0x0b}, {0x41, 1, 0x0b, 0x0b},
		{0xd0, 0x70, 0x0b}, {0xd2, 0, 0x0b}, {0x43, 0, 0, 0, 0, 0x0b}, {0x41, 1, 0x41, 2, 0x6d, 0x0b},
	} {
		if v, ok := (Expr{Code: code}).Value(global); ok {
			t.Errorf("% x is %d", code, v)
		}
	}
}

func leb64(n int64) (out []byte) {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(out, c)
		}
		out = append(out, c|0x80)
	}
}
