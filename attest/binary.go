package attest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// contents is what a component or core module says of what it was made of.
type contents struct {
	producers []wasm.Producer
	modules   []*debug.BuildInfo // of programs in Go
}

// readContents reads a component or core module, with what is nested in it.
func readContents(b []byte) (*contents, error) {
	c := &contents{}
	switch binary.KindOf(b) {
	case binary.KindModule:
		c.module(b)
	case binary.KindComponent:
		parsed, err := binary.Decode(b)
		if err != nil {
			return nil, err
		}
		c.component(parsed)
	default:
		return nil, errors.New("neither a core module nor a component")
	}
	return c, nil
}

func (c *contents) component(b *binary.Component) {
	for _, s := range b.Customs {
		if s.Name == "producers" {
			c.addProducers(s.Data)
		}
	}
	for _, d := range b.Defs {
		switch d := d.(type) {
		case *binary.Component:
			c.component(d)
		case *binary.CoreModule:
			c.module(d.Bytes)
		}
	}
}

func (c *contents) module(b []byte) {
	if m, err := wasm.Decode(b); err == nil {
		if s, ok := m.Custom("producers"); ok {
			c.addProducers(s.Data)
		}
	}
	if info := goBuildInfo(b); info != nil {
		c.modules = append(c.modules, info)
	}
}

// addProducers adds what a section says. One that can't be read says nothing.
func (c *contents) addProducers(data []byte) {
	all, _ := wasm.DecodeProducers(data)
	for _, p := range all {
		if !slices.Contains(c.producers, p) {
			c.producers = append(c.producers, p)
		}
	}
}

// What stands before and behind the list of modules that the Go linker puts into the
// data of a program (runtime.modinfo).
var (
	modInfoStart, _ = hex.DecodeString("3077af0c9274080241e1c107e6d618e6")
	modInfoEnd, _   = hex.DecodeString("f932433186182072008242104116d8f2")
)

const maxModInfo = 4 << 20

// goBuildInfo returns the list of modules in a program in Go, or nil.
func goBuildInfo(module []byte) *debug.BuildInfo {
	_, rest, ok := bytes.Cut(module, modInfoStart)
	if !ok {
		return nil
	}
	text, _, ok := bytes.Cut(rest[:min(len(rest), maxModInfo)], modInfoEnd)
	if !ok {
		return nil
	}
	info, err := debug.ParseBuildInfo(string(text))
	if err != nil {
		return nil
	}
	return info
}

// dependencies are the modules of Go, and what the producers sections name.
func (c *contents) dependencies() []dependency {
	var all []dependency
	release := ""
	for _, p := range c.producers {
		all = append(all, dependency{
			name: p.Name, version: p.Version, scope: scopeExcluded,
			properties: []property{{"wasm:producers", p.Field}},
		})
		if p.Field == "language" && p.Name == "Go" || p.Field == "processed-by" && strings.HasPrefix(p.Name, "Go cmd/") {
			if v := goRelease(p.Version); len(v) > len(release) {
				release = v
			}
		}
	}
	for _, info := range c.modules {
		for _, d := range info.Deps {
			all = append(all, goModule(d.Path, d.Version, d.Sum, d.Replace))
		}
	}
	if len(c.modules) > 0 && release != "" {
		all = append(all, dependency{name: "std", version: release, purl: purl("golang", "", "std", release)})
	}
	return all
}

// goRelease cuts a release of Go out of "go1.26.1 X:experiment".
func goRelease(version string) string {
	version, _, _ = strings.Cut(version, " ")
	return strings.TrimPrefix(version, "go")
}

// goModule describes a module that a program is linked with. What replaces it is what
// was linked: another module, or a folder, which has neither version nor sum.
func goModule(path, version, sum string, replace *debug.Module) dependency {
	d := dependency{name: path, version: version}
	if replace != nil {
		d.properties = []property{{"ashlar:go:replaces", path + "@" + version}}
		sum = replace.Sum
		if local := strings.HasPrefix(replace.Path, ".") || strings.HasPrefix(replace.Path, "/") || replace.Version == "" || replace.Version == "(devel)"; local {
			d.version = ""
			d.properties[0].Value += " by a folder"
		} else {
			d.name, d.version = replace.Path, replace.Version
		}
	}
	d.purl = goPURL(d.name, d.version)
	if b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:")); err == nil && len(b) == 32 {
		d.hashes, d.dirHash = newHash("SHA-256", b), hex.EncodeToString(b)
	}
	return d
}
