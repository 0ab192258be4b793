package p1

import (
	"context"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// Module is the name that guests import the functions from. Some older ones
// import them from "wasi_unstable", whose layouts differ; it is not served.
const Module = "wasi_snapshot_preview1"

// call is one call of a function by a guest.
type call struct {
	*Process
	ctx  context.Context
	mem  engine.Memory
	args []uint64
}

// Funcs returns the functions of the module. They act on the Process attached
// to the context of the call, so that one set serves any number of guests.
func Funcs() []engine.HostFunc {
	funcs := make([]engine.HostFunc, 0, len(functions)+1)
	for _, f := range functions {
		params := make([]engine.ValType, len(f.params))
		for i, p := range f.params {
			params[i] = engine.I32
			if p == 'I' {
				params[i] = engine.I64
			}
		}
		run, kinds := f.run, f.params
		funcs = append(funcs, engine.HostFunc{
			Name: f.name, Params: params, Results: []engine.ValType{engine.I32}, Work: true,
			Call: func(ctx context.Context, mem engine.Memory, stack []uint64) {
				for i, p := range kinds {
					if p == 'i' {
						stack[i] = uint64(uint32(stack[i])) // above it is undefined
					}
				}
				c := call{Process: ctx.Value(processKey{}).(*Process), ctx: ctx, mem: mem, args: stack}
				stack[0] = uint64(run(&c))
			},
		})
	}
	return append(funcs, engine.HostFunc{
		Name: "proc_exit", Params: []engine.ValType{engine.I32}, Call: procExit, Work: true,
	})
}

// goOn unwinds the guest if the call has ended.
func (c *call) goOn() {
	if c.ctx.Err() != nil {
		panic(context.Cause(c.ctx))
	}
}

// piece bounds the bytes between two looks at whether the call has ended.
const piece = 1 << 20

// pieces passes b to f, a piece at a time. It ends early where f did less than it
// was to.
func (c *call) pieces(b []byte, f func([]byte) (int, error)) (total int, err error) {
	for total < len(b) {
		c.goOn()
		part := b[total:min(len(b), total+piece)]
		n, err := f(part)
		total += n
		if err != nil || n < len(part) {
			return total, err
		}
	}
	return total, nil
}

// bytes returns n bytes of the guest's memory at ptr.
func (c *call) bytes(ptr, n uint64) ([]byte, errno) {
	mem := c.mem.Bytes()
	if ptr+n > uint64(len(mem)) {
		return nil, fault
	}
	return mem[ptr : ptr+n : ptr+n], success
}

// path returns a path of n bytes at ptr. It is copied: a guest with threads
// could change it between being checked and used.
func (c *call) path(ptr, n uint64) (string, errno) {
	b, e := c.bytes(ptr, n)
	if e != success {
		return "", e
	}
	if len(b) > maxPath {
		return "", nametoolong
	}
	if !utf8.Valid(b) {
		return "", ilseq
	}
	return string(b), success
}

// maxPath bounds the length of a path in bytes.
const maxPath = 4096

func (c *call) put32(ptr uint64, v uint32) errno {
	b, e := c.bytes(ptr, 4)
	if e == success {
		le.PutUint32(b, v)
	}
	return e
}

func (c *call) put64(ptr uint64, v uint64) errno {
	b, e := c.bytes(ptr, 8)
	if e == success {
		le.PutUint64(b, v)
	}
	return e
}

var le = binary.LittleEndian

// maxBuffers bounds the buffers of one scattered read or write.
const maxBuffers = 1024

// buffers returns the memory that n (pointer, length) pairs at ptr mean, without
// the empty ones.
func (c *call) buffers(ptr, n uint64) ([][]byte, errno) {
	if n > maxBuffers {
		return nil, inval
	}
	list, e := c.bytes(ptr, 8*n)
	if e != success {
		return nil, e
	}
	bufs := make([][]byte, 0, 4)
	for i := range n {
		b, e := c.bytes(uint64(le.Uint32(list[8*i:])), uint64(le.Uint32(list[8*i+4:])))
		if e != success {
			return nil, e
		}
		if len(b) > 0 {
			bufs = append(bufs, b)
		}
	}
	return bufs, success
}

// putStrings writes zero-terminated strings one after the other at buf and their
// addresses at list.
func (c *call) putStrings(strs []string, list, buf uint64) errno {
	for _, s := range strs {
		b, e := c.bytes(buf, uint64(len(s)+1))
		if e != success {
			return e
		}
		copy(b, s)
		b[len(s)] = 0
		if e := c.put32(list, uint32(buf)); e != success {
			return e
		}
		list += 4
		buf += uint64(len(b))
	}
	return success
}

func (c *call) putSizes(strs []string, count, size uint64) errno {
	total := 0
	for _, s := range strs {
		total += len(s) + 1
	}
	if e := c.put32(count, uint32(len(strs))); e != success {
		return e
	}
	return c.put32(size, uint32(total))
}

func (c *call) environ() []string {
	strs := make([]string, len(c.grants.Env))
	for i, kv := range c.grants.Env {
		strs[i] = strings.Join(kv[:], "=")
	}
	return strs
}
