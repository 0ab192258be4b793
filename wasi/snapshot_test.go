package wasi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// pool makes a pool of one instance at a time with what a system grants.
func pool(t *testing.T, bytes []byte, o wasi.Options, mode component.SnapshotMode) *component.Pool {
	t.Helper()
	ctx := t.Context()
	sys, err := wasi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	e := component.NewEngine(component.Options{})
	c, err := e.Compile(ctx, bytes)
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	if err := sys.AddTo(l); err != nil {
		t.Fatal(err)
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := p.NewPool(component.PoolOptions{Concurrent: 1, Snapshot: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(pool.Close(ctx), e.Close(ctx), sys.Close()); err != nil {
			t.Error(err)
		}
	})
	return pool
}

func value(t *testing.T, i *component.Instance, iface, name string) component.Val {
	t.Helper()
	f, ok := i.Func(iface, name)
	if !ok {
		t.Fatalf("no function %s#%s", iface, name)
	}
	v, err := f.Call(t.Context(), nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// What initialisation leaves in an instance is the same in all where that is shared, and
// its handles stand for what each is granted itself.
func TestSnapshotWithGrants(t *testing.T) {
	for _, c := range []struct {
		name   string
		guest  guests.Initialised
		mode   component.SnapshotMode // asked for
		is     component.SnapshotMode
		reason string
	}{
		{"once", guests.Initialised{Once: true}, component.SnapshotAuto, component.SnapshotInit, "initialised once"},
		{"asked for", guests.Initialised{}, component.SnapshotInit, component.SnapshotInit, "asked for"},
		{"not once", guests.Initialised{}, component.SnapshotAuto, component.SnapshotData, "initialising it calls wasi:io/streams@0.2.0#[method]output-stream.blocking-write-and-flush, wasi:cli/stdout@0.2.0#get-stdout, wasi:cli/stdin@0.2.0#get-stdin and 3 more"},
		{"once, with a pollable", guests.Initialised{Once: true, Subscribe: true}, component.SnapshotAuto, component.SnapshotData, "can't be shared: a handle to a resource pollable of the host"},
		{"data", guests.Initialised{Once: true}, component.SnapshotData, component.SnapshotData, "asked for"},
		{"off", guests.Initialised{Once: true}, component.SnapshotOff, component.SnapshotOff, "asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pool(t, c.guest.Component(), wasi.Options{Args: []string{"guest", "one"}, Dirs: []wasi.Dir{{Host: t.TempDir(), Guest: "/"}, {Host: t.TempDir(), Guest: "/b"}}}, c.mode)
			var first bytes.Buffer
			if _, err := p.Prime(wasi.WithStdio(t.Context(), nil, &first, nil), 1); err != nil {
				t.Fatal(err)
			}
			const hello, greeting = "initialising\n", "Hello from a component!\n"
			shared := c.is == component.SnapshotInit
			attempts := strings.Count(first.String(), hello)
			if want := map[component.SnapshotMode]int{component.SnapshotAuto: 1, component.SnapshotInit: 1}[c.mode]; attempts != want {
				t.Errorf("it was initialised %d times ahead, want %d", attempts, want)
			}
			drawn, started, random, now := map[component.Val]int{}, map[component.Val]int{}, map[component.Val]int{}, map[component.Val]int{}
			const rounds = 4
			var outs [rounds]bytes.Buffer
			for round := range rounds {
				ctx := wasi.WithStdio(t.Context(), nil, &outs[round], nil)
				err := p.Do(ctx, func(i *component.Instance) error {
					drawn[value(t, i, "", "drawn")]++
					started[value(t, i, "", "started")]++
					random[value(t, i, "", "draw")]++
					now[value(t, i, "", "now")]++
					if v := value(t, i, "", "directories"); v != component.U32Val(2) {
						t.Errorf("%v directories", v)
					}
					if v := value(t, i, "", "same"); v != component.BoolVal(true) {
						t.Errorf("the directory is the same as itself: %v", v)
					}
					if v := value(t, i, "", "arguments"); v != component.U32Val(2) {
						t.Errorf("%v arguments", v)
					}
					f, _ := i.Func("wasi:cli/run@0.2.0", "run")
					_, err := f.Call(ctx, nil)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for round := range outs {
				want := greeting
				if !shared {
					want = hello + greeting
				}
				if got := outs[round].String(); got != want {
					t.Errorf("round %d: output %q, want %q", round, got, want)
				}
			}
			if attempts*len(hello) != first.Len() {
				t.Errorf("the output ahead is %q", first.String())
			}
			own := rounds
			if shared {
				own = 1
			}
			if len(drawn) != own || len(started) != own || len(random) != rounds || len(now) != rounds {
				t.Errorf("numbers of initialisation %v, times %v; then %v and %v", drawn, started, random, now)
			}
			info, s := p.Snapshot(), p.Stats()
			if info.Mode != c.is || !strings.Contains(info.Reason, c.reason) {
				t.Errorf("%+v, want %v: ...%s", info, c.is, c.reason)
			}
			if c.is != component.SnapshotOff && (s.Made != 1 || s.Restored != rounds || s.Dropped != 0) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Initialisation that traps does so for each call.
func TestSnapshotOfTrap(t *testing.T) {
	p := pool(t, guests.Initialised{Once: true, Trap: true}.Component(), wasi.Options{}, component.SnapshotAuto)
	for round := range 3 {
		var out bytes.Buffer
		err := p.Do(wasi.WithStdio(t.Context(), nil, &out, nil), func(*component.Instance) error { t.Error("called"); return nil })
		var trap *component.Trap
		if !errors.As(err, &trap) || trap.Kind != component.TrapUnreachable {
			t.Errorf("%v", err)
		}
		// The first call is also the one that finds out.
		if want := map[bool]int{true: 2, false: 1}[round == 0]; strings.Count(out.String(), "initialising\n") != want {
			t.Errorf("round %d: %s", round, fmt.Sprintf("%q", out.String()))
		}
	}
}
