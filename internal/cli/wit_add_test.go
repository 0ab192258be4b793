package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/packages"
)

// TestLockedWritesNoLock has one of the locks only.
func TestLockedWritesNoLock(t *testing.T) {
	packageProject(t, map[string]string{
		"log/log.wit":  "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }",
		"main/app.wit": "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; }",
	})
	runOK(t, "pkg", "publish", "log")
	for _, gone := range []string{"ashlar.lock", "wkg.lock"} {
		runOK(t, "wit", "fetch", "main")
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		runOK(t, "wit", "fetch", "--locked", "main")
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is written", gone)
		}
		read(t, "main/deps/acme-log-1.2.0/package.wit")
		runOK(t, "wit", "fetch", "main")
		if lock := string(read(t, gone)); !strings.Contains(lock, "acme:log") {
			t.Errorf("%s is\n%s", gone, lock)
		}
	}
}

// TestWitUndone has something in the way of what is fetched: the text is as it was.
func TestWitUndone(t *testing.T) {
	const app = "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; }\n"
	packageProject(t, map[string]string{
		"log/log.wit":   "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }",
		"next/log.wit":  "package acme:log@1.3.0;\ninterface logger { log: func(text: string); }",
		"time/time.wit": "package acme:time@0.1.0;\ninterface clock { now: func() -> u64; }",
		"wit/app.wit":   app,
	})
	for _, dir := range []string{"log", "next", "time"} {
		runOK(t, "pkg", "publish", dir)
	}
	runOK(t, "wit", "fetch")
	locks := string(read(t, "ashlar.lock")) + string(read(t, "wkg.lock"))
	for _, dir := range []string{"wit/deps/acme-log-1.3.0", "wit/deps/acme-time-0.1.0"} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, dir+"/notes.wit", "package my:notes;")
	}
	for _, args := range [][]string{{"wit", "add", "acme:time"}, {"pkg", "update"}} {
		if errs := runFails(t, args...); !strings.Contains(errs, "is there already and has something else") {
			t.Errorf("%s: %s", args, errs)
		}
		if got := string(read(t, "wit/app.wit")); got != app {
			t.Errorf("%s leaves %s", args, got)
		}
	}
	if string(read(t, "ashlar.lock"))+string(read(t, "wkg.lock")) != locks {
		t.Error("the locks changed")
	}
}

// TestWitMisnamed has a package under another name than its own: nobody could use it.
func TestWitMisnamed(t *testing.T) {
	const app = "package my:app@0.1.0;\nworld app { }\n"
	packageProject(t, map[string]string{
		"time/t.wit":   "package folder:time@0.1.0;\ninterface clock { now: func() -> u64; }",
		"main/app.wit": app,
	})
	for _, name := range []string{"folder:other@0.1.0", "folder:time@0.2.0"} {
		if errs := runFails(t, "pkg", "publish", "--package", name, "time"); !strings.Contains(errs, "it is the WIT package folder:time@0.1.0") {
			t.Errorf("%s: %s", name, errs)
		}
	}
	runOK(t, "pkg", "publish", "--package", "folder:time@0.1.0", "time")
	if err := os.Rename("registry/folder/time", "registry/folder/other"); err != nil {
		t.Fatal(err)
	}
	if errs := runFails(t, "wit", "add", "-d", "main", "folder:other"); !strings.Contains(errs, "folder:other@0.1.0: its content is package folder:time@0.1.0") {
		t.Errorf("add: %s", errs)
	}
	if got := string(read(t, "main/app.wit")); got != app {
		t.Errorf("the text is %s", got)
	}
}

func TestWitAdd(t *testing.T) {
	packageProject(t, map[string]string{
		"log/log.wit":     "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }",
		"two/two.wit":     "package acme:two@0.1.0;\ninterface a { f: func(); }\ninterface b { f: func(); }\nworld both { import a; import b; }",
		"near/wit/n.wit":  "package acme:near;\ninterface n { f: func(); }",
		"wit/app.wit":     "package my:app@0.1.0;\n\n/// the app\nworld app {\n    export run: func();\n}\n",
		"wkg.toml":        "# mine\n[metadata]\ndescription = \"d\" # d\n",
		"other/readme.md": "",
	})
	for _, dir := range []string{"log", "two"} {
		runOK(t, "pkg", "publish", dir)
	}
	for _, lock := range []string{"ashlar.lock", "wkg.lock"} {
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
	}
	if got := runOK(t, "wit", "add", "acme:log@1"); got != "wit: import acme:log/logger@1.2.0;\n" {
		t.Errorf("add prints %s", got)
	}
	read(t, "wit/deps/acme-log-1.2.0/package.wit")
	before := string(read(t, "wit/app.wit"))
	for _, test := range []struct{ args, want string }{
		{"acme:two", "its interfaces: a, b; its worlds: both"},
		{"acme:two --import c", "has no interface c; it has: a, b"},
		{"acme:two --include c", "has no world c; it has: both"},
		{"acme:two@2 --import a", "no version of acme:two matches ^2; there are 0.1.0"},
		{"acme:two --import a --world w", "no world w; there are app"},
		{"acme:none", "not found"},
		{"wasi:http@0.3 --import types", "ashlar has 0.2.0 to"},
		{"acme:near --path other", "there is no WIT"},
		{"acme:far --path near/wit", "has package acme:near"},
	} {
		if errs := runFails(t, append([]string{"wit", "add"}, strings.Fields(test.args)...)...); !strings.Contains(errs, test.want) {
			t.Errorf("%s: %s, expected %s", test.args, errs, test.want)
		}
	}
	if got := string(read(t, "wit/app.wit")); got != before || strings.Contains(string(read(t, "wkg.toml")), "overrides") {
		t.Errorf("what failed left %s, %s", got, read(t, "wkg.toml"))
	}
	runOK(t, "wit", "add", "--import", "a", "--export", "b", "acme:two")
	runOK(t, "wit", "add", "--include", "imports", "wasi:cli@=0.2.3")
	runOK(t, "wit", "add", "--path", "near/wit", "acme:near")
	want := "package my:app@0.1.0;\n\n/// the app\nworld app {\n    include wasi:cli/imports@0.2.3;\n    export run: func();\n    import acme:log/logger@1.2.0;\n"
	if got := string(read(t, "wit/app.wit")); !strings.Contains(got, "\n    import acme:near/n;\n") || !strings.Contains(got, "\n    export acme:two/b@0.1.0;\n") {
		t.Errorf("the text is %s, expected like %s", got, want)
	}
	if got := string(read(t, "wkg.toml")); got != "# mine\n[metadata]\ndescription = \"d\" # d\n\n[overrides]\n\"acme:near\" = { path = \"near/wit\" }\n" {
		t.Errorf("wkg.toml is %s", got)
	}
	runOK(t, "wit", "fetch", "--locked")

	for _, name := range []string{"acme:near", "acme:two", "wasi:cli"} {
		runOK(t, "wit", "remove", name)
	}
	if got := string(read(t, "wit/app.wit")); got != before {
		t.Errorf("the text is %s, expected %s", got, before)
	}
	if got := string(read(t, "wkg.toml")); strings.Contains(got, "near") {
		t.Errorf("wkg.toml is %s", got)
	}
	entries, err := os.ReadDir("wit/deps")
	if err != nil || len(entries) != 1 {
		t.Errorf("deps has %v (%v)", entries, err)
	}
	if errs := runFails(t, "wit", "remove", "acme:two"); !strings.Contains(errs, "wit does not use acme:two") {
		t.Errorf("removed again: %s", errs)
	}
	write(t, "wit/more.wit", "interface i {\n  use acme:two/a@0.1.0.{x};\n}")
	if errs := runFails(t, "wit", "remove", "acme:two"); !strings.Contains(errs, "more.wit:2: uses types of acme:two") {
		t.Errorf("in use: %s", errs)
	}
}

func TestPackageConfigSet(t *testing.T) {
	packageProject(t, map[string]string{"mine/x": ""})
	runOK(t, "pkg", "config", "set", "acme", "ghcr.io")
	runOK(t, "pkg", "config", "set", "mine", "mine")
	got := runOK(t, "pkg", "config")
	folder, err := filepath.Abs("mine")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"namespace acme is in ghcr.io\n", "namespace folder is in folder.example\n", "namespace mine is in mine.local\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("config is %s, expected %s", got, want)
		}
	}
	if got := runOK(t, "pkg", "config", "mine:x"); !strings.Contains(got, "location  "+folder+"\n") {
		t.Errorf("config of mine:x is %s", got)
	}
	if !strings.Contains(string(read(t, "config.toml")), "hush-hush") {
		t.Error("the secrets are gone")
	}
	for _, args := range [][]string{{"acme", "https://ghcr.io"}, {"Acme", "x"}, {"acme:Log", "x"}} {
		runFails(t, append([]string{"pkg", "config", "set"}, args...)...)
	}
}

// TestBuildFetches builds projects whose WIT uses what is in a registry. The toolchain
// is a command that only looks whether it is there.
func TestBuildFetches(t *testing.T) {
	packageProject(t, map[string]string{
		"log/log.wit":     "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }",
		"app/wit/app.wit": "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; import wasi:io/poll@0.2.0; }",
		"app/ashlar.toml": "name = \"app\"\nversion = \"0.1.0\"\nworld = \"app\"\nwit = \"wit\"\nlanguage = \"rust\"\n[build]\ncommand = [\"no-such-command\"]\n",
	})
	build := func(args ...string) string {
		t.Helper()
		return runFails(t, append([]string{"build", "-q", "-C", "app"}, args...)...)
	}
	if errs := build(); !strings.Contains(errs, "acme:log@1.2.0 is not in "+filepath.Join("app", "wit", "deps")+": ") || !strings.Contains(errs, "not found") {
		t.Errorf("nothing to fetch: %s", errs)
	}
	runOK(t, "pkg", "publish", "log")
	if errs := build("--locked"); !strings.Contains(errs, "acme:log@=1.2.0 is not locked") {
		t.Errorf("locked: %s", errs)
	}
	if errs := build(); !strings.HasPrefix(errs, "fetched acme:log@1.2.0 (") || !strings.Contains(errs, "no-such-command") {
		t.Errorf("fetched: %s", errs)
	}
	read(t, "app/ashlar.lock")
	// Then nothing is asked for.
	for _, args := range [][]string{{"--offline", "--artifact-cache", "off"}, {"--locked"}, {}} {
		if errs := build(args...); strings.Contains(errs, "acme:log") || !strings.Contains(errs, "no-such-command") {
			t.Errorf("%s: %s", args, errs)
		}
	}
	// Without ashlar.lock it is wkg.lock that counts, and without both what is in deps is
	// there by hand.
	lock := read(t, "app/ashlar.lock")
	if err := os.Remove("app/ashlar.lock"); err != nil {
		t.Fatal(err)
	}
	if errs := build("--locked"); !strings.Contains(errs, "no-such-command") {
		t.Errorf("with wkg.lock: %s", errs)
	}
	wkg := read(t, "app/wkg.lock")
	if err := os.Remove("app/wkg.lock"); err != nil {
		t.Fatal(err)
	}
	if errs := build("--locked"); !strings.Contains(errs, "no-such-command") {
		t.Errorf("without locks: %s", errs)
	}
	write(t, "app/ashlar.lock", string(lock))
	write(t, "app/wkg.lock", string(wkg))
	if err := os.RemoveAll("app/wit/deps"); err != nil {
		t.Fatal(err)
	}
	if errs := build("--offline", "--locked"); !strings.HasPrefix(errs, "fetched acme:log@1.2.0 (") || !strings.Contains(errs, "no-such-command") {
		t.Errorf("offline: %s", errs)
	}
	write(t, "app/wit/app.wit", "package my:app@0.1.0;\nworld app { import wasi:io/poll@0.2.0; }")
	if errs := build("--locked"); !strings.Contains(errs, "wit does not refer to acme:log@1.2.0 any more") {
		t.Errorf("drift: %s", errs)
	}

	// A member of a workspace has the locks of that.
	write(t, "app/wit/app.wit", "package my:app@0.1.0;\nworld app { import my:api/i@0.1.0; }")
	if err := os.MkdirAll("api/wit", 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, "api/wit/api.wit", "package my:api@0.1.0;\ninterface i { f: func(); }")
	write(t, packages.ManifestFile, "[workspace]\nmembers = [\"*/wit\"]\n")
	if err := os.Remove("app/ashlar.lock"); err != nil {
		t.Fatal(err)
	}
	if errs := build(); !strings.HasPrefix(errs, "fetched my:api@0.1.0 (api/wit)") {
		t.Errorf("fetched: %s", errs)
	}
	if _, err := os.Stat("app/ashlar.lock"); err == nil {
		t.Error("the member has a lock")
	}
	read(t, "ashlar.lock")
}
