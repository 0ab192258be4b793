// Command abidiff runs random types and values through this project's canonical
// ABI and through the specification's definitions.py, and compares layouts,
// flattening, every call of realloc, the memory written, and what is lifted
// from valid and from random memory.
//
//	go run ./internal/tools/abidiff [-n 10000] [-seed 1] DEFINITIONS.PY
//
// It needs python3. The last line is "passed P of N"; the exit code is 1 if
// anything differed.
package main

import (
	"bufio"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"

	"github.com/ashlar-wasm/ashlar/internal/canon"
)

//go:embed driver.py
var driver string

func main() {
	n := flag.Int("n", 10000, "number of random cases")
	seed := flag.Uint64("seed", 1, "seed of the random numbers")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: abidiff [-n N] [-seed S] DEFINITIONS.PY")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	passed, err := run(flag.Arg(0), *n, *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "abidiff:", err)
		os.Exit(2)
	}
	fmt.Printf("passed %d of %d\n", passed, *n)
	if passed != *n {
		os.Exit(1)
	}
}

// reference is definitions.py running beside us.
type reference struct {
	in  *json.Encoder
	out *bufio.Scanner
}

func (r *reference) ask(q request) (a answer, err error) {
	if err := r.in.Encode(q); err != nil {
		return a, err
	}
	if !r.out.Scan() {
		if err := r.out.Err(); err != nil {
			return a, err
		}
		return a, io.ErrUnexpectedEOF
	}
	return a, json.Unmarshal(r.out.Bytes(), &a)
}

type request struct {
	Op       string   `json:"op"`
	Type     any      `json:"type"`
	Value    any      `json:"value,omitempty"`
	Vals     []string `json:"vals,omitempty"`
	Memory   string   `json:"memory"`
	Next     uint32   `json:"next"`
	Encoding string   `json:"encoding"`
}

type answer struct {
	Size   uint32      `json:"size"`
	Align  uint32      `json:"align"`
	Flat   []string    `json:"flat"`
	Vals   []string    `json:"vals"`
	Memory string      `json:"memory"`
	Calls  [][4]uint32 `json:"calls"`
	Value  any         `json:"value"`
	Trap   bool        `json:"trap"`
}

func run(definitions string, n int, seed uint64) (passed int, err error) {
	cmd := exec.Command("python3", "-c", driver, definitions)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ref := &reference{in: json.NewEncoder(in), out: bufio.NewScanner(out)}
	ref.out.Buffer(nil, 64<<20)
	for i := range n {
		g := &generator{r: rand.New(rand.NewPCG(seed, uint64(i)))}
		if msg, err := compare(ref, g); err != nil {
			return passed, fmt.Errorf("case %d: %w", i, err)
		} else if msg != "" {
			fmt.Printf("case %d: %s\n", i, msg)
			continue
		}
		passed++
	}
	if err := in.Close(); err != nil {
		return passed, err
	}
	return passed, cmd.Wait()
}

var encodings = []string{canon.UTF8: "utf8", canon.UTF16: "utf16", canon.Latin1UTF16: "latin1+utf16"}

// memory is a guest whose realloc only ever allocates at the end of what it
// gave, as the driver's does.
type memory struct {
	b     []byte
	next  uint32
	calls [][4]uint32
}

func (m *memory) Bytes() []byte { return m.b }

func (m *memory) realloc(old, oldSize, align, size uint32) uint32 {
	m.calls = append(m.calls, [4]uint32{old, oldSize, align, size})
	p := (m.next + align - 1) / align * align
	if uint64(p)+uint64(size) <= uint64(len(m.b)) {
		m.next = p + size
		n := min(oldSize, size)
		copy(m.b[p:p+n], m.b[old:old+n])
	}
	return p
}

// trapped runs f and tells whether it trapped.
func trapped(f func()) (trap bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *canon.Trap:
			trap = true
		default:
			panic(r)
		}
	}()
	f()
	return false
}

// compare runs one random case and describes the difference, if there is one.
func compare(ref *reference, g *generator) (string, error) {
	t := g.typ(4)
	ft := canon.Func(false, []canon.Field{{Name: "x", Type: t}}, nil)
	flat := ft.FlattenLift(false, false)
	size := 64 + g.r.IntN(4096)
	mem := &memory{b: make([]byte, size), next: uint32(g.r.IntN(16))}
	for i := range mem.b {
		mem.b[i] = byte(g.r.IntN(4)) // small numbers, so that random memory holds valid values too
	}
	enc := canon.Encoding(g.r.IntN(3))
	q := request{Type: typeJSON(t), Memory: hex.EncodeToString(mem.b), Next: mem.next, Encoding: encodings[enc]}
	cx := &canon.Context{Encoding: enc, Memory: mem, Realloc: mem.realloc, Handles: &canon.Table{}, Scope: &canon.Scope{}}

	// Lift what is there by chance.
	q.Op = "lift"
	vals := make([]uint64, len(flat.Params))
	for i := range vals {
		vals[i] = g.flat(size)
		q.Vals = append(q.Vals, fmt.Sprint(vals[i]))
	}
	a, err := ref.ask(q)
	if err != nil {
		return "", err
	}
	if t.Size != a.Size || t.Align != a.Align || !reflect.DeepEqual(flatNames(flat.Params), a.Flat) {
		return fmt.Sprintf("%s: size %d, alignment %d, flat %v; expected %d, %d, %v",
			t, t.Size, t.Align, flatNames(flat.Params), a.Size, a.Align, a.Flat), nil
	}
	var lifted []canon.Val
	trap := trapped(func() { lifted = cx.LiftParams(ft, flat, vals) })
	if trap != a.Trap {
		return fmt.Sprintf("%s: lifting %v: trap %v, expected %v", t, vals, trap, a.Trap), nil
	}
	if !trap {
		if msg := sameValue(t, lifted[0], a.Value); msg != "" {
			return "lift: " + msg, nil
		}
	}

	// Lower a value, and lift it again.
	q.Op = "lower"
	v := g.value(t)
	q.Value = valueJSON(t, v)
	if a, err = ref.ask(q); err != nil {
		return "", err
	}
	mem.calls = nil
	var lowered []uint64
	trap = trapped(func() { lowered = cx.LowerParams(nil, ft, flat, []canon.Val{v}) })
	if trap != a.Trap {
		return fmt.Sprintf("%s: lowering: trap %v, expected %v", t, trap, a.Trap), nil
	}
	if trap {
		return "", nil
	}
	var got []string
	for _, x := range lowered {
		got = append(got, fmt.Sprint(x))
	}
	switch {
	case !reflect.DeepEqual(got, a.Vals):
		return fmt.Sprintf("%s: lowered to %v, expected %v", t, got, a.Vals), nil
	case !(len(mem.calls) == 0 && len(a.Calls) == 0) && !reflect.DeepEqual(mem.calls, a.Calls):
		return fmt.Sprintf("%s: realloc calls %v, expected %v", t, mem.calls, a.Calls), nil
	case hex.EncodeToString(mem.b) != a.Memory:
		return fmt.Sprintf("%s: memory differs after lowering", t), nil
	}
	if msg, err := compareFused(ref, g, ft, v); msg != "" || err != nil {
		return msg, err
	}
	back := cx.LiftParams(ft, flat, lowered)
	normal, err := roundTrip(normalJSON(t, v))
	if err != nil {
		return "", err
	}
	if msg := sameValue(t, back[0], normal); msg != "" {
		return "round trip: " + msg, nil
	}
	return "", nil
}

// compareFused passes a value from one guest to another, each with a string
// encoding of its own.
func compareFused(ref *reference, g *generator, ft *canon.FuncType, v canon.Val) (string, error) {
	t := ft.Params[0].Type
	from, to := canon.Encoding(g.r.IntN(3)), canon.Encoding(g.r.IntN(3))
	flat := ft.FlattenLift(false, false)
	next := uint32(g.r.IntN(16))
	empty := make([]byte, 1<<16)
	q := request{Op: "lower", Type: typeJSON(t), Value: fusedJSON(t, v, from),
		Memory: hex.EncodeToString(empty), Next: next, Encoding: encodings[to]}
	a, err := ref.ask(q)
	if err != nil {
		return "", err
	}
	for way, pass := range map[string]func(caller, callee *canon.Context, args []uint64) []uint64{
		"lifted and lowered": func(caller, callee *canon.Context, args []uint64) []uint64 {
			return callee.LowerParams(nil, ft, flat, caller.LiftParams(ft, flat, args))
		},
		"copied": func(caller, callee *canon.Context, args []uint64) []uint64 {
			var v canon.Values
			out := make([]uint64, len(flat.Params))
			c := canon.NewCopier(ft)
			c.LiftParams(&v, caller, args)
			c.LowerParams(&v, callee, out)
			return out
		},
	} {
		src := &memory{b: make([]byte, 1<<16), next: 8}
		dst := &memory{b: make([]byte, 1<<16), next: next}
		caller := &canon.Context{Encoding: from, Memory: src, Realloc: src.realloc, Fused: true}
		callee := &canon.Context{Encoding: to, Memory: dst, Realloc: dst.realloc}
		var lowered []uint64
		trap := trapped(func() {
			lowered = pass(caller, callee, caller.LowerParams(nil, ft, flat, []canon.Val{v}))
		})
		what := fmt.Sprintf("%s %s from %s to %s", t, way, encodings[from], encodings[to])
		if msg := a.differs(what, lowered, trap, dst); msg != "" {
			return msg, nil
		}
	}
	return "", nil
}

// differs describes how what was lowered is not what was expected, or "".
func (a *answer) differs(what string, lowered []uint64, trap bool, dst *memory) string {
	var got []string
	for _, x := range lowered {
		got = append(got, fmt.Sprint(x))
	}
	switch {
	case trap != a.Trap:
		return fmt.Sprintf("%s: trap %v, expected %v", what, trap, a.Trap)
	case trap:
		return ""
	case !reflect.DeepEqual(got, a.Vals):
		return fmt.Sprintf("%s: lowered to %v, expected %v", what, got, a.Vals)
	case !(len(dst.calls) == 0 && len(a.Calls) == 0) && !reflect.DeepEqual(dst.calls, a.Calls):
		return fmt.Sprintf("%s: realloc calls %v, expected %v", what, dst.calls, a.Calls)
	case hex.EncodeToString(dst.b) != a.Memory:
		return what + ": memory differs"
	}
	return ""
}

func flatNames(ts []canon.CoreType) []string {
	out := []string{}
	for _, t := range ts {
		out = append(out, [...]string{canon.I32: "i32", canon.I64: "i64", canon.F32: "f32", canon.F64: "f64"}[t])
	}
	return out
}

func sameValue(t *canon.Type, v canon.Val, want any) string {
	got, err := roundTrip(normalJSON(t, v))
	if err != nil {
		return err.Error()
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("%s: got %v, expected %v", t, got, want)
	}
	return ""
}

// roundTrip makes a value what reading it from JSON gives.
func roundTrip(v any) (out any, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}
