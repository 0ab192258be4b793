package p1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
)

// memoryOnly is a module with one page of memory, exported as "m".
var memoryOnly = []byte{
	0, 'a', 's', 'm', 1, 0, 0, 0,
	5, 3, 1, 0, 1, // memory section: one, no maximum, one page
	7, 5, 1, 1, 'm', 2, 0, // export section: "m", memory 0
}

// guest calls the functions as a module would.
type guest struct {
	t     *testing.T
	ctx   context.Context
	mem   engine.Memory
	funcs map[string]engine.HostFunc
	dir   string
	top   uint64 // of the memory in use
}

func newGuest(t *testing.T, set func(*grant.Set)) *guest {
	t.Helper()
	e := engine.New(engine.Config{Interpreter: true})
	m, err := e.Compile(t.Context(), engine.Source{Wasm: memoryOnly})
	if err != nil {
		t.Fatal(err)
	}
	mems := e.NewMemories(1 << 20)
	inst, err := e.Instantiate(t.Context(), m, func(string) *engine.Instance { return nil }, mems)
	if err != nil {
		t.Fatal(err)
	}
	mem, _ := inst.Memory("m")
	g := &guest{t: t, mem: mem, funcs: map[string]engine.HostFunc{}, dir: t.TempDir(), top: 1024}
	for _, f := range Funcs() {
		g.funcs[f.Name] = f
	}
	d, err := sandbox.OpenDir(g.dir, false)
	if err != nil {
		t.Fatal(err)
	}
	s := &grant.Set{
		Args: []string{"prog", "two words"}, Env: [][2]string{{"A", "b=c"}},
		Dirs:  []grant.Dir{{Guest: "/work", Dir: d}},
		Stdio: grant.NewStdio(nil, nil, nil), Clock: grant.SystemClock(), Random: grant.SystemRandom,
	}
	if set != nil {
		set(s)
	}
	p := NewProcess(t.Context(), s)
	g.ctx = p.Attach(t.Context())
	t.Cleanup(func() {
		p.Close()
		d.Close()
		e.Close(context.Background())
		mems.Release()
	})
	return g
}

func (g *guest) call(name string, args ...uint64) errno {
	g.t.Helper()
	f := g.funcs[name]
	if len(args) != len(f.Params) {
		g.t.Fatalf("%s takes %d parameters", name, len(f.Params))
	}
	stack := make([]uint64, max(len(args), 1))
	for i, a := range args {
		if f.Params[i] == engine.I32 {
			a |= 0xdeadbeef << 32 // which a guest's stack may have
		}
		stack[i] = a
	}
	f.Call(g.ctx, g.mem, stack)
	return errno(stack[0])
}

func (g *guest) want(e errno, name string, args ...uint64) {
	g.t.Helper()
	if got := g.call(name, args...); got != e {
		g.t.Errorf("%s%v: errno %d, want %d", name, args, got, e)
	}
}

// put writes bytes to memory that is not used otherwise.
func (g *guest) put(b string) (ptr, n uint64) {
	ptr = g.top
	copy(g.mem.Bytes()[ptr:], b)
	g.top += uint64(len(b)+7) &^ 7
	return ptr, uint64(len(b))
}

func (g *guest) u32(p uint64) uint32 { return le.Uint32(g.mem.Bytes()[p:]) }
func (g *guest) u64(p uint64) uint64 { return le.Uint64(g.mem.Bytes()[p:]) }

// iov makes a list of buffers.
func (g *guest) iov(bufs ...uint64) (ptr, n uint64) {
	b := make([]byte, 4*len(bufs))
	for i, v := range bufs {
		le.PutUint32(b[4*i:], uint32(v))
	}
	ptr, _ = g.put(string(b))
	return ptr, uint64(len(bufs) / 2)
}

// open opens a path and returns the descriptor.
func (g *guest) open(path string, oflags uint64, base rights, flags fdflags) uint64 {
	g.t.Helper()
	p, n := g.put(path)
	g.want(success, "path_open", 3, lookupFollow, p, n, oflags, uint64(base), 0, uint64(flags), 16)
	return uint64(g.u32(16))
}

func (g *guest) write(fd uint64, text string) {
	g.t.Helper()
	p, n := g.put(text)
	list, count := g.iov(p, n/2, 0, 0, p+n/2, n-n/2)
	g.want(success, "fd_write", fd, list, count, 24)
	if got := g.u32(24); got != uint32(n) {
		g.t.Errorf("wrote %d of %d bytes", got, n)
	}
}

func (g *guest) read(fd uint64) string {
	g.t.Helper()
	buf, _ := g.put(strings.Repeat("\xff", 20))
	list, count := g.iov(buf, 3, buf+3, 17)
	g.want(success, "fd_read", fd, list, count, 24)
	return string(g.mem.Bytes()[buf : buf+uint64(g.u32(24))])
}

func TestArgumentsAndEnvironment(t *testing.T) {
	g := newGuest(t, nil)
	g.want(success, "args_sizes_get", 0, 4)
	if g.u32(0) != 2 || g.u32(4) != 15 {
		t.Errorf("%d arguments of %d bytes", g.u32(0), g.u32(4))
	}
	g.want(success, "args_get", 0, 100)
	if b := g.mem.Bytes(); g.u32(4) != 105 || string(b[100:115]) != "prog\x00two words\x00" {
		t.Errorf("arguments %q", b[100:115])
	}
	g.want(success, "environ_sizes_get", 0, 4)
	g.want(success, "environ_get", 8, 100)
	if b := g.mem.Bytes(); g.u32(0) != 1 || g.u32(4) != 6 || string(b[100:106]) != "A=b=c\x00" {
		t.Errorf("environment %q", b[100:106])
	}
	g.want(fault, "args_get", 0, 65530)
	g.want(fault, "args_get", 65535, 0)
}

func TestFiles(t *testing.T) {
	g := newGuest(t, nil)
	fd := g.open("f", oflagCreat, fdRead|fdWrite, 0)
	g.write(fd, "hello world")
	g.want(success, "fd_tell", fd, 32)
	if g.u64(32) != 11 {
		t.Errorf("position %d", g.u64(32))
	}
	g.want(success, "fd_seek", fd, 1<<64-5, 1, 32)
	if got := g.read(fd); got != "world" {
		t.Errorf("read %q", got)
	}
	if got := g.read(fd); got != "" {
		t.Errorf("read %q at the end", got)
	}
	g.want(inval, "fd_seek", fd, 1<<64-50, 1, 32)
	g.want(inval, "fd_seek", fd, 0, 3, 32)
	buf, _ := g.put("12345")
	list, n := g.iov(buf, 5)
	g.want(success, "fd_pread", fd, list, n, 6, 24)
	if got := string(g.mem.Bytes()[buf : buf+5]); got != "world" {
		t.Errorf("pread %q", got)
	}
	g.want(success, "fd_pwrite", fd, list, n, 0, 24)
	if b, _ := os.ReadFile(filepath.Join(g.dir, "f")); string(b) != "world world" {
		t.Errorf("the file has %q", b)
	}
	g.want(success, "fd_filestat_get", fd, 64)
	if g.u64(96) != 11 || g.mem.Bytes()[80] != 4 {
		t.Errorf("size %d, type %d", g.u64(96), g.mem.Bytes()[80])
	}
	g.want(success, "fd_fdstat_get", fd, 64)
	if r := rights(g.u64(72)); r&fdRead == 0 || r&fdWrite == 0 || r&pathOpen != 0 {
		t.Errorf("rights %x", r)
	}
	g.want(fault, "fd_read", fd, 65532, 1, 24)
	g.want(inval, "fd_read", fd, 0, maxBuffers+1, 24)
	bad, _ := g.iov(65530, 100)
	g.want(fault, "fd_write", fd, bad, 1, 24)
	g.want(success, "fd_close", fd)
	g.want(badf, "fd_close", fd)
	g.want(badf, "fd_read", fd, 0, 0, 24)
}

func TestAppend(t *testing.T) {
	g := newGuest(t, nil)
	fd := g.open("f", oflagCreat, fdRead|fdWrite, flagAppend)
	g.write(fd, "one")
	g.want(success, "fd_seek", fd, 0, 0, 32)
	g.write(fd, "two")
	g.want(success, "fd_fdstat_set_flags", fd, 0)
	g.want(success, "fd_seek", fd, 0, 0, 32)
	g.write(fd, "O")
	g.want(inval, "fd_fdstat_set_flags", fd, 1<<5)
	if b, _ := os.ReadFile(filepath.Join(g.dir, "f")); string(b) != "Onetwo" {
		t.Errorf("the file has %q", b)
	}
}

func TestRights(t *testing.T) {
	g := newGuest(t, nil)
	fd := g.open("f", oflagCreat, fdRead|fdWrite, 0)
	g.want(success, "fd_fdstat_get", fd, 64)
	base := g.u64(72)
	g.want(success, "fd_fdstat_set_rights", fd, base&^uint64(fdWrite|fdSeek), 0)
	p, n := g.put("x")
	list, count := g.iov(p, n)
	g.want(badf, "fd_write", fd, list, count, 24)
	g.want(notcapable, "fd_seek", fd, 0, 0, 32)
	g.want(success, "fd_seek", fd, 0, 1, 32) // only tells
	g.want(notcapable, "fd_fdstat_set_rights", fd, base, 0)
	name, l := g.put("g")
	g.want(success, "fd_fdstat_get", 3, 64)
	g.want(success, "fd_fdstat_set_rights", 3, g.u64(72)&^uint64(pathCreateFile), g.u64(80))
	g.want(notcapable, "path_open", 3, 0, name, l, oflagCreat, uint64(fdRead), 0, 0, 16)
}

func TestPaths(t *testing.T) {
	g := newGuest(t, nil)
	os.WriteFile(filepath.Join(g.dir, "../outside"), []byte("secret"), 0o644)
	defer os.Remove(filepath.Join(g.dir, "../outside"))
	path := func(s string) (uint64, uint64) { return g.put(s) }
	a, an := path("a")
	g.want(success, "path_create_directory", 3, a, an)
	g.want(exist, "path_create_directory", 3, a, an)
	out, on := path("../outside")
	g.want(perm, "path_open", 3, 0, out, on, 0, uint64(fdRead), 0, 0, 16)
	g.want(perm, "path_filestat_get", 3, 0, out, on, 64)
	g.want(perm, "path_unlink_file", 3, out, on)
	bad, bn := path("a\xff")
	g.want(ilseq, "path_open", 3, 0, bad, bn, 0, uint64(fdRead), 0, 0, 16)
	long, ln := path(strings.Repeat("x", 5000))
	g.want(nametoolong, "path_create_directory", 3, long, ln)
	g.want(fault, "path_create_directory", 3, 65000, 1000)
	l, lnn := path("l")
	g.want(success, "path_symlink", a, an, 3, l, lnn)
	g.want(success, "path_readlink", 3, l, lnn, 200, 10, 24)
	if g.u32(24) != 1 || g.mem.Bytes()[200] != 'a' {
		t.Error("readlink")
	}
	g.want(inval, "path_link", 3, lookupFollow, l, lnn, 3, out, on)
	b, bnn := path("b")
	g.want(success, "path_rename", 3, a, an, 3, b, bnn)
	g.want(success, "path_remove_directory", 3, b, bnn)
	g.want(notdir, "path_create_directory", 1, a, an)
	g.want(badf, "path_create_directory", 99, a, an)
	g.want(inval, "path_filestat_set_times", 3, 0, l, lnn, 1, 1, 3)
}

func TestReaddir(t *testing.T) {
	g := newGuest(t, nil)
	want := map[string]bool{".": true, "..": true}
	for _, n := range []string{"one", "two", "a longer name than others", "four"} {
		os.WriteFile(filepath.Join(g.dir, n), nil, 0o644)
		want[n] = true
	}
	for _, size := range []uint64{30, 40, 60, 100, 4096} {
		got := map[string]bool{}
		cookie := uint64(0)
		for range 50 {
			g.want(success, "fd_readdir", 3, 8192, size, cookie, 24)
			used := uint64(g.u32(24))
			b := g.mem.Bytes()[8192 : 8192+used]
			for len(b) >= 24 {
				n := le.Uint32(b[16:])
				if uint32(len(b)-24) < n {
					break
				}
				got[string(b[24:24+n])] = true
				cookie = le.Uint64(b)
				b = b[24+n:]
			}
			if used < size {
				break
			}
			if size < 60 && len(got) == 2 {
				size = 60 // the long name does not fit
			}
		}
		if len(got) != len(want) {
			t.Errorf("with %d bytes: %v", size, got)
		}
	}
	g.want(notdir, "fd_readdir", 1, 0, 100, 0, 24)
}

func TestPreopens(t *testing.T) {
	g := newGuest(t, nil)
	g.want(success, "fd_prestat_get", 3, 0)
	if g.mem.Bytes()[0] != 0 || g.u32(4) != 5 {
		t.Errorf("prestat %d %d", g.mem.Bytes()[0], g.u32(4))
	}
	g.want(nametoolong, "fd_prestat_dir_name", 3, 8, 4)
	g.want(success, "fd_prestat_dir_name", 3, 8, 5)
	if got := string(g.mem.Bytes()[8:13]); got != "/work" {
		t.Errorf("name %q", got)
	}
	g.want(badf, "fd_prestat_get", 4, 0)
	g.want(badf, "fd_prestat_get", 1, 0)
}

// Whatever the buffer, few entries are kept, and each is given once.
func TestReadDirKeepsLittle(t *testing.T) {
	g := newGuest(t, nil)
	p := g.ctx.Value(processKey{}).(*Process)
	const files = 3 * maxRecent
	for i := range files {
		if err := os.WriteFile(fmt.Sprintf("%s/%d", g.dir, i), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []uint64{32 << 10, 100, 30} {
		seen := map[string]bool{}
		cookie := uint64(0)
		for {
			g.want(success, "fd_readdir", 3, 1024, size, cookie, 16)
			used := uint64(g.u32(16))
			buf := g.mem.Bytes()[1024 : 1024+used]
			for len(buf) >= 24 {
				n := int(le.Uint32(buf[16:]))
				if len(buf) < 24+n {
					break
				}
				seen[string(buf[24:24+n])] = true
				cookie = le.Uint64(buf)
				buf = buf[24+n:]
			}
			if n := len(p.fds[3].dir.recent); n > maxRecent {
				t.Fatalf("%d entries are kept", n)
			}
			if used < size {
				break
			}
		}
		if len(seen) != files+2 {
			t.Errorf("buffers of %d bytes: %d names, want %d", size, len(seen), files+2)
		}
	}
}

func TestDescriptorsAreBounded(t *testing.T) {
	const most = 997 // with those that are there at the start, up to number 1000
	g := newGuest(t, func(s *grant.Set) { s.Book = quota.NewBook(quota.Limits{Files: most}, nil) })
	p, n := g.put(".")
	opened := 0
	for ; opened < most+1; opened++ {
		if e := g.call("path_open", 3, 0, p, n, 0, 0, 0, 0, 16); e != success {
			if e != nfile {
				require.Missing(t, "the system gave errno", e, "after", opened, "files")
			}
			break
		}
	}
	if opened != most {
		t.Errorf("%d descriptors", opened)
	}
	g.want(nfile, "fd_readdir", 3, 1024, 1024, 0, 16)
	g.want(success, "fd_close", 1000)
	g.want(success, "path_open", 3, 0, p, n, 0, 0, 0, 0, 16)
	if g.u32(16) != 1000 {
		t.Errorf("descriptor %d, want the free one", g.u32(16))
	}
	g.want(success, "fd_renumber", 1000, 3)
	g.want(badf, "fd_renumber", 1000, 3)
	g.want(badf, "fd_prestat_get", 3, 0)
}

func TestStreams(t *testing.T) {
	var out bytes.Buffer
	pr, pw := io.Pipe()
	g := newGuest(t, func(s *grant.Set) { s.Stdio = grant.NewStdio(pr, &out, nil) })
	g.write(1, "hello")
	if out.String() != "hello" {
		t.Errorf("stdout %q", out.String())
	}
	g.want(success, "fd_fdstat_set_flags", 0, uint64(flagNonblock))
	buf, _ := g.put("0123456789")
	list, n := g.iov(buf, 10)
	g.want(again, "fd_read", 0, list, n, 24)
	go pw.Write([]byte("in"))
	g.want(success, "fd_fdstat_set_flags", 0, 0)
	if got := g.read(0); got != "in" {
		t.Errorf("stdin %q", got)
	}
	g.want(badf, "fd_read", 1, list, n, 24)
	g.want(badf, "fd_write", 0, list, n, 24)
	g.want(spipe, "fd_seek", 0, 0, 0, 32)
	g.want(spipe, "fd_pread", 0, list, n, 0, 24)
	g.want(notsock, "sock_shutdown", 1, 1)
	g.want(badf, "sock_recv", 77, 0, 0, 0, 0, 0)
	// The end of the call's context unwinds the guest.
	ctx, cancel := context.WithTimeout(g.ctx, 10*time.Millisecond)
	defer cancel()
	g.ctx = ctx
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("unwound with %v", err)
		}
		pw.Close()
	}()
	g.call("fd_read", 0, list, n, 24)
}

func TestPoll(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	g := newGuest(t, func(s *grant.Set) { s.Stdio = grant.NewStdio(pr, io.Discard, nil) })
	sub := func(userdata uint64, kind byte, a uint32, timeout uint64, flags uint16) string {
		b := make([]byte, 48)
		le.PutUint64(b, userdata)
		b[8] = kind
		le.PutUint32(b[16:], a)
		le.PutUint64(b[24:], timeout)
		le.PutUint16(b[40:], flags)
		return string(b)
	}
	fd := g.open("f", oflagCreat, fdRead|fdWrite, 0)
	poll := func(subs ...string) map[uint64][3]uint64 {
		t.Helper()
		p, _ := g.put(strings.Join(subs, ""))
		g.want(success, "poll_oneoff", p, 4096, uint64(len(subs)), 24)
		got := map[uint64][3]uint64{}
		for i := range uint64(g.u32(24)) {
			e := g.mem.Bytes()[4096+32*i:]
			got[le.Uint64(e)] = [3]uint64{uint64(le.Uint16(e[8:])), uint64(e[10]), uint64(le.Uint16(e[24:]))}
		}
		return got
	}
	start := time.Now()
	got := poll(sub(1, eventRead, 0, 0, 0), sub(2, eventClock, 1, uint64(30*time.Millisecond), 0))
	if len(got) != 1 || got[2] != [3]uint64{0, eventClock, 0} || time.Since(start) < 30*time.Millisecond {
		t.Errorf("%v after %v", got, time.Since(start))
	}
	at := uint64(time.Now().Add(20 * time.Millisecond).UnixNano())
	got = poll(sub(1, eventRead, 0, 0, 0), sub(3, eventClock, 0, at, 1))
	if len(got) != 1 || uint64(time.Now().UnixNano()) < at {
		t.Errorf("absolute: %v", got)
	}
	got = poll(sub(1, eventRead, 0, 0, 0), sub(4, eventWrite, 1, 0, 0), sub(5, eventRead, uint32(fd), 0, 0),
		sub(6, eventRead, 99, 0, 0), sub(7, eventClock, 9, 0, 0), sub(8, eventWrite, 3, 0, 0))
	for id, want := range map[uint64][3]uint64{
		4: {0, eventWrite, 0}, 5: {0, eventRead, hangup}, 6: {uint64(badf), eventRead, 0},
		7: {uint64(inval), eventClock, 0}, 8: {uint64(badf), eventWrite, 0},
	} {
		if got[id] != want {
			t.Errorf("subscription %d: %v, want %v", id, got[id], want)
		}
	}
	if _, there := got[1]; there {
		t.Error("a silent stdin is ready")
	}
	go pw.Write([]byte("x"))
	if got = poll(sub(1, eventRead, 0, 0, 0)); got[1] != [3]uint64{0, eventRead, 0} {
		t.Errorf("stdin: %v", got)
	}
	g.want(inval, "poll_oneoff", 0, 0, 0, 24)
	g.want(inval, "poll_oneoff", 0, 0, maxSubscriptions+1, 24)
	g.want(fault, "poll_oneoff", 65000, 0, 100, 24)
}

func TestClocksAndRandom(t *testing.T) {
	g := newGuest(t, nil)
	g.want(success, "clock_time_get", 0, 0, 32)
	if d := time.Since(time.Unix(0, int64(g.u64(32)))); d < 0 || d > time.Minute {
		t.Errorf("the time is off by %v", d)
	}
	g.want(success, "clock_time_get", 1, 0, 32)
	g.want(success, "clock_res_get", 1, 32)
	g.want(inval, "clock_time_get", 2, 0, 32)
	g.want(success, "random_get", 32, 32)
	first := string(g.mem.Bytes()[32:64])
	g.want(success, "random_get", 32, 32)
	if first == string(g.mem.Bytes()[32:64]) {
		t.Error("not random")
	}
	g.want(fault, "random_get", 65535, 2)
	g.want(success, "sched_yield")
}

func TestExit(t *testing.T) {
	g := newGuest(t, nil)
	defer func() {
		if e, ok := recover().(grant.Exit); !ok || e.Code != 42 {
			t.Errorf("unwound with %v", e)
		}
	}()
	g.call("proc_exit", 42)
}

// Whatever a guest passes, the host neither panics (but to end the guest) nor
// hangs, and nothing leaves the directory.
func FuzzCalls(f *testing.F) {
	f.Add(uint8(0), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0), []byte("f\x00../x"))
	f.Add(uint8(33), uint64(3), uint64(1), uint64(1024), uint64(1), uint64(9), []byte("f"))
	f.Add(uint8(37), uint64(1024), uint64(0), uint64(1), uint64(0), uint64(0), make([]byte, 48))
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d, e uint64, mem []byte) {
		g := newGuest(t, nil)
		ctx, cancel := context.WithTimeout(g.ctx, 50*time.Millisecond)
		defer cancel()
		g.ctx = ctx
		g.open("f", oflagCreat, fdRead|fdWrite, 0)
		copy(g.mem.Bytes()[1024:], mem)
		fn := functions[int(which)%len(functions)]
		args := []uint64{a, b, c, d, e, a >> 7, b >> 7, c >> 7, d >> 7}[:len(fn.params)]
		if fn.name == "fd_allocate" || fn.name == "fd_filestat_set_size" {
			args[1] &= 1<<20 - 1 // not the disk of whoever tests
			if len(args) > 2 {
				args[2] &= 1<<20 - 1
			}
		}
		if fn.name == "fd_pwrite" {
			args[3] &= 1<<20 - 1
		}
		defer func() {
			if r := recover(); r != nil {
				if err, ok := r.(error); !ok || !errors.Is(err, context.DeadlineExceeded) {
					panic(r)
				}
			}
		}()
		g.call(fn.name, args...)
	})
}
