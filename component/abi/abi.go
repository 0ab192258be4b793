// Package abi is what generated host bindings are written against. People do
// not use it by hand: `ashlar bindgen host` writes code that does.
//
// An interface that the host offers is an [Interface]: its resources and its
// functions, each with its component type and a Call that takes core values
// off the guest's stack and puts core values back, straight between guest
// memory and Go values. The glue of one function looks so:
//
//	{Name: "[method]input-stream.read", Type: typeRead, Call: func(c *abi.Call, s []uint64) {
//		self := c.Lend(resourceInputStream, uint32(s[0])).(InputStream)
//		v, err := self.Read(c.Context(), s[1])
//		p := uint32(s[2]) // a result of more than one core value goes to memory
//		c.Check(p, 12, 4)
//		switch err := err.(type) {
//		case nil:
//			c.PutU8(p, 0)
//			ptr, n := c.StoreBytes(v)
//			c.PutU32(p+4, ptr)
//			c.PutU32(p+8, n)
//		case StreamError:
//			c.PutU8(p, 1)
//			...
//		default:
//			c.Fail(err)
//		}
//	}}
//
// The conventions are those of the canonical ABI: up to 16 flattened
// parameters come as core values in s, more of them as one pointer to their
// tuple in s[0]; a result that flattens to one core value is returned in s[0],
// a larger one is written to the pointer that follows the parameters.
//
// Loads and stores panic with a trap when a guest's pointer is out of bounds;
// Go code of the host must not recover them.
package abi

import (
	"context"
	"errors"

	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// Version1 is referred to by code that was generated for this version of the
// package. It goes away when such code no longer works, so that an outdated
// binding fails to compile instead of misbehaving.
const Version1 = 1

// Interface is a set of functions and resources that a host offers, or, with
// an empty name, those a world imports directly.
type Interface struct {
	// Name is the interface's full name, such as "wasi:io/streams@0.2.0".
	Name      string
	Resources []*Resource
	Funcs     []Func
}

// Func is one function that a host offers.
type Func struct {
	// Name is the function's name in the component, such as "now" or
	// "[method]input-stream.read".
	Name string
	Type *FuncType
	// Call runs the function: it takes its core arguments from stack and leaves
	// its core results there.
	Call func(c *Call, stack []uint64)
}

// Registry is where interfaces are offered: a component.Linker.
type Registry interface {
	Define(Interface) error
}

// Exporter finds exported functions: a component.Instance.
type Exporter interface {
	// ExportedFunc returns the function exported under that name by the
	// instance export iface, or by the component itself where iface is empty.
	// An interface version is matched by compatibility track. It is an error if
	// there is none or its type is not t.
	ExportedFunc(iface, name string, t *FuncType) (Export, error)
}

// Export is an exported function of a component instance.
type Export interface {
	// Invoke calls the function: lower puts the core arguments on the stack
	// (with the guest's memory and realloc at hand), lift takes the results off
	// it before the guest is told that they are no longer needed. A lifted
	// borrow or region of memory is valid inside lift only.
	Invoke(ctx context.Context, lower, lift func(c *Call, stack []uint64)) error
}

// Call is one call between guest and host: the guest's side of it, as the
// canonical options name it. It is valid during the call only, and used by one
// goroutine.
type Call struct {
	cx  *canon.Context
	ctx context.Context
	mem []byte // the guest's memory, as it was when it was last checked or allocated
}

// NewCall is for the component runtime.
func NewCall(ctx context.Context, cx *canon.Context) Call { return Call{cx: cx, ctx: ctx} }

// Context returns the context of the call. It is asked for when all arguments are
// lifted and the host's function is called: from then on resources among them are
// the host's to drop.
func (c *Call) Context() context.Context {
	c.cx.Deliver()
	return c.ctx
}

// Fail unwinds the guest with an error of the host, which is no result that
// the guest could see.
func (c *Call) Fail(err error) { panic(err) }

// Check traps unless size bytes at p, aligned, are in the guest's memory.
func (c *Call) Check(p, size, align uint32) { c.Region(p, 1, size, align) }

// Region returns the bytes of n values at p, each of the size and alignment; it
// traps unless they are in the guest's memory. The slice is the memory itself,
// valid until the guest runs, which Alloc and Store functions make it do.
func (c *Call) Region(p, n, size, align uint32) []byte {
	b := c.cx.Region(p, n, size, align)
	c.mem = c.cx.Memory.Bytes()
	return b
}

// Alloc returns memory allocated by the guest, to be filled by the host.
func (c *Call) Alloc(size, align uint32) uint32 {
	p := c.cx.Alloc(align, size)
	c.mem = c.cx.Memory.Bytes()
	return p
}

// LoadString lifts a string from its pointer and length.
func (c *Call) LoadString(p, n uint32) string { return c.cx.LoadString(p, n) }

// StoreString lowers a string, which is made valid UTF-8 first.
func (c *Call) StoreString(s string) (p, n uint32) {
	p, n = c.cx.StoreString(validUTF8(s))
	c.mem = c.cx.Memory.Bytes()
	return p, n
}

// LoadBytes lifts a list of u8, copying it.
func (c *Call) LoadBytes(p, n uint32) []byte {
	b := c.cx.Region(p, n, 1, 1)
	c.cx.Charge(uint64(n))
	return c.cx.Clone(b)
}

// StoreBytes lowers a list of u8.
func (c *Call) StoreBytes(b []byte) (p, n uint32) {
	p = c.AllocList(len(b), 1, 1)
	c.cx.Move(c.mem[p:][:len(b)], b)
	return p, uint32(len(b))
}

// AllocList allocates a list of n elements in the guest.
func (c *Call) AllocList(n int, size, align uint32) uint32 {
	if uint64(n)*uint64(size) >= 1<<28 {
		c.Fail(errors.New("list is too long for the guest"))
	}
	return c.Alloc(uint32(n)*size, align)
}
