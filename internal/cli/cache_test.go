package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// TestMain keeps the tests away from the user's own caches.
func TestMain(m *testing.M) {
	for _, v := range []string{cacheVariable, artifactCacheVariable} {
		if err := os.Setenv(v, cacheOff); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// cached lists a cache.
func cached(t *testing.T, dir string) []cacheEntry {
	t.Helper()
	code, stdout, stderr := ashlar("cache", "list", "-o", "json", "--cache-dir", dir)
	var list struct {
		Dir     string
		Entries []cacheEntry
	}
	if err := json.Unmarshal([]byte(stdout), &list); code != 0 || err != nil || list.Dir != dir {
		t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	return list.Entries
}

func TestCacheCommands(t *testing.T) {
	dir := writeGuests(t)
	hello, big := filepath.Join(dir, "hello.wasm"), filepath.Join(dir, "big.wasm")
	cache := filepath.Join(dir, "cache")
	run := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := ashlar(args...)
		if code != want {
			t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
		return stdout, stderr
	}
	run(0, "run", hello)
	if _, err := os.Stat(cache); !errors.Is(err, os.ErrNotExist) {
		t.Error("a cache was made though it is off")
	}
	run(0, "run", "--cache-dir", cache, hello)
	entries := cached(t, cache)
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("there is no compiler for this platform")
	}
	if len(entries) != 1 {
		t.Fatalf("%d entries after the first run", len(entries))
	}
	var r report
	stdout, _ := run(0, "inspect", "-o", "json", hello)
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || entries[0].Source != r.Digest {
		t.Errorf("source %s, the file is %s (%v)", entries[0].Source, r.Digest, err)
	}
	// The entry is used, which shows in its time.
	past := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(cache, entries[0].Key), past, past); err != nil {
		t.Fatal(err)
	}
	run(0, "invoke", "--cache-dir", cache, hello, "wasi:cli/run#run()")
	if entries = cached(t, cache); len(entries) != 1 || time.Since(entries[0].Used) > time.Hour {
		t.Errorf("entries %+v, expected one that was just used", entries)
	}
	// Damage is not noticed, but for the work of compiling.
	if err := os.WriteFile(filepath.Join(cache, entries[0].Key), []byte("\x1b[31mdamaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := run(0, "cache", "list", "--cache-dir", cache); !strings.Contains(out, "unreadable") || strings.Contains(out, "\x1b") {
		t.Errorf("a damaged entry is listed as\n%s", out)
	}
	if _, stderr := run(0, "run", "--cache-dir", cache, hello); stderr != "" {
		t.Errorf("a damaged entry leads to %s", stderr)
	}

	t.Setenv(cacheVariable, cache)
	run(0, "run", big)
	if out, _ := run(0, "cache", "list"); !strings.Contains(out, "2 entries, ") || !strings.Contains(out, cache) {
		t.Errorf("listed as\n%s", out)
	}
	if err := os.Chtimes(filepath.Join(cache, entries[0].Key), past, past); err != nil {
		t.Fatal(err)
	}
	if out, _ := run(0, "cache", "prune", "--older-than", "24h"); !strings.HasPrefix(out, "removed 1 entry, ") {
		t.Errorf("pruned: %s", out)
	}
	if entries := cached(t, cache); len(entries) != 1 {
		t.Errorf("%d entries left, expected one", len(entries))
	}
	run(0, "cache", "prune", "--max-size", "1B")
	if out, _ := run(0, "cache", "list"); out != "0 entries, 0 B in "+cache+"\n" {
		t.Errorf("listed as\n%s", out)
	}
	run(0, "cache", "prune", "--all")
	run(exitUsage, "cache", "prune")
	run(exitUsage, "cache", "list", "-o", "xml")
	run(exitUsage, "cache", "list", "--cache-dir", "off")
	run(exitUsage, "cache", "empty")
}

// TestCacheRefused has guests run without a cache where there can be none.
func TestCacheRefused(t *testing.T) {
	dir := writeGuests(t)
	hello := filepath.Join(dir, "hello.wasm")
	file := filepath.Join(dir, "file")
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(open, 0o700), os.Chmod(open, 0o755)); err != nil {
		t.Fatal(err)
	}
	bad := []string{file}
	if runtime.GOOS != "windows" {
		bad = append(bad, open)
	}
	for _, d := range bad {
		code, stdout, stderr := ashlar("run", "--cache-dir", d, hello)
		if code != 0 || !strings.HasPrefix(stdout, "Hello") || !strings.Contains(stderr, "compiled code is not kept: ") {
			t.Errorf("%s: exit code %d, %s%s", d, code, stdout, stderr)
		}
		if code, _, _ := ashlar("cache", "list", "--cache-dir", d); code != exitFailure {
			t.Errorf("%s: exit code %d of cache list", d, code)
		}
	}
	if _, err := component.OpenCache(component.CacheOptions{Dir: open}); runtime.GOOS != "windows" && !errors.Is(err, component.ErrCacheNotPrivate) {
		t.Errorf("error %v", err)
	}
}

// TestComplexFile refuses a function that would take too long to compile.
func TestComplexFile(t *testing.T) {
	m := &guests.CoreModule{}
	m.Define(&guests.Func{Name: "_start", Locals: 6000})
	file := filepath.Join(t.TempDir(), "complex.wasm")
	if err := os.WriteFile(file, m.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := ashlar("run", file)
	if code != exitInvalid || !strings.Contains(stderr, "locals in a function: found 6000 or more, no more than 5000 are allowed") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestFileLimit(t *testing.T) {
	hello := filepath.Join(writeGuests(t), "hello.wasm")
	info, err := os.Stat(hello)
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]int{info.Size(): 0, info.Size() - 1: exitInvalid} {
		size := byteSize(limit)
		code, _, stderr := ashlar("run", "--max-file", size.String(), hello)
		if code != want || want != 0 && !strings.Contains(stderr, size.String()+" are allowed") {
			t.Errorf("limit %d: exit code %d, want %d: %s", limit, code, want, stderr)
		}
	}
	if runtime.GOOS == "linux" {
		if code, _, stderr := ashlar("run", "--max-file", "1MiB", "/dev/zero"); code != exitInvalid || !strings.Contains(stderr, "1MiB are allowed") {
			t.Errorf("endless file: exit code %d, %s", code, stderr)
		}
	}
}
