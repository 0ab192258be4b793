package adapter

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// alloc makes the host allocate a list in the adapter's memory.
func (b *bench) alloc(align, size int) uint64 {
	b.t.Helper()
	p := b.call("cabi_import_realloc", 0, 0, uint64(align), uint64(size))
	if p%uint64(align) != 0 || p+uint64(size) > uint64(len(b.own.Bytes())) {
		b.t.Fatalf("%d bytes are allocated at %d", size, p)
	}
	return p
}

// putOwn writes little-endian words to the adapter's memory.
func (b *bench) putOwn(at uint64, words ...uint32) {
	for i, w := range words {
		le.PutUint32(b.own.Bytes()[at+4*uint64(i):], w)
	}
}

// text puts a string into the adapter's memory, as a host does that has to convert
// it and does not know how long it gets.
func (b *bench) text(s string) (at, n uint32) {
	b.t.Helper()
	p := b.alloc(1, 1)
	p = b.call("cabi_import_realloc", p, 1, 1, uint64(3*len(s)+1))
	copy(b.own.Bytes()[p:], s)
	p = b.call("cabi_import_realloc", p, uint64(3*len(s)+1), 1, uint64(len(s)))
	return uint32(p), uint32(len(s))
}

// Arguments may be more than a page, again and again: the adapter's memory grows
// with them, the guest's does not.
func TestManyArguments(t *testing.T) {
	b := newBench(t, 64)
	var args []string
	for i := range 10_000 {
		args = append(args, strings.Repeat("ä", i%20)+fmt.Sprint(i))
	}
	b.host["wasi:cli/environment@0.2.0#get-arguments"] = func(s []uint64) {
		list := b.alloc(4, 8*len(args))
		for i, a := range args {
			p, n := b.text(a)
			b.putOwn(list+8*uint64(i), p, n)
		}
		b.putOwn(uint64(uint32(s[0])), uint32(list), uint32(len(args)))
	}
	want := strings.Join(args, "\x00") + "\x00"
	grown := 0
	for range 3 {
		b.want(0, "args_sizes_get", 8, 16)
		if n, size := le.Uint32(b.guest[8:]), le.Uint32(b.guest[16:]); int(n) != len(args) || int(size) != len(want) {
			t.Fatalf("%d arguments of %d bytes", n, size)
		}
		const list, text = 1 << 20, 2 << 20
		b.want(0, "args_get", list, text)
		if !bytes.Equal(b.guest[text:text+len(want)], []byte(want)) || b.guest[text+len(want)] != 0 {
			t.Error("the arguments are others")
		}
		for i, at := 0, uint32(text); i < len(args); i++ {
			if got := le.Uint32(b.guest[list+4*i:]); got != at {
				t.Fatalf("argument %d is at %d, want %d", i, got, at)
			}
			at += uint32(len(args[i])) + 1
		}
		if grown == 0 {
			grown = len(b.own.Bytes())
		}
	}
	if n := len(b.own.Bytes()); n != grown {
		t.Errorf("the adapter's memory grew from %d to %d bytes", grown, n)
	}
	b.want(21, "args_get", 1<<20, uint64(len(b.guest)-100))
	b.want(21, "args_get", uint64(len(b.guest)-100), 0)
	b.want(21, "args_sizes_get", uint64(len(b.guest)-3), 0)
}

// directories makes the host offer one as descriptor 3, with names that a stream of
// entries gives in order, of which any number may be open.
func (b *bench) directories(names []string) {
	const fs = "wasi:filesystem/types@0.2.0#"
	handle := func(name string, f func(s []uint64, r uint64)) {
		b.host[name] = func(s []uint64) { f(s, uint64(uint32(s[len(s)-1]))) }
	}
	handle("wasi:filesystem/preopens@0.2.0#get-directories", func(s []uint64, r uint64) {
		list := b.alloc(4, 2*12)
		for i, name := range []string{"/", "/tmp"} {
			p, n := b.text(name)
			b.putOwn(list+12*uint64(i), uint32(11+i), p, n)
		}
		b.putOwn(r, uint32(list), 2)
	})
	next := map[uint32]int{}
	handle(fs+"[method]descriptor.read-directory", func(s []uint64, r uint64) {
		h := uint32(20 + len(next))
		next[h] = 0
		b.putOwn(r, 0, h)
	})
	b.host[fs+"[resource-drop]directory-entry-stream"] = func(s []uint64) {
		if _, ok := next[uint32(s[0])]; !ok {
			b.t.Errorf("stream %d is dropped", s[0])
		}
		next[uint32(s[0])] = -1
	}
	handle(fs+"[method]directory-entry-stream.read-directory-entry", func(s []uint64, r uint64) {
		at := next[uint32(s[0])]
		switch {
		case at < 0:
			b.t.Errorf("stream %d is read after it was dropped", s[0])
		case at == len(names):
			b.putOwn(r, 0, 0)
		case names[at] == "":
			b.putOwn(r, 1, 9) // illegal-byte-sequence
			next[uint32(s[0])]++
		default:
			p, n := b.text(names[at])
			b.putOwn(r, 0, 1, 6, p, n)
			next[uint32(s[0])]++
		}
	})
	hash := func(r uint64, v uint32) { b.putOwn(r, 0, 0, v, 0, 0, 0) }
	handle(fs+"[method]descriptor.metadata-hash", func(s []uint64, r uint64) { hash(r, 77) })
	handle(fs+"[method]descriptor.metadata-hash-at", func(s []uint64, r uint64) { hash(r, uint32(s[3])) })
}

// entries parses what fd_readdir wrote.
func entries(b []byte) (names []string, cookie uint64) {
	for len(b) >= 24 {
		n := int(le.Uint32(b[16:]))
		if len(b) < 24+n {
			break
		}
		cookie = le.Uint64(b)
		name := string(b[24 : 24+n])
		names = append(names, fmt.Sprint(name, " ", le.Uint64(b[8:]), " ", le.Uint32(b[20:])))
		b = b[24+n:]
	}
	return names, cookie
}

// Whatever the size of the buffer, and whichever entry is asked for, the guest sees
// the directory.
func TestReaddir(t *testing.T) {
	b := newBench(t, 1)
	names := []string{"a", "", "bb", strings.Repeat("c", 255), "ddd", "", "", strings.Repeat("é", 300), "e", ""}
	b.directories(names)
	want := []string{". 77 3", ".. 77 3"}
	for _, n := range names {
		if n != "" {
			want = append(want, fmt.Sprint(n, " ", len(n), " 4"))
		}
	}
	const buf, result = 1000, 8
	read := func(size int, cookie uint64) ([]string, uint64, bool) {
		for i := range b.guest {
			b.guest[i] = 0x55
		}
		b.want(0, "fd_readdir", 3, buf, uint64(size), cookie, result)
		used := int(le.Uint32(b.guest[result:]))
		if used > size || b.guest[buf-1] != 0x55 || b.guest[buf+size] != 0x55 {
			t.Fatalf("%d bytes of %d are used", used, size)
		}
		got, next := entries(b.guest[buf : buf+used])
		return got, next, used < size
	}
	for size := 630; size < 2000; size += 7 {
		var got []string
		for cookie := uint64(0); ; {
			part, next, end := read(size, cookie)
			got = append(got, part...)
			if end {
				break
			}
			cookie = next
		}
		if !slices.Equal(got, want) {
			t.Fatalf("by %d bytes: %q", size, got)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		from := r.IntN(len(want) + 3)
		got, _, _ := read(r.IntN(2000), uint64(from))
		if rest := want[min(from, len(want)):]; len(got) > len(rest) || !slices.Equal(got, rest[:len(got)]) {
			t.Fatalf("from %d: %q", from, got)
		}
	}
	b.want(54, "fd_readdir", 0, buf, 100, 0, result)
	b.want(8, "fd_readdir", 9, buf, 100, 0, result)
	b.want(21, "fd_readdir", 3, 65000, 1000, 0, result)
}

// A path that is no UTF-8 never reaches the host, which would not take it.
func TestPaths(t *testing.T) {
	b := newBench(t, 1)
	b.directories(nil)
	var path string
	b.host["wasi:filesystem/types@0.2.0#[method]descriptor.unlink-file-at"] = func(s []uint64) {
		path = string(b.own.Bytes()[uint32(s[1]):uint32(s[1]+s[2])])
		b.putOwn(uint64(uint32(s[3])), 1|20<<8) // no-entry
	}
	for _, p := range []string{
		"", "a", "a/b/c", "12345678", "ünï/€/𝄞", "\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff", strings.Repeat("x", 4096),
	} {
		path = "?"
		copy(b.guest[777:], p)
		b.want(44, "path_unlink_file", 3, 777, uint64(len(p)))
		if path != p {
			t.Errorf("%q became %q", p, path)
		}
	}
	b.host["wasi:filesystem/types@0.2.0#[method]descriptor.unlink-file-at"] = nil
	for _, p := range []string{
		"\x80", "\xbf", "a\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xe2\x28\xa1", "\xf0\x9d\x84", "ok\xc3\x28",
	} {
		copy(b.guest[777:], p)
		b.want(25, "path_unlink_file", 3, 777, uint64(len(p)))
	}
	b.want(37, "path_unlink_file", 3, 0, 4097)
	b.want(21, "path_unlink_file", 3, 65530, 7)
	b.want(54, "path_unlink_file", 1, 0, 1)
	b.want(8, "path_unlink_file", 5, 0, 1)
}

// subscription writes one at an address of the guest's memory.
func (b *bench) subscription(at uint64, userdata uint64, kind byte, fdOrClock uint32, timeout uint64, flags uint16) {
	s := b.guest[at : at+48]
	clear(s)
	le.PutUint64(s, userdata)
	s[8] = kind
	le.PutUint32(s[16:], fdOrClock)
	le.PutUint64(s[24:], timeout)
	le.PutUint16(s[40:], flags)
}

func TestPollable(t *testing.T) {
	b := newBench(t, 1)
	b.directories(nil)
	ready := map[uint32]bool{}
	var dropped []uint32
	var polled [][]uint32
	b.host["wasi:io/poll@0.2.0#[method]pollable.ready"] = func(s []uint64) {
		if ready[uint32(s[0])] {
			s[0] = 1
		} else {
			s[0] = 0
		}
	}
	b.host["wasi:io/poll@0.2.0#[resource-drop]pollable"] = func(s []uint64) { dropped = append(dropped, uint32(s[0])) }
	b.host["wasi:io/poll@0.2.0#poll"] = func(s []uint64) {
		var in, out []uint32
		for i := range uint32(s[1]) {
			h := le.Uint32(b.own.Bytes()[uint32(s[0])+4*i:])
			in = append(in, h)
			if ready[h] {
				out = append(out, i)
			}
		}
		polled = append(polled, in)
		list := b.alloc(4, 4*len(out))
		b.putOwn(list, out...)
		b.putOwn(uint64(uint32(s[2])), uint32(list), uint32(len(out)))
	}
	b.host["wasi:clocks/monotonic-clock@0.2.0#subscribe-duration"] = func(s []uint64) { s[0] = 1000 + s[0] }
	b.host["wasi:clocks/monotonic-clock@0.2.0#subscribe-instant"] = func(s []uint64) { s[0] = 2000 + s[0] }
	b.host["wasi:clocks/wall-clock@0.2.0#now"] = func(s []uint64) {
		at := uint64(uint32(s[0]))
		b.putOwn(at, 3, 0, 500)
	}
	var fds [3]uint32
	for i := range fds {
		fds[i] = uint32(b.call("pollable_fd", uint64(100+i)))
		if fds[i] != uint32(5+i) { // behind the directories
			t.Errorf("pollable %d is descriptor %d", i, fds[i])
		}
	}
	b.want(0, "fd_fdstat_get", 6, 64)
	if s := b.guest[64:]; s[0] != 0 || le.Uint16(s[2:]) != 4 {
		t.Errorf("type %d, flags %d", s[0], le.Uint16(s[2:]))
	}
	b.put(32, 200, 10)
	b.want(6, "fd_read", 6, 32, 1, 16)
	ready[101] = true
	b.guest[200], b.guest[201] = 9, 9
	b.want(0, "fd_read", 6, 32, 1, 16)
	if le.Uint32(b.guest[16:]) != 1 || b.guest[200] != 0 || b.guest[201] != 9 {
		t.Errorf("%d bytes are read", le.Uint32(b.guest[16:]))
	}
	b.want(8, "fd_write", 6, 32, 1, 16)
	b.want(70, "fd_seek", 6, 0, 0, 16)

	const in, out, result = 1024, 4096, 16
	poll := func(subs int) (events [][4]uint64) {
		t.Helper()
		b.want(0, "poll_oneoff", in, out, uint64(subs), result)
		for i := range le.Uint32(b.guest[result:]) {
			e := b.guest[out+32*i:]
			events = append(events, [4]uint64{le.Uint64(e), uint64(le.Uint16(e[8:])), uint64(e[10]), le.Uint64(e[16:])})
		}
		return events
	}
	check := func(got [][4]uint64, want ...[4]uint64) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	}
	// All are waited for at once.
	b.subscription(in, 51, 1, fds[0], 0, 0)
	b.subscription(in+48, 52, 1, fds[1], 0, 0)
	b.subscription(in+96, 53, 0, 1, 7, 0)
	b.subscription(in+144, 54, 0, 0, 3_000_000_600, 1)
	ready[1100] = true
	check(poll(4), [4]uint64{52, 0, 1, 1}, [4]uint64{54, 0, 0, 0})
	if want := []uint32{100, 101, 1007, 1100}; len(polled) != 1 || !slices.Equal(polled[0], want) {
		t.Errorf("polled %d, want %d", polled, want)
	}
	if want := []uint32{1007, 1100}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %d, want %d", dropped, want)
	}
	// What is known at once is told at once, with all else that is ready.
	polled = nil
	b.subscription(in+48, 62, 1, 77, 0, 0)
	b.subscription(in+96, 63, 2, fds[1], 0, 0)
	b.subscription(in+144, 64, 1, fds[1], 0, 0)
	b.subscription(in+192, 65, 0, 9, 0, 0)
	b.subscription(in+240, 66, 7, 9, 0, 0)
	b.subscription(in+288, 67, 0, 1, 0, 0)
	b.subscription(in+336, 68, 0, 1, 9, 1)
	b.subscription(in+384, 69, 1, 3, 0, 0)
	check(poll(9), [4]uint64{62, 8, 1}, [4]uint64{63, 8, 2}, [4]uint64{64, 0, 1, 1}, [4]uint64{65, 28, 0}, [4]uint64{66, 28, 7},
		[4]uint64{67, 0, 0}, [4]uint64{69, 8, 1})
	if len(polled) != 0 {
		t.Errorf("polled %d", polled)
	}
	b.want(28, "poll_oneoff", in, out, 0, result)
	b.want(28, "poll_oneoff", in, out, 4097, result)
	b.want(21, "poll_oneoff", 65500, out, 1, result)

	dropped = nil
	b.want(0, "fd_close", uint64(fds[1]))
	b.want(8, "fd_close", uint64(fds[1]))
	if want := []uint32{101}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %d, want %d", dropped, want)
	}
	if fd := b.call("pollable_fd", 110); fd != uint64(fds[1]) {
		t.Errorf("descriptor %d, want %d again", fd, fds[1])
	}
	// As many as there is room for, which is not for ever.
	fd := uint64(0)
	for n := uint64(0); n < 10_000 && fd != 1<<32-1; n++ {
		fd = b.call("pollable_fd", 1_000_000+n)
	}
	if fd != 1<<32-1 {
		t.Errorf("descriptor %d", fd)
	}
	b.want(41, "path_open", 3, 0, 0, 0, 0, 0, 0, 0, 16)
}

// On a host for nothing but HTTP there is nothing of the rest, and nobody is asked
// for it.
func TestWithoutFeatures(t *testing.T) {
	b := newBenchOf(t, build("reactor"), 1)
	b.put(8, 7, 7)
	b.want(0, "args_sizes_get", 8, 12)
	b.want(0, "environ_sizes_get", 16, 20)
	for at := 8; at <= 20; at += 4 {
		if n := le.Uint32(b.guest[at:]); n != 0 {
			t.Errorf("there are %d arguments or variables", n)
		}
	}
	b.want(0, "args_get", 8, 16)
	b.want(0, "environ_get", 8, 16)
	b.want(8, "fd_prestat_get", 3, 8)
	b.want(8, "path_open", 3, 0, 0, 1, 0, 0, 0, 0, 8)
	b.want(8, "fd_read", 3, 0, 0, 8)
	b.want(8, "fd_write", 3, 0, 0, 8)
	b.want(8, "fd_close", 3)
	b.want(0, "fd_fdstat_get", 1, 64)
	if b.guest[64] != 0 {
		t.Errorf("type %d of standard output", b.guest[64])
	}
	for code := range uint64(3) {
		if err := b.inst.Func("proc_exit").Call(t.Context(), []uint64{code}); err == nil {
			t.Errorf("goes on after proc_exit(%d)", code)
		}
	}
}

func TestExit(t *testing.T) {
	for _, passed := range []bool{false, true} {
		b := newBench(t, 1)
		status, code := "@0.2.0#exit", "@0.2.0#exit"
		if passed {
			b = newBenchOf(t, build("command", exit, codes), 1)
			status, code = "@0.2.12#exit", "@0.2.12#exit-with-code"
		}
		var got []string
		b.host["wasi:cli/exit"+status] = func(s []uint64) { got = append(got, fmt.Sprint("status ", uint32(s[0]))) }
		if passed {
			b.host["wasi:cli/exit"+code] = func(s []uint64) {
				got = append(got, fmt.Sprint("code ", uint32(s[0])))
				panic(errors.New("exit"))
			}
		}
		for _, c := range []uint64{0, 1, 2, 255, 256, 257, 1<<32 - 1} {
			if err := b.inst.Func("proc_exit").Call(t.Context(), []uint64{c}); err == nil {
				t.Errorf("goes on after proc_exit(%d)", c)
			}
		}
		want := []string{"status 0", "status 1", "status 1", "status 1", "status 1", "status 1", "status 1"}
		if passed {
			want = []string{"status 0", "status 1", "code 2", "code 255", "code 1", "code 1", "code 255"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the host is told %q, want %q", got, want)
		}
	}
}

// While the clocks are held the host is not asked.
func TestClocksHold(t *testing.T) {
	b := newBench(t, 1)
	asked := uint64(0)
	b.host["wasi:clocks/monotonic-clock@0.2.0#now"] = func(s []uint64) {
		asked++
		s[0] = 7 * asked
	}
	b.host["wasi:clocks/wall-clock@0.2.0#now"] = func(s []uint64) {
		asked++
		b.putOwn(uint64(uint32(s[0])), uint32(asked), 0, 5)
	}
	hold := func(on uint64) {
		if err := b.inst.Func("clocks_hold").Call(t.Context(), []uint64{on}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ hold, clock, want, asked uint64 }{
		{1, 1, 0, 0}, {0, 1, 7, 1}, {1, 1, 7, 1}, {1, 0, 0, 1}, {0, 0, 2_000_000_005, 2}, {1, 0, 2_000_000_005, 2}, {0, 1, 21, 3},
	} {
		hold(c.hold)
		b.want(0, "clock_time_get", c.clock, 0, 8)
		if got := le.Uint64(b.guest[8:]); got != c.want || asked != c.asked {
			t.Errorf("clock %d, held %d: %d, asked %d times; want %d and %d", c.clock, c.hold, got, asked, c.want, c.asked)
		}
	}
	b.want(28, "clock_time_get", 2, 0, 8)
}
