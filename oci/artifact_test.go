package oci_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/oci"
)

const emptyModule = "\x00asm\x01\x00\x00\x00"

// section is a section of a component.
func section(id byte, contents string) string {
	return string([]byte{id, byte(len(contents))}) + contents
}

func name(s string) string { return "\x00" + string(rune(len(s))) + s }

// handMade is a component that imports a function, an interface and a type, and
// exports the function and the type.
var handMade = "\x00asm\x0d\x00\x01\x00" +
	section(7, "\x03"+"\x40\x00\x01\x00"+ // 0: func()
		"\x42\x00"+ // 1: instance
		"\x73") + // 2: string
	section(10, "\x03"+name("plain-function")+"\x01\x00"+name("wasi:cli/environment@0.2.0")+"\x05\x01"+name("a-type")+"\x03\x00\x02") +
	section(11, "\x02"+name("run-it")+"\x01\x00\x00"+name("b-type")+"\x03\x03\x00")

var forWorld = handMade + section(0, "\x0dashlar:target"+"acme:app/one@1.0.0")

func sum(s string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s))) }

// The texts are written by hand, along the examples of the specification.
func TestGolden(t *testing.T) {
	described := emptyModule
	for _, c := range [][2]string{
		{"name", "\x00\x08\x07greeter"}, {"version", "1.2.0"}, {"description", "Says <hello> & \"more\"\u2028世界"}, {"authors", "A <a@example.com>"},
		{"licenses", "Apache-2.0"}, {"source", "https://example.com/src"}, {"homepage", "https://example.com"}, {"revision", "abc"},
	} {
		described += section(0, string(rune(len(c[0])))+c[0]+c[1])
	}
	for _, c := range []struct {
		name, wasm  string
		options     oci.BuildOptions
		config      string
		annotations string
	}{
		{
			"module", emptyModule, oci.BuildOptions{},
			`{"architecture":"wasm","created":"1970-01-01T00:00:00Z","layerDigests":["` + sum(emptyModule) + `"],"os":"wasip1"}`, "",
		},
		{
			"component", handMade, oci.BuildOptions{Created: time.Date(2015, 10, 31, 22, 22, 56, 15925234, time.UTC), Target: "wasi:http/proxy@0.2.0"},
			`{"architecture":"wasm","component":{"exports":["run-it"],"imports":["plain-function","wasi:cli/environment@0.2.0"],"target":"wasi:http/proxy@0.2.0"},` +
				`"created":"2015-10-31T22:22:56Z","layerDigests":["` + sum(handMade) + `"],"os":"wasip2"}`, "",
		},
		{
			"built for a world", forWorld, oci.BuildOptions{},
			`{"architecture":"wasm","component":{"exports":["run-it"],"imports":["plain-function","wasi:cli/environment@0.2.0"],"target":"acme:app/one@1.0.0"},` +
				`"created":"1970-01-01T00:00:00Z","layerDigests":["` + sum(forWorld) + `"],"os":"wasip2"}`, "",
		},
		{
			"annotations", described, oci.BuildOptions{},
			`{"architecture":"wasm","author":"A <a@example.com>","created":"1970-01-01T00:00:00Z","layerDigests":["` + sum(described) + `"],"os":"wasip1"}`,
			`"annotations":{"org.opencontainers.image.authors":"A <a@example.com>","org.opencontainers.image.description":"Says <hello> & \"more\"` + "\u2028" + `世界",` +
				`"org.opencontainers.image.licenses":"Apache-2.0","org.opencontainers.image.revision":"abc","org.opencontainers.image.source":"https://example.com/src",` +
				`"org.opencontainers.image.title":"greeter","org.opencontainers.image.url":"https://example.com","org.opencontainers.image.version":"1.2.0"},`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := oci.New([]byte(c.wasm), c.options)
			if err != nil {
				t.Fatal(err)
			}
			manifest := fmt.Sprintf(`{%s"config":{"digest":"%s","mediaType":"application/vnd.wasm.config.v0+json","size":%d},`+
				`"layers":[{"digest":"%s","mediaType":"application/wasm","size":%d}],`+
				`"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}`,
				c.annotations, sum(c.config), len(c.config), sum(c.wasm), len(c.wasm))
			if d := cmp.Diff(c.config, string(a.ConfigBytes)); d != "" {
				t.Errorf("config:\n%s", d)
			}
			if d := cmp.Diff(manifest, string(a.ManifestBytes)); d != "" {
				t.Errorf("manifest:\n%s", d)
			}
			if got := a.Descriptor; got.Digest.String() != sum(manifest) || got.Size != int64(len(manifest)) || got.MediaType != oci.MediaTypeManifest {
				t.Errorf("descriptor %+v", got)
			}
			// What is written is read again.
			m, err := oci.ParseManifest(a.ManifestBytes)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(a.Manifest.Layer, m.Layer); d != "" {
				t.Error(d)
			}
			config, err := oci.ParseConfig(a.ConfigBytes)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(a.Config, config); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReproducible(t *testing.T) {
	wasm, err := metadata.Write(guests.HelloHTTP(), metadata.Metadata{Name: "hello", Version: "1.0.0", Authors: "A, B", Licenses: "MIT"})
	if err != nil {
		t.Fatal(err)
	}
	first := artifact(t, wasm)
	for range 20 {
		if again := artifact(t, append([]byte{}, wasm...)); again.Descriptor.Digest != first.Descriptor.Digest {
			t.Fatalf("%s and %s", first.Descriptor.Digest, again.Descriptor.Digest)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dated := artifact(t, wasm)
	if want := time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC); !dated.Config.Created.Equal(want) {
		t.Errorf("created %v, want %v", dated.Config.Created, want)
	}
	for _, bad := range []string{"soon", "-1", "1e9", "99999999999999999999"} {
		t.Setenv("SOURCE_DATE_EPOCH", bad)
		if _, err := oci.New(wasm, oci.BuildOptions{}); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The examples of the specification, with digests that are some.
const specConfig = `{
    "created": "2015-10-31T22:22:56.015925234Z",
    "author": "Alyssa P. Hacker <alyspdev@example.com>",
    "architecture": "wasm",
    "os": "wasip2",
    "layerDigests": [
        "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        "sha256:2222222222222222222222222222222222222222222222222222222222222222"
    ],
    "component": {
        "exports": ["wasi:http/incoming-handler@0.2.0", "function-name"],
        "imports": ["wasi:filesystem/types@0.2.0", "function-name"],
        "target": "wasi:http/proxy@0.2.0"
    }
}`

const specManifest = `{
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "annotations": {"anything": "you-want-per-spec"},
    "config": {
        "mediaType": "application/vnd.wasm.config.v0+json",
        "size": 78,
        "digest": "sha256:3333333333333333333333333333333333333333333333333333333333333333"
    },
    "layers": [
        {
            "mediaType": "application/wasm",
            "size": 146992,
            "digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111"
        }%s
    ]
}`

const specSecondLayer = `,
        {
            "mediaType": "application/wasm",
            "size": 692031,
            "digest": "sha256:2222222222222222222222222222222222222222222222222222222222222222"
        }`

func TestSpecificationExamples(t *testing.T) {
	c, err := oci.ParseConfig([]byte(specConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := &oci.Config{
		Created: time.Date(2015, 10, 31, 22, 22, 56, 15925234, time.UTC), Author: "Alyssa P. Hacker <alyspdev@example.com>", Architecture: "wasm", OS: "wasip2",
		LayerDigests: []digest.Digest{digest.Digest("sha256:" + strings.Repeat("1", 64)), digest.Digest("sha256:" + strings.Repeat("2", 64))},
		Component: &oci.ConfigComponent{
			Exports: []string{"wasi:http/incoming-handler@0.2.0", "function-name"}, Imports: []string{"wasi:filesystem/types@0.2.0", "function-name"},
			Target: "wasi:http/proxy@0.2.0",
		},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	m, err := oci.ParseManifest(fmt.Appendf(nil, specManifest, ""))
	if err != nil {
		t.Fatal(err)
	}
	if m.Layer.Size != 146992 || m.Config.Size != 78 || m.Annotations["anything"] != "you-want-per-spec" {
		t.Errorf("%+v", m)
	}
	_, err = oci.ParseManifest(fmt.Appendf(nil, specManifest, specSecondLayer))
	if err == nil || !strings.Contains(err.Error(), "2 layers") || !strings.Contains(err.Error(), "sha256:2222") {
		t.Errorf("two layers: %v", err)
	}
}

func TestConfigs(t *testing.T) {
	for _, c := range []struct{ json, want string }{ // "" if it is accepted
		{`{"created":null,"author":null,"architecture":"wasm","os":"wasip1","layerDigests":null,"component":null}`, ""},
		{`{"created":"2024-01-01T00:00:00Z","author":null,"architecture":"wasm","os":"wasip2","layerDigests":[],"component":{"exports":null,"imports":null,"target":null}}`, ""},
		{`{"architecture":"wasm","os":"wasip1","layerDigests":[],"more":{"a":[1]}}`, ""},
		{`{"architecture":"amd64","os":"wasip1"}`, "architecture"},
		{`{"architecture":"wasm","os":"linux"}`, `the os is "linux"`},
		{`{"architecture":"wasm","os":"wasip2"}`, "component is missing"},
		{`{"architecture":"wasm","os":"wasip1","layerDigests":["sha256:12"]}`, "layerDigests[0]"},
		{`{"architecture":"wasm","os":"wasip1","layerDigests":["md5:` + strings.Repeat("0", 32) + `"]}`, "no digest"},
		{`{"architecture":"wasm","os":"wasip1","os":"wasip2"}`, "twice"},
		{`{"architecture":"wasm","os":"wasip1","OS":"wasip2"}`, "twice"},
		{`{"architecture":"wasm","os":"wasip1","created":"yesterday"}`, "parsing time"},
		{`{"architecture":"wasm","os":"wasip1"} {}`, "after the end of the JSON"},
		{`[]`, "cannot unmarshal"},
		{``, "unexpected EOF"},
		{"{\"architecture\":\"wasm\",\"os\":\"\xff\"}", "UTF-8"},
		{strings.Repeat("[", 1000), "nested deeper"},
	} {
		_, err := oci.ParseConfig([]byte(c.json))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.80s: %v, want %q", c.json, err, c.want)
		}
	}
	if _, err := oci.ParseConfig(make([]byte, 1<<20+1)); err == nil {
		t.Error("a config of more than 1 MiB is read")
	}
}

func TestManifests(t *testing.T) {
	d := sum("x")
	desc := func(mediaType, size string) string {
		return fmt.Sprintf(`{"mediaType":"%s","digest":"%s","size":%s}`, mediaType, d, size)
	}
	image := func(config, layers string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}`, config, layers)
	}
	config := desc("application/vnd.wasm.config.v0+json", "100")
	for _, c := range []struct{ json, want string }{
		{image(config, desc("application/wasm", "8")), ""},
		// Other tools' layouts.
		{image(desc("application/vnd.oci.empty.v1+json", "2"), desc("application/wasm", "8")), ""},
		{image(desc("application/vnd.wasm.config.v1+json", "2"), desc("application/vnd.wasm.content.layer.v1+wasm", "8")), ""},
		{image(desc("x/y", "2"), desc("application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", "8")), ""},
		{image(desc("x/y", "2"), desc("application/vnd.module.wasm.content.layer.v1+wasm", "8")), ""},
		{image(desc("x/y", "2"), desc("application/vnd.w3c.wasm.module.v1+wasm", "8")), ""},
		{strings.Replace(image(config, desc("application/wasm", "8")), "{", `{"annotations":{"a":"1","A":"2"},`, 1), ""},
		// Keys that encoding/json takes for one field.
		{strings.Replace(image(config, desc("application/wasm", "8")), "{", `{"Layers":[],`, 1), "is there twice"},
		{strings.Replace(image(config, desc("application/wasm", "8")), "{", `{"layerſ":[],`, 1), "is there twice"},
		{strings.Replace(image(config, desc("application/wasm", "8")), `"mediaType":"application/vnd.oci.image.manifest.v1+json",`, "", 1), ""},
		{image(desc("application/vnd.oci.image.config.v1+json", "2"), desc("application/vnd.oci.image.layer.v1.tar+gzip", "8")), "not a Wasm artifact"},
		{image(config, ""), "no layers"},
		{image(config, desc("application/wasm", "-1")), "-1 is no size"},
		{image(config, desc("application/wasm", "9007199254740992")), "is no size"},
		{image(config, desc("application/wasm", "1e3")), "cannot unmarshal"},
		{image(config, `{"mediaType":"application/wasm","digest":"`+d+`"}`), "no size"},
		{image(config, `{"mediaType":"application/wasm","digest":"sha256:../../etc/passwd","size":1}`), "no digest"},
		{image(desc("application/vnd.wasm.config.v0+json", "1048577"), desc("application/wasm", "8")), "config has 1048577 bytes"},
		{`{"schemaVersion":1}`, "schemaVersion"},
		{`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + desc("application/vnd.oci.image.index.v1+json", "5") + `]}`, "(an index)"},
		{`{"schemaVersion":2,"manifests":[]}`, "an image index"},
		{`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}`, "Docker image"},
		{`{"schemaVersion":2,"layers":[` + strings.TrimSuffix(strings.Repeat("{},", 1_000_000), ",") + `]}`, "more than 16384 values"},
	} {
		_, err := oci.ParseManifest([]byte(c.json))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.300s: %v, want %q", c.json, err, c.want)
		}
	}
	if _, err := oci.ParseManifest(make([]byte, 4<<20+1)); err == nil {
		t.Error("a manifest of more than 4 MiB is read")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(fmt.Appendf(nil, specManifest, ""))
	f.Add(fmt.Appendf(nil, specManifest, specSecondLayer))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := oci.ParseManifest(b)
		if err != nil {
			return
		}
		for _, d := range []digest.Digest{m.Config.Digest, m.Layer.Digest} {
			if d.Validate() != nil {
				t.Errorf("accepts the digest %q", d)
			}
		}
		if m.Layer.Size < 0 || m.Config.Size < 0 {
			t.Error("accepts a size below zero")
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(specConfig))
	f.Add([]byte(`{"created":null,"author":null,"architecture":"wasm","os":"wasip1","layerDigests":null,"component":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := oci.ParseConfig(b)
		if err != nil {
			return
		}
		if c.OS == "wasip2" && c.Component == nil {
			t.Error("accepts a component without description")
		}
	})
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(emptyModule))
	f.Add([]byte(handMade))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := oci.New(b, oci.BuildOptions{})
		if err != nil {
			return
		}
		if _, err := oci.ParseManifest(a.ManifestBytes); err != nil {
			t.Errorf("makes a manifest that is none: %v\n%s", err, a.ManifestBytes)
		}
		if _, err := oci.ParseConfig(a.ConfigBytes); err != nil {
			t.Errorf("makes a config that is none: %v\n%s", err, a.ConfigBytes)
		}
	})
}
