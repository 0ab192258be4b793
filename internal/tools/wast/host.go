package main

import (
	"context"
	"fmt"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// simpleModule is (module (global (export "g") i32 i32.const 100)
// (func (export "f") (result i32) i32.const 101)).
var simpleModule = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7f" + "\x03\x02\x01\x00" +
	"\x06\x07\x01\x7f\x00\x41\xe4\x00\x0b" +
	"\x07\x09\x02\x01g\x03\x00\x01f\x00\x00" +
	"\x0a\x07\x01\x05\x00\x41\xe5\x00\x0b")

// defineHost offers what scripts expect of the host that runs them.
func defineHost(e *component.Engine, l *component.Linker) error {
	constant := func(n uint32) component.DynamicFunc {
		return func(context.Context, []component.Val) (component.Val, error) { return component.U32Val(n), nil }
	}
	var drops, last uint32
	resource1 := abi.HostResource("resource1", func(_ context.Context, v any) error {
		drops++
		last = v.(uint32)
		return nil
	})
	resource2 := abi.HostResource("resource2", nil)
	rep := func(v component.Val) uint32 { return v.(*component.Resource).Rep.Host.(uint32) }
	expect := func(ok bool) (component.Val, error) {
		if !ok {
			return nil, fmt.Errorf("host function called with unexpected arguments")
		}
		return nil, nil
	}
	owned := func(v component.Val) bool { return v.(*component.Resource).Own }
	module, err := e.CompileModule(simpleModule)
	if err != nil {
		return err
	}
	funcs := []struct {
		iface, name string
		fn          component.DynamicFunc
	}{
		{"", "host-return-two", constant(2)},
		{"", "host-echo-u32", func(_ context.Context, a []component.Val) (component.Val, error) { return a[0], nil }},
		{"host", "return-three", constant(3)},
		{"host", "[constructor]resource1", func(_ context.Context, a []component.Val) (component.Val, error) {
			return &component.Resource{Type: resource1.Type, Own: true, Rep: canon.Rep{Host: uint32(a[0].(component.U32Val))}}, nil
		}},
		{"host", "[static]resource1.assert", func(_ context.Context, a []component.Val) (component.Val, error) {
			return expect(rep(a[0]) == uint32(a[1].(component.U32Val)))
		}},
		{"host", "[static]resource1.last-drop", func(context.Context, []component.Val) (component.Val, error) { return component.U32Val(last), nil }},
		{"host", "[static]resource1.drops", func(context.Context, []component.Val) (component.Val, error) { return component.U32Val(drops), nil }},
		{"host", "[method]resource1.simple", func(_ context.Context, a []component.Val) (component.Val, error) {
			return expect(!owned(a[0]) && rep(a[0]) == uint32(a[1].(component.U32Val)))
		}},
		{"host", "[method]resource1.take-borrow", func(_ context.Context, a []component.Val) (component.Val, error) {
			return expect(!owned(a[0]) && !owned(a[1]))
		}},
		{"host", "[method]resource1.take-own", func(_ context.Context, a []component.Val) (component.Val, error) {
			return expect(!owned(a[0]) && owned(a[1]))
		}},
	}
	host, err := l.Instance("host")
	if err != nil {
		return err
	}
	for _, f := range funcs {
		in := host
		if f.iface == "" {
			in = l.Root()
		}
		if err := in.Func(f.name, nil, f.fn); err != nil {
			return err
		}
	}
	for name, r := range map[string]*abi.Resource{"resource1": resource1, "resource2": resource2, "resource1-again": resource1} {
		if err := host.Resource(name, r); err != nil {
			return err
		}
	}
	if err := host.Module("simple-module", module); err != nil {
		return err
	}
	nested, err := host.Instance("nested")
	if err != nil {
		return err
	}
	return nested.Func("return-four", nil, constant(4))
}
