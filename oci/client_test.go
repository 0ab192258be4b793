package oci_test

import (
	"bytes"
	"encoding/json"
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
