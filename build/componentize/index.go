package componentize

import (
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// itemIndex finds imports, or exports, by name.
type itemIndex struct {
	exact     map[string]*wit.WorldItem // by extern name
	canonical map[string]*wit.WorldItem // interfaces, by name with the track of the version
}

func newIndex(items []*wit.WorldItem) *itemIndex {
	x := &itemIndex{exact: map[string]*wit.WorldItem{}, canonical: map[string]*wit.WorldItem{}}
	for _, item := range items {
		x.exact[item.ExternName()] = item
		if item.Interface == nil {
			continue
		}
		if name := canonicalName(item); x.canonical[name] == nil {
			x.canonical[name] = item
		}
	}
	return x
}

// canonicalName is the name of an item with only the track of its version.
func canonicalName(item *wit.WorldItem) string {
	if item.Name != "" || item.Interface == nil {
		return item.ExternName()
	}
	pkg := item.Interface.Package.Name
	if pkg.Version != "" {
		pkg.Version = wit.VersionTrack(pkg.Version)
	}
	return pkg.Item(item.Interface.Name)
}

// standard finds the interface of a canonical name, or nil.
func (x *itemIndex) standard(name string) *wit.WorldItem { return x.canonical[name] }

// compatible finds the interface of that name: of the version that it has, or else of
// another one of the track; or nil.
func (x *itemIndex) compatible(name string) *wit.WorldItem {
	if item := x.exact[name]; item != nil && item.Interface != nil {
		return item
	}
	base, version, ok := strings.Cut(name, "@")
	if !ok || !wit.ValidVersion(version) {
		return nil
	}
	return x.canonical[base+"@"+wit.VersionTrack(version)]
}

// function finds the function of that name, or nil.
func (x *itemIndex) function(name string) *wit.WorldItem {
	if item := x.exact[name]; item != nil && item.Function != nil {
		return item
	}
	return nil
}

// typ finds the type of that name, or nil.
func (x *itemIndex) typ(name string) *wit.WorldItem {
	if item := x.exact[name]; item != nil && item.Type != nil {
		return item
	}
	return nil
}
