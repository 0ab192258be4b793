package example

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ashlar-wasm/ashlar/bindgen/internal/guesttest"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// goGuest is the guest of testdata/guest, written with bindings for the same
// world as this package.
type goGuest struct {
	*component.Instance
	echo    *EchoExports
	counter *CounterExports
	world   *AppExports
	logged  []string
	stderr  bytes.Buffer
}

func (g *goGuest) Log(_ context.Context, text string, n uint32) error {
	g.logged = append(g.logged, strings.Repeat(text, int(n)))
	return nil
}

// trackingStore remembers the buckets that it made.
type trackingStore struct {
	store
	made *[]*bucket
}

func (s trackingStore) NewBucket(ctx context.Context, name string) (Bucket, error) {
	b, err := s.store.NewBucket(ctx, name)
	*s.made = append(*s.made, b.(*bucket))
	return b, err
}

func (s trackingStore) BucketOpen(ctx context.Context, name string) (Bucket, error) {
	b, err := s.store.BucketOpen(ctx, name)
	if err == nil {
		*s.made = append(*s.made, b.(*bucket))
	}
	return b, err
}

var program = guesttest.New("../../..", "bindgen/testdata/guest/main.go", "bindgen/testdata/example.wit", "", "app")

// startGuest instantiates the guest. Its garbage collector runs whenever the heap
// has grown by gogc percent.
func startGuest(t *testing.T, echo EchoHost, store StoreHost, gogc string) *goGuest {
	t.Helper()
	ctx := t.Context()
	g := &goGuest{}
	system, err := wasi.New(wasi.Options{Stderr: &g.stderr, Stdout: &g.stderr, Env: []string{"GOGC=" + gogc, "NAME=Ashlar"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { system.Close() })
	engine, c := program.Compile(t)
	linker := engine.NewLinker()
	if err := system.AddTo(linker); err != nil {
		t.Fatal(err)
	}
	if err := (Imports{Echo: echo, Store: store, App: g}).Define(linker); err != nil {
		t.Fatal(err)
	}
	prepared, err := linker.Prepare(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	g.Instance, err = prepared.Instantiate(ctx)
	if err != nil {
		t.Fatal(err, g.stderr.String())
	}
	t.Cleanup(func() { g.Instance.Close(context.Background()) })
	if g.echo, err = LookupEcho(g.Instance); err != nil {
		t.Fatal(err)
	}
	if g.counter, err = LookupCounter(g.Instance); err != nil {
		t.Fatal(err)
	}
	if g.world, err = LookupApp(g.Instance); err != nil {
		t.Fatal(err)
	}
	return g
}

// echoed returns what a function of the interface echo makes of its arguments.
func echoed(t *abi.FuncType, args []canon.Val) canon.Val {
	switch {
	case t.Result == nil:
		return nil
	case t.Result.Kind == canon.KindTuple:
		return canon.TupleVal(args)
	case t.Result.Kind == canon.KindList:
		return canon.ListVal(args)
	}
	return args[0]
}

// TestGuestEcho sends random values through the guest: a dynamic guest calls
// this package's bindings, which call the guest, which calls the bindings
// again, whose implementation is dynamic too.
func TestGuestEcho(t *testing.T) {
	exports, err := LookupEcho(echoExporter{newGuest()})
	if err != nil {
		t.Fatal(err)
	}
	guest := startGuest(t, exports, store{}, "1")
	funcs := registry{}
	if err := DefineEcho(funcs, guest.echo); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for name, f := range funcs {
		for range 30 {
			g := newGuest()
			exports.useMemory(t, newGuest())
			var args []canon.Val
			for _, p := range f.Type.Params {
				args = append(args, randomVal(r, p.Type))
			}
			got, err := g.call(t, f, args...)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, guest.stderr.String())
			}
			if want := echoed(f.Type, args); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s:\n got %#v\nwant %#v", name, got, want)
			}
		}
	}
}

// useMemory gives the other side of the exports a new memory.
func (e *EchoExports) useMemory(t *testing.T, g *guest) {
	fresh, err := LookupEcho(echoExporter{g})
	if err != nil {
		t.Fatal(err)
	}
	*e = *fresh
}

// plainEcho returns strings as they are, without the bounds of dynamic guests.
type plainEcho struct{ EchoHost }

func (plainEcho) Strings(_ context.Context, a string, b []byte, c []string, d []uint16) (Tuple4[string, []byte, []string, []uint16], error) {
	return Tuple4[string, []byte, []string, []uint16]{a, b, c, d}, nil
}

func (plainEcho) Records(_ context.Context, a Mixed, b []Mixed) (Tuple2[Mixed, []Mixed], error) {
	return Tuple2[Mixed, []Mixed]{a, b}, nil
}

// scripts returns a string with characters of every script that Unicode knows.
func scripts() string {
	var b strings.Builder
	for _, table := range unicode.Scripts {
		for _, r := range table.R16 {
			b.WriteRune(rune(r.Lo))
			b.WriteRune(rune(r.Hi))
		}
		for _, r := range table.R32 {
			b.WriteRune(rune(r.Lo))
			b.WriteRune(rune(r.Hi))
		}
	}
	return b.String()
}

// explain adds the stack of the guest to an error.
func explain(err error) string {
	trap, ok := errors.AsType[*component.Trap](err)
	if !ok {
		return err.Error()
	}
	text := err.Error()
	for _, f := range trap.Stack {
		text += fmt.Sprintf("\n\t%+v", f)
	}
	return text
}

func TestGuestLargeValues(t *testing.T) {
	g := startGuest(t, plainEcho{}, store{}, "50")
	every := scripts()
	for _, n := range []int{0, 1, 2, 1000, 1 << 16, 1_000_000} {
		b, d, c := make([]byte, n), make([]uint16, n), make([]string, n)
		for i := range n {
			b[i], d[i] = byte(i), uint16(i*7)
			at := i % (len(every) - 8)
			c[i] = strings.ToValidUTF8(every[at:at+i%8], "?")
		}
		a := strings.Repeat(every, n/20_000)
		got, err := g.echo.Strings(t.Context(), a, b, c, d)
		if err != nil {
			t.Fatalf("%d elements: %v\n%s", n, explain(err), g.stderr.String())
		}
		if got.F0 != a || !bytes.Equal(got.F1, b) || !slices.Equal(got.F2, c) || !slices.Equal(got.F3, d) {
			t.Errorf("%d elements are not what they were", n)
		}
	}
}

func TestGuestRefusesSurrogates(t *testing.T) {
	for _, kind := range []string{"surrogate", "low", "byte", "short"} {
		g := startGuest(t, plainEcho{}, store{}, "1")
		err := g.world.Run(t.Context(), []string{"invalid", kind})
		if _, ok := errors.AsType[*component.Trap](err); !ok {
			t.Errorf("%s: a string that is not valid gave %v", kind, err)
		}
	}
	g := startGuest(t, plainEcho{}, store{}, "1")
	if _, err := g.echo.SingleChar(t.Context(), 0xd800); err == nil {
		t.Error("a surrogate was passed to the guest")
	}
}

func TestGuestResources(t *testing.T) {
	ctx := t.Context()
	var made []*bucket
	g := startGuest(t, plainEcho{}, trackingStore{made: &made}, "1")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err, g.stderr.String())
		}
	}
	newCount := func(n uint32) Count {
		c, err := g.counter.NewCount(ctx, n)
		must(err)
		return c
	}
	run := func(want string, args ...string) {
		t.Helper()
		err := g.world.Run(ctx, args)
		if want == "" {
			must(err)
			return
		}
		if e, ok := errors.AsType[abi.ErrorValue[string]](err); !ok || e.Value != want {
			t.Errorf("%s: %v, want %q\n%s", args, err, want, g.stderr.String())
		}
	}
	a, b := newCount(3), newCount(4)
	if n, err := g.counter.CountAdd(ctx, a, 2); err != nil || n != 5 {
		t.Errorf("got %d, %v", n, err)
	}
	joined, err := g.counter.CountJoined(ctx, a, b)
	must(err)
	if n, err := g.counter.CountAdd(ctx, joined, 1); err != nil || n != 10 {
		t.Errorf("got %d, %v", n, err)
	}
	// A count that came back to the guest was not closed.
	run("", "closed", "0")
	must(b.Drop(ctx))
	run("", "closed", "1")

	// Owned ones go into the guest, are kept, and come back.
	source := &bucket{name: "source"}
	must(g.counter.Restore(ctx, Snapshot{Counts: []Count{joined, newCount(100)}, Source: source}))
	if source.dropped != 1 {
		t.Errorf("the bucket was dropped %d times", source.dropped)
	}
	lent := &bucket{name: "lent"}
	s, err := g.counter.All(ctx, lent)
	must(err)
	if lent.dropped != 0 {
		t.Error("a bucket that was lent is dropped")
	}
	if len(s.Counts) != 2 || s.Last != nil || s.Source.(*bucket).name != "lent" {
		t.Fatalf("got %+v", s)
	}
	if n, err := g.counter.CountAdd(ctx, s.Counts[1], 1); err != nil || n != 101 {
		t.Errorf("got %d, %v", n, err)
	}
	for range 1000 {
		must(newCount(1).Drop(ctx))
	}
	run("", "closed", "1001")
	for _, c := range s.Counts {
		must(c.Drop(ctx))
	}
	run("", "closed", "1003")

	made = nil
	run("open: not-found", "get", "", "x")
	run("denied because of secret", "get", "b", "secret")
	for _, b := range made {
		if b.dropped != 1 {
			t.Errorf("a bucket was dropped %d times", b.dropped)
		}
	}
}

func TestGuestCalls(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string // of a result that is an error
		trap string // on standard error of a guest that panics
	}{
		{"log", []string{"log", "ab"}, "", ""},
		{"environment", []string{"env"}, "Ashlar 1970-01-01 00:00:00 +0000 UTC", ""},
		{"stack that grows", []string{"stack"}, "", ""},
		{"arguments", []string{"arguments"}, "", ""},
		{"goroutines", []string{"goroutines"}, "", ""},
		{"goroutines that outlive a call", []string{"start"}, "", ""},
		{"panic", []string{"panic", "order"}, "", "panic: out of order"},
		{"deadlock", []string{"block"}, "", "all goroutines are asleep - deadlock!"},
		{"resource after it was passed on", []string{"keep"}, "", "used after it was closed, passed on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := startGuest(t, plainEcho{}, store{}, "1")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			err := g.world.Run(ctx, test.args)
			if test.trap != "" {
				if err == nil || !strings.Contains(g.stderr.String(), test.trap) {
					t.Errorf("got %v, stderr %s", err, g.stderr.String())
				}
				if err := g.world.Run(t.Context(), nil); err == nil {
					t.Error("an instance that panicked is entered")
				}
				return
			}
			value, _ := errors.AsType[abi.ErrorValue[string]](err)
			if value.Value != test.want || (err != nil) != (test.want != "") {
				t.Errorf("got %s\n%s", explain(err), g.stderr.String())
			}
			if test.args[0] == "start" {
				time.Sleep(20 * time.Millisecond)
				err := g.world.Run(t.Context(), []string{"ticks"})
				if v, _ := errors.AsType[abi.ErrorValue[string]](err); v.Value != "false true" {
					t.Errorf("ran between calls, ran in the next call: %v", err)
				}
			}
			if test.args[0] == "log" && (len(g.logged) != 1 || g.logged[0] != strings.Repeat("ab", 7)) {
				t.Errorf("logged %q", g.logged)
			}
		})
	}
}
