package adapter

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// bench is an adapter between a guest's memory, which no guest uses, and functions
// of the host that a test gives.
type bench struct {
	t     *testing.T
	guest []byte
	own   engine.Memory
	inst  *engine.Instance
	funcs map[string]*engine.Func
	// host are functions by import module and name, without the "__main_memory__|"
	// of those that act on the guest's memory.
	host map[string]func(stack []uint64)
}

const page = 1 << 16

var le = binary.LittleEndian

func newBench(t *testing.T, pages int) *bench { return newBenchOf(t, Command(), pages) }

func newBenchOf(t *testing.T, adapter []byte, pages int) *bench {
	t.Helper()
	m, err := wasm.Decode(adapter)
	if err != nil {
		t.Fatal(err)
	}
	if err := wasm.Validate(m); err != nil {
		t.Fatal(err)
	}
	types, err := m.ImportTypes()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, guest: make([]byte, pages<<16), funcs: map[string]*engine.Func{}}
	b.host = map[string]func([]uint64){
		"__main_memory__#load8":   func(s []uint64) { s[0] = uint64(b.guest[uint32(s[0])]) },
		"__main_memory__#load16":  func(s []uint64) { s[0] = uint64(le.Uint16(b.guest[uint32(s[0]):])) },
		"__main_memory__#load32":  func(s []uint64) { s[0] = uint64(le.Uint32(b.guest[uint32(s[0]):])) },
		"__main_memory__#load64":  func(s []uint64) { s[0] = le.Uint64(b.guest[uint32(s[0]):]) },
		"__main_memory__#store8":  func(s []uint64) { b.guest[uint32(s[0])] = byte(s[1]) },
		"__main_memory__#store16": func(s []uint64) { le.PutUint16(b.guest[uint32(s[0]):], uint16(s[1])) },
		"__main_memory__#store32": func(s []uint64) { le.PutUint32(b.guest[uint32(s[0]):], uint32(s[1])) },
		"__main_memory__#store64": func(s []uint64) { le.PutUint64(b.guest[uint32(s[0]):], s[1]) },
		"__main_memory__#size":    func(s []uint64) { s[0] = uint64(len(b.guest)) },
	}
	values := func(ts []wasm.ValType) (out []engine.ValType) {
		for _, t := range ts {
			out = append(out, engine.ValType(t))
		}
		return out
	}
	funcs := map[string][]engine.HostFunc{}
	for i, im := range m.Imports {
		name := strings.TrimPrefix(im.Module, "__main_memory__|") + "#" + im.Name
		funcs[im.Module] = append(funcs[im.Module], engine.HostFunc{
			Name: im.Name, Params: values(types[i].Func.Params), Results: values(types[i].Func.Results),
			Call: func(_ context.Context, _ engine.Memory, stack []uint64) {
				f := b.host[name]
				if f == nil {
					t.Errorf("%s is called", name)
					return
				}
				f(stack)
			},
		})
	}
	e := engine.New(engine.Config{})
	t.Cleanup(func() { e.Close(context.Background()) })
	hosts := map[string]*engine.Instance{}
	for module, list := range funcs {
		if hosts[module], err = e.InstantiateHost(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	code, err := e.Compile(t.Context(), engine.Source{Wasm: adapter})
	if err != nil {
		t.Fatal(err)
	}
	mems := e.NewMemories(64 << 20)
	t.Cleanup(mems.Release)
	b.inst, err = e.Instantiate(t.Context(), code, func(module string) *engine.Instance { return hosts[module] }, mems)
	if err != nil {
		t.Fatal(err)
	}
	b.own, _ = b.inst.Memory("memory")
	return b
}

func (b *bench) call(name string, args ...uint64) uint64 {
	b.t.Helper()
	stack := append(slices.Clone(args), 0)
	if b.funcs[name] == nil {
		b.funcs[name] = b.inst.Func(name)
	}
	if err := b.funcs[name].Call(b.t.Context(), stack); err != nil {
		b.t.Fatalf("%s%v: %v", name, args, err)
	}
	return stack[0]
}

func (b *bench) want(errno uint64, name string, args ...uint64) {
	b.t.Helper()
	if got := b.call(name, args...); got != errno {
		b.t.Errorf("%s%v is %d, want %d", name, args, got, errno)
	}
}

// result checks where the result of a transfer is to go, and returns it.
func (b *bench) result(at, size, align, buffer, n uint64) []byte {
	b.t.Helper()
	if at%align != 0 || at+size > uint64(len(b.guest)) || at < buffer+n && buffer < at+size {
		b.t.Fatalf("the result is to go to %d, the buffer is %d bytes at %d", at, n, buffer)
	}
	return b.guest[at : at+size]
}

// list makes the host return data as a list, at result in the guest's memory, of
// which at and size are the place of the whole result.
func (b *bench) list(result []byte, at, size uint64, data []byte) {
	b.t.Helper()
	p := b.call("cabi_main_realloc", 0, 0, 1, uint64(len(data)))
	b.result(at, size, 4, p, uint64(len(data)))
	copy(b.guest[p:], data)
	le.PutUint32(result, uint32(p))
	le.PutUint32(result[4:], uint32(len(data)))
}

// places are buffers of all kinds in a memory of some size.
func places(size uint64) [][2]uint64 {
	var out [][2]uint64
	edges := []uint64{0, 1, 3, 15, 16, 17, 31, 32, 33, 100, 4096, size / 2}
	for _, a := range edges {
		for _, b := range edges {
			out = append(out, [2]uint64{a, size - a - b})   // from one end to the other
			out = append(out, [2]uint64{a, b})              // at the beginning
			out = append(out, [2]uint64{size - a - b, b})   // at the end
			out = append(out, [2]uint64{size - a, a})       // to the very end
			out = append(out, [2]uint64{size / 3, a*5 + b}) // inside
		}
	}
	return slices.DeleteFunc(out, func(p [2]uint64) bool { return p[0] > size || p[0]+p[1] > size || p[1] > size })
}

// The host sees nothing but the buffer change, wherever it is.
func TestTransfer(t *testing.T) {
	for pages := 1; pages <= 3; pages++ {
		b := newBench(t, pages)
		r := rand.New(rand.NewPCG(uint64(pages), 2))
		var from, to uint64
		b.host["wasi:random/random@0.2.0#get-random-bytes"] = func(s []uint64) {
			n := s[0]
			at := uint64(uint32(s[1]))
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			p := b.call("cabi_main_realloc", 0, 0, 1, n)
			if p < from || p+n > to {
				t.Fatalf("%d bytes at %d are written, the buffer is %d to %d", n, p, from, to)
			}
			b.list(b.guest[at:], at, 8, data)
		}
		for _, p := range places(uint64(len(b.guest))) {
			for i := range b.guest {
				b.guest[i] = byte(i * 7)
			}
			before := slices.Clone(b.guest)
			from, to = p[0], p[0]+p[1]
			b.want(0, "random_get", p[0], p[1])
			if !bytes.Equal(b.guest[:from], before[:from]) || !bytes.Equal(b.guest[to:], before[to:]) {
				t.Fatalf("memory of %d bytes: with a buffer of %d bytes at %d, others changed", len(before), p[1], p[0])
			}
			if p[1] > 40 && bytes.Equal(b.guest[to-20:to], before[to-20:to]) {
				t.Errorf("memory of %d bytes: the end of a buffer of %d bytes at %d was not filled", len(before), p[1], p[0])
			}
		}
		size := uint64(len(b.guest))
		for _, p := range [][2]uint64{{size, 1}, {size - 1, 2}, {0, size + 1}, {1<<32 - 1, 1}, {1<<32 - 1, 1<<32 - 1}} {
			b.want(21, "random_get", p[0], p[1])
		}
		b.want(0, "random_get", size, 0)
	}
}

// put writes little-endian words to the guest's memory.
func (b *bench) put(at uint64, words ...uint32) {
	for i, w := range words {
		le.PutUint32(b.guest[at+4*uint64(i):], w)
	}
}

func TestRead(t *testing.T) {
	b := newBench(t, 1)
	input := []byte("abcdefghijklmnopqrstuvwxyz")
	taken, asked := 0, []uint64(nil)
	b.host["wasi:cli/stdin@0.2.0#get-stdin"] = func(s []uint64) { s[0] = 5 }
	read := func(s []uint64) {
		n, at := min(s[1], uint64(len(input)-taken)), uint64(uint32(s[2]))
		asked = append(asked, s[1])
		result := b.guest[at : at+12]
		if uint32(s[0]) != 5 {
			t.Errorf("handle %d is read", s[0])
		}
		if n == 0 {
			copy(result, []byte{1, 9, 9, 9, 1})
			return
		}
		b.list(result[4:], at, 12, input[taken:taken+int(n)])
		result[0] = 0
		taken += int(n)
	}
	b.host["wasi:io/streams@0.2.0#[method]input-stream.blocking-read"] = read
	b.host["wasi:io/streams@0.2.0#[method]input-stream.read"] = read
	// Empty buffers are passed over, the list itself may be overwritten, and so may
	// what stands where the number of bytes goes.
	b.put(64, 0, 0, 200, 3, 65535, 0, 201, 4)
	b.want(0, "fd_read", 0, 64, 4, 32)
	if got := le.Uint32(b.guest[32:]); got != 7 || string(b.guest[200:205]) != "adefg" {
		t.Errorf("%d bytes are read, %q", got, b.guest[200:205])
	}
	b.put(64, 64, 12)
	b.want(0, "fd_read", 0, 64, 1, 66)
	if got := le.Uint32(b.guest[66:]); got != 12 || string(b.guest[64:66]) != "hi" || string(b.guest[70:76]) != "nopqrs" {
		t.Errorf("%d bytes are read, %q", got, b.guest[64:76])
	}
	b.put(64, 0, 65536)
	b.want(0, "fd_read", 0, 64, 1, 65532)
	if got := le.Uint32(b.guest[65532:]); got != 7 || string(b.guest[:7]) != "tuvwxyz" {
		t.Errorf("%d bytes are read, %q", got, b.guest[:8])
	}
	b.put(64, 0, 8)
	b.want(0, "fd_read", 0, 64, 1, 32)
	if got := le.Uint32(b.guest[32:]); got != 0 {
		t.Errorf("%d bytes are read at the end", got)
	}
	if want := []uint64{3, 4, 12, 65536 - 32, 8}; !slices.Equal(asked, want) {
		t.Errorf("the host was asked for %d bytes, want %d", asked, want)
	}
	b.put(64, 0, 8, 65530, 7)
	b.want(21, "fd_read", 0, 64, 2, 32)
	b.want(21, "fd_read", 0, 65530, 1, 32)
	b.want(21, "fd_read", 0, 64, 1, 65533)
	b.want(28, "fd_read", 0, 64, 1025, 32)
	b.want(8, "fd_read", 1, 64, 1, 32)
}

func TestWrite(t *testing.T) {
	b := newBench(t, 4)
	var written []byte
	var calls []string
	room := uint64(20000)
	b.host["wasi:cli/stdout@0.2.0#get-stdout"] = func(s []uint64) { s[0] = 6 }
	b.host["wasi:io/streams@0.2.0#[method]output-stream.check-write"] = func(s []uint64) {
		r := b.own.Bytes()[uint32(s[1]):]
		r[0] = 0
		le.PutUint64(r[8:], room)
	}
	take := func(name string, most uint64) func([]uint64) {
		return func(s []uint64) {
			p, n, at := uint64(uint32(s[1])), uint64(uint32(s[2])), uint64(uint32(s[3]))
			if n > most {
				t.Errorf("%s of %d bytes", name, n)
			}
			copy(b.result(at, 12, 4, p, n), []byte{0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9})
			written = append(written, b.guest[p:p+n]...)
			calls = append(calls, name)
		}
	}
	b.host["wasi:io/streams@0.2.0#[method]output-stream.write"] = take("write", room)
	b.host["wasi:io/streams@0.2.0#[method]output-stream.blocking-write-and-flush"] = take("blocking", 4096)
	b.host["wasi:io/streams@0.2.0#[method]output-stream.blocking-flush"] = func(s []uint64) {
		b.own.Bytes()[uint32(s[1])] = 0
		calls = append(calls, "flush")
	}
	for i := range b.guest {
		b.guest[i] = byte(i * 11)
	}
	write := func(want []string, bufs ...uint32) {
		t.Helper()
		const list, result = 32, 24
		b.put(list, bufs...)
		written, calls = nil, nil
		before := slices.Clone(b.guest)
		var all []byte
		for i := 0; i < len(bufs); i += 2 {
			all = append(all, before[bufs[i]:bufs[i]+bufs[i+1]]...)
		}
		b.want(0, "fd_write", 1, list, uint64(len(bufs)/2), result)
		if got := le.Uint32(b.guest[result:]); int(got) != len(all) || !bytes.Equal(written, all) {
			t.Errorf("%d of %d bytes are written", got, len(all))
		}
		le.PutUint32(before[result:], uint32(len(all)))
		if !bytes.Equal(b.guest, before) {
			t.Error("the memory changed")
		}
		if !slices.Equal(calls, want) {
			t.Errorf("calls %q, want %q", calls, want)
		}
	}
	write([]string{"blocking"}, 100, 12)
	write([]string{"write", "blocking"}, 100, 12, 200, 1)
	write([]string{"write", "flush"}, 0, 5000)
	write([]string{"write", "blocking"}, 16, 20001)
	write([]string{"blocking"}, 100, 3, 0, 0)
	write(nil, 0, 0)
	size := uint32(len(b.guest))
	write(append(slices.Repeat([]string{"write"}, 13), "blocking"), 0, size)
	write([]string{"blocking"}, size-3, 3)
	room = 0
	write([]string{"blocking", "blocking", "blocking"}, 100, 5000, 7, 50)
	room = 4095
	write([]string{"blocking", "blocking"}, 7, 4097, 7, 0)
}

// A host that returns more than it was asked for can't write beyond the buffer.
func TestLongList(t *testing.T) {
	for _, size := range []uint64{0, 8, 9, 1 << 31} {
		b := newBench(t, 1)
		trapped := false
		b.host["wasi:random/random@0.2.0#get-random-bytes"] = func(s []uint64) {
			stack := []uint64{0, 0, 1, size}
			trapped = b.inst.Func("cabi_main_realloc").Call(t.Context(), stack) != nil
			if !trapped && stack[0] != 40 {
				t.Errorf("%d bytes may go to %d", size, stack[0])
			}
			le.PutUint64(b.guest[uint32(s[1]):], 8<<32|40)
		}
		b.want(0, "random_get", 40, 8)
		if trapped != (size > 8) {
			t.Errorf("%d bytes for a buffer of 8: trapped is %t", size, trapped)
		}
	}
}

// The memory may be all that can be addressed: its size does not fit into 32 bits,
// and neither does what is behind its end.
func TestWholeMemory(t *testing.T) {
	b := newBench(t, 2)
	// The first page of the guest, and the last.
	const top = 1<<32 - page
	at := func(s []uint64) int {
		p := uint64(uint32(s[0]))
		switch {
		case p < page:
			return int(p)
		case p >= top:
			return int(p - top + page)
		}
		t.Errorf("access to %d", p)
		return 0
	}
	for name, f := range map[string]func(s []uint64, p []byte){
		"load8":   func(s []uint64, p []byte) { s[0] = uint64(p[0]) },
		"load32":  func(s []uint64, p []byte) { s[0] = uint64(le.Uint32(p)) },
		"load64":  func(s []uint64, p []byte) { s[0] = le.Uint64(p) },
		"store64": func(s []uint64, p []byte) { le.PutUint64(p, s[1]) },
	} {
		b.host["__main_memory__#"+name] = func(s []uint64) { f(s, b.guest[at(s):]) }
	}
	b.host["__main_memory__#size"] = func(s []uint64) { s[0] = 1<<32 - 1 }
	var got [][2]uint64 // begin and end of what the host wrote
	var buffer [2]uint64
	b.host["wasi:random/random@0.2.0#get-random-bytes"] = func(s []uint64) {
		n, result := s[0], uint64(uint32(s[1]))
		p := b.call("cabi_main_realloc", 0, 0, 1, n)
		got = append(got, [2]uint64{p, p + n})
		if p < buffer[0] || p+n > buffer[1] || result < p+n && p < result+8 || result > 1<<32-16 {
			t.Errorf("%d bytes at %d of the buffer %d, the result at %d", n, p, buffer, result)
		}
		le.PutUint64(b.guest[at([]uint64{result}):], n<<32|p)
	}
	for _, p := range [][2]uint64{{1<<32 - 1, 1}, {1<<32 - 16, 16}, {1<<32 - 17, 16}, {1<<32 - 100, 84}, {1<<32 - 100, 85}, {top + 16, page - 16}} {
		got, buffer = nil, [2]uint64{p[0], p[0] + p[1]}
		b.want(0, "random_get", p[0], p[1])
		if len(got) != 1 || got[0] != buffer {
			t.Errorf("filled %d, want %d", got, buffer)
		}
	}
	b.want(21, "random_get", 1<<32-10, 11)
}
