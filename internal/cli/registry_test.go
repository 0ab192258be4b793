package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// expect runs a command line and checks its exit code.
func expect(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := ashlar(args...)
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	return stdout, stderr
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRegistryCommands(t *testing.T) {
	dir := writeGuests(t)
	t.Setenv(artifactCacheVariable, filepath.Join(dir, "artifacts"))
	t.Setenv("DOCKER_CONFIG", dir)
	reg := ocitest.Start(t, ocitest.Options{})
	hello, pulled := filepath.Join(dir, "hello.wasm"), filepath.Join(dir, "pulled.wasm")
	name := reg.Host + "/ns/hello"

	out, _ := expect(t, 0, "push", hello, name+":1.2.0")
	pinned := strings.TrimSpace(out)
	if !strings.HasPrefix(pinned, name+":1.2.0@sha256:") {
		t.Fatalf("pushed %q", out)
	}
	if again, _ := expect(t, 0, "push", hello, name+":other"); strings.TrimSpace(again)[len(name+":other"):] != pinned[len(name+":1.2.0"):] {
		t.Errorf("pushed again it is %s, was %s", again, pinned)
	}
	if out, _ := expect(t, 0, "tags", name); out != "1.2.0\nother\n" {
		t.Errorf("tags %q", out)
	}
	if out, _ := expect(t, 0, "pull", "-o", pulled, name+":1.2.0"); strings.TrimSpace(out) != pinned {
		t.Errorf("pulled %q", out)
	}
	if !bytes.Equal(readFile(t, pulled), readFile(t, hello)) {
		t.Error("other bytes came back")
	}
	if out, _ := expect(t, 0, "run", pinned); out != "Hello from a component!\n" {
		t.Errorf("run: %q", out)
	}

	// What is needed for inspect is the manifest and the config.
	expect(t, 0, "cache", "prune", "--all")
	reg.Requests()
	out, _ = expect(t, 0, "inspect", "-o", "json", name+":1.2.0")
	var r artifactReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Kind != "component" || r.OS != "wasip2" || r.Layer.Size != int64(len(readFile(t, hello))) || len(r.Exports) != 1 || !strings.HasPrefix(r.Exports[0], "wasi:cli/run@") {
		t.Errorf("inspect: %s", out)
	}
	for _, req := range reg.Requests() {
		if strings.HasSuffix(req, r.Layer.Digest) {
			t.Errorf("inspect downloads the layer: %s", req)
		}
	}
	if out, _ := expect(t, 0, "inspect", name+":other"); !strings.Contains(out, "kind        component") {
		t.Errorf("inspect: %s", out)
	}
}

func TestRegistryOffline(t *testing.T) {
	dir := writeGuests(t)
	artifacts := filepath.Join(dir, "artifacts")
	t.Setenv(artifactCacheVariable, artifacts)
	t.Setenv("DOCKER_CONFIG", dir)
	reg := ocitest.Start(t, ocitest.Options{})
	name := reg.Host + "/ns/hello"
	out, _ := expect(t, 0, "push", filepath.Join(dir, "hello.wasm"), name+":1")
	pinned := strings.TrimSpace(out)

	if _, stderr := expect(t, exitFailure, "run", "--offline", name+":1"); !strings.Contains(stderr, "not in the cache") {
		t.Errorf("offline without cache: %s", stderr)
	}
	expect(t, 0, "run", name+":1")
	reg.Requests()
	pulled := filepath.Join(dir, "pulled.wasm")
	for _, args := range [][]string{
		{"run", "--offline", name + ":1"}, {"run", pinned}, {"inspect", "--offline", name + ":1"}, {"inspect", pinned},
		{"pull", "--offline", "-o", pulled, name + ":1"}, {"pull", "-o", pulled, pinned},
	} {
		expect(t, 0, args...)
		if got := reg.Requests(); len(got) > 0 {
			t.Errorf("%q asks the registry: %q", args, got)
		}
	}
	if err := os.Remove(pulled); err != nil {
		t.Fatal(err)
	}

	// A damaged blob is an error offline, and mended online.
	var layer string
	hello := readFile(t, filepath.Join(dir, "hello.wasm"))
	err := filepath.Walk(artifacts, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Size() == int64(len(hello)) && info.Mode().IsRegular() {
			layer = path
		}
		return err
	})
	if err != nil || layer == "" {
		t.Fatalf("no blob of the layer: %v", err)
	}
	if !bytes.Equal(readFile(t, layer), hello) {
		t.Error("the blob is not the plain file")
	}
	bad := bytes.Clone(hello)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(layer, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "--offline", name + ":1"}, {"pull", "--offline", "-o", pulled, pinned}} {
		if _, stderr := expect(t, exitFailure, args...); !strings.Contains(stderr, "damaged") {
			t.Errorf("%q: %s", args, stderr)
		}
	}
	if _, err := os.Stat(pulled); err == nil {
		t.Error("a damaged blob makes a file")
	}
	expect(t, 0, "pull", "-o", pulled, pinned)
	if !bytes.Equal(readFile(t, pulled), hello) || !bytes.Equal(readFile(t, layer), hello) {
		t.Error("the damaged blob is not mended")
	}

	if out, _ := expect(t, 0, "cache", "prune", "--all", "--cache-dir", "off"); !strings.HasPrefix(out, "removed 3 blobs of artifacts") {
		t.Errorf("pruned: %s", out)
	}
	expect(t, exitFailure, "run", "--offline", pinned)
}

// The same file makes the same artifact from another folder, by another name, at
// another time and for another tag.
func TestPushIsReproducible(t *testing.T) {
	hello := readFile(t, filepath.Join(writeGuests(t), "hello.wasm"))
	digests := map[string]bool{}
	for i, name := range []string{"a.wasm", "other.wasm"} {
		dir := t.TempDir()
		file := filepath.Join(dir, name)
		written := time.Date(2001+i, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := errors.Join(os.WriteFile(file, hello, 0o666), os.Chtimes(file, written, written)); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		out, _ := expect(t, 0, "push", name, fmt.Sprintf("oci:dist%d:v%d", i, i))
		_, digest, _ := strings.Cut(strings.TrimSpace(out), "@")
		digests[digest] = true
	}
	if len(digests) != 1 {
		t.Errorf("digests %v", digests)
	}
}

func TestLayoutCommands(t *testing.T) {
	dir := writeGuests(t)
	t.Chdir(dir)
	reg := ocitest.Start(t, ocitest.Options{})
	out, _ := expect(t, 0, "push", "hello.wasm", "oci:dist:1")
	digest := strings.TrimSpace(out)[len("oci:dist:1@"):]
	if out, _ := expect(t, 0, "copy", "oci:dist", reg.Host+"/a/b:1"); !strings.HasSuffix(strings.TrimSpace(out), digest) {
		t.Errorf("copied %s", out)
	}
	expect(t, 0, "copy", reg.Host+"/a/b:1", "oci:back:2")
	expect(t, 0, "copy", reg.Host+"/a/b:1", reg.Host+"/c/d:1")
	if out, _ := expect(t, 0, "run", "oci:back:2"); out != "Hello from a component!\n" {
		t.Errorf("run: %q", out)
	}
	if out, _ := expect(t, 0, "tags", "oci:back"); out != "2\n" {
		t.Errorf("tags: %q", out)
	}
	expect(t, 0, "inspect", "oci:dist@"+digest)
	expect(t, 0, "pull", reg.Host+"/c/d:1")
	if !bytes.Equal(readFile(t, "d.wasm"), readFile(t, "hello.wasm")) {
		t.Error("other bytes came back")
	}
	if _, stderr := expect(t, exitFailure, "pull", reg.Host+"/c/d:1"); !strings.Contains(stderr, "d.wasm is there already") {
		t.Errorf("pull over a file: %s", stderr)
	}
}

func TestWords(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		word string
		code int
		want string
	}{
		{"nothing.wasm", exitFailure, "no such file"},
		{"./a/b.wasm", exitFailure, "no such file"},
		{"build/app.wasm", exitFailure, "no such file or directory, and no reference"},
		{"example.com/UPPER:1", exitFailure, "no name of a repository"},
		{"ns:app@one", exitUsage, "one"},
		{"oci:nowhere", exitFailure, "there is no folder nowhere"},
		{"oci:", exitFailure, "expected oci:DIR"},
	} {
		for _, command := range []string{"run", "serve", "inspect"} {
			if _, stderr := expect(t, c.code, command, c.word); !strings.Contains(stderr, c.want) {
				t.Errorf("%s %s: %s", command, c.word, stderr)
			}
		}
	}
}

func TestLogin(t *testing.T) {
	dir := writeGuests(t)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
	t.Setenv("PATH", "") // no credential helper
	reg := ocitest.Start(t, ocitest.Options{TLS: true, Auth: ocitest.Token})
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, reg.CA, 0o666); err != nil {
		t.Fatal(err)
	}
	login := func(password string, args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := Run(context.Background(), append([]string{"login", "--ca-cert", ca, reg.Host}, args...), strings.NewReader(password), &out, &errs)
		return code, out.String() + errs.String()
	}
	hello, ref := filepath.Join(dir, "hello.wasm"), reg.Host+"/ns/hello:1"
	if _, stderr := expect(t, exitFailure, "push", "--ca-cert", ca, hello, ref); !strings.Contains(stderr, "ashlar login "+reg.Host) {
		t.Errorf("push without credential: %s", stderr)
	}
	if code, out := login("wrong-secret-1\n", "-u", ocitest.User, "--password-stdin"); code != exitFailure || strings.Contains(out, "wrong-secret-1") {
		t.Errorf("wrong password: exit code %d, %s", code, out)
	}
	if code, out := login(""); code != exitUsage {
		t.Errorf("without terminal: exit code %d, %s", code, out)
	}
	if code, out := login(ocitest.Password+"\n", "-u", ocitest.User, "--password-stdin"); code != 0 || strings.Contains(out, ocitest.Password) || !strings.Contains(out, "unencrypted") {
		t.Fatalf("exit code %d, %s", code, out)
	}
	expect(t, 0, "push", "--ca-cert", ca, hello, ref)
	if _, stderr := expect(t, exitFailure, "pull", "-o", "-", ref); !strings.Contains(stderr, "certificate") {
		t.Errorf("without the CA: %s", stderr)
	}
	expect(t, 0, "logout", reg.Host)
	expect(t, exitFailure, "logout", reg.Host)
	expect(t, exitFailure, "pull", "--ca-cert", ca, "-o", "-", ref)
	if code, out := login(ocitest.IdentityToken, "--identity-token", "--password-stdin"); code != 0 {
		t.Fatalf("identity token: exit code %d, %s", code, out)
	}
	expect(t, 0, "pull", "--ca-cert", ca, "-o", filepath.Join(dir, "out.wasm"), ref)
}

func TestServeReference(t *testing.T) {
	dir := writeGuests(t)
	reg := ocitest.Start(t, ocitest.Options{})
	expect(t, 0, "push", filepath.Join(dir, "http.wasm"), reg.Host+"/ns/http:1")
	// A core module is pulled, and is no component.
	expect(t, 0, "push", filepath.Join(dir, "big.wasm"), reg.Host+"/ns/big:1")
	expect(t, exitInvalid, "serve", reg.Host+"/ns/big:1")
	var log safeBuffer
	url, stop := startServer(t, &log, reg.Host+"/ns/http:1")
	resp, err := http.Get(url)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, log.String())
	}
}
