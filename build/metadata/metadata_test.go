package metadata

import (
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

const (
	emptyModule    = "\x00asm\x01\x00\x00\x00"
	emptyComponent = "\x00asm\x0d\x00\x01\x00"
)

var all = Metadata{
	Name: "greeter", Version: "1.2.0", Description: "Says hello, 世界", Authors: "A <a@example.com>, B", Licenses: "Apache-2.0 OR MIT",
	Source: "https://example.com/src", Homepage: "https://example.com", Revision: "abc",
}

// The bytes are those that the tool conventions and wasm-metadata describe.
func TestBytes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{emptyModule, emptyModule + "\x00\x09\x04name\x00\x02\x01a" + "\x00\x0b\x07version1.0"},
		{emptyComponent, emptyComponent + "\x00\x13\x0ecomponent-name\x00\x02\x01a" + "\x00\x0b\x07version1.0"},
		// Other names stay, and what was there is replaced.
		{
			emptyModule + "\x00\x0d\x04name\x00\x02\x01b\x01\x02\x00\x00" + "\x00\x0b\x07version0.9" + "\x00\x05\x04more",
			emptyModule + "\x00\x05\x04more" + "\x00\x0d\x04name\x00\x02\x01a\x01\x02\x00\x00" + "\x00\x0b\x07version1.0",
		},
	} {
		got, err := Write([]byte(c.in), Metadata{Name: "a", Version: "1.0"})
		if err != nil || string(got) != c.want {
			t.Errorf("%q\ngot  %q, %v\nwant %q", c.in, got, err, c.want)
		}
	}
}

func TestWriteRead(t *testing.T) {
	for _, in := range [][]byte{[]byte(emptyModule), []byte(emptyComponent), guests.HelloHTTP()} {
		out, err := Write(in, all)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(out)
		if err != nil || got != all {
			t.Errorf("got %+v, %v", got, err)
		}
		// Written again it is the same, and what is not given stays.
		again, err := Write(out, Metadata{Version: "1.2.0"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err = Read(again); err != nil || got != all {
			t.Errorf("after another write %+v, %v", got, err)
		}
		if len(again) != len(out) {
			t.Errorf("%d bytes grew to %d", len(out), len(again))
		}
		bare, err := Strip(out, func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if got, err = Read(bare); err != nil || got != (Metadata{}) {
			t.Errorf("stripped: %+v, %v", got, err)
		}
		if len(bare) > len(in) {
			t.Errorf("stripped has %d bytes, %d had none", len(bare), len(in))
		}
		if _, err := Write(in, Metadata{Description: "\xff"}); err == nil {
			t.Error("what is not UTF-8 is written")
		}
	}
}

func TestStrip(t *testing.T) {
	module := emptyModule + "\x00\x05\x04name" + "\x00\x05\x04keep" + "\x01\x04\x01\x60\x00\x00"
	component := emptyComponent + "\x01" + string(rune(len(module))) + module + "\x00\x05\x04drop"
	nested := emptyComponent + "\x04" + string(rune(len(component))) + component
	got, err := Strip([]byte(nested), func(name string) bool { return name == "keep" })
	if err != nil {
		t.Fatal(err)
	}
	module = emptyModule + "\x00\x05\x04keep" + "\x01\x04\x01\x60\x00\x00"
	component = emptyComponent + "\x01" + string(rune(len(module))) + module
	want := emptyComponent + "\x04" + string(rune(len(component))) + component
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	deep := []byte(emptyComponent)
	for range maxDepth + 2 {
		deep = appendSection([]byte(emptyComponent), sectionComponent, deep)
	}
	if _, err := Strip(deep, func(string) bool { return true }); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("nested deep: %v", err)
	}
}

func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{"", emptyModule, emptyComponent, emptyModule + "\x00\x0d\x04name\x00\x02\x01b\x01\x02\x00\x00"} {
		f.Add([]byte(seed), "name", "text")
	}
	f.Add(guests.HelloHTTP(), "a", "")
	f.Fuzz(func(t *testing.T, b []byte, name, text string) {
		valid := func(b []byte) bool {
			c, err := binary.Decode(b)
			return err == nil && binary.Validate(c) == nil
		}
		was := valid(b)
		m := Metadata{Name: name, Description: text}
		out, err := Write(b, m)
		if err != nil {
			return
		}
		got, err := Read(out)
		if err != nil || name != "" && got.Name != name || text != "" && got.Description != text {
			t.Fatalf("wrote %+v, read %+v, %v", m, got, err)
		}
		bare, err := Strip(out, func(string) bool { return false })
		if was {
			if err != nil || !valid(out) || !valid(bare) {
				t.Fatalf("a valid component became invalid: %v", err)
			}
		}
	})
}
