package component_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// passesLists calls take, of n lists of size bytes each, from one component to
// another.
func passesLists(n int, size uint32) []byte {
	var params []abi.Field
	for i := range n {
		elem := []*abi.Type{abi.U8, abi.Bool}[i%2] // which are not copied in one go
		params = append(params, abi.F(fmt.Sprintf("p%d", i), abi.FixedList(elem, size)))
	}
	take := abi.Function(params, nil)

	in := guests.NewBuilder()
	libc := in.Libc(nil, 1)
	one := guests.Func{Name: "take", Params: []wasm.ValType{wasm.I32}}
	core := in.Core(libc, []guests.Func{one})
	in.Export("take", binary.SortFunc, in.Lift(in.CoreAlias(binary.SortCoreFunc, core, "take"), take, libc.Options()...))

	out := guests.NewBuilder()
	imported := out.ImportFunc("take", take)
	libc = out.Libc(nil, 1)
	core = out.Core(libc, []guests.Func{{Name: "go", Body: guests.Seq(guests.I32(0), guests.Call(0))}}, out.Lower(imported, take, libc.Options()...))
	out.Export("go", binary.SortFunc, out.Lift(out.CoreAlias(binary.SortCoreFunc, core, "go"), abi.Function(nil, nil)))

	both := guests.NewBuilder()
	a := both.Nest(in)
	b := both.Nest(out, binary.Arg{Name: "take", SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: both.Alias(binary.SortFunc, a, "take")}})
	both.Export("go", binary.SortFunc, both.Alias(binary.SortFunc, b, "go"))
	return both.Bytes()
}

// The parameters of a function may together be larger than a memory.
func TestParametersLargerThanMemory(t *testing.T) {
	for _, c := range []struct {
		n    int
		size uint32
	}{{17, 1<<28 - 1}, {32, 1<<27 + 4}} { // 4,563,402,735 bytes and 4,294,967,424
		i := instantiate(t, component.Options{}, passesLists(c.n, c.size), nil)
		f, _ := i.Func("", "go")
		_, err := f.Call(t.Context(), nil)
		var trap *component.Trap
		if !errors.As(err, &trap) || trap.Kind != component.TrapCanonicalABI {
			t.Errorf("%d lists of %d bytes: %v", c.n, c.size, err)
		}
	}
}

// What is wrong with an import is told briefly, however long the text of its type is.
func TestMismatchOfLargeTypes(t *testing.T) {
	large := abi.Enum(strings.Repeat("a", 30_000))
	for range 14 {
		large = abi.Tuple(large, large)
	}
	g := guests.Guest{Imports: []abi.Interface{{Name: "a:b/c", Funcs: []abi.Func{{Name: "f", Type: abi.Function(nil, large)}}}}}
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	c, err := e.Compile(t.Context(), g.Component())
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	in, err := l.Instance("a:b/c")
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Func("f", abi.Function(nil, nil), nil); err != nil {
		t.Fatal(err)
	}
	_, err = l.Prepare(t.Context(), c)
	var missing *component.LinkError
	if !errors.As(err, &missing) || len(err.Error()) > 5<<10 {
		t.Errorf("%.1000v", err)
	}
}
