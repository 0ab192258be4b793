package component_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func TestMaxBytes(t *testing.T) {
	b := guests.Calc()
	want := func(err error, limit uint64) {
		t.Helper()
		var e *component.LimitError
		if !errors.As(err, &e) || e.Resource != component.LimitedSize || e.Limit != limit || e.Requested != limit+1 {
			t.Errorf("%v (%#v)", err, err)
		}
	}
	size := uint64(len(b))
	small := component.NewEngine(component.Options{MaxBytes: size - 1})
	defer small.Close(t.Context())
	_, err := small.Compile(t.Context(), b)
	want(err, size-1)
	want(small.Validate(t.Context(), b), size-1)
	_, err = small.CompileModule(b)
	want(err, size-1)
	enough := component.NewEngine(component.Options{MaxBytes: size})
	defer enough.Close(t.Context())
	if _, err := enough.Compile(t.Context(), b); err != nil {
		t.Error(err)
	}
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	want(e.CheckSize(make([]byte, 256<<20+1)), 256<<20)
	if err := e.CheckSize(make([]byte, 256<<20)); err != nil {
		t.Error(err)
	}
}

// endingContext is one that ends when it was looked at a number of times.
type endingContext struct {
	context.Context
	left, looked int
}

func (c *endingContext) Err() error {
	c.looked++
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// Validating looks at its context again and again, and ends with it.
func TestValidateEnds(t *testing.T) {
	builder := guests.NewBuilder()
	for _, name := range []string{"a", "b", "c"} {
		m := &guests.CoreModule{}
		for range 1000 {
			m.Define(&guests.Func{})
		}
		m.Define(&guests.Func{Name: name, Results: []wasm.ValType{wasm.I32}, Body: guests.I32(0)})
		builder.Instantiate(m, name)
	}
	b := builder.Bytes()
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	all := &endingContext{Context: t.Context(), left: 1 << 30}
	if err := e.Validate(all, b); err != nil {
		t.Fatal(err)
	}
	if all.looked < 3*1000/64 {
		t.Errorf("looked %d times", all.looked)
	}
	for n := range all.looked {
		ctx := &endingContext{Context: t.Context(), left: n}
		if err := e.Validate(ctx, b); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d: %v", n, err)
		}
		if ctx.looked > n+2 { // once for the cause
			t.Fatalf("after %d it looked %d times", n, ctx.looked)
		}
	}
	why := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := e.Validate(ctx, b); !errors.Is(err, why) {
		t.Error(err)
	}
	if _, err := e.Compile(ctx, b); !errors.Is(err, why) {
		t.Error(err)
	}
}
