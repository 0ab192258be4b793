package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func logPackage(version, more string) string {
	return "package acme:log@" + version + ";\ninterface logger { use folder:time/clock@0.1.0.{instant}; log: func(at: instant, text: string); " + more + " }"
}

// outdatedProject has published three versions of acme:log, and uses the first.
func outdatedProject(t *testing.T) {
	packageProject(t, map[string]string{
		"time/t.wit":  "package folder:time@0.1.0;\ninterface clock { type instant = u64; }",
		"wit/app.wit": "package my:app@0.1.0;\n// acme:log/logger@1.2.0 is nice\nworld app { import acme:log/logger@1.2.0; export i: interface { use acme:log/logger@1.2.0.{instant}; } }",
	})
	runOK(t, "pkg", "publish", "time")
	if err := os.Mkdir("log", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"1.2.0", "1.2.1", "1.3.0", "2.0.0"} {
		more := ""
		if v > "1.2" {
			more = "more: func();"
		}
		write(t, "log/log.wit", logPackage(v, more))
		runOK(t, "pkg", "publish", "log")
	}
	for _, dir := range []string{"log", "time", "ashlar.lock", "wkg.lock"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	runOK(t, "wit", "fetch")
}

func TestOutdated(t *testing.T) {
	outdatedProject(t)
	t.Setenv("ASHLAR_KEYS", "keys")
	runOK(t, "key", "generate", "--no-password", "mine")
	if got, want := runOK(t, "pkg", "outdated"), "acme:log 1.2.0, compatible 1.3.0, latest 2.0.0\n"; got != want {
		t.Errorf("outdated prints %s, expected %s", got, want)
	}
	if got, want := runOK(t, "pkg", "why", "folder:time"), "wit -> acme:log@1.2.0 -> folder:time@0.1.0\n"; got != want {
		t.Errorf("why prints %s, expected %s", got, want)
	}
	if errs := runFails(t, "pkg", "why", "folder:time@2"); !strings.Contains(errs, "nothing in ashlar.lock depends on folder:time@^2") {
		t.Errorf("why: %s", errs)
	}
	for _, args := range [][]string{{"outdated"}, {"tree"}, {"why", "acme:log"}, {"update", "--dry-run"}} {
		var v []map[string]any
		if err := json.Unmarshal([]byte(runOK(t, append([]string{"pkg", "-o", "json"}, args...)...)), &v); err != nil || len(v) == 0 {
			t.Errorf("%s: %v (%v)", args, v, err)
		}
	}
	before := string(read(t, "wit/app.wit"))
	if got, want := runOK(t, "pkg", "update", "--dry-run"), "wit: acme:log 1.2.0 -> 1.3.0\n"; got != want || string(read(t, "wit/app.wit")) != before {
		t.Errorf("dry run prints %s, expected %s", got, want)
	}
	if got := runOK(t, "pkg", "update", "folder:time"); got != "" {
		t.Errorf("update of another prints %s", got)
	}
	runOK(t, "pkg", "yank", "acme:log@1.3.0")
	if got, want := runOK(t, "pkg", "update"), "wit: acme:log 1.2.0 -> 1.2.1\n"; got != want {
		t.Errorf("update prints %s, expected %s", got, want)
	}
	if got, want := string(read(t, "wit/app.wit")), strings.ReplaceAll(before, "1.2.0", "1.2.1"); got != want {
		t.Errorf("the text is %s, expected %s", got, want)
	}
	read(t, "wit/deps/acme-log-1.2.1/package.wit")
	if _, err := os.Stat("wit/deps/acme-log-1.2.0"); err == nil {
		t.Error("the version before is still there")
	}
	runOK(t, "pkg", "yank", "acme:log@1.2.1")
	if got, want := runOK(t, "pkg", "outdated"), "acme:log 1.2.1 (yanked), compatible 1.2.1, latest 2.0.0\n"; got != want {
		t.Errorf("outdated prints %s, expected %s", got, want)
	}
	runOK(t, "wit", "fetch", "--locked")
}

// TestVendor builds without a registry, a cache and a configuration.
func TestVendor(t *testing.T) {
	outdatedProject(t)
	if got := runOK(t, "pkg", "vendor"); !strings.Contains(got, "acme:log@1.2.0 sha256:") || !strings.Contains(got, "folder:time@0.1.0 sha256:") {
		t.Errorf("vendor prints %s", got)
	}
	if got := runOK(t, "pkg", "vendor"); got != "" {
		t.Errorf("vendor again prints %s", got)
	}
	built := runOK(t, "wit", "build", "-o", "app.wasm")
	locks := string(read(t, "ashlar.lock")) + string(read(t, "wkg.lock"))
	for _, gone := range []string{"wit/deps", "cache", "registry"} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
	config := string(read(t, "config.toml"))
	write(t, "config.toml", "")
	if got := runOK(t, "wit", "build", "--offline", "--locked", "-o", "app.wasm"); got != built {
		t.Errorf("built %s, expected %s", got, built)
	}
	if string(read(t, "ashlar.lock"))+string(read(t, "wkg.lock")) != locks {
		t.Error("the locks changed")
	}
	// The folder is a registry, for others too.
	if got := runOK(t, "pkg", "list", "--registry", "wasm-vendor", "acme:log"); got != "1.2.0\n" {
		t.Errorf("list prints %s", got)
	}
	if got := runOK(t, "pkg", "list", "--config", "wasm-vendor/config.toml", "folder:time"); got != "0.1.0\n" {
		t.Errorf("list prints %s", got)
	}
	// What is not as the lock says is refused, not replaced.
	file := "wasm-vendor/acme/log/1.2.0.wasm"
	content := read(t, file)
	write(t, file, "something else")
	if errs := runFails(t, "wit", "build", "--offline", "-o", "app.wasm"); !strings.Contains(errs, "acme:log@1.2.0 has the digest") {
		t.Errorf("changed: %s", errs)
	}
	write(t, "config.toml", config)
	if errs := runFails(t, "wit", "fetch"); !strings.Contains(errs, "acme:log@1.2.0 has the digest") {
		t.Errorf("changed: %s", errs)
	}
	write(t, file, string(content))
	// What is no longer needed goes.
	write(t, "wit/app.wit", "package my:app@0.1.0;\nworld app { import acme:log/logger@1.3.0; }")
	if err := os.MkdirAll("registry/folder/time", 0o777); err != nil {
		t.Fatal(err)
	}
	runOK(t, "pkg", "vendor")
	if _, err := os.Stat(file); err == nil {
		t.Errorf("%s is still there", file)
	}
	read(t, "wasm-vendor/acme/log/1.3.0.wasm")
}
