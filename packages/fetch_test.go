package packages

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// publishWIT publishes packages from text to a local registry. Each may use those
// before it.
func publishWIT(t *testing.T, l Local, texts ...string) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		r, err := wit.ParseText("p.wit", text, wit.Options{AllFeatures: true, Lookup: func(name wit.PackageName) (fs.FS, string) {
			if folder := folderName(name); existsIn(dir, folder) {
				return os.DirFS(dir), folder
			}
			return wasiwit.Lookup(name)
		}})
		if err != nil {
			t.Fatal(err)
		}
		b, err := wit.Encode(r.Main)
		if err != nil {
			t.Fatal(err)
		}
		name := r.Main.Name
		folder := filepath.Join(dir, folderName(name))
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "p.wit"), []byte(texts[i]), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Publish(context.Background(), Ref{name.Namespace, name.Name}, mustVersion(t, name.Version), b); err != nil {
			t.Fatal(err)
		}
	}
}

func existsIn(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// project is a folder with a registry of its own.
type project struct {
	t        *testing.T
	dir      string
	registry Local
	client   *Client
}

func newProject(t *testing.T, files map[string]string) *project {
	t.Helper()
	p := &project{t: t, dir: t.TempDir(), registry: Local(t.TempDir())}
	for name, text := range files {
		p.write(name, text)
	}
	c, err := NewClient(ClientOptions{Config: mustConfig(t, "default_registry = 'r'\nregistry.r.local.root = '"+string(p.registry)+"'")})
	if err != nil {
		t.Fatal(err)
	}
	p.client = c
	return p
}

func (p *project) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(name)))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// options has the locks that there are.
func (p *project) options(locked bool) FetchOptions {
	p.t.Helper()
	manifest, err := ReadManifest(filepath.Join(p.dir, ManifestFile))
	if err != nil {
		p.t.Fatal(err)
	}
	wkg, err := ReadWkgLock(filepath.Join(p.dir, WkgLockFile))
	if err != nil {
		p.t.Fatal(err)
	}
	lock, err := ReadLock(filepath.Join(p.dir, LockFile))
	if err != nil {
		p.t.Fatal(err)
	}
	return FetchOptions{Project: p.dir, Dir: "wit", Manifest: manifest, Builtin: wasiwit.Lookup, Resolver: &Resolver{Client: p.client, Lock: lock, Wkg: wkg, Locked: locked}}
}

func (p *project) fetch(locked bool) (*Fetched, error) {
	p.t.Helper()
	o := p.options(locked)
	f, err := Fetch(context.Background(), o)
	if err == nil && locked {
		err = f.CheckLocks(o.Resolver)
	}
	return f, err
}

func (p *project) mustFetch() {
	p.t.Helper()
	f, err := p.fetch(false)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := f.Write(p.dir, true); err != nil {
		p.t.Fatal(err)
	}
}

const (
	timeWIT = "package acme:time@0.1.0;\ninterface clock { type instant = u64; now: func() -> instant; }"
	logWIT  = "package acme:log@1.2.0;\ninterface logger { use acme:time/clock@0.1.0.{instant}; use wasi:io/poll@0.2.3.{pollable}; log: func(at: instant, p: borrow<pollable>, text: string); }"
	mainWIT = "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; import local:dep/i; export run: func(); }"
)

func TestFetch(t *testing.T) {
	p := newProject(t, map[string]string{
		"wit/app.wit":     mainWIT,
		"local/wit/a.wit": "package local:dep;\ninterface i { use acme:time/clock@0.1.0.{instant}; f: func() -> instant; }",
		"wkg.toml":        "[overrides]\n\"local:dep\" = { path = \"local/wit\" }\n",
	})
	publishWIT(t, p.registry, timeWIT, logWIT)
	p.mustFetch()
	for name, want := range map[string]string{
		"wit/deps/acme-log-1.2.0/package.wit":  "package acme:log@1.2.0;",
		"wit/deps/acme-time-0.1.0/package.wit": "package acme:time@0.1.0;",
		"wit/deps/wasi-io-0.2.3/package.wit":   "package wasi:io@0.2.3;",
		"wit/deps/local-dep/a.wit":             "package local:dep;",
	} {
		if !strings.HasPrefix(p.read(name), want) {
			t.Errorf("%s is %.60q", name, p.read(name))
		}
	}
	// Everything is there for who knows nothing of registries.
	if _, err := wit.ParsePath(filepath.Join(p.dir, "wit"), wit.Options{}); err != nil {
		t.Error(err)
	}
	wkg, err := ParseWkgLock([]byte(p.read(WkgLockFile)))
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, k := range wkg.Packages {
		for _, v := range k.Versions {
			entries = append(entries, k.Name.String()+" "+k.Registry+" "+v.Requirement.String()+" "+v.Version.String())
		}
	}
	if got, want := strings.Join(entries, "; "), "acme:log r =1.2.0 1.2.0; acme:time r =0.1.0 0.1.0"; got != want {
		t.Errorf("wkg.lock has %s, expected %s", got, want)
	}
	lock, err := ParseLock([]byte(p.read(LockFile)))
	if err != nil {
		t.Fatal(err)
	}
	var edges []string
	for _, k := range lock.Packages {
		for _, d := range k.Dependencies {
			edges = append(edges, k.Name.String()+" -> "+d.Name.String())
		}
	}
	if got, want := strings.Join(edges, "; "), "acme:log@1.2.0 -> acme:time@0.1.0; acme:log@1.2.0 -> wasi:io@0.2.3; local:dep -> acme:time@0.1.0"; got != want {
		t.Errorf("ashlar.lock has %s, expected %s", got, want)
	}

	// Fetching again changes nothing, and a hand-made package stays.
	before := p.read(LockFile) + p.read(WkgLockFile)
	p.mustFetch()
	if _, err := p.fetch(true); err != nil || p.read(LockFile)+p.read(WkgLockFile) != before {
		t.Errorf("fetched again: %v", err)
	}
	p.write("wit/deps/mine/x.wit", "package x:mine@1.0.0;\ninterface i {}")

	// A newer version is not taken while the lock has one.
	publishWIT(t, p.registry, strings.Replace(timeWIT, "0.1.0", "0.2.0", 1))
	p.mustFetch()
	if p.read(LockFile)+p.read(WkgLockFile) != before {
		t.Error("the lock changed")
	}
	// Nor is anything that is not locked.
	p.write("wit/app.wit", mainWIT+"\ninterface more { use acme:time/clock@0.2.0.{instant}; }")
	var drift *DriftError
	if _, err := p.fetch(true); !errors.As(err, &drift) || !strings.Contains(err.Error(), "acme:time@=0.2.0 is not locked") {
		t.Errorf("locked: %v", err)
	}
	p.mustFetch()
	p.read("wit/deps/acme-time-0.2.0/package.wit")
	p.read("wit/deps/acme-time-0.1.0/package.wit")

	// What is no longer needed is drift, then gone.
	p.write("wit/app.wit", "package my:app@0.1.0;\nworld app { import acme:time/clock@0.2.0; }")
	if _, err := p.fetch(true); !errors.As(err, &drift) || !strings.Contains(err.Error(), "no longer") {
		t.Errorf("locked: %v", err)
	}
	p.mustFetch()
	for _, gone := range []string{"acme-log-1.2.0", "acme-time-0.1.0", "wasi-io-0.2.3", "local-dep"} {
		if _, err := os.Stat(filepath.Join(p.dir, "wit", "deps", gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	p.read("wit/deps/mine/x.wit")

	// What was changed in the registry is refused.
	if err := os.WriteFile(p.registry.file(mustRef(t, "acme:time"), mustVersion(t, "0.2.0")), []byte("\x00asm"), 0o666); err != nil {
		t.Fatal(err)
	}
	var digest *DigestError
	if _, err := p.fetch(false); !errors.As(err, &digest) {
		t.Errorf("changed content: %v", err)
	}
}

// A package that nobody has is taken from what others have of it.
func TestFetchEmbedded(t *testing.T) {
	p := newProject(t, map[string]string{"wit/app.wit": "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; }"})
	publishWIT(t, p.registry, timeWIT, logWIT)
	if err := os.RemoveAll(filepath.Join(string(p.registry), "acme", "time")); err != nil {
		t.Fatal(err)
	}
	p.mustFetch()
	if _, err := wit.ParsePath(filepath.Join(p.dir, "wit"), wit.Options{}); err != nil {
		t.Error(err)
	}
	if _, err := p.fetch(true); err != nil {
		t.Error(err)
	}
}

// Two packages have different parts of one that nobody has, and of what that needs.
func TestFetchEmbeddedParts(t *testing.T) {
	const (
		base  = "package acme:base@0.1.0;\ninterface t { type small = u8; type large = u64; }"
		time  = "package acme:time@0.1.0;\ninterface clock { use acme:base/t@0.1.0.{small, large}; type instant = large; type tick = small; resource timer { stop: func(); start: func(); } now: func() -> instant; }\ninterface zone { use clock.{instant}; type at = instant; }"
		one   = "package acme:one@1.0.0;\ninterface i { use acme:time/clock@0.1.0.{instant}; f: func() -> instant; }"
		two   = "package acme:two@1.0.0;\ninterface i { use acme:time/clock@0.1.0.{tick, timer}; use acme:time/zone@0.1.0.{at}; f: func(t: borrow<timer>, a: at) -> tick; }"
		three = "package acme:three@1.0.0;\ninterface i { use acme:time/clock@0.1.0.{tick}; f: func() -> tick; }"
		zed   = "package acme:zed@1.0.0;\ninterface i { use acme:time/clock@0.1.0.{tick}; f: func() -> tick; }"
		app   = "package my:app@0.1.0;\nworld app { import acme:one/i@1.0.0; import acme:two/i@1.0.0; import acme:zed/i@1.0.0; }"
	)
	remove := func(p *project, name string) {
		if err := os.RemoveAll(filepath.Join(string(p.registry), "acme", name)); err != nil {
			t.Fatal(err)
		}
	}
	p := newProject(t, map[string]string{"wit/app.wit": app})
	publishWIT(t, p.registry, base, time, one, two, zed)
	remove(p, "time")
	remove(p, "base")
	p.mustFetch()
	r, err := wit.ParsePath(filepath.Join(p.dir, "wit"), wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	merged := r.Package(wit.PackageName{Namespace: "acme", Name: "time", Version: "0.1.0"})
	for _, name := range []string{"instant", "tick", "timer"} {
		if merged.Interface("clock").Type(name) == nil {
			t.Errorf("there is no %s in %s", name, wit.Print(merged))
		}
	}
	if _, err := p.fetch(true); err != nil {
		t.Error(err)
	}
	if !strings.Contains(p.read(LockFile), "name = \"acme:base\"\nversion = \"0.1.0\"\nembedded = true") {
		t.Errorf("the lock is %s", p.read(LockFile))
	}

	// The third was made with another package of that name.
	p.write("wit/app.wit", strings.Replace(app, "}", "import acme:three/i@1.0.0; }", 1))
	publishWIT(t, p.registry, strings.Replace(base, "small = u8", "small = u16", 1), time, three)
	remove(p, "time")
	remove(p, "base")
	var mixed *MixedError
	if _, err := p.fetch(false); !errors.As(err, &mixed) || !strings.Contains(err.Error(), "made with different packages acme:") || !strings.Contains(err.Error(), "u16") {
		t.Errorf("mixed: %v", err)
	}
	// So it is if the registry has the package after all.
	publishWIT(t, p.registry, base, time)
	if _, err := p.fetch(false); !errors.As(err, &mixed) || !strings.Contains(err.Error(), "acme:three@1.0.0 was made with another acme:time@0.1.0 than its registry has") {
		t.Errorf("mixed with a registry's: %v", err)
	}
}

// What no lock can say is not fetched: the lock could not be read again.
func TestFetchBackslash(t *testing.T) {
	if filepath.Separator == '\\' {
		t.Skip("no name has one")
	}
	p := newProject(t, map[string]string{
		"wit/app.wit": "package my:app@0.1.0;\nworld app { import acme:time/clock@0.1.0; }",
		"a\\b/t.wit":  timeWIT,
		"wkg.toml":    "[overrides]\n\"acme:time\" = { path = 'a\\b' }\n",
	})
	if _, err := p.fetch(false); err == nil || !strings.Contains(err.Error(), "no clean relative path") {
		t.Errorf("fetched: %v", err)
	}
}

// What somebody made at the place of a package is not overwritten.
func TestFetchInTheWay(t *testing.T) {
	p := newProject(t, map[string]string{
		"wit/app.wit":                        "package my:app@0.1.0;\nworld app { import acme:time/clock@0.1.0; }",
		"wit/deps/acme-time-0.1.0/notes.wit": "package x:notes;",
	})
	publishWIT(t, p.registry, timeWIT)
	if _, err := p.fetch(false); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("fetched over it: %v", err)
	}
}

// What somebody put into deps counts for all packages.
func TestFetchOwn(t *testing.T) {
	p := newProject(t, map[string]string{
		"wit/app.wit":         "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; import wasi:io/poll@0.2.3; }",
		"wit/deps/mine/t.wit": timeWIT,
		"wit/deps/io.wit":     "package wasi:io@0.2.3;\ninterface poll { resource pollable; }",
	})
	publishWIT(t, p.registry, timeWIT, logWIT)
	p.mustFetch()
	for _, name := range []string{"acme-time-0.1.0", "wasi-io-0.2.3"} {
		if existsIn(filepath.Join(p.dir, "wit", "deps"), name) {
			t.Errorf("%s was fetched", name)
		}
	}
	if _, err := p.fetch(true); err != nil {
		t.Error(err)
	}
}

func TestFetchErrors(t *testing.T) {
	for text, want := range map[string]string{
		"package my:app;\nworld w { import acme:time/clock; }":            "refers to acme:time, and what was found is acme:time@0.1.0",
		"package my:app;\nworld w { import acme:time/clock@9.0.0; }":      "no version of acme:time matches =9.0.0; there are 0.1.0",
		"package my:app;\nworld w { import acme:none/clock@9.0.0; }":      "acme:none: not found",
		"package my:app;\nworld w { import acme:time/other@0.1.0; }":      "other",
		"package my:app;\nworld w { import }":                             "app.wit:2",
		"package my:app;\nworld w { import local:missing/x; }":            "missing",
		"package my:app;\nworld w { import acme:component/clock@1.0.0; }": "acme:component@1.0.0",
	} {
		p := newProject(t, map[string]string{"wit/app.wit": text, "wkg.toml": "[overrides]\n\"local:missing\" = { path = \"missing\" }"})
		publishWIT(t, p.registry, timeWIT)
		if _, err := p.registry.Publish(context.Background(), mustRef(t, "acme:component"), mustVersion(t, "1.0.0"), []byte("\x00asm\x0d\x00\x01\x00")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.fetch(false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

func TestResolve(t *testing.T) {
	p := newProject(t, nil)
	ctx, ref := context.Background(), mustRef(t, "a:b")
	for _, v := range []string{"1.0.0", "1.0.0+x", "1.1.0", "1.2.0", "2.0.0-rc.1", "1.1.1+x"} {
		if _, err := p.registry.Publish(ctx, ref, mustVersion(t, v), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	p.write("x", "")
	if err := os.WriteFile(filepath.Join(string(p.registry), "a", "b", "1.2.0.yanked"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	req := func(s string) Requirement {
		r, err := ParseRequirement(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for requirement, want := range map[string]string{"*": "1.1.1+x", "1.0": "1.1.1+x", "=1.0.0": "1.0.0", "=1.0": "1.0.0+x", "=1.1.1": "1.1.1+x", "2.0.0-rc": "2.0.0-rc.1"} {
		r, err := (&Resolver{Client: p.client}).Resolve(ctx, ref, req(requirement))
		if err != nil || r.Version.String() != want || r.Locked {
			t.Errorf("%s is %s (%v)", requirement, r.Version, err)
		}
		if b, err := r.Content(ctx); err != nil || string(b) != want {
			t.Errorf("%s has %q (%v)", requirement, b, err)
		}
	}
	var none *NoMatchError
	if _, err := (&Resolver{Client: p.client}).Resolve(ctx, ref, req("=1.2.0")); !errors.As(err, &none) || none.Yanked != 1 {
		t.Errorf("a yanked version: %v", err)
	}
	// A lock has it, though.
	wkg := &WkgLock{}
	wkg.Add(ref, "r", WkgVersion{req("^1"), mustVersion(t, "1.2.0"), DigestOf([]byte("1.2.0"))})
	for _, requirement := range []string{"^1", ">=1.1", "=1.2.0"} {
		r, err := (&Resolver{Client: p.client, Wkg: wkg, Locked: true}).Resolve(ctx, ref, req(requirement))
		if err != nil || r.Version.String() != "1.2.0" || !r.Locked {
			t.Errorf("%s is locked to %s (%v)", requirement, r.Version, err)
		}
	}
	lock := &Lock{Packages: []LockedPackage{{Name: wit.PackageName{Namespace: "a", Name: "b", Version: "1.0.0"}, Registry: "r", Digest: DigestOf([]byte("1.0.0"))}}}
	if r, err := (&Resolver{Client: p.client, Wkg: wkg, Lock: lock}).Resolve(ctx, ref, req("^1")); err != nil || r.Version.String() != "1.0.0" {
		t.Errorf("ashlar.lock: %s (%v)", r.Version, err)
	}
	var drift *DriftError
	if _, err := (&Resolver{Client: p.client, Wkg: wkg, Locked: true}).Resolve(ctx, ref, req("=1.0.0")); !errors.As(err, &drift) {
		t.Errorf("locked: %v", err)
	}
}
