package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func privateDir(t testing.TB) string {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openCache(t testing.TB, dir string, maxBytes int64) *Cache {
	t.Helper()
	c, err := OpenCache(CacheConfig{Dir: dir, MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answer is a module whose export "f" returns n; modules differ in nothing but
// the body of the function, so that their shells are equal.
func answer(n byte) Source {
	b := []byte("\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00\x0a\x06\x01\x04\x00\x41?\x0b")
	b[bytes.IndexByte(b, '?')] = n
	m, err := wasm.Decode(b)
	if err == nil {
		err = wasm.Validate(m)
	}
	if err != nil {
		panic(err)
	}
	return Source{Wasm: b, Shell: m.Shell()}
}

// origin stands for the file that the answers are made from.
func origin(answers ...byte) Origin {
	return Origin{Digest: sha256.Sum256(answers), Options: "test"}
}

// compileAnswers compiles modules with an engine and checks what they return.
// It tells whether they were compiled, not loaded.
func compileAnswers(t *testing.T, e *Engine, answers ...byte) (compiled bool) {
	t.Helper()
	before := e.Counts()
	modules, err := e.CompileAll(t.Context(), origin(answers...), func() ([]Source, error) {
		var s []Source
		for _, n := range answers {
			s = append(s, answer(n))
		}
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after := e.Counts()
	mems := e.NewMemories(1 << 20)
	defer mems.Release()
	for i, m := range modules {
		inst, err := e.Instantiate(t.Context(), m, func(string) *Instance { return nil }, mems)
		if err != nil {
			t.Fatal(err)
		}
		stack := []uint64{0}
		if err := inst.Func("f").Call(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
		if stack[0] != uint64(answers[i]) {
			t.Errorf("module %d returned %d, want %d", i, stack[0], answers[i])
		}
		if err := errors.Join(inst.Close(t.Context()), m.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
	n := uint64(len(answers))
	switch {
	case after.Compiled == before.Compiled+n && after.Loaded == before.Loaded:
		return true
	case after.Compiled == before.Compiled && after.Loaded == before.Loaded+n:
		return false
	}
	t.Fatalf("counts before: %+v, after: %+v", before, after)
	return false
}

func startEngine(t testing.TB, c *Cache) *Engine {
	t.Helper()
	e := New(Config{Cache: c})
	if e.native == nil {
		t.Skip("there is no compiler for this platform")
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestEngineTakesCache fails if a version of wazero has no place for the cache.
func TestEngineTakesCache(t *testing.T) {
	e := New(Config{Cache: openCache(t, privateDir(t), 0)})
	defer e.Close(t.Context())
	if supported := runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"; supported && e.native == nil {
		t.Error("the cache can't be used with this version of wazero")
	}
	e = New(Config{Cache: openCache(t, privateDir(t), 0), Interpreter: true})
	defer e.Close(t.Context())
	if e.native != nil {
		t.Error("the interpreter has a cache")
	}
	compileAnswers(t, e, 3)
}

func TestSecondStartCompilesNothing(t *testing.T) {
	dir := privateDir(t)
	if !compileAnswers(t, startEngine(t, openCache(t, dir, 0)), 1, 2, 3) {
		t.Error("the first start compiled nothing")
	}
	// Another process has another cache and engine; a second of the same origin
	// in one engine meets the first in wazero's memory.
	c := openCache(t, dir, 0)
	e := startEngine(t, c)
	for range 3 {
		if compileAnswers(t, e, 1, 2, 3) {
			t.Error("a second start compiled")
		}
	}
	if !compileAnswers(t, e, 1, 2, 4) {
		t.Error("something else was not compiled")
	}
	if s := c.Stats(); s != (CacheStats{Hits: 3, Misses: 1, Written: 1}) {
		t.Errorf("stats: %+v", s)
	}
	other := origin(1, 2, 3)
	other.Options = "others"
	called := errors.New("called")
	if _, err := e.CompileAll(t.Context(), other, func() ([]Source, error) { return nil, called }); err != called {
		t.Errorf("with other options the code was taken: %v", err)
	}
}

// TestEqualShells has modules in use at once that differ in their code only.
func TestEqualShells(t *testing.T) {
	dir := privateDir(t)
	for range 2 {
		e := startEngine(t, openCache(t, dir, 0))
		compile := func(n byte) *Module {
			m, err := e.CompileAll(t.Context(), origin(n), func() ([]Source, error) { return []Source{answer(n)}, nil })
			if err != nil {
				t.Fatal(err)
			}
			return m[0]
		}
		compile(1)
		compileAnswers(t, e, 2)
		compile(3)
		compileAnswers(t, e, 1, 1)
	}
}

// entryFile returns the only entry of a cache.
func entryFile(t testing.TB, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, expected one entry (%v)", len(files), err)
	}
	return filepath.Join(dir, files[0].Name())
}

// TestDamagedEntries damages an entry in every way: it is compiled again, and
// what is left behind is good.
func TestDamagedEntries(t *testing.T) {
	dir := privateDir(t)
	compileAnswers(t, startEngine(t, openCache(t, dir, 0)), 7)
	file := entryFile(t, dir)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := openCache(t, dir, 0)
	e := startEngine(t, c)
	check := func(what string) {
		t.Helper()
		before := c.Stats().Damaged
		if !compileAnswers(t, e, 7) {
			t.Errorf("%s: loaded", what)
		}
		if c.Stats().Damaged != before+1 {
			t.Errorf("%s: not counted", what)
		}
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: not replaced by a file (%v)", what, err)
		}
		if compileAnswers(t, e, 7) {
			t.Errorf("%s: not replaced by a good entry", what)
		}
	}
	write := func(b []byte) {
		t.Helper()
		// Not in place: the engine may have the file open.
		if err := os.WriteFile(file+"x", b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+"x", file); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(good); i += 1 + i/50 {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		write(b)
		check("flipped bit")
		write(good[:i])
		check("truncated")
	}
	write(append(bytes.Clone(good), 0))
	check("extended")

	// The entry of another module under this name.
	other := privateDir(t)
	compileAnswers(t, startEngine(t, openCache(t, other, 0)), 8)
	foreign, err := os.ReadFile(entryFile(t, other))
	if err != nil {
		t.Fatal(err)
	}
	write(foreign)
	check("foreign")

	// Right sums, but contents that are none, and native code that wazero
	// refuses: another version's, cut off, and empty.
	key := cacheKey(foreign[entryPrefix:][:sha256.Size])
	copy(key[:], good[entryPrefix:])
	payload, err := readEntry(bytes.NewReader(good), int64(len(good)), key)
	if err != nil {
		t.Fatal(err)
	}
	modules, err := decodeCompiled(payload)
	if err != nil || len(modules) != 1 {
		t.Fatal(len(modules), err)
	}
	sealed := func(payload ...[]byte) {
		write(append(encodeHeader(key, entryInfo{}, payload), bytes.Join(payload, nil)...))
	}
	sealed([]byte("nonsense"))
	check("no modules")
	sealed()
	check("nothing")
	native := modules[0].native
	for name, b := range map[string][]byte{
		"cut off": native[:len(native)/2], "empty": {},
		"other version": bytes.Replace(native, []byte("WAZEVO"), []byte("WAZEVO\x01"), 1),
		"other magic":   bytes.Replace(native, []byte("WAZEVO"), []byte("OVEZAW"), 1),
	} {
		sealed(encodeCompiled([]compiled{{shell: modules[0].shell, native: b}})...)
		check(name)
	}

	if runtime.GOOS != "windows" {
		target := filepath.Join(t.TempDir(), "entry")
		if err := errors.Join(os.WriteFile(target, good, 0o600), os.Remove(file), os.Symlink(target, file)); err != nil {
			t.Fatal(err)
		}
		check("symlink")
		if _, err := os.Stat(target); err != nil {
			t.Error("what the link named was removed")
		}
	}
	if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "sub"), 0o700)); err != nil {
		t.Fatal(err)
	}
	check("directory")
}

func TestReadOnlyCache(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		// What root may write can't be taken from it: a closed cache is alike.
		c := openCache(t, privateDir(t), 0)
		e := startEngine(t, c)
		_ = c.Close()
		for range 2 {
			if !compileAnswers(t, e, 1) {
				t.Error("loaded from a closed cache")
			}
		}
		if s := c.Stats(); s.Unwritten == 0 || s.Damaged != 0 {
			t.Errorf("stats: %+v", s)
		}
		return
	}
	dir := privateDir(t)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	c := openCache(t, dir, 0)
	compileAnswers(t, startEngine(t, c), 1)
	if s := c.Stats(); s.Unwritten != 1 {
		t.Errorf("stats: %+v", s)
	}
}

func TestEviction(t *testing.T) {
	dir := privateDir(t)
	compileAnswers(t, startEngine(t, openCache(t, dir, 0)), 1)
	info, err := os.Stat(entryFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size()
	// Room for three.
	c := openCache(t, dir, 3*size+size/2)
	e := startEngine(t, c)
	past := time.Now().Add(-24 * time.Hour)
	age := func(key cacheKey, minutes int) {
		t.Helper()
		at := past.Add(time.Duration(minutes) * time.Minute)
		if err := os.Chtimes(filepath.Join(dir, key.fileName()), at, at); err != nil {
			t.Fatal(err)
		}
	}
	has := func(n byte) bool {
		_, err := os.Stat(filepath.Join(dir, e.native.key(origin(n)).fileName()))
		return err == nil
	}
	for n := range byte(3) {
		compileAnswers(t, e, n+1)
		age(e.native.key(origin(n+1)), int(n))
	}
	// Using the oldest makes it the youngest.
	if compileAnswers(t, e, 1) {
		t.Error("not loaded")
	}
	abandoned, fresh := filepath.Join(dir, temporary+"a"), filepath.Join(dir, temporary+"b")
	if err := errors.Join(os.WriteFile(abandoned, nil, 0o600), os.Chtimes(abandoned, past, past), os.WriteFile(fresh, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	compileAnswers(t, e, 4)
	if !has(1) || has(2) || !has(3) || !has(4) {
		t.Errorf("left: %v %v %v %v, expected all but the second", has(1), has(2), has(3), has(4))
	}
	if _, err := os.Stat(abandoned); err == nil {
		t.Error("a file that was left behind is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("a file that is being written was removed")
	}
	if s := c.Stats(); s.Evicted != 1 {
		t.Errorf("stats: %+v", s)
	}
	entries, err := c.Entries()
	if err != nil || len(entries) != 3 || entries[2].Source != (&entryInfo{digest: origin(3).Digest}).source() || !strings.Contains(entries[0].Build, runtime.GOARCH) {
		t.Errorf("entries: %+v, %v", entries, err)
	}
	// One that does not fit at all is not written.
	small := openCache(t, privateDir(t), size-1)
	compileAnswers(t, startEngine(t, small), 1)
	if s := small.Stats(); s.Unwritten != 1 || s.Written != 0 {
		t.Errorf("stats: %+v", s)
	}
	for _, p := range []struct {
		Pruning
		left int
	}{
		{Pruning{}, 3},
		{Pruning{OlderThan: time.Hour}, 2}, // the third was not used for a day
		{Pruning{Shrink: true, MaxBytes: size}, 1},
		{Pruning{All: true}, 0},
	} {
		if _, err := c.Prune(p.Pruning); err != nil {
			t.Fatal(err)
		}
		if entries, err := c.Entries(); err != nil || len(entries) != p.left {
			t.Errorf("%+v left %d entries, want %d (%v)", p.Pruning, len(entries), p.left, err)
		}
	}
}

// TestConcurrentUse has several processes, as far as the directory is concerned,
// compile the same and other files at once while entries are pruned.
func TestConcurrentUse(t *testing.T) {
	dir := privateDir(t)
	pruner := openCache(t, dir, 0)
	var wg sync.WaitGroup
	for range 3 {
		e := startEngine(t, openCache(t, dir, 0))
		for i := range 2 {
			wg.Go(func() {
				for n := range byte(8) {
					compileAnswersQuietly(t, e, n/2, byte(i))
				}
			})
		}
	}
	for range 20 {
		if _, err := pruner.Prune(Pruning{All: true}); err != nil {
			t.Error(err)
		}
		runtime.Gosched()
	}
	wg.Wait()
}

// compileAnswersQuietly is compileAnswers beside others that change the counts.
func compileAnswersQuietly(t *testing.T, e *Engine, answers ...byte) {
	modules, err := e.CompileAll(t.Context(), origin(answers...), func() ([]Source, error) {
		var s []Source
		for _, n := range answers {
			s = append(s, answer(n))
		}
		return s, nil
	})
	if err != nil {
		t.Error(err)
		return
	}
	mems := e.NewMemories(1 << 20)
	defer mems.Release()
	for i, m := range modules {
		inst, err := e.Instantiate(t.Context(), m, func(string) *Instance { return nil }, mems)
		if err != nil {
			t.Error(err)
			return
		}
		stack := []uint64{0}
		if err := inst.Func("f").Call(t.Context(), stack); err != nil || stack[0] != uint64(answers[i]) {
			t.Errorf("returned %d, want %d (%v)", stack[0], answers[i], err)
		}
		if err := errors.Join(inst.Close(t.Context()), m.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

func TestCompileAllErrors(t *testing.T) {
	e := startEngine(t, openCache(t, privateDir(t), 0))
	bad := answer(1)
	bad.Wasm = bad.Wasm[:len(bad.Wasm)-1]
	_, err := e.CompileAll(t.Context(), origin(1), func() ([]Source, error) { return []Source{answer(1), bad}, nil })
	var ce *CompileError
	if !errors.As(err, &ce) || ce.Index != 1 {
		t.Errorf("error %v, expected that of module 1", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.CompileAll(ctx, origin(2), func() ([]Source, error) { return []Source{answer(2)}, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected that of the context", err)
	}
	if !compileAnswers(t, e, 2) || compileAnswers(t, e, 2) {
		t.Error("what was cancelled can't be compiled later")
	}
}

func TestPrivateDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access rights are not checked")
	}
	for mode, ok := range map[os.FileMode]bool{0o700: true, 0o750: false, 0o701: false, 0o777: false} {
		dir := privateDir(t)
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		c, err := OpenCache(CacheConfig{Dir: dir})
		if ok != (err == nil) || !ok && !errors.Is(err, ErrCacheNotPrivate) {
			t.Errorf("mode %o: %v", mode, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	// The default is made with its parent, both private.
	home := privateDir(t)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	c, err := OpenCache(CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{c.Dir(), filepath.Dir(c.Dir())} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v (%v)", dir, info.Mode(), err)
		}
	}
	_ = c.Close()
	if err := os.Chmod(filepath.Dir(c.Dir()), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCache(CacheConfig{}); !errors.Is(err, ErrCacheNotPrivate) {
		t.Errorf("with an open parent: %v", err)
	}
}

// FuzzCacheEntry puts arbitrary bytes where an entry should be. Only what was
// sealed for the key is used, and then exactly that.
func FuzzCacheEntry(f *testing.F) {
	key := cacheKey(sha256.Sum256([]byte("key")))
	for _, modules := range [][]compiled{nil, {{shell: []byte("shell"), native: []byte("native")}}, {{}, {native: []byte{0}}}} {
		payload := encodeCompiled(modules)
		good := append(encodeHeader(key, entryInfo{build: "a build"}, payload), bytes.Join(payload, nil)...)
		f.Add(good)
		f.Add(good[:len(good)-1])
		f.Add(append(good, 0))
	}
	huge := encodeHeader(key, entryInfo{}, nil)
	binary.LittleEndian.PutUint64(huge[entryFixed-8:], 1<<60)
	f.Add(huge)
	f.Add([]byte(entryMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, err := readEntry(bytes.NewReader(b), int64(len(b)), key)
		if err == nil {
			h, err := readHeader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if again := append(encodeHeader(key, h.about, [][]byte{payload}), payload...); !bytes.Equal(again, b) {
				t.Errorf("accepted %x, which is not %x", b, again)
			}
		}
		// The reader of contents stands any bytes too.
		for _, c := range [][]byte{payload, b} {
			if modules, err := decodeCompiled(c); err == nil {
				if again := bytes.Join(encodeCompiled(modules), nil); !bytes.Equal(again, c) {
					t.Errorf("read %x as %x", c, again)
				}
			}
		}
	})
}
