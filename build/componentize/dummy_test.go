package componentize

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// dummy returns a module with all that a world imports and exports, which traps.
func dummy(w *wit.World, standard bool) []byte {
	b := newBuilder("dummy")
	s := newSignatures()
	imported := func(item *wit.WorldItem, f *wit.Function) {
		module := "$root"
		if item.Interface != nil {
			module = item.ExternName()
		}
		if standard {
			module = "cm32p2"
			if item.Interface != nil {
				module += "|" + canonicalName(item)
			}
		}
		t, _ := s.lowered(f, synchronous)
		b.importFunc(module, f.Name, f.Name, t)
	}
	builtin := func(item *wit.WorldItem, exported bool, t *wit.TypeDef) {
		if _, ok := t.Kind.(*wit.Resource); !ok {
			return
		}
		module, drop, add, rep := item.ExternName(), "[resource-drop]"+t.Name, "[resource-new]"+t.Name, "[resource-rep]"+t.Name
		if exported {
			module = "[export]" + module
		}
		if standard {
			module, drop, add, rep = "cm32p2|"+canonicalName(item), t.Name+"_drop", t.Name+"_new", t.Name+"_rep"
			if exported {
				module = "cm32p2|_ex_" + canonicalName(item)
			}
		}
		b.importFunc(module, drop, drop, coreType("i", ""))
		if exported {
			b.importFunc(module, add, add, coreType("i", "i"))
			b.importFunc(module, rep, rep, coreType("i", "i"))
		}
	}
	for side, items := range [][]*wit.WorldItem{w.Imports, w.Exports} {
		exported := side == exports
		for _, item := range items {
			if item.Interface != nil {
				for _, t := range item.Interface.Types {
					builtin(item, exported, t)
				}
			}
			for _, f := range functionsOf(item) {
				if !exported {
					imported(item, f)
				}
			}
		}
	}
	scheme := 0
	if standard {
		scheme = 1
	}
	for _, item := range w.Exports {
		for _, f := range functionsOf(item) {
			t, _ := s.lifted(f, synchronous)
			name := namesOf(item, f)[scheme]
			b.export(name.core, wasm.KindFunc, b.define(name.core, t, []byte{0}))
			b.export(name.post, wasm.KindFunc, b.define(name.post, wasm.FuncType{Params: t.Results}, nil))
		}
	}
	memory, realloc := "memory", "cabi_realloc"
	if standard {
		memory, realloc = "cm32p2_memory", "cm32p2_realloc"
	}
	b.export(realloc, wasm.KindFunc, b.define(realloc, reallocType, []byte{0}))
	b.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16}}}
	b.export(memory, wasm.KindMemory, 0)
	return b.encode()
}

// TestWorlds makes components of modules with all that the worlds of WASI have.
func TestWorlds(t *testing.T) {
	r, err := wit.ParsePath("../../wasi/wit", wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, p := range r.Packages {
		for _, w := range p.Worlds {
			for _, standard := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%t", w.ID(), standard), func(t *testing.T) {
					m, err := Embed(dummy(w, standard), w, EmbedOptions{})
					if err != nil {
						t.Fatal(err)
					}
					c, err := New(m, Options{})
					if err != nil {
						t.Fatal(err)
					}
					if err := Targets(c, w); err != nil {
						t.Error(err)
					}
					// It also has all that the world has.
					_, have, err := wit.Decode(c)
					if err != nil {
						t.Fatal(err)
					}
					for _, item := range w.Imports {
						if len(functionsOf(item)) == 0 {
							continue
						}
						got := have.Import(item.ExternName())
						if got == nil {
							t.Errorf("%s is not imported", item.ExternName())
							continue
						}
						if a, b := shape(item), shape(got); a != b {
							t.Errorf("%s: imported is\n%s\nthe world has\n%s", item.ExternName(), b, a)
						}
					}
					made++
				})
			}
		}
	}
	if made < 10 {
		t.Errorf("%d components were made", made)
	}
}

// shape writes the functions of an item, in the order of their names.
func shape(item *wit.WorldItem) string {
	var out []string
	for _, f := range functionsOf(item) {
		out = append(out, f.Name+": "+f.Signature())
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
