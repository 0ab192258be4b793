package oci_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

func ref(t testing.TB, s string) oci.Reference {
	t.Helper()
	r, err := oci.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func client(t testing.TB, o oci.Options) *oci.Client {
	t.Helper()
	if o.RetryWait == 0 {
		o.RetryWait = 20 * time.Millisecond
	}
	c, err := oci.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func artifact(t testing.TB, wasm []byte) *oci.Artifact {
	t.Helper()
	a, err := oci.New(wasm, oci.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPushPull(t *testing.T) {
	reg := ocitest.Start(t, ocitest.Options{})
	c := client(t, oci.Options{})
	ctx := t.Context()
	for name, wasm := range map[string][]byte{"component": guests.HelloHTTP(), "module": []byte("\x00asm\x01\x00\x00\x00")} {
		r := ref(t, reg.Host+"/ns/"+name+":1.2.0")
		a := artifact(t, wasm)
		pushed, err := c.Push(ctx, r, a)
		if err != nil {
			t.Fatal(err)
		}
		if pushed.Digest != a.Descriptor.Digest {
			t.Errorf("pushed %s", pushed)
		}
		for _, r := range []oci.Reference{r, pushed, {Registry: r.Registry, Repository: r.Repository, Digest: pushed.Digest}} {
			got, err := c.Pull(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Layer, wasm) || !bytes.Equal(got.ManifestBytes, a.ManifestBytes) || !bytes.Equal(got.ConfigBytes, a.ConfigBytes) {
				t.Errorf("%s: other bytes came back", r)
			}
		}
		tags, err := c.Tags(ctx, r)
		if err != nil || len(tags) != 1 || tags[0] != "1.2.0" {
			t.Errorf("tags %q, %v", tags, err)
		}
		var indented bytes.Buffer
		_ = json.Indent(&indented, a.ManifestBytes, "", " ")
		t.Logf("%s\n%s", indented.String(), a.ConfigBytes)
	}
}

// TestPushAgain writes only what is not there, and moves a tag that was moved.
func TestPushAgain(t *testing.T) {
	reg := ocitest.Start(t, ocitest.Options{})
	c := client(t, oci.Options{})
	one, other := artifact(t, bigModule(100)), artifact(t, bigModule(200))
	writes := func(tag string, a *oci.Artifact) (n int) {
		t.Helper()
		reg.Requests()
		if _, err := c.Push(t.Context(), ref(t, reg.Host+"/a/b:"+tag), a); err != nil {
			t.Fatal(err)
		}
		for _, r := range reg.Requests() {
			if strings.HasPrefix(r, "PUT ") || strings.HasPrefix(r, "POST ") {
				n++
			}
		}
		return n
	}
	for i, c := range []struct {
		tag    string
		a      *oci.Artifact
		writes int
	}{{"1", one, 5}, {"1", one, 0}, {"2", one, 1}, {"1", other, 5}, {"1", one, 1}, {"1", one, 0}} {
		if n := writes(c.tag, c.a); n != c.writes {
			t.Errorf("push %d: %d requests that write, expected %d", i, n, c.writes)
		}
	}
	if a, err := c.Pull(t.Context(), ref(t, reg.Host+"/a/b:1")); err != nil || !bytes.Equal(a.Layer, one.Layer) {
		t.Errorf("pull: %v", err)
	}
}
