package bindgen

import (
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wit"
)

var goPrims = map[wit.Prim]string{
	wit.Bool: "bool", wit.U8: "uint8", wit.U16: "uint16", wit.U32: "uint32", wit.U64: "uint64",
	wit.S8: "int8", wit.S16: "int16", wit.S32: "int32", wit.S64: "int64",
	wit.F32: "float32", wit.F64: "float64", wit.Char: "rune", wit.String: "string",
}

var abiPrims = map[wit.Prim]string{
	wit.Bool: "abi.Bool", wit.U8: "abi.U8", wit.U16: "abi.U16", wit.U32: "abi.U32", wit.U64: "abi.U64",
	wit.S8: "abi.S8", wit.S16: "abi.S16", wit.S32: "abi.S32", wit.S64: "abi.S64",
	wit.F32: "abi.F32", wit.F64: "abi.F64", wit.Char: "abi.Char", wit.String: "abi.String",
}

// goType returns the Go type of a WIT type.
func (g *generator) goType(t wit.Type, export bool) string {
	if p, ok := t.(wit.Prim); ok {
		return goPrims[p]
	}
	d := t.(*wit.TypeDef)
	if d.UsedFrom() != nil {
		return g.goType(d.Kind.(*wit.Alias).Type, export)
	}
	if d.Name != "" {
		if name := g.nameOf(g.key(d, export)); name != "" {
			if g.guest != nil && g.isImportedResource(d, export) {
				return "*" + name
			}
			return name
		}
		// A type whose owner is not part of the world's imports and exports
		// can't be reached.
		g.fail("type %s has no binding", d.Name)
		return "any"
	}
	switch k := d.Kind.(type) {
	case *wit.Own:
		return g.goType(k.Resource, export)
	case *wit.Borrow:
		return g.goType(k.Resource, export)
	}
	return g.goKind(d.Kind, export)
}

// goKind returns the Go type of a type expression.
func (g *generator) goKind(k wit.Kind, export bool) string {
	side := func(t wit.Type) string {
		if t == nil {
			return "abi.Unit"
		}
		return g.goType(t, export)
	}
	switch k := k.(type) {
	case *wit.Alias:
		return g.goType(k.Type, export)
	case *wit.Own:
		return g.goType(k.Resource, export)
	case *wit.Borrow:
		return g.goType(k.Resource, export)
	case *wit.List:
		if isByte(k.Elem) {
			return "[]byte"
		}
		return "[]" + g.goType(k.Elem, export)
	case *wit.FixedLengthList:
		return fmt.Sprintf("[%d]%s", k.Len, g.goType(k.Elem, export))
	case *wit.Map:
		return "map[" + g.goType(k.Key, export) + "]" + g.goType(k.Value, export)
	case *wit.Option:
		inner := g.goType(k.Type, export)
		switch g.optionForm(k, export) {
		case optionNilable:
			return inner
		case optionNested:
			return "abi.Option[" + inner + "]"
		}
		return "*" + inner
	case *wit.Result:
		return "abi.Result[" + side(k.OK) + ", " + side(k.Err) + "]"
	case *wit.Tuple:
		var args []string
		for _, t := range k.Types {
			args = append(args, g.goType(t, export))
		}
		if g.guest != nil {
			return g.guestTuple(args)
		}
		g.tuples[len(k.Types)] = true
		return fmt.Sprintf("Tuple%d[%s]", len(args), strings.Join(args, ", "))
	}
	g.fail("a type without a name can't be %T", k)
	return "any"
}

type optionForm uint8

const (
	optionPointer optionForm = iota
	optionNilable            // the Go type of the payload has a nil that is no value
	optionNested             // the payload is an option itself
)

func (g *generator) optionForm(o *wit.Option, export bool) optionForm {
	d, ok := o.Type.(*wit.TypeDef)
	if !ok {
		return optionPointer
	}
	root := d.Root()
	switch root.Kind.(type) {
	case *wit.Option:
		return optionNested
	case *wit.Variant:
		return optionNilable
	case *wit.Own, *wit.Borrow, *wit.Resource:
		if g.guest != nil || !g.key(root, export).export {
			return optionNilable
		}
	}
	return optionPointer
}

// isPointer reports whether a type is an option that is a pointer in Go.
func (g *generator) isPointer(t wit.Type, export bool) bool {
	d, ok := root(t).(*wit.TypeDef)
	if !ok {
		return false
	}
	o, ok := d.Kind.(*wit.Option)
	return ok && g.optionForm(o, export) == optionPointer
}

func isByte(t wit.Type) bool {
	if d, ok := t.(*wit.TypeDef); ok {
		a, ok := d.Root().Kind.(*wit.Alias)
		return ok && a.Type == wit.U8
	}
	return t == wit.U8
}

// layout returns the layout of a type.
func (g *generator) layout(t wit.Type) *canon.Type { return g.layouts.Of(t) }

// short returns a name for a type that can be part of Go identifiers. Types
// with the same name have the same Go type and layout.
func (g *generator) short(t wit.Type, export bool) string {
	name, signature := g.describe(t, export)
	if s := g.shortNames[signature]; s != "" {
		return s
	}
	name = g.shorts.pickInner(name)
	g.shortNames[signature] = name
	return name
}

// describe returns a readable name for a type, and a text that is the same for
// the same types only.
func (g *generator) describe(t wit.Type, export bool) (name, signature string) {
	t = root(t)
	d, ok := t.(*wit.TypeDef)
	if !ok {
		if t == nil {
			return "Unit", "unit"
		}
		return exported(t.(wit.Prim).String()), t.(wit.Prim).String()
	}
	var args []wit.Type
	switch k := d.Kind.(type) {
	case *wit.Record, *wit.Variant, *wit.Enum, *wit.Flags, *wit.Resource:
		name = g.goType(d, export)
		return identifier(name), "type " + name
	case *wit.Own:
		name = g.goType(k.Resource.Root(), export)
		return "Own" + identifier(name), "own " + name
	case *wit.Borrow:
		name = g.goType(k.Resource.Root(), export)
		return "Borrow" + identifier(name), "borrow " + name
	case *wit.List:
		name, args = "List", []wit.Type{k.Elem}
	case *wit.FixedLengthList:
		name, args = fmt.Sprintf("List%dOf", k.Len), []wit.Type{k.Elem}
	case *wit.Map:
		name, args = "Map", []wit.Type{k.Key, k.Value}
	case *wit.Option:
		name, args = "Option", []wit.Type{k.Type}
	case *wit.Result:
		name, args = "Result", []wit.Type{k.OK, k.Err}
	case *wit.Tuple:
		name, args = "Tuple", k.Types
	}
	signature = name + "("
	for _, a := range args {
		n, s := g.describe(a, export)
		name += n
		signature += s + ","
	}
	return name, signature + ")"
}

// abiType returns the Go expression of a type's component type: a variable,
// which it writes if it is not there yet.
func (g *generator) abiType(t wit.Type, export bool) string {
	switch t := t.(type) {
	case nil:
		return "nil"
	case wit.Prim:
		return abiPrims[t]
	}
	d := t.(*wit.TypeDef)
	if a, ok := d.Kind.(*wit.Alias); ok {
		return g.abiType(a.Type, export)
	}
	name := "type" + g.short(t, export)
	if g.written[name] {
		return name
	}
	g.written[name] = true
	var args []string
	fn := ""
	switch k := d.Kind.(type) {
	case *wit.Record:
		fn = "Record"
		for _, f := range k.Fields {
			args = append(args, fmt.Sprintf("abi.F(%q, %s)", f.Name, g.abiType(f.Type, export)))
		}
	case *wit.Variant:
		fn = "Variant"
		for _, c := range k.Cases {
			args = append(args, fmt.Sprintf("abi.C(%q, %s)", c.Name, g.abiType(c.Type, export)))
		}
	case *wit.Enum:
		fn = "Enum"
		for _, c := range k.Cases {
			args = append(args, fmt.Sprintf("%q", c.Name))
		}
	case *wit.Flags:
		fn = "Flags"
		for _, c := range k.Flags {
			args = append(args, fmt.Sprintf("%q", c.Name))
		}
	case *wit.Own:
		fn, args = "Own", []string{g.resource(k.Resource, export)}
	case *wit.Borrow:
		fn, args = "Borrow", []string{g.resource(k.Resource, export)}
	default:
		switch k := k.(type) {
		case *wit.List:
			fn = "List"
		case *wit.FixedLengthList:
			g.codec.printf("var %s = abi.FixedList(%s, %d)\n\n", name, g.abiType(k.Elem, export), k.Len)
			return name
		case *wit.Map:
			fn = "Map"
		case *wit.Option:
			fn = "OptionOf"
		case *wit.Tuple:
			fn = "Tuple"
		case *wit.Result:
			g.codec.printf("var %s = abi.ResultOf(%s, %s)\n\n", name, g.abiType(k.OK, export), g.abiType(k.Err, export))
			return name
		}
		for _, part := range parts(d.Kind) {
			args = append(args, g.abiType(part, export))
		}
	}
	g.codec.printf("var %s = abi.%s(%s)\n\n", name, fn, strings.Join(args, ", "))
	return name
}

// resource returns the variable of a resource type.
func (g *generator) resource(t *wit.TypeDef, export bool) string {
	return resourceVar(g.typeName[g.key(t.Root(), export)])
}

func resourceVar(typeName string) string {
	if strings.HasSuffix(typeName, "_") {
		typeName += "0"
	}
	return "resource" + typeName
}

// declare writes the Go type of a named type.
func (g *generator) declare(f *outFile, u *unit, key typeKey) {
	t := key.def
	if t.UsedFrom() != nil {
		return
	}
	name := g.typeName[key]
	intro := func(kind string) {
		comment(f, fmt.Sprintf("%s is the %s `%s` of %s.", name, kind, t.Name, u.describe()), t.Docs)
		if t.Stability.Deprecated != "" {
			f.printf("//\n// Deprecated: since version %s.\n", t.Stability.Deprecated)
		}
	}
	labelDocs := func(docs string) {
		if docs != "" {
			lines(f, docs)
		}
	}
	switch k := t.Kind.(type) {
	case *wit.Record:
		intro("record")
		f.printf("type %s struct {\n", name)
		names := nameSet{"Error": g.errors[key]}
		for _, field := range k.Fields {
			labelDocs(field.Docs)
			f.printf("%s %s\n", names.pick(exported(field.Name)), g.goType(field.Type, key.export))
		}
		f.printf("}\n\n")
		if g.errors[key] {
			f.printf("// Error describes the value.\nfunc (v %s) Error() string {\ntype plain %s\nreturn fmt.Sprintf(\"%s: %%+v\", plain(v))\n}\n\n", name, name, t.Name)
		}
	case *wit.Enum:
		intro("enum")
		size := g.layout(t).Size
		f.printf("type %s uint%d\n\n// The values of %s.\nconst (\n", name, 8*size, name)
		for i, c := range k.Cases {
			labelDocs(c.Docs)
			if i == 0 {
				f.printf("%s %s = iota\n", g.caseName[key][i], name)
			} else {
				f.printf("%s\n", g.caseName[key][i])
			}
		}
		f.printf(")\n\nvar labels%s = [...]string{", name)
		for i, c := range k.Cases {
			if i > 0 {
				f.printf(", ")
			}
			f.printf("%q", c.Name)
		}
		f.printf("}\n\n// String returns the label in WIT.\nfunc (v %[1]s) String() string {\nif int(v) < len(labels%[1]s) {\nreturn labels%[1]s[v]\n}\nreturn fmt.Sprintf(\"%[2]s(%%d)\", uint32(v))\n}\n\n", name, t.Name)
		if g.errors[key] {
			f.printf("// Error returns the label in WIT.\nfunc (v %s) Error() string { return v.String() }\n\n", name)
		}
	case *wit.Flags:
		intro("flags type")
		size := g.layout(t).Size
		if len(k.Flags) > 32 {
			g.fail("flags %s has more than 32 flags", t.Name)
		}
		f.printf("type %s uint%d\n\n// The flags of %s.\nconst (\n", name, 8*size, name)
		for i, c := range k.Flags {
			labelDocs(c.Docs)
			if i == 0 {
				f.printf("%s %s = 1 << iota\n", g.caseName[key][i], name)
			} else {
				f.printf("%s\n", g.caseName[key][i])
			}
		}
		f.printf(")\n\n")
		f.printf("// String returns the labels of the flags that are set.\nfunc (v %s) String() string {\nvar set []string\nfor i, label := range [...]string{", name)
		for i, c := range k.Flags {
			if i > 0 {
				f.printf(", ")
			}
			f.printf("%q", c.Name)
		}
		f.printf("} {\nif v>>i&1 != 0 {\nset = append(set, label)\n}\n}\nreturn \"{\" + strings.Join(set, \", \") + \"}\"\n}\n\n")
		if g.errors[key] {
			f.printf("// Error returns the labels of the flags that are set.\nfunc (v %s) Error() string { return v.String() }\n\n", name)
		}
	case *wit.Variant:
		g.declareVariant(f, key, k, intro)
	case *wit.Resource:
		if g.guest != nil {
			g.declareGuestSide(f, u, key, intro)
		} else if key.export {
			g.declareGuestResource(f, key, intro)
		} else {
			g.declareResource(f, u, key, intro)
		}
	default:
		intro("type")
		kind := g.goKind(k, key.export)
		if g.guest != nil && g.isImportedResource(t, key.export) {
			kind = strings.TrimPrefix(kind, "*")
		}
		f.printf("type %s = %s\n\n", name, kind)
	}
}

func (g *generator) declareVariant(f *outFile, key typeKey, v *wit.Variant, intro func(string)) {
	name := g.typeName[key]
	isError := g.errors[key]
	intro("variant")
	f.printf("//\n// It is one of ")
	for i := range v.Cases {
		if i > 0 {
			f.printf(",\n// ")
		}
		f.printf("[%s]", g.caseName[key][i])
	}
	f.printf(".\ntype %s interface {\n", name)
	if isError {
		f.printf("error\n")
	}
	f.printf("is%s()\n}\n\n", name)
	for i, c := range v.Cases {
		caseName := g.caseName[key][i]
		comment(f, fmt.Sprintf("%s is the case `%s` of [%s].", caseName, c.Name, name), c.Docs)
		if c.Type == nil {
			f.printf("type %s struct{}\n\n", caseName)
		} else {
			f.printf("type %s struct{ Value %s }\n\n", caseName, g.goType(c.Type, key.export))
		}
	}
	for i := range v.Cases {
		f.printf("func (%s) is%s() {}\n", g.caseName[key][i], name)
	}
	f.printf("\n")
	if !isError {
		return
	}
	for i, c := range v.Cases {
		f.printf("// Error describes the value.\n")
		if c.Type == nil {
			f.printf("func (%s) Error() string { return %q }\n\n", g.caseName[key][i], c.Name)
		} else if g.isPointer(c.Type, key.export) {
			f.printf("func (v %s) Error() string {\nif v.Value == nil {\nreturn %q\n}\nreturn fmt.Sprintf(\"%s: %%v\", *v.Value)\n}\n\n", g.caseName[key][i], c.Name, c.Name)
		} else {
			f.printf("func (v %s) Error() string { return fmt.Sprintf(\"%s: %%v\", v.Value) }\n\n", g.caseName[key][i], c.Name)
		}
	}
}
