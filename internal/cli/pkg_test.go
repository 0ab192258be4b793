package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/guests"

	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// packageProject is a folder to run in, with a configuration whose registries are a
// folder and an OCI registry. It returns the host of that.
func packageProject(t *testing.T, files map[string]string) (host string) {
	t.Helper()
	r := ocitest.Start(t, ocitest.Options{})
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"WKG_REGISTRY", "WKG_OCI_USERNAME", "WKG_OCI_PASSWORD", "ASHLAR_ARTIFACT_CACHE"} {
		t.Setenv(name, "")
	}
	t.Setenv("WKG_CONFIG_FILE", filepath.Join(dir, "config.toml"))
	t.Setenv("WKG_CACHE_DIR", filepath.Join(dir, "cache"))
	t.Setenv("DOCKER_CONFIG", dir)
	files["config.toml"] = `
default_registry = "` + r.Host + `"
[namespace_registries]
folder = "folder.example"
[registry."` + r.Host + `".oci]
auth = { username = "someone", password = "hush-hush" }
[registry."folder.example".local]
root = '` + filepath.Join(dir, "registry") + `'
`
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return r.Host
}

// runOK runs a command that has to succeed and returns what it prints.
func runOK(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if code := Run(t.Context(), args, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("ashlar %s: exit code %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

// runFails runs a command that has to fail and returns its error.
func runFails(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if code := Run(t.Context(), args, strings.NewReader(""), &out, &errs); code == 0 {
		t.Fatalf("ashlar %s succeeds\n%s", strings.Join(args, " "), out.String())
	}
	return errs.String()
}

func TestPackages(t *testing.T) {
	host := packageProject(t, map[string]string{
		"time/t.wit":   "package folder:time@0.1.0;\ninterface clock { type instant = u64; now: func() -> instant; }",
		"log/l.wit":    "package acme:log@1.2.0;\ninterface logger { use folder:time/clock@0.1.0.{instant}; log: func(at: instant, text: string); }",
		"wit/app.wit":  "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; import wasi:cli/stdout@0.2.0; export run: func(); }",
		"next/log.wit": "package acme:log@1.3.0;\ninterface logger {}",
	})
	for _, dir := range []string{"time", "log"} {
		runOK(t, "pkg", "publish", dir)
	}
	for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
		errs := runFails(t, "pkg", "publish", dry, "next")
		if !strings.Contains(errs, "acme:log@1.3.0 breaks 1.2.0") || !strings.Contains(errs, `interface logger: function "log" is gone`) {
			t.Errorf("a breaking version: %s", errs)
		}
	}
	runOK(t, "pkg", "publish", "--allow-breaking", "next")
	if errs := runFails(t, "wit", "publish", "log"); !strings.Contains(errs, "published already, with the same content") {
		t.Errorf("published again: %s", errs)
	}
	if got := runOK(t, "pkg", "list", "acme:log"); got != "1.3.0\n1.2.0\n" {
		t.Errorf("list: %s", got)
	}
	if got := runOK(t, "pkg", "list", "acme:log@~1.2", "-o", "json"); !strings.Contains(got, `"version": "1.2.0"`) || strings.Contains(got, "1.3.0") {
		t.Errorf("list of ~1.2: %s", got)
	}
	info := runOK(t, "pkg", "info", "acme:log@=1.2.0")
	if !strings.Contains(info, "location  "+host+"/acme/log:1.2.0\n") || !strings.Contains(info, "manifest  sha256:") {
		t.Errorf("info: %s", info)
	}
	runOK(t, "pkg", "get", "acme:log@1.2")
	if _, err := os.Stat("acme_log@1.3.0.wasm"); err != nil {
		t.Error(err)
	}
	if errs := runFails(t, "pkg", "get", "acme:log@1.2"); !strings.Contains(errs, "is there already") {
		t.Errorf("got again: %s", errs)
	}
	runOK(t, "pkg", "get", "-o", "time.wit", "folder:time")
	if b, err := os.ReadFile("time.wit"); err != nil || !strings.HasPrefix(string(b), "package folder:time@0.1.0;") {
		t.Errorf("time.wit: %s (%v)", b, err)
	}
	if errs := runFails(t, "pkg", "get", "acme:log@2"); !strings.Contains(errs, "no version of acme:log matches ^2; there are 1.3.0, 1.2.0") {
		t.Errorf("get of what is not there: %s", errs)
	}

	out := runOK(t, "wit", "fetch")
	for _, want := range []string{"acme:log@1.2.0 (" + host + ")", "folder:time@0.1.0 (folder.example)", "wasi:cli@0.2.0 (comes with ashlar)"} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("fetch prints %s, expected %s", out, want)
		}
	}
	tree := runOK(t, "pkg", "tree")
	if want := "wit\n  acme:log@1.2.0 (" + host + ")\n    folder:time@0.1.0 (folder.example)\n  wasi:cli@0.2.0 (comes with ashlar)\n"; !strings.Contains(tree, want) {
		t.Errorf("tree prints %s, expected %s", tree, want)
	}
	runOK(t, "wit", "fetch", "--locked", "--offline")
	built := runOK(t, "wit", "build", "--locked", "-o", "app.wasm")
	if err := os.RemoveAll("wit/deps"); err != nil {
		t.Fatal(err)
	}
	if again := runOK(t, "wit", "build", "--offline", "-o", "app.wasm"); again != built {
		t.Errorf("built %s, then %s", built, again)
	}
	if err := os.WriteFile("next/log.wit", []byte("package acme:log@1.4.0;\ninterface logger { more: func(); }"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := runOK(t, "pkg", "publish", "--dry-run", "next"); !strings.HasSuffix(got, "would be published to "+host+"/acme/log:1.4.0, compatible with 1.3.0\n") {
		t.Errorf("dry run: %s", got)
	}
	if got := runOK(t, "pkg", "publish", "--dry-run", "app.wasm"); !strings.Contains(got, "would be published to "+host+"/my/app:0.1.0") {
		t.Errorf("dry run: %s", got)
	}
	if errs := runFails(t, "pkg", "list", "my:app"); !strings.Contains(errs, "not found") {
		t.Errorf("after a dry run: %s", errs)
	}
	if err := os.WriteFile("wit/more.wit", []byte("world more { import acme:log/logger@1.3.0; }"), 0o666); err != nil {
		t.Fatal(err)
	}
	if errs := runFails(t, "wit", "fetch", "--locked"); !strings.Contains(errs, "acme:log@=1.3.0 is not locked") {
		t.Errorf("drift: %s", errs)
	}
	runOK(t, "wit", "update", "acme:log")
	if _, err := os.Stat("wit/deps/acme-log-1.3.0/package.wit"); err != nil {
		t.Error(err)
	}
	// The command still prints the WIT of a folder.
	if got := runOK(t, "wit", "./wit"); !strings.HasPrefix(got, "package my:app@0.1.0;") {
		t.Errorf("wit prints %s", got)
	}
}

// TestRunPackage uses components by the names of packages, from both kinds of registries.
func TestRunPackage(t *testing.T) {
	packageProject(t, map[string]string{"hello.wasm": string(guests.Hello())})
	for _, name := range []string{"acme:hello", "folder:hello"} {
		for _, version := range []string{"1.1.0", "1.2.0", "2.0.0"} {
			runOK(t, "pkg", "publish", "--package", name+"@"+version, "hello.wasm")
		}
		var out, errs strings.Builder
		if code := Run(t.Context(), []string{"run", name + "@1"}, strings.NewReader(""), &out, &errs); code != 0 || !strings.Contains(out.String(), "Hello") {
			t.Errorf("run: %d, %s%s", code, out.String(), errs.String())
		}
		if !strings.HasPrefix(errs.String(), name+"@1.2.0 sha256:") {
			t.Errorf("what was resolved: %s", errs.String())
		}
		if got := runOK(t, "inspect", name); !strings.Contains(got, "kind        component\n") {
			t.Errorf("inspect: %s", got)
		}
		if errs := runFails(t, "run", name+"@3"); !strings.Contains(errs, "2.0.0") {
			t.Errorf("no version: %s", errs)
		}
		if errs := runFails(t, "serve", name+"@2"); !strings.Contains(errs, "exports no wasi:http/incoming-handler") {
			t.Errorf("serve: %s", errs)
		}
	}
	runOK(t, "run", "--offline", "acme:hello@=1.2.0")
}

// TestArtifactOfPackage names artifacts by their packages.
func TestArtifactOfPackage(t *testing.T) {
	host := packageProject(t, map[string]string{"hello.wasm": string(guests.Hello())})
	t.Setenv("ASHLAR_KEYS", "keys")
	runOK(t, "key", "generate", "--no-password", "mine")
	for _, name := range []string{"acme:hello", "folder:hello"} {
		runOK(t, "pkg", "publish", "--package", name+"@1.2.0", "hello.wasm")
	}
	write(t, "trust.yaml", "version: 1\ndefault: refuse\nrules:\n  - packages: ['acme:*']\n    keys: [keys/mine.pub]\n")
	if errs := runFails(t, "pull", "--trust", "trust.yaml", "-o", "got.wasm", "acme:hello@1"); !strings.Contains(errs, "found none") {
		t.Errorf("pull of what is not signed: %s", errs)
	}
	ref := host + "/acme/hello:1.2.0@sha256:"
	if got := runOK(t, "sign", "--key", "mine", "acme:hello@1"); !strings.HasPrefix(got, ref) {
		t.Errorf("sign: %s", got)
	}
	if got := runOK(t, "verify", "--key", "mine", "acme:hello@1"); !strings.Contains(got, "signed with ") {
		t.Errorf("verify: %s", got)
	}
	// The policy is for packages, and so would refuse the reference.
	if got := runOK(t, "pull", "--trust", "trust.yaml", "-o", "got.wasm", "acme:hello@1"); !strings.HasPrefix(got, ref) || !bytes.Equal(readFile(t, "got.wasm"), guests.Hello()) {
		t.Errorf("pull: %s", got)
	}
	if errs := runFails(t, "pull", "--max-file", "10B", "-o", "small.wasm", "acme:hello@1"); !strings.Contains(errs, "more than the 10 that are allowed") {
		t.Errorf("pull of what is too large: %s", errs)
	}
	if got := runOK(t, "copy", "acme:hello@1", "oci:copied:1"); !strings.HasPrefix(got, "oci:copied:1@sha256:") {
		t.Errorf("copy: %s", got)
	}
	runOK(t, "verify", "--key", "mine", "oci:copied:1")
	if got := runOK(t, "sbom", "acme:hello"); !strings.Contains(got, `"CycloneDX"`) {
		t.Errorf("sbom: %s", got)
	}
	for _, args := range [][]string{{"verify", "--key", "mine", "folder:hello"}, {"pull", "folder:hello"}} {
		if errs := runFails(t, args...); !strings.Contains(errs, "ashlar pkg get") {
			t.Errorf("%s: %s", args, errs)
		}
	}
	for _, args := range [][]string{{"push", "hello.wasm", "acme:hello@1.3.0"}, {"tags", "acme:hello"}} {
		if errs := runFails(t, args...); !strings.Contains(errs, "ashlar pkg") {
			t.Errorf("%s: %s", args, errs)
		}
	}
}

func TestWitFolder(t *testing.T) {
	packageProject(t, map[string]string{"a/a.wit": "package acme:a@0.1.0;\ninterface i { f: func(); }"})
	folder, err := filepath.Abs("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"a", "./a/", folder} {
		if got := runOK(t, "wit", "build", "-o", "a.wasm", dir); !strings.HasPrefix(got, "a.wasm sha256:") {
			t.Errorf("%s: %s", dir, got)
		}
	}
	for _, dir := range []string{"nowhere", filepath.Join(folder, "nowhere")} {
		if errs := runFails(t, "wit", "build", dir); !strings.Contains(errs, dir) {
			t.Errorf("%s: %s", dir, errs)
		}
	}
}

func TestPackageConfig(t *testing.T) {
	host := packageProject(t, map[string]string{})
	all := runOK(t, "pkg", "config")
	if !strings.Contains(all, "namespace folder is in folder.example") || !strings.Contains(all, "registry  "+host+": oci\n") || strings.Contains(all, "hush") {
		t.Errorf("config prints %s", all)
	}
	if got := runOK(t, "pkg", "config", "a:b"); !strings.Contains(got, "location  "+host+"/\n") {
		t.Errorf("config of a:b prints %s", got)
	}
	if errs := runFails(t, "pkg", "list", "a:b"); strings.Contains(errs, "hush") {
		t.Errorf("error: %s", errs)
	}
	if err := os.WriteFile("config.toml", []byte("registry.a.oci.auth = 'hush-hush\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if errs := runFails(t, "pkg", "config"); strings.Contains(errs, "hush") || !strings.Contains(errs, "line 1") {
		t.Errorf("error: %s", errs)
	}
}

// TestYankPackage yanks versions in both kinds of registries.
func TestYankPackage(t *testing.T) {
	packageProject(t, map[string]string{"hello.wasm": string(guests.Hello())})
	t.Setenv("ASHLAR_KEYS", "keys")
	runOK(t, "key", "generate", "--no-password", "mine")
	for _, name := range []string{"acme:hello", "folder:hello"} {
		for _, version := range []string{"1.1.0", "1.2.0"} {
			runOK(t, "pkg", "publish", "--package", name+"@"+version, "hello.wasm")
		}
		if got := runOK(t, "pkg", "yank", "--reason", "says the wrong thing", name+"@1.2.0"); !strings.HasPrefix(got, name+"@1.2.0 in ") || !strings.HasSuffix(got, " is yanked\n") {
			t.Errorf("yank prints %s", got)
		}
		if got := runOK(t, "pkg", "list", name); got != "1.2.0 yanked\n1.1.0\n" {
			t.Errorf("list prints %s", got)
		}
		if got := runOK(t, "pkg", "info", name); !strings.Contains(got, "version   1.1.0\n") {
			t.Errorf("info prints %s", got)
		}
		if errs := runFails(t, "run", name+"@=1.2.0"); !strings.Contains(errs, "but one that is yanked (says the wrong thing); there are 1.1.0") {
			t.Errorf("run: %s", errs)
		}
		runOK(t, "pkg", "yank", "--undo", name+"@1.2.0")
		if got := runOK(t, "pkg", "list", name); got != "1.2.0\n1.1.0\n" {
			t.Errorf("list prints %s", got)
		}
		if errs := runFails(t, "pkg", "yank", name+"@1.3.0"); !strings.Contains(errs, "not found") {
			t.Errorf("yank of nothing: %s", errs)
		}
		for _, wrong := range []string{name, name + "@1.2", name + "@^1.2.0", "hello@1.0.0"} {
			runFails(t, "pkg", "yank", wrong)
		}
	}
}

// TestListMany lists more versions than it asks anything of.
func TestListMany(t *testing.T) {
	packageProject(t, map[string]string{})
	dir := filepath.Join("registry", "folder", "many")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range maxMarked + 1 {
		write(t, filepath.Join(dir, fmt.Sprintf("1.%d.0.wasm", i)), "")
	}
	write(t, filepath.Join(dir, "1.0.0.yanked"), "damaged")
	var out, errs strings.Builder
	if code := Run(t.Context(), []string{"pkg", "list", "folder:many"}, strings.NewReader(""), &out, &errs); code != 0 || strings.Count(out.String(), "\n") != maxMarked+1 || !strings.Contains(errs.String(), "51 versions") {
		t.Errorf("list: %d, %s%s", code, out.String(), errs.String())
	}
	if errs := runFails(t, "pkg", "list", "--yanked", "folder:many"); !strings.Contains(errs, "1.0.0.yanked") {
		t.Errorf("list of a damaged record: %s", errs)
	}
}

// TestYankTrusted has those say what is yanked whom a trust policy names.
func TestYankTrusted(t *testing.T) {
	host := packageProject(t, map[string]string{"hello.wasm": string(guests.Hello())})
	t.Setenv("ASHLAR_KEYS", "keys")
	for _, key := range []string{"mine", "other"} {
		runOK(t, "key", "generate", "--no-password", key)
	}
	write(t, "trust.yaml", "version: 1\ndefault: refuse\nrules:\n  - packages: ['acme:*']\n    keys: [keys/mine.pub]\n")
	for _, version := range []string{"1.1.0", "1.2.0"} {
		runOK(t, "pkg", "publish", "--package", "acme:hello@"+version, "hello.wasm")
		runOK(t, "sign", "--key", "mine", host+"/acme/hello:"+version)
	}
	get := func(want string, args ...string) {
		t.Helper()
		if got := runOK(t, append([]string{"pkg", "get", "-o", "got.wasm", "acme:hello"}, args...)...); !strings.HasPrefix(got, "acme:hello@"+want+" ") {
			t.Errorf("%s: got %s, expected %s", args, got, want)
		}
	}
	runOK(t, "pkg", "yank", "--key", "other", "acme:hello@1.2.0")
	get("1.1.0")
	get("1.2.0", "--trust", "trust.yaml")
	runOK(t, "pkg", "yank", "--key", "mine", "acme:hello@1.2.0")
	runOK(t, "pkg", "yank", "--key", "other", "--undo", "acme:hello@1.2.0")
	get("1.2.0")
	get("1.1.0", "--trust", "trust.yaml")
}

// TestRegistryFolder uses a folder that no configuration has.
func TestRegistryFolder(t *testing.T) {
	packageProject(t, map[string]string{
		"time/t.wit":    "package some:time@0.1.0;\ninterface clock { type instant = u64; }",
		"wit/app.wit":   "package my:app@0.1.0;\nworld app { import some:time/clock@0.1.0; }",
		"mine/x/readme": "",
	})
	for _, registry := range []string{"./mine", "mine"} {
		if registry == "./mine" {
			runOK(t, "pkg", "publish", "--registry", registry, "time")
		}
		if got := runOK(t, "pkg", "list", "--registry", registry, "some:time"); got != "0.1.0\n" {
			t.Errorf("list: %s", got)
		}
		if got := runOK(t, "wit", "fetch", "--registry", registry); !strings.Contains(got, "some:time@0.1.0 (./mine)\n") {
			t.Errorf("fetch: %s", got)
		}
		runOK(t, "wit", "fetch", "--locked", "--registry", registry)
	}
	if _, err := os.Stat("mine/some/time/0.1.0.wasm"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile("config.toml", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if errs := runFails(t, "pkg", "list", "some:time"); !strings.Contains(errs, "no registry is known for some:time") || !strings.Contains(errs, "ashlar pkg config set some REGISTRY") {
		t.Errorf("no registry: %s", errs)
	}
}

// TestPackageOffline reaches for nothing, not even for what a registry says of itself.
func TestPackageOffline(t *testing.T) {
	packageProject(t, map[string]string{"wit/app.wit": "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; }"})
	var asked atomic.Int32
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer registry.Close()
	write(t, "config.toml", "default_registry = '"+strings.TrimPrefix(registry.URL, "http://")+"'\n")
	for _, args := range [][]string{
		{"pkg", "get", "acme:log"}, {"pkg", "get", "acme:log@=1.2.0"}, {"pkg", "list", "acme:log"}, {"pkg", "info", "acme:log"}, {"run", "--offline", "acme:log@=1.2.0"},
		{"wit", "fetch"}, {"wit", "update"}, {"wit", "add", "acme:log@=1.2.0"}, {"wit", "build"}, {"wit", "publish"}, {"pkg", "update"}, {"pkg", "vendor"},
	} {
		runFails(t, append(args, "--offline")...)
		if n := asked.Swap(0); n > 0 {
			t.Errorf("%s asks %d times", args, n)
		}
	}
	runFails(t, "pkg", "list", "acme:log")
	if asked.Load() == 0 {
		t.Error("nothing is asked for at all")
	}
}
