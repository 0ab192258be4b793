package cli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/signature"
)

// trustProject is a folder to run in, with keys, without any trust policy, and with
// components in it. Keys are alice and bob.
func trustProject(t *testing.T) {
	t.Helper()
	dir := writeGuests(t)
	t.Chdir(dir)
	for name, value := range map[string]string{
		"XDG_CONFIG_HOME": filepath.Join(dir, "config"), "HOME": dir, "AppData": filepath.Join(dir, "config"), "ProgramData": filepath.Join(dir, "system"),
		trustVariable: "", keysVariable: filepath.Join(dir, "keys"), keyVariable: "", keyPasswordVariable: "",
		artifactCacheVariable: filepath.Join(dir, "artifacts"), cacheVariable: cacheOff, "DOCKER_CONFIG": dir,
	} {
		t.Setenv(name, value)
	}
	writeKeys(t, "alice", "bob")
}

// writeKeys writes keys to the folder keys. They are not encrypted, which takes time.
func writeKeys(t *testing.T, names ...string) {
	t.Helper()
	if err := os.Mkdir("keys", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		k, err := signature.Generate()
		if err != nil {
			t.Fatal(err)
		}
		private, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		for ending, b := range map[string][]byte{".key": private, ".pub": k.Public().PEM()} {
			if err := os.WriteFile(filepath.Join("keys", name+ending), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// writeTrust writes a policy that has one rule.
func writeTrust(t *testing.T, name, rule string) {
	t.Helper()
	text := "version: 1\ndefault: refuse\nrules:\n  - name: test\n    " + strings.ReplaceAll(rule, "\n", "\n    ") + "\n"
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func refusedBecause(t *testing.T, want string, args ...string) {
	t.Helper()
	out, errs := expect(t, exitTrust, args...)
	if !strings.Contains(errs, want) {
		t.Errorf("%q: %s\nexpected %q", args, errs, want)
	}
	if out != "" && args[0] != "trust" {
		t.Errorf("%q printed %q", args, out)
	}
}

const helloOutput = "Hello from a component!\n"

func TestTrust(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		t.Run(fmt.Sprintf("referrers %t", referrers), func(t *testing.T) {
			trustProject(t)
			reg := ocitest.Start(t, ocitest.Options{Referrers: referrers})
			name := reg.Host + "/acme/hello"
			writeTrust(t, "trust.yaml", "references: ['"+reg.Host+"/acme/**']\nkeys: [keys/alice.pub]")
			out, _ := expect(t, 0, "push", "hello.wasm", name+":1.0")
			pinned := strings.TrimSpace(out)
			expect(t, 0, "push", "exit.wasm", name+":evil")

			// Without a policy unsigned artifacts are accepted.
			if out, _ := expect(t, 0, "run", name+":1.0"); out != helloOutput {
				t.Errorf("run: %q", out)
			}
			t.Setenv(trustVariable, "trust.yaml")
			for _, ref := range []string{name + ":1.0", pinned} {
				refusedBecause(t, `rule 1 "test" (line 4)`, "run", ref)
			}
			refusedBecause(t, "expected 1 by keys/alice.pub", "pull", "-o", "pulled.wasm", name+":1.0")
			refusedBecause(t, "nothing is attached to it", "pull", "-o", "-", name+":1.0")
			refusedBecause(t, "refused", "serve", name+":1.0")
			refusedBecause(t, "refused", "invoke", name+":1.0", "f()")
			refusedBecause(t, "no rule matches it", "run", reg.Host+"/other/hello:1.0@"+strings.SplitAfter(pinned, "@")[1])
			if _, err := os.Lstat("pulled.wasm"); err == nil {
				t.Error("a refused artifact was written")
			}
			// Looking at it is allowed.
			expect(t, 0, "inspect", name+":1.0")

			expect(t, 0, "sign", "--key", "bob", name+":1.0")
			refusedBecause(t, "not counted: 1 that no key of the rule made", "run", name+":1.0")
			expect(t, 0, "sign", "--key", "alice", name+":1.0")
			if out, _ := expect(t, 0, "run", name+":1.0"); out != helloOutput {
				t.Errorf("run: %q", out)
			}
			expect(t, 0, "pull", "-o", "pulled.wasm", name+":1.0")
			out, _ = expect(t, 0, "trust", "check", name+":1.0")
			if !strings.Contains(out, "accepted by rule 1") || !strings.Contains(out, "keys/alice.pub") {
				t.Errorf("check: %s", out)
			}
			refusedBecause(t, "refused", "trust", "check", name+":evil")
			refusedBecause(t, "refused", "run", name+":evil")

			// All policies must accept.
			writeTrust(t, "both.yaml", "references: ['**']\nkeys: [keys/alice.pub, keys/bob.pub]\nsignatures: 2")
			expect(t, 0, "run", "--trust", "both.yaml", name+":1.0")
			writeTrust(t, "none.yaml", "references: ['**']\ndecision: refuse")
			refusedBecause(t, "none.yaml", "run", "--trust", "none.yaml", name+":1.0")
			writeTrust(t, "all.yaml", "references: ['**']\ndecision: accept")
			refusedBecause(t, "trust.yaml", "run", "--trust", "all.yaml", name+":evil")

			// What the cache has is evidence enough.
			reg.Close()
			if out, _ := expect(t, 0, "run", "--offline", name+":1.0"); out != helloOutput {
				t.Errorf("run --offline: %q", out)
			}
			refusedBecause(t, "refused", "run", "--offline", name+":evil")
			expect(t, 0, "cache", "prune", "--all")
			expect(t, exitFailure, "run", "--offline", pinned)

			// A policy that can't be read is none that accepts.
			for _, name := range []string{"missing.yaml", "hello.wasm", "keys"} {
				t.Setenv(trustVariable, name)
				expect(t, exitFailure, "run", pinned)
				expect(t, exitFailure, "run", "--offline", pinned)
			}
		})
	}
}

// The policy of the user applies, and is checked without being named.
func TestTrustOfUser(t *testing.T) {
	trustProject(t)
	config, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	reg := ocitest.Start(t, ocitest.Options{})
	expect(t, 0, "push", "hello.wasm", reg.Host+"/a/b:1")
	if out, _ := expect(t, 0, "trust", "check"); !strings.Contains(out, "there is no trust policy") {
		t.Errorf("check: %s", out)
	}
	user := filepath.Join(config, "ashlar", "trust.yaml")
	writeTrust(t, user, "references: ['"+reg.Host+"/**']\nkeys: [alice.pub]")
	_, errs := expect(t, exitFailure, "run", reg.Host+"/a/b:1")
	if !strings.Contains(errs, user+":5:12: key alice.pub: no such file") && !strings.Contains(errs, "key alice.pub: no such file") {
		t.Errorf("a key that is not there: %s", errs)
	}
	if err := os.Rename(filepath.Join("keys", "alice.pub"), filepath.Join(config, "ashlar", "alice.pub")); err != nil {
		t.Fatal(err)
	}
	refusedBecause(t, user, "run", reg.Host+"/a/b:1")
	if out, _ := expect(t, 0, "trust", "check"); strings.TrimSpace(out) != user {
		t.Errorf("check: %q, expected %s", out, user)
	}
	// Files are not asked about.
	expect(t, 0, "run", "hello.wasm")
}

// What was checked is what runs, whatever a tag means by then; and a registry that
// says nothing of signatures says nothing that counts.
func TestTrustOfLiars(t *testing.T) {
	trustProject(t)
	var moved, hide atomic.Bool
	reg := ocitest.Start(t, ocitest.Options{Referrers: true, Fault: func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/referrers/") && hide.Load():
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
			return true
		case strings.Contains(r.URL.Path, "/referrers/"):
			moved.Store(true)
		case moved.Load():
			r.URL.Path = strings.Replace(r.URL.Path, "/manifests/1.0", "/manifests/evil", 1)
		}
		return false
	}})
	name := reg.Host + "/acme/hello"
	expect(t, 0, "push", "hello.wasm", name+":1.0")
	expect(t, 0, "push", "exit.wasm", name+":evil")
	expect(t, 0, "sign", "--key", "alice", name+":1.0")
	writeTrust(t, "trust.yaml", "references: ['**']\nkeys: [keys/alice.pub]")
	t.Setenv(trustVariable, "trust.yaml")
	for _, cache := range []string{"off", "artifacts"} {
		t.Setenv(artifactCacheVariable, cache)
		moved.Store(false)
		if out, _ := expect(t, 0, "run", name+":1.0"); out != helloOutput || !moved.Load() {
			t.Errorf("run while the tag moves (%t): %q", moved.Load(), out)
		}
		moved.Store(false)
		expect(t, 0, "pull", "-o", "pulled.wasm", name+":1.0")
		if string(readFile(t, "pulled.wasm")) != string(readFile(t, "hello.wasm")) {
			t.Error("pull while the tag moves: another file")
		}
	}
	// Now the tag has moved for good.
	moved.Store(true)
	refusedBecause(t, "refused", "run", name+":1.0")
	moved.Store(false)
	hide.Store(true)
	refusedBecause(t, "nothing is attached to it", "run", "--artifact-cache", "off", name+":1.0")
}

func TestTrustOfLayouts(t *testing.T) {
	trustProject(t)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, "push", "hello.wasm", "oci:signed:1")
	expect(t, 0, "sign", "--key", "alice", "oci:signed:1")
	expect(t, 0, "push", "hello.wasm", "oci:unsigned:1")
	writeTrust(t, "keys.yaml", "references: ['oci:**']\nkeys: [keys/alice.pub]")
	writeTrust(t, "folder.yaml", "references: ['oci:"+filepath.ToSlash(dir)+"/un*']\ndecision: accept")
	expect(t, 0, "run", "--trust", "keys.yaml", "oci:signed:1")
	refusedBecause(t, "refused", "run", "--trust", "keys.yaml", "oci:unsigned:1")
	expect(t, 0, "run", "--trust", "folder.yaml", "oci:unsigned:1")
	refusedBecause(t, "no rule matches it", "run", "--trust", "folder.yaml", "oci:signed:1")
	// A link is what it leads to.
	if err := os.Symlink("signed", "unlike"); err != nil {
		t.Skip(err)
	}
	refusedBecause(t, "no rule matches it", "run", "--trust", "folder.yaml", "oci:unlike:1")
}

func TestTrustOfPackages(t *testing.T) {
	host := packageProject(t, map[string]string{
		"log/l.wit":   "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }",
		"wit/app.wit": "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; }",
		"ashlar.toml": "name = \"app\"\nworld = \"app\"\nwit = \"wit\"\nlanguage = \"rust\"\n[build]\ncommand = [\"no-such-command\"]\n",
	})
	t.Setenv(keysVariable, "keys")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	writeKeys(t, "alice")
	expect(t, 0, "pkg", "publish", "log")
	writeTrust(t, "trust.yaml", "packages: ['acme:*']\nkeys: [keys/alice.pub]")
	t.Setenv(trustVariable, "trust.yaml")
	for _, args := range [][]string{
		{"pkg", "get", "-o", "log.wasm", "acme:log"}, {"run", "acme:log"}, {"wit", "fetch"}, {"wit", "build", "-o", "app.wasm"},
		{"wit", "update"}, {"pkg", "update"}, {"pkg", "vendor"}, {"build", "-q"},
		{"wit", "add", "--import", "no-such", "acme:log"}, // nobody looks into it
	} {
		refusedBecause(t, "acme:log ("+host+"/acme/log@sha256:", args...)
	}
	for _, name := range []string{"log.wasm", "app.wasm", "wit/deps"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if lock := string(readFile(t, "ashlar.lock")); strings.Contains(lock, "acme:log") {
		t.Errorf("the lock has what was refused:\n%s", lock)
	}
	refusedBecause(t, "refused", "trust", "check", "acme:log")
	expect(t, 0, "pkg", "publish", "--sign", "alice", "log")
	expect(t, 0, "pkg", "get", "-o", "log.wasm", "acme:log")
	expect(t, 0, "wit", "fetch")
	expect(t, 0, "trust", "check", "acme:log@1.2")
	if lock := string(readFile(t, "ashlar.lock")); !strings.Contains(lock, `signer = "sha256:`) {
		t.Errorf("the lock has no signer:\n%s", lock)
	}
	// What is yanked is in the lock, but the policy does not accept it unless it says so.
	expect(t, 0, "pkg", "yank", "--key", "alice", "--reason", "loses text", "acme:log@1.2.0")
	refusedBecause(t, `acme:log@1.2.0 was yanked by keys/alice.pub`, "wit", "fetch")
	writeTrust(t, "trust.yaml", "packages: ['acme:*']\nkeys: [keys/alice.pub]\nyanked: accept")
	expect(t, 0, "wit", "fetch", "--locked")
	// A lock is no reason to trust.
	writeTrust(t, "trust.yaml", "packages: ['acme:*']\ndecision: refuse")
	refusedBecause(t, "refuses whatever matches", "wit", "fetch", "--locked")
}

// What was checked of a package is what is got, whatever its tag means by then.
func TestTrustOfMovingVersions(t *testing.T) {
	packageProject(t, map[string]string{
		"log/l.wit":   "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }",
		"evil/l.wit":  "package acme:log@1.2.0;\ninterface logger { log: func(text: string); steal: func(); }",
		"wit/app.wit": "package my:app@0.1.0;\nworld app { import acme:log/logger@1.2.0; }",
	})
	var moved atomic.Bool
	reg := ocitest.Start(t, ocitest.Options{Referrers: true, Fault: func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			moved.Store(true)
		} else if moved.Load() {
			r.URL.Path = strings.Replace(r.URL.Path, "/manifests/1.2.0", "/manifests/evil", 1)
		}
		return false
	}})
	t.Setenv(keysVariable, "keys")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv(artifactCacheVariable, cacheOff)
	if err := os.WriteFile("config.toml", []byte("default_registry = '"+reg.Host+"'\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, "key", "generate", "--no-password", "alice")
	expect(t, 0, "wit", "build", "-o", "evil.wasm", "evil")
	expect(t, 0, "push", "evil.wasm", reg.Host+"/acme/log:evil")
	expect(t, 0, "pkg", "publish", "--sign", "alice", "log")
	writeTrust(t, "trust.yaml", "packages: ['acme:*']\nkeys: [keys/alice.pub]")
	t.Setenv(trustVariable, "trust.yaml")

	moved.Store(false)
	expect(t, 0, "pkg", "get", "-o", "log.wasm", "acme:log@1.2.0")
	if out, _ := expect(t, 0, "inspect", "./log.wasm"); strings.Contains(out, "steal") || !moved.Load() {
		t.Errorf("pkg get while the tag moves (%t):\n%s", moved.Load(), out)
	}
	moved.Store(false)
	expect(t, 0, "wit", "fetch")
	err := filepath.WalkDir(filepath.Join("wit", "deps"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(string(readFile(t, path)), "steal") {
			t.Errorf("wit fetch while the tag moves: %s", path)
		}
		return err
	})
	if err != nil || !moved.Load() {
		t.Errorf("%v (%t)", err, moved.Load())
	}
	// Now the tag has moved for good.
	moved.Store(true)
	refusedBecause(t, "refused", "pkg", "get", "-o", "other.wasm", "acme:log@1.2.0")

	// What is signed as one version is not another.
	moved.Store(false)
	expect(t, 0, "copy", reg.Host+"/acme/log:1.2.0", reg.Host+"/acme/log:1.3.0")
	if _, errs := expect(t, exitFailure, "pkg", "get", "-o", "other.wasm", "acme:log@1.3.0"); !strings.Contains(errs, "acme:log@1.3.0: its content is package acme:log@1.2.0") {
		t.Errorf("an old version under a new tag: %s", errs)
	}
}
