package wit

import (
	"fmt"
	"strings"
)

// Print returns the package as WIT text in the canonical layout of wasm-tools.
// The nested packages follow in the form `package a:b { ... }`.
func Print(pkg *Package, nested ...*Package) string {
	p := &printer{}
	p.pkg(pkg, true)
	for i, n := range nested {
		if i > 0 {
			p.newline()
			p.newline()
		}
		p.pkg(n, false)
	}
	return p.b.String()
}

// printer writes WIT text. Lines are indented by two spaces a level.
type printer struct {
	b         strings.Builder
	level     int
	lineStart bool
	// anyItems says that the current block has something in it, so that a
	// blank line goes before the next item.
	anyItems bool
}

func (p *printer) print(s ...string) {
	for _, s := range s {
		if p.lineStart {
			p.b.WriteString(strings.Repeat("  ", p.level))
			p.lineStart = false
		}
		p.b.WriteString(s)
	}
}

func (p *printer) newline() {
	p.b.WriteByte('\n')
	p.lineStart = true
}

func (p *printer) semicolon() {
	p.print(";")
	p.newline()
}

func (p *printer) open() {
	p.print(" {")
	p.level++
	p.newline()
}

func (p *printer) close() {
	p.level--
	p.print("}")
	p.newline()
}

// block prints the body of an interface or world, which counts its items
// anew.
func (p *printer) block(body func()) {
	prev := p.anyItems
	p.anyItems = false
	p.open()
	body()
	p.close()
	p.anyItems = prev
}

func (p *printer) newItem() {
	if p.anyItems {
		p.newline()
	}
	p.anyItems = true
}

// escape returns a name as an identifier.
func escape(name string) string {
	if keywords[name] || name == "float32" || name == "float64" {
		return "%" + name
	}
	return name
}

func (p *printer) docs(text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.print("///")
		if line = strings.TrimSuffix(line, "\r"); line != "" {
			p.print(" ", line)
		}
		p.newline()
	}
}

func (p *printer) stability(s Stability) {
	line := func(attr, key, value string) {
		if value != "" {
			p.print("@", attr, "(", key, " = ", value, ")")
			p.newline()
		}
	}
	line("since", "version", s.Since)
	line("unstable", "feature", s.Unstable)
	line("deprecated", "version", s.Deprecated)
}

func (p *printer) externalID(id string) {
	if id == "" {
		return
	}
	p.print(`@external-id("`)
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_./: ", r):
			p.print(string(r))
		case r == '\\', r == '"':
			p.print(`\`, string(r))
		case r == '\n':
			p.print(`\n`)
		case r == '\r':
			p.print(`\r`)
		case r == '\t':
			p.print(`\t`)
		default:
			p.print(fmt.Sprintf(`\u{%x}`, r))
		}
	}
	p.print(`")`)
	p.newline()
}

func (p *printer) pkg(pkg *Package, main bool) {
	p.docs(pkg.Docs)
	p.print("package ", escape(pkg.Name.Namespace), ":", escape(pkg.Name.Name))
	if pkg.Name.Version != "" {
		p.print("@", pkg.Name.Version)
	}
	if main {
		p.semicolon()
		p.newline()
	} else {
		p.open()
	}
	for _, i := range pkg.Interfaces {
		p.docs(i.Docs)
		p.stability(i.Stability)
		p.print("interface ", escape(i.Name))
		p.block(func() { p.interfaceBody(i) })
		if main {
			p.newline()
		}
	}
	for _, w := range pkg.Worlds {
		p.docs(w.Docs)
		p.stability(w.Stability)
		p.print("world ", escape(w.Name))
		p.block(func() { p.worldBody(w) })
	}
	if !main {
		p.close()
	}
}

// members are the functions of resources.
type members map[*TypeDef][]*Function

func (p *printer) interfaceBody(i *Interface) {
	resources := members{}
	var freestanding []*Function
	for _, f := range i.Functions {
		if f.Resource != nil {
			resources[f.Resource] = append(resources[f.Resource], f)
		} else {
			freestanding = append(freestanding, f)
		}
	}
	p.types(i, i.Package, i.Types, resources)
	for _, f := range freestanding {
		p.newItem()
		p.docs(f.Docs)
		p.stability(f.Stability)
		p.externalID(f.ExternalID)
		p.print(escape(f.Name), ": ")
		p.function(f)
		p.semicolon()
	}
}

func (p *printer) worldBody(w *World) {
	var types []*TypeDef
	var functions []*WorldItem
	resources := members{}
	for _, item := range w.Imports {
		switch {
		case item.Type != nil:
			types = append(types, item.Type)
		case item.Function != nil && item.Function.Resource != nil:
			resources[item.Function.Resource] = append(resources[item.Function.Resource], item.Function)
		case item.Function != nil:
			functions = append(functions, item)
		default:
			p.worldItem("import", item, w.Package)
			p.anyItems = true
		}
	}
	p.types(w, w.Package, types, resources)
	for _, item := range functions {
		p.worldItem("import", item, w.Package)
		p.anyItems = true
	}
	if len(w.Exports) > 0 {
		p.newItem()
	}
	for _, item := range w.Exports {
		p.worldItem("export", item, w.Package)
	}
}

func (p *printer) worldItem(verb string, item *WorldItem, pkg *Package) {
	if f := item.Function; f != nil {
		p.docs(f.Docs)
		p.stability(f.Stability)
		p.externalID(f.ExternalID)
		p.print(verb, " ", escape(f.Name), ": ")
		p.function(f)
		p.semicolon()
		return
	}
	text := item.Docs
	if text == "" && item.Interface.Name == "" {
		text = item.Interface.Docs
	}
	p.docs(text)
	p.stability(item.Stability)
	p.externalID(item.ExternalID)
	p.print(verb, " ")
	if item.Name != "" {
		p.print(escape(item.Name), ": ")
		if item.Interface.Name == "" {
			p.print("interface")
			p.block(func() { p.interfaceBody(item.Interface) })
			return
		}
	}
	p.path(item.Interface, pkg)
	p.semicolon()
}

// path prints the name of an interface as seen from a package.
func (p *printer) path(i *Interface, from *Package) {
	if i.Package.Name == from.Name {
		p.print(escape(i.Name))
		return
	}
	n := i.Package.Name
	p.print(escape(n.Namespace), ":", escape(n.Name), "/", escape(i.Name))
	if n.Version != "" {
		p.print("@", n.Version)
	}
}

// types prints the types of an interface or world: used ones first, and
// resources with their functions.
func (p *printer) types(owner Owner, pkg *Package, types []*TypeDef, resources members) {
	var declared []*TypeDef
	var uses [][]*TypeDef
	for _, t := range types {
		from := t.UsedFrom()
		if from == nil {
			declared = append(declared, t)
			continue
		}
		if n := len(uses); n > 0 {
			prev := uses[n-1][0]
			if prev.UsedFrom() == from && prev.Stability == t.Stability && prev.ExternalID == t.ExternalID {
				uses[n-1] = append(uses[n-1], t)
				continue
			}
		}
		uses = append(uses, []*TypeDef{t})
	}
	for _, use := range uses {
		p.anyItems = true
		p.stability(use[0].Stability)
		p.externalID(use[0].ExternalID)
		p.print("use ")
		p.path(use[0].UsedFrom(), pkg)
		p.print(".{")
		for i, t := range use {
			if i > 0 {
				p.print(", ")
			}
			if other := t.Kind.(*Alias).Type.(*TypeDef); other.Name != t.Name {
				p.print(escape(other.Name), " as ")
			}
			p.print(escape(t.Name))
		}
		p.print("}")
		p.semicolon()
	}
	for _, t := range declared {
		p.newItem()
		p.docs(t.Docs)
		p.stability(t.Stability)
		p.externalID(t.ExternalID)
		p.declare(t, resources[t])
	}
}

func (p *printer) declare(t *TypeDef, functions []*Function) {
	labels := func(keyword string, labels []Label) {
		p.print(keyword, " ", escape(t.Name))
		p.open()
		for _, l := range labels {
			p.docs(l.Docs)
			p.print(escape(l.Name), ",")
			p.newline()
		}
		p.close()
	}
	switch k := t.Kind.(type) {
	case *Resource:
		p.print("resource ", escape(t.Name))
		if len(functions) == 0 {
			p.semicolon()
			return
		}
		p.open()
		for _, f := range functions {
			p.docs(f.Docs)
			p.stability(f.Stability)
			p.externalID(f.ExternalID)
			if f.Kind != Constructor {
				p.print(escape(f.ItemName()), ": ")
			}
			if f.Kind == Static {
				p.print("static ")
			}
			p.function(f)
			p.semicolon()
		}
		p.close()
	case *Record:
		p.print("record ", escape(t.Name))
		p.open()
		for _, f := range k.Fields {
			p.docs(f.Docs)
			p.print(escape(f.Name), ": ")
			p.typ(f.Type)
			p.print(",")
			p.newline()
		}
		p.close()
	case *Variant:
		p.print("variant ", escape(t.Name))
		p.open()
		for _, c := range k.Cases {
			p.docs(c.Docs)
			p.print(escape(c.Name))
			if c.Type != nil {
				p.print("(")
				p.typ(c.Type)
				p.print(")")
			}
			p.print(",")
			p.newline()
		}
		p.close()
	case *Enum:
		labels("enum", k.Cases)
	case *Flags:
		labels("flags", k.Flags)
	default:
		p.print("type ", escape(t.Name), " = ")
		if own, ok := k.(*Own); ok {
			// An alias of a resource is something else, so own is spelled out.
			p.print("own<", escape(own.Resource.Name), ">")
		} else {
			p.kind(k)
		}
		p.semicolon()
	}
}
