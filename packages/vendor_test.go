package packages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVendor(t *testing.T) {
	ctx := context.Background()
	p := newProject(t, map[string]string{"wit/app.wit": "package my:app;\nworld app { import acme:log/logger@1.2.0; }"})
	publishWIT(t, p.registry, timeWIT, logWIT)
	p.mustFetch()
	folder := Local(filepath.Join(p.dir, VendorFolder))
	ref, version := mustRef(t, "acme:log"), mustVersion(t, "1.2.0")
	vendor := func() ([]string, error) {
		r := p.options(false).Resolver
		r.Vendor = folder
		added, err := Vendor(ctx, r, string(folder))
		var names []string
		for _, a := range added {
			names = append(names, a.Package.String())
		}
		return names, err
	}
	expect := func(want string) {
		t.Helper()
		if got, err := vendor(); err != nil || strings.Join(got, " ") != want {
			t.Errorf("added %v (%v), expected %q", got, err, want)
		}
	}
	expect("acme:log acme:time")
	expect("")
	content, err := os.ReadFile(folder.file(ref, version))
	if err != nil {
		t.Fatal(err)
	}
	// What is damaged, gone or no longer locked.
	if err := os.WriteFile(folder.file(ref, version), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Publish(ctx, mustRef(t, "not:locked"), version, []byte("x")); err != nil {
		t.Fatal(err)
	}
	expect("acme:log")
	if b, err := os.ReadFile(folder.file(ref, version)); err != nil || string(b) != string(content) {
		t.Errorf("not repaired: %v", err)
	}
	if existsIn(string(folder), "not") {
		t.Error("what no lock has is still there")
	}
	// What may not be taken is not, even if a lock has it.
	if err := os.Remove(folder.file(ref, version)); err != nil {
		t.Fatal(err)
	}
	distrust := func() error {
		r := p.options(false).Resolver
		r.Client = taggedClient(t, p.registry)
		r.Verify = func(context.Context, *Resolution) (string, error) { return "", ErrNotFound }
		_, err := Vendor(ctx, r, string(folder))
		return err
	}
	var refused *RefusedError
	if err := distrust(); !errors.As(err, &refused) || existsIn(string(folder), "acme/log/1.2.0.wasm") {
		t.Errorf("not to be trusted: %v", err)
	}
	expect("acme:log")
	// A registry that has something else by now is of no use, and harms nothing.
	if err := os.WriteFile(p.registry.file(ref, version), []byte("another"), 0o666); err != nil {
		t.Fatal(err)
	}
	expect("")
	if err := os.Remove(folder.file(ref, version)); err != nil {
		t.Fatal(err)
	}
	var digest *DigestError
	if got, err := vendor(); !errors.As(err, &digest) || len(got) > 0 {
		t.Errorf("changed in the registry: %v, %v", got, err)
	}
	if existsIn(string(folder), "acme/log/1.2.0.wasm") {
		t.Error("what the lock does not have was written")
	}
}
