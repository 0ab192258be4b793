package main

import (
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// outline writes a resolved set of packages as text, one line an item. Named
// types are referred to by owner and name, others by their structure, so that
// it does not depend on the numbering that wasm-tools gives to types. It is
// the counterpart of outlineJSON.
func outline(r *wit.Resolve) string {
	var o outliner
	o.names = map[wit.Owner]string{}
	for _, p := range r.Packages {
		for _, i := range p.Interfaces {
			o.names[i] = i.ID()
		}
		for _, w := range p.Worlds {
			o.names[w] = w.ID()
			for _, items := range [][]*wit.WorldItem{w.Imports, w.Exports} {
				for _, item := range items {
					if item.Interface != nil && item.Interface.Name == "" {
						o.names[item.Interface] = w.ID() + "#" + item.Name
					}
				}
			}
		}
	}
	for _, p := range r.Packages {
		o.line("package %s%s", p.Name, docs(p.Docs))
		for _, i := range p.Interfaces {
			o.line("interface %s%s%s", i.Name, docs(i.Docs), stability(i.Stability))
			o.iface(i)
		}
		for _, w := range p.Worlds {
			o.line("world %s%s%s", w.Name, docs(w.Docs), stability(w.Stability))
			o.items("import", w.Imports)
			o.items("export", w.Exports)
		}
	}
	return o.b.String()
}

type outliner struct {
	b     strings.Builder
	names map[wit.Owner]string
}

func (o *outliner) line(format string, args ...any) { fmt.Fprintf(&o.b, format+"\n", args...) }

func docs(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" docs=%q", s)
}

func externalID(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" id=%q", s)
}

func stability(s wit.Stability) string {
	out := ""
	if s.Since != "" {
		out += " since=" + s.Since
	}
	if s.Unstable != "" {
		out += " unstable=" + s.Unstable
	}
	if s.Deprecated != "" {
		out += " deprecated=" + s.Deprecated
	}
	return out
}

func (o *outliner) iface(i *wit.Interface) {
	o.line("  of %s", i.Package.Name)
	for _, t := range i.Types {
		o.typeDef("  ", t)
	}
	for _, f := range i.Functions {
		o.function("  ", f.Name, f)
	}
}

func (o *outliner) items(verb string, items []*wit.WorldItem) {
	for _, item := range items {
		switch {
		case item.Type != nil:
			o.typeDef("  "+verb+" ", item.Type)
		case item.Function != nil:
			o.function("  "+verb+" ", item.Name, item.Function)
		default:
			name := o.names[item.Interface]
			key := item.Name
			if key == "" {
				key = name
			}
			o.line("  %s %s: interface %s%s%s%s", verb, key, name, docs(item.Docs), stability(item.Stability), externalID(item.ExternalID))
			if item.Interface.Name == "" {
				o.line("  inline%s%s", docs(item.Interface.Docs), stability(item.Interface.Stability))
				o.iface(item.Interface)
			}
		}
	}
}

func (o *outliner) typeDef(prefix string, t *wit.TypeDef) {
	o.line("%stype %s = %s%s%s%s", prefix, o.ref(t), o.kind(t.Kind), docs(t.Docs), stability(t.Stability), externalID(t.ExternalID))
}

func (o *outliner) ref(t wit.Type) string {
	switch t := t.(type) {
	case nil:
		return "_"
	case wit.Prim:
		return t.String()
	case *wit.TypeDef:
		if t.Name != "" {
			return o.names[t.Owner] + "." + t.Name
		}
		return o.kind(t.Kind)
	}
	return "?"
}

func (o *outliner) kind(k wit.Kind) string {
	refs := func(types ...wit.Type) string {
		var s []string
		for _, t := range types {
			s = append(s, o.ref(t))
		}
		return "(" + strings.Join(s, " ") + ")"
	}
	labels := func(labels []wit.Label) string {
		var s []string
		for _, l := range labels {
			s = append(s, l.Name+docs(l.Docs))
		}
		return "{" + strings.Join(s, " ") + "}"
	}
	switch k := k.(type) {
	case *wit.Alias:
		return "type" + refs(k.Type)
	case *wit.Record:
		var s []string
		for _, f := range k.Fields {
			s = append(s, f.Name+":"+o.ref(f.Type)+docs(f.Docs))
		}
		return "record{" + strings.Join(s, " ") + "}"
	case *wit.Variant:
		var s []string
		for _, c := range k.Cases {
			s = append(s, c.Name+":"+o.ref(c.Type)+docs(c.Docs))
		}
		return "variant{" + strings.Join(s, " ") + "}"
	case *wit.Enum:
		return "enum" + labels(k.Cases)
	case *wit.Flags:
		return "flags" + labels(k.Flags)
	case *wit.Resource:
		return "resource"
	case *wit.Own:
		return "own" + refs(k.Resource)
	case *wit.Borrow:
		return "borrow" + refs(k.Resource)
	case *wit.Tuple:
		return "tuple" + refs(k.Types...)
	case *wit.Option:
		return "option" + refs(k.Type)
	case *wit.Result:
		return "result" + refs(k.OK, k.Err)
	case *wit.List:
		return "list" + refs(k.Elem)
	case *wit.FixedLengthList:
		return "fixed-length-list" + refs(k.Elem) + fmt.Sprint(k.Len)
	case *wit.Map:
		return "map" + refs(k.Key, k.Value)
	case *wit.Future:
		return "future" + refs(k.Type)
	case *wit.Stream:
		return "stream" + refs(k.Type)
	}
	return fmt.Sprintf("%T", k)
}

func (o *outliner) function(prefix, key string, f *wit.Function) {
	kind := [...]string{"freestanding", "method", "static", "constructor"}[f.Kind]
	if f.Async {
		kind = "async-" + kind
	}
	if f.Resource != nil {
		kind += "(" + o.ref(f.Resource) + ")"
	}
	var params []string
	for _, p := range f.Params {
		params = append(params, p.Name+":"+o.ref(p.Type))
	}
	o.line("%sfunc %s %s %s (%s) -> %s%s%s%s", prefix, key, f.Name, kind, strings.Join(params, " "), o.ref(f.Result),
		docs(f.Docs), stability(f.Stability), externalID(f.ExternalID))
}
