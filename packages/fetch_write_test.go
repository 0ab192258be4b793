package packages

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWriteFails has a file in the way: neither locks nor deps have what was fetched, since
// what only deps had would count as written by hand.
func TestWriteFails(t *testing.T) {
	p := newProject(t, map[string]string{"wit/app.wit": "package my:app;\nworld app { import acme:log/logger@1.2.0; }"})
	publishWIT(t, p.registry, timeWIT, logWIT)
	f, err := p.fetch(false)
	if err != nil {
		t.Fatal(err)
	}
	p.write("wit/deps/wasi-io-0.2.3/package.wit/in/the/way", "")
	if err := f.Write(p.dir, true); err == nil {
		t.Fatal("a folder was replaced with a file")
	}
	for _, name := range []string{LockFile, WkgLockFile, "wit/deps/acme-log-1.2.0", "wit/deps/acme-time-0.1.0"} {
		if existsIn(p.dir, name) {
			t.Errorf("%s is there", name)
		}
	}
	if err := os.RemoveAll(filepath.Join(p.dir, "wit/deps/wasi-io-0.2.3")); err != nil {
		t.Fatal(err)
	}
	p.mustFetch()
	locks := p.read(LockFile) + p.read(WkgLockFile)
	p.write("wit/app.wit", "package my:app;\nworld app { import acme:time/clock@0.1.0; import wasi:io/poll@0.2.5; }")
	if f, err = p.fetch(false); err != nil {
		t.Fatal(err)
	}
	p.write("wit/deps/wasi-io-0.2.5/package.wit/in/the/way", "")
	if err := f.Write(p.dir, true); err == nil {
		t.Fatal("a folder was replaced with a file")
	}
	if p.read(LockFile)+p.read(WkgLockFile) != locks {
		t.Error("the locks have what could not be written")
	}
}

// TestWriteInterrupted ends between locks and deps.
func TestWriteInterrupted(t *testing.T) {
	p := newProject(t, map[string]string{"wit/app.wit": "package my:app;\nworld app { import acme:log/logger@1.2.0; }"})
	publishWIT(t, p.registry, timeWIT, logWIT)
	f, err := p.fetch(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.writeLocks(p.dir); err != nil {
		t.Fatal(err)
	}
	lock := p.read(LockFile)
	p.mustFetch()
	if p.read(LockFile) != lock {
		t.Error("the lock is another one")
	}
	p.read("wit/deps/acme-log-1.2.0/package.wit")
}

// TestWriteLinks has somebody work on a dependency: the link goes, and what it leads to
// stays.
func TestWriteLinks(t *testing.T) {
	p := newProject(t, map[string]string{
		"wit/app.wit":   "package my:app;\nworld app { import acme:time/clock@0.1.0; }",
		"mine/own.wit":  timeWIT,
		"mine/more.wit": "package acme:time@0.1.0;",
	})
	publishWIT(t, p.registry, timeWIT)
	p.mustFetch()
	folder := filepath.Join(p.dir, "wit/deps/acme-time-0.1.0")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(p.dir, "mine"), folder); err != nil {
		t.Skip(err)
	}
	p.mustFetch()
	p.read("mine/own.wit")
	p.read("mine/more.wit")
	if existsIn(p.dir, "mine/package.wit") {
		t.Error("what was fetched went through the link")
	}
	p.read("wit/deps/acme-time-0.1.0/package.wit")
}
