package bundles_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/signature"
)

func client(t *testing.T, o oci.Options) *oci.Client {
	t.Helper()
	o.RetryWait = time.Millisecond
	c, err := oci.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestList lists bundles among what strangers attached, of all types and of one, and
// offline those that the cache has.
func TestList(t *testing.T) {
	ctx := t.Context()
	reg := ocitest.Start(t, ocitest.Options{Referrers: true})
	kept, err := cache.Open(cache.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	c := client(t, oci.Options{Cache: kept})
	a, err := oci.New([]byte("\x00asm\x01\x00\x00\x00"), oci.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := oci.ParseReference(reg.Host + "/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	ref, err := c.Push(ctx, tag, a)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	for _, predicate := range []string{signature.PredicateSign, signature.PredicateSBOM} {
		st, err := signature.NewStatement(a.ManifestBytes, predicate, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := signature.Sign(ctx, key, st)
		if err != nil {
			t.Fatal(err)
		}
		if err := bundles.Attach(ctx, c, ref, b, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for _, stranger := range []oci.Attachment{
		{ArtifactType: "text/plain", Content: []byte("{}")},
		{ArtifactType: signature.MediaTypeBundle, Content: []byte("{}")},
		{ArtifactType: signature.MediaTypeBundle, Content: []byte("{ }"), Annotations: map[string]string{bundles.PredicateAnnotation: signature.PredicateSBOM}},
	} {
		if _, err := c.Attach(ctx, ref, stranger); err != nil {
			t.Fatal(err)
		}
	}
	// count returns how many can be read, and how many can't.
	count := func(c *oci.Client, predicate string) string {
		list, err := bundles.List(context.Background(), c, ref, predicate)
		if err != nil {
			return err.Error()
		}
		for _, b := range list {
			v, err := b.Verify(a.ManifestBytes, []signature.PublicKey{key.Public()})
			if (err != nil) != (b.Err != nil) || err == nil && predicate != "" && v.Statement.PredicateType != predicate {
				t.Errorf("%s: %+v: %v", predicate, v, err)
			}
		}
		n := len(bundles.Readable(list))
		return fmt.Sprintf("%d and %d", n, len(list)-n)
	}
	offline := client(t, oci.Options{Cache: kept, Offline: true})
	if _, err := bundles.List(ctx, offline, ref, ""); !errors.Is(err, oci.ErrOffline) {
		t.Errorf("offline, never listed: %v", err)
	}
	for predicate, want := range map[string]string{"": "2 and 2", signature.PredicateSign: "1 and 1", signature.PredicateSBOM: "1 and 2", signature.PredicateYank: "0 and 1"} {
		if got := count(c, predicate); got != want {
			t.Errorf("%s: %s, expected %s", predicate, got, want)
		}
		if got := count(offline, predicate); got != want {
			t.Errorf("%s offline: %s, expected %s", predicate, got, want)
		}
	}
}
