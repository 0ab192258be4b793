package componentize

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

// randomWorld writes a package with interfaces that use types of one another, and a world
// that imports and exports some of them.
type randomWorld struct {
	r     *rand.Rand
	b     strings.Builder
	count int
	// types are the types of each interface, by interface; resources are among them.
	types     [][]string
	resources [][]string
}

func (w *randomWorld) name() string {
	w.count++
	return fmt.Sprintf("n%d", w.count)
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// typ returns a type that is made of those in scope; handle tells whether it may be a
// borrowed handle.
func (w *randomWorld) typ(scope, resources []string, depth int, handle bool) string {
	inner := func() string { return w.typ(scope, resources, depth+1, false) }
	switch n := w.r.IntN(14); {
	case n < 4 || depth > 3:
		return pick(w.r, []string{"u8", "s16", "u32", "s64", "f32", "f64", "bool", "string"})
	case n < 7 && len(scope) > 0:
		return pick(w.r, scope)
	case n == 7 && len(resources) > 0:
		if r := pick(w.r, resources); handle {
			return "borrow<" + r + ">"
		} else {
			return "own<" + r + ">"
		}
	case n == 8:
		return "list<" + inner() + ">"
	case n == 9:
		return "option<" + inner() + ">"
	case n == 10:
		return "tuple<" + inner() + ", " + inner() + ">"
	case n == 11:
		return "result<" + inner() + ", " + inner() + ">"
	case n == 12 && !handle:
		return "stream<" + inner() + ">" // of anything but characters
	}
	return "result"
}

func (w *randomWorld) function(scope, resources []string) string {
	var params []string
	for range w.r.IntN(4) {
		params = append(params, w.name()+": "+w.typ(scope, resources, 0, true))
	}
	f := "func(" + strings.Join(params, ", ") + ")"
	if w.r.IntN(3) > 0 {
		f += " -> " + w.typ(scope, resources, 0, false)
	}
	return f
}

func (w *randomWorld) iface(i int) {
	fmt.Fprintf(&w.b, "interface i%d {\n", i)
	var scope, resources []string
	for other := range i {
		if w.r.IntN(2) == 0 || len(w.types[other]) == 0 {
			continue
		}
		used := pick(w.r, w.types[other])
		as := w.name()
		fmt.Fprintf(&w.b, "use i%d.{%s as %s};\n", other, used, as)
		scope = append(scope, as)
		if slices.Contains(w.resources[other], used) {
			resources = append(resources, as)
		}
	}
	var types []string
	var own []string
	for range w.r.IntN(5) {
		name := w.name()
		switch w.r.IntN(6) {
		case 0:
			fmt.Fprintf(&w.b, "record %s { a: %s, b: %s }\n", name, w.typ(scope, resources, 0, false), w.typ(scope, resources, 0, false))
		case 1:
			fmt.Fprintf(&w.b, "variant %s { a, b(%s) }\n", name, w.typ(scope, resources, 0, false))
		case 2:
			fmt.Fprintf(&w.b, "enum %s { a, b }\n", name)
		case 3:
			fmt.Fprintf(&w.b, "flags %s { a, b, c }\n", name)
		case 4:
			fmt.Fprintf(&w.b, "type %s = %s;\n", name, w.typ(scope, resources, 0, false))
		case 5:
			fmt.Fprintf(&w.b, "resource %s { constructor(); %s: %s; %s: static %s; }\n", name,
				w.name(), w.function(scope, resources), w.name(), w.function(scope, resources))
			own = append(own, name)
			resources = append(resources, name)
		}
		scope = append(scope, name)
		types = append(types, name)
	}
	for range w.r.IntN(4) {
		fmt.Fprintf(&w.b, "%s: %s;\n", w.name(), w.function(scope, resources))
	}
	w.b.WriteString("}\n")
	w.types = append(w.types, types)
	w.resources = append(w.resources, own)
}

func (w *randomWorld) text() string {
	w.b.WriteString("package test:random@0.1.0;\n")
	n := 1 + w.r.IntN(5)
	for i := range n {
		w.iface(i)
	}
	w.b.WriteString("world w {\n")
	var scope, resources []string
	for i := range n {
		if w.r.IntN(2) == 0 {
			fmt.Fprintf(&w.b, "import i%d;\n", i)
		}
		if w.r.IntN(3) == 0 {
			fmt.Fprintf(&w.b, "export i%d;\n", i)
		}
		if w.r.IntN(4) == 0 && len(w.types[i]) > 0 {
			used, as := pick(w.r, w.types[i]), w.name()
			fmt.Fprintf(&w.b, "use i%d.{%s as %s};\n", i, used, as)
			scope = append(scope, as)
			if slices.Contains(w.resources[i], used) {
				resources = append(resources, as)
			}
		}
	}
	for _, verb := range []string{"import", "export"} {
		for range w.r.IntN(3) {
			fmt.Fprintf(&w.b, "%s %s: %s;\n", verb, w.name(), w.function(scope, resources))
		}
		if w.r.IntN(3) == 0 {
			fmt.Fprintf(&w.b, "%s %s: interface { record p { a: u8 } resource q; %s: %s; }\n", verb, w.name(), w.name(), w.function([]string{"p"}, []string{"q"}))
		}
	}
	w.b.WriteString("}\n")
	return w.b.String()
}

// TestRandomWorlds makes components of modules with all that random worlds have: they have
// the interface of the world.
func TestRandomWorlds(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 60
	}
	made := 0
	for seed := range seeds {
		r := &randomWorld{r: rand.New(rand.NewPCG(seed, 1))}
		text := r.text()
		resolve, err := wit.ParseText("random.wit", text, wit.Options{})
		if err != nil && strings.Contains(err.Error(), "in incompatible ways") {
			continue // an export between two others is missing
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		made++
		w := resolve.Main.World("w")
		m, err := Embed(dummy(w, seed%2 == 1), w, EmbedOptions{Encoding: Encoding(seed % 3)})
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		c, err := New(m, Options{})
		if err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, text)
			continue
		}
		if err := Targets(c, w); err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, text)
		}
		_, have, err := wit.Decode(c)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		for side, items := range [][2][]*wit.WorldItem{{w.Imports, have.Imports}, {w.Exports, have.Exports}} {
			index := newIndex(items[1])
			for _, item := range items[0] {
				if len(functionsOf(item)) == 0 && side == imports {
					continue // what it has is imported if it is used
				}
				got := index.exact[item.ExternName()]
				if got == nil || shape(got) != shape(item) {
					t.Errorf("seed %d: %s is not what it is in the world\n%s", seed, item.ExternName(), text)
				}
			}
		}
	}
	if made < int(seeds)/2 {
		t.Errorf("only %d of %d worlds could be", made, seeds)
	}
}
