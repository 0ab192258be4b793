package abi

import (
	"context"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// Type is a component value type with its layout. Immutable.
type Type = canon.Type

// FuncType is a component function type. Immutable.
type FuncType = canon.FuncType

// Field is a field of a record type or a parameter of a function type.
type Field = canon.Field

// Case is a case of a variant type; its Type is nil where it has no payload.
type Case = canon.Case

// The primitive types.
var (
	Bool   = canon.Bool
	S8     = canon.S8
	U8     = canon.U8
	S16    = canon.S16
	U16    = canon.U16
	S32    = canon.S32
	U32    = canon.U32
	S64    = canon.S64
	U64    = canon.U64
	F32    = canon.F32Type
	F64    = canon.F64Type
	Char   = canon.Char
	String = canon.String
)

// F is a named field or parameter.
func F(name string, t *Type) Field { return Field{Name: name, Type: t} }

// C is a case with a payload, or without where t is nil.
func C(name string, t *Type) Case { return Case{Name: name, Type: t} }

// List returns the type list<elem>.
func List(elem *Type) *Type { return canon.List(elem) }

// FixedList returns the type list<elem, n>.
func FixedList(elem *Type, n uint32) *Type { return canon.FixedList(elem, n) }

// Map returns the type map<key, value>.
func Map(key, value *Type) *Type { return canon.Map(key, value) }

// Record returns a record type.
func Record(fields ...Field) *Type { return canon.Record(fields...) }

// Tuple returns a tuple type.
func Tuple(types ...*Type) *Type { return canon.Tuple(types...) }

// Variant returns a variant type.
func Variant(cases ...Case) *Type { return canon.Variant(cases...) }

// Enum returns an enum type.
func Enum(labels ...string) *Type { return canon.Enum(labels...) }

// Flags returns a flags type.
func Flags(labels ...string) *Type { return canon.Flags(labels...) }

// OptionOf returns the type option<t>.
func OptionOf(t *Type) *Type { return canon.Option(t) }

// ResultOf returns the type result<ok, err>; either may be nil.
func ResultOf(ok, err *Type) *Type { return canon.Result(ok, err) }

// Own returns the type of owning handles of r.
func Own(r *Resource) *Type { return canon.Own(r) }

// Borrow returns the type of borrowed handles of r.
func Borrow(r *Resource) *Type { return canon.Borrow(r) }

// Function returns a function type; result is nil where there is none.
func Function(params []Field, result *Type) *FuncType { return canon.Func(false, params, result) }

// Resource is a resource type: one that the host implements, whose values are
// Go values held in the guest's handle table, or one that a guest implements.
// Its identity is its address.
type Resource = canon.Resource

// Handle is a resource of a guest in the hands of the host.
type Handle = canon.Handle

// HostResource returns a resource type of the host. drop is called with a value
// when the last owning handle of it is dropped, also at the end of an instance;
// it may be nil.
func HostResource(name string, drop func(ctx context.Context, v any) error) *Resource {
	rt := &canon.ResourceType{Name: name}
	if drop != nil {
		rt.Drop = func(ctx context.Context, rep canon.Rep) error { return drop(ctx, rep.Host) }
	}
	return &Resource{Name: name, Type: rt}
}

// GuestResource returns the placeholder of a resource type that a component
// exports, for the types of its functions.
func GuestResource(name string) *Resource { return &Resource{Name: name, Index: -1} }

// TakeOwn removes an owning handle of a host resource from the guest's table
// and returns its value.
func (c *Call) TakeOwn(r *Resource, handle uint32) any {
	return c.cx.TakeOwn(handle, r.Type).Host
}

// Lend returns the value behind a handle of a host resource; the guest can't
// drop it until the call returns.
func (c *Call) Lend(r *Resource, handle uint32) any {
	return c.cx.Lend(handle, r.Type).Host
}

// PutOwn gives the guest an owning handle of a host resource. v must not be nil.
func (c *Call) PutOwn(r *Resource, v any) uint32 {
	c.wantValue(r, v)
	return c.cx.GiveOwn(r.Type, canon.Rep{Host: v})
}

// PutBorrow gives the guest a handle of a host resource that it must drop
// before it returns. v must not be nil.
func (c *Call) PutBorrow(r *Resource, v any) uint32 {
	c.wantValue(r, v)
	return c.cx.Handles.AddBorrow(r.Type, canon.Rep{Host: v}, c.cx.Scope)
}

// wantValue fails the call that would give the guest a handle of nothing, not
// the one that uses it later.
func (c *Call) wantValue(r *Resource, v any) {
	if v == nil {
		c.Fail(fmt.Errorf("the host gave nil as resource %s", r.Name))
	}
}

// LiftHandle takes an own<t> or borrow<t> of a guest's resource that a guest
// returned or passed; t is the type as it stands in the function's type.
func (c *Call) LiftHandle(t *Type, handle uint32) *Handle { return c.cx.LiftHandle(handle, t) }

// LowerHandle passes a guest's resource as own<t> or borrow<t>.
func (c *Call) LowerHandle(t *Type, h *Handle) uint32 { return c.cx.LowerHandle(h, t) }

// Result is a result type where it is not the result of a function.
type Result[T, E any] struct {
	IsErr bool
	Ok    T
	Err   E
}

// Option is an optional value where a pointer would be ambiguous: an option of
// an option.
type Option[T any] struct {
	Valid bool
	Value T
}

// Unit is the payload of a side of a result that has none.
type Unit struct{}

// ErrorValue is the error by which a host function returns the error side of
// its result where the side's type is not one that is an error itself.
type ErrorValue[E any] struct{ Value E }

func (e ErrorValue[E]) Error() string { return "component error result" }
