package binary

import (
	"strings"
	"testing"
)

// A component of one resource and its constructor, byte by byte as Binary.md has it.
func TestText(t *testing.T) {
	const module = "\x00asm\x01\x00\x00\x00" +
		"\x01\x06\x01\x60\x01\x7f\x01\x7f" + "\x03\x02\x01\x00" + "\x07\x05\x01\x01f\x00\x00" + "\x0a\x06\x01\x04\x00\x20\x00\x0b"
	const component = "\x00asm\x0d\x00\x01\x00" +
		"\x07\x19\x03\x72\x02\x01a\x79\x01b\x73" + "\x40\x00\x01\x00" + "\x42\x02\x01\x70\x7d\x04\x00\x01t\x03\x00\x00" + // types
		"\x0a\x06\x01\x00\x01i\x05\x02" + // import
		"\x06\x06\x01\x03\x00\x00\x01t" + // alias
		"\x01\x23" + module +
		"\x02\x04\x01\x00\x00\x00" + // core instance
		"\x06\x07\x01\x00\x00\x01\x00\x01f" + // core alias
		"\x07\x0c\x02\x40\x01\x01x\x79\x00\x79" + "\x3f\x7f\x01\x00" + // types
		"\x08\x0a\x03\x00\x00\x00\x00\x04" + "\x02\x05" + "\x03\x05" + // canon
		"\x0b\x09\x01\x00\x03run\x01\x00\x00" // export
	const want = `(component
  (type (;0;) (record (field "a" u32) (field "b" string)))
  (type (;1;) (func))
  (type (;2;)
    (instance
      (type (;0;) (list u8))
      (export (;1;) "t" (type (eq 0)))
    )
  )
  (import "i" (instance (;0;) (type 2)))
  (alias export 0 "t" (type (;3;)))
  (core module (;0;)
    (type (;0;) (func (param i32) (result i32)))
    (export "f" (func 0))
    (func (;0;) (type 0) (param i32) (result i32)
      local.get 0
    )
  )
  (core instance (;0;) (instantiate 0
  ))
  (alias core export 0 "f" (core func (;0;)))
  (type (;4;) (func (param "x" u32) (result u32)))
  (type (;5;) (resource (rep i32) (dtor (core func 0))))
  (func (;0;) (type 4) (canon lift (core func 0)))
  (core func (;1;) (canon resource.new 5))
  (core func (;2;) (canon resource.drop 5))
  (export (;1;) "run" (func 0))
)
`
	c, err := Decode([]byte(component))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteText(&b, c); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
