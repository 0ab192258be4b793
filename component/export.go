package component

import (
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// FuncInfo is a function that a component imports or exports.
type FuncInfo struct {
	Interface string // "" at the root
	Name      string
	Type      *FuncType
}

// Path returns the function's name with its interface, as in
// "wasi:cli/run@0.2.0#run".
func (f FuncInfo) Path() string {
	if f.Interface == "" {
		return f.Name
	}
	return f.Interface + "#" + f.Name
}

// Exports lists the exported functions, at the root and in interfaces.
func (c *Component) Exports() []FuncInfo {
	return funcInfos(c.plan.exports, "")
}

func funcInfos(d *instanceDef, iface string) []FuncInfo {
	var out []FuncInfo
	for _, name := range d.names {
		switch it := d.items[name]; {
		case it.fn != nil:
			out = append(out, FuncInfo{Interface: iface, Name: name, Type: it.fn.typ})
		case it.instance != nil && iface == "":
			out = append(out, funcInfos(it.instance, name)...)
		}
	}
	return out
}

// Imports lists the functions that the component imports.
func (c *Component) Imports() []FuncInfo {
	var out []FuncInfo
	for _, im := range c.plan.imports {
		if im.sort != binary.SortFunc {
			continue
		}
		last := len(im.path) - 1
		out = append(out, FuncInfo{Interface: strings.Join(im.path[:last], "#"), Name: im.path[last], Type: im.fn})
	}
	return out
}

// ExportsInterface tells whether the component exports an interface of that
// name; the version is matched by compatibility track.
func (c *Component) ExportsInterface(name string) bool {
	it, ok := c.plan.exports.find(name)
	return ok && it.instance != nil
}

// CoreModules lists the core modules in the component, in the order of their
// instantiation.
func (c *Component) CoreModules() []CoreModuleInfo {
	var out []CoreModuleInfo
	for _, m := range c.plan.modules {
		info := CoreModuleInfo{Offset: m.origin, Size: m.size}
		if !slices.Contains(out, info) {
			out = append(out, info)
		}
	}
	return out
}

// CoreModuleInfo is a core module in a component.
type CoreModuleInfo struct {
	Offset int // in bytes from the start of the component
	Size   int // in bytes
}
