package wasm

import (
	"bufio"
	"strings"
	"testing"
)

// Every instruction has a name, and nothing else has one.
func TestMnemonics(t *testing.T) {
	for i, ops := range [][]opInfo{opsPlain, opsBulk, opsSIMD, opsAtom} {
		names := mnemonics[i]
		for sub, info := range ops {
			name := ""
			if sub < len(names) {
				name = names[sub]
			}
			exists := info.imm != immUndefined && info.imm != immRefused
			if (name != "") != exists {
				t.Errorf("table %d, opcode %#x: %q", i, sub, name)
			}
		}
		if len(names) > len(ops) {
			t.Errorf("table %d: %d names for %d opcodes", i, len(names), len(ops))
		}
	}
	// Some of the specification's table, of each group.
	for op, want := range map[opcode]string{
		0x1c: "select", 0x3e: "i64.store32", 0x69: "i32.popcnt", 0x8a: "i64.rotr", 0xa6: "f64.copysign", 0xc4: "i64.extend32_s",
		0xfc_0007: "i64.trunc_sat_f64_u", 0xfc_0011: "table.fill", 0xfd_0022: "f64x2.replace_lane", 0xfd_0053: "v128.any_true",
		0xfd_009b: "i16x8.avgr_u", 0xfd_00ba: "i32x4.dot_i16x8_s", 0xfd_00ff: "f64x2.convert_low_i32x4_u",
		0xfe_0003: "atomic.fence", 0xfe_001d: "i64.atomic.store32", 0xfe_004e: "i64.atomic.rmw32.cmpxchg_u",
	} {
		if got := mnemonic(op); got != want {
			t.Errorf("opcode %#x is %q, want %q", uint32(op), got, want)
		}
	}
}

func TestText(t *testing.T) {
	const module = "\x00asm\x01\x00\x00\x00" +
		"\x01\x0a\x02\x60\x02\x7f\x7d\x01\x7e\x60\x00\x00" + // types
		"\x02\x09\x01\x01m\x03a\"\n\x00\x01" + // import
		"\x03\x02\x01\x00" + // function
		"\x04\x05\x01\x70\x01\x01\x02" + // table
		"\x05\x03\x01\x00\x01" + // memory
		"\x06\x06\x01\x7f\x01\x41\x7f\x0b" + // global
		"\x07\x05\x01\x01f\x00\x01" + // export
		"\x08\x01\x00" + // start
		"\x09\x07\x01\x00\x41\x00\x0b\x01\x01" + // element
		"\x0a\x36\x01\x34\x01\x02\x7e" + // code: two locals
		"\x20\x00\x04\x40\x10\x00\x05\x41\x00\x28\x00\x04\x1a\x0b" + // if call else load
		"\x43\x00\x00\xc0\x3f\x1a\x43\x01\x00\xc0\xff\x1a" + // 1.5, a NaN
		"\x44\x00\x00\x00\x00\x00\x00\xf0\xff\x1a" + // -inf
		"\x02\x7e\x42\x7e\x20\x00\x0e\x01\x00\x01\x0b\x0f\x0b" + // block br_table
		"\x0b\x0b\x01\x00\x41\x10\x0b\x05hi\x00\"\\" + // data
		"\x00\x0b\x04name\x01\x04\x01\x00\x01g"
	const want = `(module
  (type (;0;) (func (param i32 f32) (result i64)))
  (type (;1;) (func))
  (import "m" "a\22\0a" (func (;0;) (;g;) (type 1)))
  (table (;0;) 1 2 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const -1))
  (export "f" (func 1))
  (start 0)
  (elem (;0;) (offset (i32.const 0)) func 1)
  (func (;1;) (type 0) (param i32 f32) (result i64)
    (local i64 i64)
    local.get 0
    if
      call 0 (;g;)
    else
      i32.const 0
      i32.load offset=4 align=1
      drop
    end
    f32.const 0x1.8p+00
    drop
    f32.const -nan:0x400001
    drop
    f64.const -inf
    drop
    block (result i64)
      i64.const -2
      local.get 0
      br_table 0 1
    end
    return
  )
  (data (;0;) (offset (i32.const 16)) "hi\00\22\5c")
)
`
	m, err := Decode([]byte(module))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(m); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	w := bufio.NewWriter(&b)
	if err := (&Text{W: w}).Module(m, "module"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
