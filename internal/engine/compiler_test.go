package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// slow is a module of n functions that each take long to compile, for their size.
func slow(n int) []byte {
	body := []byte{1, 0xe8, 0x07, 0x7f} // 1000 locals
	for i := range 500 {
		local := []byte{byte(i)&0x7f | 0x80, byte(i >> 7)}
		body = append(append(append(body, 0x41, 0, 0x04, 0x40, 0x20, 0, 0x21), local...), 0x0b)
	}
	for i := range 1000 {
		body = append(body, 0x20, byte(i)&0x7f|0x80, byte(i>>7), 0x1a)
	}
	body = append(body, 0x0b)
	m := &wasm.Module{Types: []wasm.FuncType{{}}}
	for range n {
		m.Functions = append(m.Functions, wasm.Function{})
		m.Code = append(m.Code, wasm.Body{Code: body})
	}
	return m.Encode()
}

// deadline is a context that ends when it is told to.
func deadline(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(t.Context())
	return ctx, func() { cancel(context.DeadlineExceeded) }
}

// TestAbandonedCompile ends the context of a module that takes minutes. The
// engine is of use afterwards, and can be closed at once.
func TestAbandonedCompile(t *testing.T) {
	b := slow(200)
	if m, err := wasm.Decode(b); err != nil || wasm.Validate(m) != nil || wasm.CheckComplexity(m) != nil {
		t.Fatal("not a module to compile", err)
	}
	e := New(Config{})
	ctx, end := deadline(t)
	done := make(chan error)
	go func() {
		_, err := e.Compile(ctx, Source{Wasm: b})
		done <- err
	}()
	for running := 0; running == 0; runtime.Gosched() {
		e.compiler.mu.Lock()
		running = e.compiler.running
		e.compiler.mu.Unlock()
	}
	end()
	if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if m, err := e.Compile(t.Context(), Source{Wasm: anyModule}); err != nil {
		t.Error(err)
	} else if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := e.Compile(t.Context(), Source{Wasm: anyModule}); !errors.Is(err, errClosed) {
		t.Errorf("compiled by a closed engine: %v", err)
	}
}
