package attest

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/toolchain"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/signature"
)

// goProgram is a core module as the Go linker makes them, as far as attestations look
// at it: with a producers section and, in its data, the list of modules.
func goProgram(t testing.TB) []byte {
	t.Helper()
	module, err := metadata.SetSection([]byte("\x00asm\x01\x00\x00\x00"), "producers", wasm.EncodeProducers([]wasm.Producer{
		{Field: "language", Name: "Go", Version: "go1.26.1"},
		{Field: "processed-by", Name: "Go cmd/compile", Version: "go1.26.1"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	text := "path\tx.example/app\nmod\tx.example/app\t(devel)\t\n" +
		"dep\tx.example/Lib\tv1.2.3+incompatible\th1:" + goSum + "\n" +
		"dep\tx.example/old\tv1.0.0\n=>\tx.example/new/v2\tv2.1.0\th1:" + goSum + "\n" +
		"dep\tx.example/here\tv0.0.0\n=>\t../here\t(devel)\t\nbuild\tGOOS=wasip1\n"
	// runtime/debug reads what is between 16 bytes at each end.
	module, err = metadata.SetSection(module, "data", append(append(append([]byte("..."), modInfoStart...), text...), append(modInfoEnd, "..."...)...))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// The digest of the empty text, as go.sum has it and in hexadecimal.
const (
	goSum    = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestPURL(t *testing.T) {
	// The first ones are examples of the specification.
	for _, c := range []struct{ got, want string }{
		{purl("npm", "@angular", "animation", "12.3.1"), "pkg:npm/%40angular/animation@12.3.1"},
		{purl("pypi", "", "django", "1.11.1"), "pkg:pypi/django@1.11.1"},
		{purl("cargo", "", "rand", "0.7.2"), "pkg:cargo/rand@0.7.2"},
		{purl("generic", "", "bitwarderl", "", "vcs_url", "git+https://git.fsfe.org/dxr/bitwarderl@cc55108da32"), "pkg:generic/bitwarderl?vcs_url=git%2Bhttps://git.fsfe.org/dxr/bitwarderl%40cc55108da32"},
		{goPURL("google.golang.org/genproto", "abcdedf"), "pkg:golang/google.golang.org/genproto@abcdedf"},
		{goPURL("github.com/BurntSushi/toml", "v1.2.3+incompatible"), "pkg:golang/github.com/burntsushi/toml@v1.2.3%2Bincompatible"},
		{purl("generic", "", "a b", "1~2"), "pkg:generic/a%20b@1~2"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, expected %s", c.got, c.want)
		}
	}
}

// RFC 9562, appendix A.4.
func TestUUID5(t *testing.T) {
	dns := uuidURLs
	dns[3] = 0x10
	if got := uuid5(dns, "www.example.com"); got != "2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("got %s", got)
	}
}

// listed is what a bill of materials says of each entry.
func listed(b *BOM) []string {
	var all []string
	for _, c := range b.Components {
		s := c.Ref + " " + c.Scope
		for _, h := range c.Hashes {
			s += " " + h.Algorithm + ":" + h.Content[:8]
		}
		for _, r := range c.ExternalReferences {
			s += " " + r.URL + "=" + r.Hashes[0].Content[:8]
		}
		all = append(all, strings.TrimSpace(s))
	}
	return all
}

func edges(b *BOM) map[string][]string {
	m := map[string][]string{}
	for _, e := range b.Dependencies {
		m[e.Ref] = e.DependsOn
	}
	return m
}

func TestBOM(t *testing.T) {
	const sha512 = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e" // of the empty text
	for _, c := range []struct {
		name, language string
		content        []byte
		files          map[string]string
		want           []string
		edges          map[string][]string
	}{{
		name: "go", language: "go", content: goProgram(t), files: map[string]string{"go.mod": "module x.example/app\nrequire x.example/unused v1.0.0\n"},
		want: []string{
			"language:Go@go1.26.1 excluded",
			"pkg:golang/std@1.26.1",
			"pkg:golang/x.example/here",
			"pkg:golang/x.example/lib@v1.2.3%2Bincompatible  SHA-256:e3b0c442",
			"pkg:golang/x.example/new/v2@v2.1.0  SHA-256:e3b0c442",
			"processed-by:Go cmd/compile@go1.26.1 excluded",
		},
		edges: map[string][]string{rootRef: {"pkg:golang/std@1.26.1", "pkg:golang/x.example/here", "pkg:golang/x.example/lib@v1.2.3%2Bincompatible", "pkg:golang/x.example/new/v2@v2.1.0"}},
	}, {
		name: "tinygo", language: "tinygo", content: guests.Hello(),
		files: map[string]string{
			"go.mod": "module x.example/app\nrequire (\n\tx.example/lib v1.0.0\n\tx.example/old v1.0.0 // indirect\n)\nreplace x.example/old => ../old\n",
			"go.sum": "x.example/lib v1.0.0 h1:" + goSum + "\nx.example/lib v1.0.0/go.mod h1:" + goSum + "\n",
		},
		want:  []string{"pkg:golang/x.example/lib@v1.0.0  SHA-256:e3b0c442", "pkg:golang/x.example/old"},
		edges: map[string][]string{rootRef: {"pkg:golang/x.example/lib@v1.0.0", "pkg:golang/x.example/old"}},
	}, {
		name: "rust", language: "rust", content: guests.Hello(),
		files: map[string]string{"Cargo.lock": `
version = 4
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["a", "b 2.0.0"]
[[package]]
name = "a"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "` + emptySum + `"
dependencies = ["b 1.0.0"]
[[package]]
name = "b"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "b"
version = "2.0.0"
source = "git+https://user:secret@git.example/b?rev=1#abc"
dependencies = ["a"]
[[package]]
name = "c"
version = "1.0.0"
source = "registry+https://crates.example/index"
`},
		want: []string{
			"pkg:cargo/a@1.0.0  SHA-256:e3b0c442", "pkg:cargo/b@1.0.0",
			"pkg:cargo/b@2.0.0?vcs_url=git%2Bhttps://git.example/b%3Frev%3D1%23abc",
			"pkg:cargo/c@1.0.0?repository_url=https://crates.example/index",
		},
		edges: map[string][]string{
			rootRef:             {"pkg:cargo/a@1.0.0", "pkg:cargo/b@2.0.0?vcs_url=git%2Bhttps://git.example/b%3Frev%3D1%23abc", "pkg:cargo/c@1.0.0?repository_url=https://crates.example/index"},
			"pkg:cargo/a@1.0.0": {"pkg:cargo/b@1.0.0"},
			"pkg:cargo/b@2.0.0?vcs_url=git%2Bhttps://git.example/b%3Frev%3D1%23abc": {"pkg:cargo/a@1.0.0"},
		},
	}, {
		name: "javascript", language: "javascript", content: guests.Hello(),
		files: map[string]string{"package-lock.json": `{"lockfileVersion": 3, "packages": {
			"": {"name": "app", "dependencies": {"@s/a": "^1"}, "devDependencies": {"tool": "*"}},
			"node_modules/@s/a": {"version": "1.0.0", "integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==", "dependencies": {"b": "^2"}},
			"node_modules/@s/a/node_modules/b": {"version": "2.0.0", "dependencies": {"c": "*"}},
			"node_modules/b": {"version": "1.0.0", "dev": true},
			"node_modules/c": {"version": "1.0.0", "optional": true},
			"node_modules/tool": {"version": "3.0.0", "dev": true, "dependencies": {"b": "1"}},
			"packages/own": {"version": "1.0.0"},
			"node_modules/own": {"link": true, "resolved": "packages/own"}}}`},
		want: []string{
			"pkg:npm/%40s/a@1.0.0  SHA-512:" + sha512[:8], "pkg:npm/b@1.0.0 excluded", "pkg:npm/b@2.0.0", "pkg:npm/c@1.0.0 optional", "pkg:npm/tool@3.0.0 excluded",
		},
		edges: map[string][]string{
			rootRef: {"pkg:npm/%40s/a@1.0.0", "pkg:npm/tool@3.0.0"}, "pkg:npm/%40s/a@1.0.0": {"pkg:npm/b@2.0.0"},
			"pkg:npm/b@2.0.0": {"pkg:npm/c@1.0.0"}, "pkg:npm/tool@3.0.0": {"pkg:npm/b@1.0.0"},
		},
	}, {
		name: "uv", language: "python", content: guests.Hello(),
		files: map[string]string{
			"requirements.txt": "other==1\n",
			"uv.lock": `
version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
[[package]]
name = "zope_interface"
version = "7.0"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://files.example/z.tar.gz", hash = "sha256:` + emptySum + `", size = 1 }
wheels = [{ url = "https://files.example/z.whl", hash = "sha256:` + emptySum + `" }]
`,
		},
		want:  []string{"pkg:pypi/zope-interface@7.0  https://files.example/z.tar.gz=e3b0c442 https://files.example/z.whl=e3b0c442"},
		edges: map[string][]string{rootRef: {"pkg:pypi/zope-interface@7.0"}},
	}, {
		name: "poetry", language: "python", content: guests.Hello(),
		files: map[string]string{"poetry.lock": `
[[package]]
name = "Idna"
version = "3.10"
optional = false
groups = ["main"]
files = [{file = "idna.whl", hash = "sha256:` + emptySum + `"}]
[[package]]
name = "pytest"
version = "8"
optional = false
groups = ["dev"]
files = []
`},
		want:  []string{"pkg:pypi/idna@3.10  idna.whl=e3b0c442", "pkg:pypi/pytest@8 excluded"},
		edges: map[string][]string{rootRef: {"pkg:pypi/idna@3.10", "pkg:pypi/pytest@8"}},
	}, {
		name: "requirements", language: "python", content: guests.Hello(),
		files: map[string]string{"requirements.txt": "# none\n-r other.txt\nidna==3.10 \\\n    --hash=sha256:" + emptySum + "\nDjango[argon2] == 5.0 ; python_version > '3'\nloose>=1\nstar==1.*\n"},
		want:  []string{"pkg:pypi/django@5.0", "pkg:pypi/idna@3.10"},
		edges: map[string][]string{rootRef: {"pkg:pypi/django@5.0", "pkg:pypi/idna@3.10"}},
	}, {
		name: "wit", language: "c", content: guests.Hello(),
		files: map[string]string{
			"ashlar.lock": "version = 1\n[[root]]\npath = \"wit\"\ndependencies = [{ name = \"acme:log\", requirement = \"=1.2.0\", version = \"1.2.0\" }]\n" +
				"[[package]]\nname = \"acme:log\"\nversion = \"1.2.0\"\nregistry = \"acme.example\"\ndigest = \"sha256:" + emptySum + "\"\ndependencies = [{ name = \"wasi:io\", requirement = \"=0.2.0\", version = \"0.2.0\" }]\n" +
				"[[package]]\nname = \"wasi:io\"\nversion = \"0.2.0\"\nbuiltin = true\n",
			"wkg.lock": "version = 1\npackages = []\n",
		},
		want: []string{"pkg:generic/acme/log@1.2.0?checksum=sha256:" + emptySum + " excluded SHA-256:e3b0c442", "pkg:generic/wasi/io@0.2.0 excluded"},
		edges: map[string][]string{
			rootRef: {"pkg:generic/acme/log@1.2.0?checksum=sha256:" + emptySum},
			"pkg:generic/acme/log@1.2.0?checksum=sha256:" + emptySum: {"pkg:generic/wasi/io@0.2.0"},
		},
	}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			bom, err := NewBOM(Component{Name: "app", Content: c.content, Dir: dir, Language: c.language, Tool: "1"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, listed(bom)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.edges, edges(bom)); diff != "" {
				t.Errorf("dependencies (-want +got):\n%s", diff)
			}
			if !bom.IsOf(c.content) || bom.IsOf(append(c.content[:len(c.content):len(c.content)], 0)) {
				t.Error("it is of another file")
			}
			b, err := bom.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseBOM(b); err != nil || again.Text() != bom.Text() {
				t.Errorf("read again it is another: %v", err)
			}
		})
	}
}

// A lock that can't be read is an error, not an SBOM without what is in it.
func TestBOMBrokenLock(t *testing.T) {
	for name, language := range map[string]string{
		"go.mod": "tinygo", "Cargo.lock": "rust", "package-lock.json": "javascript", "uv.lock": "python", "poetry.lock": "python", "ashlar.lock": "c", "wkg.lock": "c",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("= {"), 0o666); err != nil {
			t.Fatal(err)
		}
		if bom, err := NewBOM(Component{Content: guests.Hello(), Dir: dir, Language: language}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, %v", name, bom, err)
		}
	}
	if _, err := NewBOM(Component{Content: []byte("no wasm")}); err == nil {
		t.Error("an SBOM of what is no component")
	}
}

// buildIn builds the attestations of a project in a folder.
func buildIn(t *testing.T, dir string) (provenance, sbom []byte) {
	t.Helper()
	p := &project.Project{Dir: dir, Name: "app", Version: "1.0.0", Language: "go", World: "wasi:cli/command@0.2.0"}
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := NewProvenance(Build{
		Project: p, Name: "app.wasm", Content: goProgram(t), Version: "1.2.3",
		Commands: []toolchain.Command{{Args: []string{"go", "build", "-o", filepath.Join(abs, "build", "app.wasm")}, Env: []string{"GOOS=wasip1", "ASHLAR_OUTPUT=" + abs + "/x"}}},
		Tools:    []Tool{{"go", "go version go1.26.1 linux/amd64"}, {"target wasm32-wasip2", ""}},
		Source:   &Source{URI: "git+https://git.example/acme/app", Path: "sub", Commit: strings.Repeat("a", 40), Modified: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if provenance, err = EncodeStatement(st); err != nil {
		t.Fatal(err)
	}
	bom, err := NewBOM(Component{Content: goProgram(t), Dir: dir, Language: "go"})
	if err != nil {
		t.Fatal(err)
	}
	if sbom, err = bom.Encode(); err != nil {
		t.Fatal(err)
	}
	return provenance, sbom
}

func TestProvenance(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	p1, s1 := buildIn(t, first)
	p2, s2 := buildIn(t, second)
	if string(p1) != string(p2) || string(s1) != string(s2) {
		t.Error("attestations depend on the folder")
	}
	for _, dir := range []string{first, filepath.ToSlash(first)} {
		if strings.Contains(string(p1), dir) {
			t.Errorf("the folder is in the provenance:\n%s", p1)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	p3, s3 := buildIn(t, first)
	if string(p3) != string(p1) {
		t.Error("provenance depends on the time")
	}
	if !strings.Contains(string(s3), `"timestamp": "2023-11-14T22:13:20Z"`) || strings.Contains(string(s1), "timestamp") {
		t.Errorf("the time of the SBOM is not that of SOURCE_DATE_EPOCH:\n%s", s3)
	}
	st, err := signature.ParseStatement(p1)
	if err != nil {
		t.Fatal(err)
	}
	if st.PredicateType != signature.PredicateProvenance || !IsAbout(st, goProgram(t)) || IsAbout(st, []byte("x")) || st.Subjects[0].Name != "app.wasm" {
		t.Errorf("statement %+v", st)
	}
	var got any
	if err := json.Unmarshal(st.Predicate, &got); err != nil {
		t.Fatal(err)
	}
	type m = map[string]any
	type l = []any
	want := m{
		"buildDefinition": m{
			"buildType": "https://ashlar.dev/buildtypes/project/v1",
			"externalParameters": m{
				"source":  m{"uri": "git+https://git.example/acme/app", "path": "sub"},
				"project": m{"name": "app", "version": "1.0.0", "language": "go", "world": "wasi:cli/command@0.2.0"},
			},
			"internalParameters": m{"commands": l{"GOOS=wasip1 ASHLAR_OUTPUT=./x go build -o ./build/app.wasm"}},
			"resolvedDependencies": l{
				m{"name": "source", "uri": "git+https://git.example/acme/app", "digest": m{"gitCommit": strings.Repeat("a", 40)}, "annotations": m{"modified": true}},
				m{"name": "go", "uri": "pkg:generic/go@1.26.1", "annotations": m{"version": "go version go1.26.1 linux/amd64"}},
				m{"name": "target wasm32-wasip2", "uri": "pkg:generic/target-wasm32-wasip2"},
				m{"uri": "pkg:golang/std@1.26.1"},
				m{"uri": "pkg:golang/x.example/here"},
				m{"uri": "pkg:golang/x.example/lib@v1.2.3%2Bincompatible", "digest": m{"dirHash": emptySum}},
				m{"uri": "pkg:golang/x.example/new/v2@v2.1.0", "digest": m{"dirHash": emptySum}},
			},
		},
		"runDetails": m{"builder": m{"id": BuilderLocal, "version": m{"ashlar": "1.2.3"}}},
	}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("provenance (-want +got):\n%s", diff)
	}
}

func TestRepositoryURI(t *testing.T) {
	for remote, want := range map[string]string{
		"https://git.example/acme/app":                     "git+https://git.example/acme/app",
		"https://user:secret@git.example/acme/app.git?t=1": "git+https://git.example/acme/app.git",
		"https://token@git.example:8443/acme/app.git":      "git+https://git.example:8443/acme/app.git",
		"git@git.example:acme/app.git":                     "git+ssh://git.example/acme/app.git",
		"ssh://git@git.example/acme/app.git":               "git+ssh://git.example/acme/app.git",
		"/srv/git/app.git":                                 "",
		"../app":                                           "",
		"file:///srv/git/app.git":                          "",
		`C:\git\app`:                                       "",
		"":                                                 "",
		"ext::sh -c 'secret'":                              "",
	} {
		if got := repositoryURI(remote); got != want {
			t.Errorf("%s: got %q, expected %q", remote, got, want)
		}
	}
}

func TestFindSource(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		require.Missing(t, "there is no git")
	}
	root := t.TempDir()
	dir := filepath.Join(root, "sub", "app")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	find := func() *Source {
		t.Helper()
		s, err := FindSource(t.Context(), dir, project.File)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write(project.File, "name")
	if s := find(); s != nil && s.Path == "" {
		t.Errorf("without a repository: %+v", s)
	}
	run("init", "-q", root)
	if s := find(); s != nil {
		t.Errorf("not in the repository: %+v", s)
	}
	run("add", project.File)
	if s, err := FindSource(t.Context(), dir, project.File); err == nil {
		t.Errorf("without a commit: %+v", s)
	}
	run("commit", "-q", "-m", "one")
	write("build/app.wasm", "x")
	want := &Source{Path: "sub/app", Commit: run("rev-parse", "HEAD")}
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	run("remote", "add", "origin", "https://user:secret@git.example/acme/app.git")
	write("main.go", "x")
	run("config", "status.showUntrackedFiles", "no") // has no say in this
	want.URI, want.Modified = "git+https://git.example/acme/app.git", true
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Errorf("modified (-want +got):\n%s", diff)
	}
}

func FuzzLocks(f *testing.F) {
	for _, s := range []string{
		`{"packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"version": "1", "dependencies": {"b": "1"}}, "node_modules/a/node_modules/b": {"version": "1"}}}`,
		"[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"git+https://x\"\nchecksum = \"00\"\ndependencies = [\"a\"]\n",
		"[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"x\" }\nwheels = [{ url = \"x\", hash = \"sha256:00\" }]\n",
		"a==1 --hash=sha256:00\n", "module x\nrequire a v1.0.0\nreplace a => ./b\n",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir() // without a go.sum
	f.Fuzz(func(t *testing.T, b []byte) {
		for language, all := range locks {
			for _, l := range all {
				deps, err := l.read(dir, b)
				if err != nil {
					continue
				}
				for _, d := range merge(deps) {
					if !strings.HasPrefix(d.purl, "pkg:") || strings.ContainsAny(d.purl, " \n\x00") {
						t.Errorf("%s %s: package URL %q", language, l.name, d.purl)
					}
				}
			}
		}
	})
}

func FuzzContents(f *testing.F) {
	f.Add(guests.Hello())
	f.Add(goProgram(f))
	f.Add([]byte("\x00asm\x01\x00\x00\x00" + string(modInfoStart) + "dep\tx" + string(modInfoEnd)))
	f.Fuzz(func(t *testing.T, b []byte) {
		bom, err := NewBOM(Component{Content: b})
		if err != nil {
			return
		}
		text, err := bom.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBOM(text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	})
}

func TestHashes(t *testing.T) {
	if h := hexHash("SHA-256", "abcd"); h != nil {
		t.Errorf("a digest of the wrong length: %v", h)
	}
	if h := integrity("md5-AAAA"); h != nil {
		t.Errorf("an unknown algorithm: %v", h)
	}
	if h := hexHash("SHA-256", emptySum); len(h) != 1 || h[0].Content != emptySum {
		t.Errorf("got %v", h)
	}
	if b, err := hex.DecodeString(emptySum); err != nil || newHash("SHA-512", b) != nil {
		t.Errorf("a digest of another algorithm was taken: %v", err)
	}
}
