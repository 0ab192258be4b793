package componentize_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// TestProducers checks that a module keeps what is said of it, and gets what is said of
// its world.
func TestProducers(t *testing.T) {
	m := bare(nil, function("f", "", "", 0))
	m.SetNames(wasm.Names{Module: "m", Functions: map[uint32]string{0: "f of the source"}})
	m.Customs = append(m.Customs,
		wasm.Custom{Name: "producers", Data: wasm.EncodeProducers([]wasm.Producer{{Field: "language", Name: "Go", Version: "1"}})},
		wasm.Custom{Name: "mine", Data: []byte("kept")})
	c := makeComponent(t, embed(t, m, world(t, `package test:p; world w { export f: func(); }`, "w"), componentize.UTF8))
	modules := coreModules(t, c)
	if len(modules) != 1 {
		t.Fatalf("%d core modules", len(modules))
	}
	section, _ := modules[0].Custom("producers")
	got, err := wasm.DecodeProducers(section.Data)
	if err != nil {
		t.Fatal(err)
	}
	want := []wasm.Producer{{Field: "language", Name: "Go", Version: "1"}, {Field: "processed-by", Name: "ashlar"}}
	if !slices.Equal(got, want) {
		t.Errorf("producers are %v, want %v", got, want)
	}
	if n := modules[0].Names(); n.Module != "m" || n.Functions[0] != "f of the source" {
		t.Errorf("names are %v", n)
	}
	if mine, ok := modules[0].Custom("mine"); !ok || string(mine.Data) != "kept" {
		t.Error("a custom section was lost")
	}
	for _, c := range modules[0].Customs {
		if strings.HasPrefix(c.Name, "component-type") {
			t.Error("the embedded world is still there")
		}
	}
}

func TestDamagedWorlds(t *testing.T) {
	section := func(data ...byte) []byte {
		m := &guests.CoreModule{}
		m.Customs = []wasm.Custom{{Name: "component-type:x", Data: data}}
		return m.Encode()
	}
	good, err := wasm.Decode(embed(t, bare(nil), world(t, greeting, "greeter"), componentize.UTF8))
	if err != nil {
		t.Fatal(err)
	}
	whole := good.Customs[len(good.Customs)-1].Data
	unknown := slices.Clone(whole)
	at := strings.Index(string(whole), "wit-component-encoding") + len("wit-component-encoding")
	unknown[at] = 5
	encoding := slices.Clone(whole)
	encoding[at+1] = 9
	for name, m := range map[string][]byte{
		"empty": section(), "garbage": section(1, 2, 3), "first form": section(3, 0, 9), "cut off": section(whole[:len(whole)-3]...),
		"version": section(unknown...), "encoding": section(encoding...), "no module": []byte("hello"), "component": whole,
	} {
		if _, err := componentize.New(m, componentize.Options{}); err == nil {
			t.Errorf("%s: was accepted", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	for text, want := range map[string]componentize.Encoding{"utf8": componentize.UTF8, "utf16": componentize.UTF16, "latin1+utf16": componentize.Latin1UTF16} {
		if got, err := componentize.ParseEncoding(text); got != want || err != nil || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if _, err := componentize.ParseEncoding("ascii"); err == nil {
		t.Error("ascii is an encoding")
	}
}
