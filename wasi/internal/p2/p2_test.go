package p2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// The codes of the shared machinery are turned into those of the interfaces by
// their numbers.
func TestCodesAreNumberedAlike(t *testing.T) {
	for c := sandbox.Access; c <= sandbox.CrossDevice; c++ {
		if got := bind.FilesystemErrorCode(c).String(); got != c.String() {
			t.Errorf("filesystem code %d: %s and %s", c, got, c)
		}
	}
	if bind.FilesystemErrorCode(sandbox.CrossDevice) != bind.FilesystemErrorCodeCrossDevice {
		t.Error("not all filesystem codes are there")
	}
	for c := socket.Unknown; c <= socket.PermanentResolverFailure; c++ {
		if got := bind.NetworkErrorCode(c).String(); got != c.String() {
			t.Errorf("network code %d: %s and %s", c, got, c)
		}
	}
	if bind.NetworkErrorCode(socket.PermanentResolverFailure) != bind.NetworkErrorCodePermanentResolverFailure {
		t.Error("not all network codes are there")
	}
	for a, b := range map[sandbox.FileType]bind.DescriptorType{
		sandbox.UnknownType: bind.DescriptorTypeUnknown, sandbox.BlockDevice: bind.DescriptorTypeBlockDevice,
		sandbox.CharacterDevice: bind.DescriptorTypeCharacterDevice, sandbox.Directory: bind.DescriptorTypeDirectory,
		sandbox.FIFO: bind.DescriptorTypeFifo, sandbox.SymbolicLink: bind.DescriptorTypeSymbolicLink,
		sandbox.RegularFile: bind.DescriptorTypeRegularFile, sandbox.Socket: bind.DescriptorTypeSocket,
	} {
		if bind.DescriptorType(a) != b {
			t.Errorf("type %d is %v", a, b)
		}
	}
	if bind.Advice(sandbox.AdviceNoReuse) != bind.AdviceNoReuse || bind.Advice(sandbox.AdviceWillNeed) != bind.AdviceWillNeed {
		t.Error("advice is numbered differently")
	}
}

func grants(t *testing.T, readOnly bool) (*grant.Set, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := sandbox.OpenDir(dir, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &grant.Set{
		Dirs: []grant.Dir{{Guest: "/data", Dir: d}}, Clock: grant.SystemClock(), Location: time.UTC,
		Network: &socket.Policy{}, Stdio: grant.NewStdio(nil, nil, nil), Random: grant.SystemRandom, Insecure: grant.SystemRandom,
	}, dir
}

func TestFilesystem(t *testing.T) {
	g, dir := grants(t, false)
	ctx := t.Context()
	f := filesystem{g}
	dirs, err := f.GetDirectories(ctx)
	if err != nil || len(dirs) != 1 || dirs[0].F1 != "/data" {
		t.Fatal(dirs, err)
	}
	root := dirs[0].F0
	file, err := root.OpenAt(ctx, 0, "f", bind.OpenFlagsCreate|bind.OpenFlagsExclusive, bind.DescriptorFlagsRead|bind.DescriptorFlagsWrite)
	if err != nil {
		t.Fatal(err)
	}
	out, err := file.WriteViaStream(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.BlockingWriteAndFlush(ctx, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := out.BlockingWriteZeroesAndFlush(ctx, 3); err != nil {
		t.Fatal(err)
	}
	end, err := file.AppendViaStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := end.Write(ctx, []byte("!")); err != nil {
		t.Fatal(err)
	}
	in, err := file.ReadViaStream(ctx, 4)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := in.Read(ctx, 100); string(b) != "llo\x00\x00\x00!" || err != nil {
		t.Errorf("stream: %q, %v", b, err)
	}
	if _, err := in.BlockingRead(ctx, 100); err != (bind.StreamErrorClosed{}) {
		t.Errorf("at the end: %v", err)
	}
	got, err := file.Read(ctx, 4, 2)
	if string(got.F0) != "hell" || got.F1 || err != nil {
		t.Errorf("read: %q, %v, %v", got.F0, got.F1, err)
	}
	if got, err := file.Read(ctx, 4, 100); len(got.F0) != 0 || !got.F1 || err != nil {
		t.Errorf("read past the end: %v, %v", got, err)
	}
	st, err := file.Stat(ctx)
	if st.Size != 11 || st.Type != bind.DescriptorTypeRegularFile || st.DataModificationTimestamp == nil || err != nil {
		t.Errorf("stat %+v, %v", st, err)
	}
	if flags, _ := file.GetFlags(ctx); flags != bind.DescriptorFlagsRead|bind.DescriptorFlagsWrite {
		t.Errorf("flags %v", flags)
	}
	if flags, _ := root.GetFlags(ctx); flags != bind.DescriptorFlagsRead|bind.DescriptorFlagsMutateDirectory {
		t.Errorf("flags of the directory %v", flags)
	}
	if err := root.LinkAt(ctx, 0, "f", root, "link"); err != nil {
		t.Error(err)
	}
	if err := root.LinkAt(ctx, bind.PathFlagsSymlinkFollow, "f", root, "link2"); err != bind.FilesystemErrorCodeInvalid {
		t.Errorf("link that follows: %v", err)
	}
	link, err := root.OpenAt(ctx, 0, "link", 0, bind.DescriptorFlagsRead)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := link.IsSameObject(ctx, file); !same || err != nil {
		t.Error("a hard link is another object")
	}
	a, _ := file.MetadataHash(ctx)
	b, _ := root.MetadataHashAt(ctx, 0, "link")
	c, _ := root.MetadataHash(ctx)
	if a != b || a == c {
		t.Errorf("hashes %v %v %v", a, b, c)
	}
	if _, err := link.WriteViaStream(ctx, 0); err != bind.FilesystemErrorCodeBadDescriptor {
		t.Errorf("write to a file open for reading: %v", err)
	}
	if _, err := root.ReadViaStream(ctx, 0); err != bind.FilesystemErrorCodeIsDirectory {
		t.Errorf("read a directory: %v", err)
	}
	if err := root.SetTimesAt(ctx, 0, "f", bind.NewTimestampNoChange{}, bind.NewTimestampTimestamp{Value: bind.Datetime{Seconds: 7, Nanoseconds: 8}}); err != nil {
		t.Error(err)
	}
	if st, _ := root.StatAt(ctx, 0, "f"); *st.DataModificationTimestamp != (bind.Datetime{Seconds: 7, Nanoseconds: 8}) {
		t.Errorf("modified %v", *st.DataModificationTimestamp)
	}
	if err := file.SetTimes(ctx, bind.NewTimestampNow{}, bind.NewTimestampTimestamp{Value: bind.Datetime{Nanoseconds: 1e9}}); err != bind.FilesystemErrorCodeInvalid {
		t.Errorf("a bad time: %v", err)
	}
	names := map[string]bool{}
	r, err := root.ReadDirectory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := r.ReadDirectoryEntry(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		names[e.Name] = true
	}
	if len(names) != 2 || !names["f"] || !names["link"] {
		t.Errorf("names %v", names)
	}
	r.Drop(ctx)
	// Dropping what was granted does not take it from others.
	root.Drop(ctx)
	if _, err := root.StatAt(ctx, 0, "f"); err != nil {
		t.Errorf("a granted directory was closed: %v", err)
	}
	// An error of a stream can be asked for its code.
	file.Drop(ctx)
	_, err = out.CheckWrite(ctx)
	if err != nil {
		t.Error(err)
	}
	failed, ok := out.BlockingWriteAndFlush(ctx, []byte("x")).(bind.StreamErrorLastOperationFailed)
	if !ok {
		t.Fatal("a stream outlived its file")
	}
	if code, _ := f.FilesystemErrorCode(ctx, failed.Value); code == nil || *code != bind.FilesystemErrorCodeBadDescriptor {
		t.Errorf("code %v", code)
	}
	if code, _ := f.FilesystemErrorCode(ctx, NewError(errors.New("other"))); code != nil {
		t.Errorf("code of another error %v", *code)
	}
	if err := out.BlockingWriteAndFlush(ctx, []byte("x")); err != (bind.StreamErrorClosed{}) {
		t.Errorf("after a failure: %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "f")); len(b) != 11 {
		t.Errorf("the file has %q", b)
	}
}

func TestReadOnly(t *testing.T) {
	g, dir := grants(t, true)
	os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
	ctx := t.Context()
	dirs, _ := filesystem{g}.GetDirectories(ctx)
	root := dirs[0].F0
	if flags, _ := root.GetFlags(ctx); flags != bind.DescriptorFlagsRead {
		t.Errorf("flags %v", flags)
	}
	if err := root.CreateDirectoryAt(ctx, "d"); err != bind.FilesystemErrorCodeNotPermitted {
		t.Errorf("mkdir: %v", err)
	}
	if _, err := root.OpenAt(ctx, 0, "f", bind.OpenFlagsTruncate, 0); err != bind.FilesystemErrorCodeNotPermitted {
		t.Errorf("truncate: %v", err)
	}
	f, err := root.OpenAt(ctx, 0, "f", 0, bind.DescriptorFlagsRead)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Drop(ctx)
	if _, err := f.WriteViaStream(ctx, 0); err != bind.FilesystemErrorCodeNotPermitted {
		t.Errorf("write: %v", err)
	}
}

func TestStandardStreams(t *testing.T) {
	g, _ := grants(t, false)
	var out, errs, own bytes.Buffer
	g.Stdio = grant.NewStdio(strings.NewReader("input"), &out, &errs)
	c := cli{g}
	ctx := t.Context()
	in, _ := c.GetStdin(ctx)
	if b, err := in.BlockingRead(ctx, 3); string(b) != "inp" || err != nil {
		t.Errorf("stdin %q, %v", b, err)
	}
	in.Drop(ctx)
	again, _ := c.GetStdin(ctx)
	if b, err := again.BlockingRead(ctx, 9); string(b) != "ut" || err != nil {
		t.Errorf("what was read ahead is lost: %q, %v", b, err)
	}
	w, _ := c.GetStdout(ctx)
	if err := w.Write(ctx, []byte("to out")); err != nil || out.String() != "to out" {
		t.Errorf("%v, %q: a write returned before it was done", err, out.String())
	}
	w.Drop(ctx)
	w, _ = c.GetStdout(grant.WithStdio(ctx, nil, &own, nil))
	w.BlockingWriteAndFlush(ctx, []byte("own"))
	if own.String() != "own" || out.String() != "to out" {
		t.Errorf("own %q, shared %q", own.String(), out.String())
	}
	var m stream.Misuse
	if err := w.BlockingWriteAndFlush(ctx, make([]byte, 4097)); !errors.As(err, &m) {
		t.Errorf("writing too much at once: %v", err)
	}
	if term, _ := c.GetTerminalStdout(ctx); term != nil {
		t.Error("a buffer is a terminal")
	}
	pr, pw := io.Pipe()
	pr.Close()
	w, _ = c.GetStderr(grant.WithStdio(ctx, nil, nil, pw))
	if err := w.BlockingWriteAndFlush(ctx, []byte("x")); err != (bind.StreamErrorClosed{}) {
		t.Errorf("a closed pipe: %v", err)
	}
	blocked, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, stuck := io.Pipe()
	w, _ = c.GetStderr(grant.WithStdio(ctx, nil, nil, stuck))
	if err := w.BlockingWriteAndFlush(blocked, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pipe that nobody reads: %v", err)
	}
	stuck.Close()
}

func TestExit(t *testing.T) {
	c := cli{}
	for want, err := range map[uint32]error{
		0:   c.Exit(t.Context(), abi.Result[abi.Unit, abi.Unit]{}),
		1:   c.Exit(t.Context(), abi.Result[abi.Unit, abi.Unit]{IsErr: true}),
		200: c.ExitWithCode(t.Context(), 200),
	} {
		var e grant.Exit
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%v, want exit code %d", err, want)
		}
	}
}

func TestClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := monotonicClock{grant.SystemClock()}
		a, _ := m.Now(ctx)
		p, _ := m.SubscribeDuration(ctx, uint64(time.Hour))
		at, _ := m.SubscribeInstant(ctx, a+uint64(2*time.Hour))
		past, _ := m.SubscribeInstant(ctx, 0)
		never, _ := m.SubscribeDuration(ctx, 1<<64-1)
		if ready, _ := p.Ready(ctx); ready {
			t.Error("ready at once")
		}
		if ready, _ := past.Ready(ctx); !ready {
			t.Error("the past is not over")
		}
		got, err := pollHost{}.Poll(ctx, []bind.Pollable{never, at, p})
		if err != nil || len(got) != 1 || got[0] != 2 {
			t.Errorf("poll %v, %v", got, err)
		}
		if b, _ := m.Now(ctx); b-a != uint64(time.Hour) {
			t.Errorf("%d ns passed", b-a)
		}
		if err := at.Block(ctx); err != nil {
			t.Error(err)
		}
		if b, _ := m.Now(ctx); b-a != uint64(2*time.Hour) {
			t.Errorf("%d ns passed", b-a)
		}
		if _, err := (pollHost{}).Poll(ctx, nil); err == nil {
			t.Error("poll of nothing did not trap")
		}
		now, _ := wallClock{grant.SystemClock()}.Now(ctx)
		if int64(now.Seconds) != time.Now().Unix() {
			t.Errorf("now %v", now)
		}
	})
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		require.Missing(t, "no time zones here:", err)
	}
	z := timezone{berlin}
	d, _ := z.Display(t.Context(), bind.Datetime{Seconds: 1720000000}) // July 2024
	if d != (bind.TimezoneDisplay{UTCOffset: 7200, Name: "CEST", InDaylightSavingTime: true}) {
		t.Errorf("display %+v", d)
	}
	if o, _ := z.UTCOffset(t.Context(), bind.Datetime{Seconds: 1705000000}); o != 3600 {
		t.Errorf("offset %d", o)
	}
	if _, err := z.Display(t.Context(), bind.Datetime{Seconds: 1<<64 - 1}); err != nil {
		t.Error(err)
	}
}

func TestRandom(t *testing.T) {
	r := random{randomBytes{source: grant.SystemRandom}}
	a, err := r.GetRandomBytes(t.Context(), 1000)
	b, _ := r.GetRandomBytes(t.Context(), 1000)
	if len(a) != 1000 || bytes.Equal(a, b) || err != nil {
		t.Error("not random", err)
	}
	_, err = r.GetRandomBytes(t.Context(), 1<<40)
	if over, ok := errors.AsType[*limit.Error](err); !ok || over.Resource != quota.Random {
		t.Error("a terabyte was given:", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := r.GetRandomBytes(ended, 60<<20); err != context.Canceled {
		t.Error("random bytes are made after the call's end:", err)
	}
	i := insecure{randomBytes{source: grant.SystemRandom}}
	seed, err := i.InsecureSeed(t.Context())
	again, _ := i.InsecureSeed(t.Context())
	if err != nil || seed == again || seed.F0 == seed.F1 {
		t.Errorf("seeds %x and %x, %v", seed, again, err)
	}
}

func TestHeldFiles(t *testing.T) {
	g, _ := grants(t, false)
	g.Book = quota.NewBook(quota.Limits{Files: 3, Streams: 2}, nil)
	ctx := t.Context()
	root := &descriptor{file: g.Dirs[0].Dir, grants: g, shared: true}
	full := error(bind.FilesystemErrorCodeInsufficientMemory)
	open := func(path string) (bind.Descriptor, error) {
		return root.OpenAt(ctx, 0, path, bind.OpenFlagsCreate, bind.DescriptorFlagsRead|bind.DescriptorFlagsWrite)
	}
	for range 50 {
		f, err := open("f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open("missing/f"); err != bind.FilesystemErrorCodeNoEntry {
			t.Fatal(err)
		}
		r, err := root.ReadDirectory(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadDirectory(ctx); err != bind.FilesystemErrorCodeNotDirectory {
			t.Fatal(err)
		}
		second, err := open("g")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open("f"); err != full {
			t.Fatal("a fourth:", err)
		}
		if _, err := root.ReadDirectory(ctx); err != full {
			t.Fatal("a fourth:", err)
		}
		in, err := f.ReadViaStream(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.WriteViaStream(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.AppendViaStream(ctx); err != full {
			t.Fatal("a third stream:", err)
		}
		for _, d := range []interface{ Drop(context.Context) error }{in, out, r, second, f} {
			if err := d.Drop(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPollIsBounded(t *testing.T) {
	list := make([]bind.Pollable, maxPoll+1)
	for i := range list {
		list[i] = pollable{stream.Immediate{}}
	}
	if ready, err := (pollHost{}).Poll(t.Context(), list[1:]); err != nil || len(ready) != maxPoll {
		t.Errorf("%d, %v", len(ready), err)
	}
	_, err := pollHost{}.Poll(t.Context(), list)
	if e, ok := errors.AsType[*limit.Error](err); !ok || e.Resource != quota.Pollables {
		t.Errorf("one more: %v", err)
	}
}
