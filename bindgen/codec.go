package bindgen

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// The four ways in which values move. Lifting takes them from the guest,
// lowering gives them to it, each through memory or as core values:
//
//	func loadT(c *abi.Call, p uint32) T
//	func storeT(c *abi.Call, p uint32, v T)
//	func liftT(c *abi.Call, s []uint64) T
//	func lowerT(c *abi.Call, s []uint64, v T)
//
// Types that need more than an expression get functions of their own. In all
// code that is written here, c is the call.

// root returns the type behind aliases, as a primitive or a definition that is
// no alias.
func root(t wit.Type) wit.Type {
	d, ok := t.(*wit.TypeDef)
	if !ok {
		return t // nil too
	}
	d = d.Root()
	if a, ok := d.Kind.(*wit.Alias); ok {
		return a.Type
	}
	return d
}

// plus returns an expression for p+n, where p may be a sum itself.
func plus(p string, n uint32) string {
	if i := strings.LastIndexByte(p, '+'); i >= 0 {
		if m, err := strconv.ParseUint(p[i+1:], 10, 32); err == nil {
			p, n = p[:i], n+uint32(m)
		}
	}
	if n == 0 {
		return p
	}
	return fmt.Sprintf("%s+%d", p, n)
}

// load returns an expression for the value at address p.
func (g *generator) load(t wit.Type, export bool, p string) string {
	switch t := root(t).(type) {
	case wit.Prim:
		switch t {
		case wit.Bool:
			return "c.U8(" + p + ") != 0"
		case wit.U8, wit.U16, wit.U32, wit.U64, wit.F32, wit.F64:
			return "c." + strings.ToUpper(t.String()) + "(" + p + ")"
		case wit.S8, wit.S16, wit.S32, wit.S64:
			bits := t.String()[1:]
			return "int" + bits + "(c.U" + bits + "(" + p + "))"
		case wit.Char:
			return "abi.ToRune(c.U32(" + p + "))"
		case wit.String:
			return fmt.Sprintf("c.LoadString(c.U32(%s), c.U32(%s))", p, plus(p, 4))
		}
	case *wit.TypeDef:
		switch k := t.Kind.(type) {
		case *wit.List:
			return g.loadList(k, export, "c.U32("+p+")", "c.U32("+plus(p, 4)+")")
		case *wit.Own, *wit.Borrow, *wit.Resource:
			return g.liftHandle(t, export, "c.U32("+p+")")
		}
		return g.function("load", t, export) + "(c, " + p + ")"
	}
	return ""
}

func (g *generator) loadList(l *wit.List, export bool, ptr, n string) string {
	if isByte(l.Elem) {
		return fmt.Sprintf("c.LoadBytes(%s, %s)", ptr, n)
	}
	if g.guest != nil && g.isPlain(l.Elem) {
		return fmt.Sprintf("abi.LoadPlain[%s](c, %s, %s)", g.goType(l.Elem, export), ptr, n)
	}
	if t := integer(l.Elem); t != "" && g.guest == nil {
		return fmt.Sprintf("abi.LoadInts[%s](c, %s, %s)", t, ptr, n)
	}
	layout := g.layout(l.Elem)
	return fmt.Sprintf("abi.LoadList(c, %s, %s, %d, %d, %s)", ptr, n, layout.Size, layout.Align, g.function("load", l.Elem, export))
}

// integer returns the Go type of a type whose lists are passed as a whole, or "".
func integer(t wit.Type) string {
	p, ok := root(t).(wit.Prim)
	if !ok {
		return ""
	}
	switch p {
	case wit.S8, wit.U16, wit.S16, wit.U32, wit.S32, wit.U64, wit.S64:
		return goPrims[p]
	}
	return ""
}

// liftHandle returns an expression for the resource behind a handle.
func (g *generator) liftHandle(t *wit.TypeDef, export bool, handle string) string {
	method := "TakeOwn"
	res := t
	switch k := t.Kind.(type) {
	case *wit.Own:
		res = k.Resource
	case *wit.Borrow:
		res, method = k.Resource, "Lend"
	}
	if g.guest != nil {
		return g.guestLiftHandle(res, export, method == "TakeOwn", handle)
	}
	name := g.goType(res, export)
	if g.key(res.Root(), export).export {
		return fmt.Sprintf("%s{c.LiftHandle(%s, %s)}", name, g.abiType(t, export), handle)
	}
	return fmt.Sprintf("c.%s(%s, %s).(%s)", method, g.resource(res, export), handle, name)
}

// lowerHandle returns an expression for a handle of the resource v.
func (g *generator) lowerHandle(t *wit.TypeDef, export bool, v string) string {
	method := "PutOwn"
	res := t
	switch k := t.Kind.(type) {
	case *wit.Own:
		res = k.Resource
	case *wit.Borrow:
		res, method = k.Resource, "PutBorrow"
	}
	if g.guest != nil {
		return g.guestLowerHandle(res, export, method == "PutOwn", v)
	}
	if g.key(res.Root(), export).export {
		if strings.HasPrefix(v, "*") {
			v = "(" + v + ")"
		}
		return fmt.Sprintf("c.LowerHandle(%s, %s.Handle)", g.abiType(t, export), v)
	}
	return fmt.Sprintf("c.%s(%s, %s)", method, g.resource(res, export), v)
}

// store returns statements that put the value v at address p.
func (g *generator) store(t wit.Type, export bool, p, v string) string {
	switch t := root(t).(type) {
	case wit.Prim:
		switch t {
		case wit.Bool:
			return fmt.Sprintf("c.PutBool(%s, %s)\n", p, v)
		case wit.U8, wit.U16, wit.U32, wit.U64, wit.F32, wit.F64:
			return fmt.Sprintf("c.Put%s(%s, %s)\n", strings.ToUpper(t.String()), p, v)
		case wit.S8, wit.S16, wit.S32, wit.S64:
			bits := t.String()[1:]
			return fmt.Sprintf("c.PutU%s(%s, uint%s(%s))\n", bits, p, bits, v)
		case wit.Char:
			return fmt.Sprintf("c.PutU32(%s, abi.FromRune(%s))\n", p, v)
		case wit.String:
			return fmt.Sprintf("putPair(c, %s)(c.StoreString(%s))\n", p, v)
		}
	case *wit.TypeDef:
		switch k := t.Kind.(type) {
		case *wit.List:
			return fmt.Sprintf("putPair(c, %s)(%s)\n", p, g.storeList(k, export, v))
		case *wit.Own, *wit.Borrow, *wit.Resource:
			return fmt.Sprintf("c.PutU32(%s, %s)\n", p, g.lowerHandle(t, export, v))
		}
		return fmt.Sprintf("%s(c, %s, %s)\n", g.function("store", t, export), p, v)
	}
	return ""
}

// storeList returns an expression for the pointer and length of a list.
func (g *generator) storeList(l *wit.List, export bool, v string) string {
	if isByte(l.Elem) {
		return fmt.Sprintf("c.StoreBytes(%s)", v)
	}
	if g.guest != nil && g.isPlain(l.Elem) {
		return fmt.Sprintf("abi.StorePlain(c, %s)", v)
	}
	if integer(l.Elem) != "" && g.guest == nil {
		return fmt.Sprintf("abi.StoreInts(c, %s)", v)
	}
	layout := g.layout(l.Elem)
	return fmt.Sprintf("abi.StoreList(c, %s, %d, %d, %s)", v, layout.Size, layout.Align, g.function("store", l.Elem, export))
}

// lift returns an expression for the value in the core values s[i:].
func (g *generator) lift(t wit.Type, export bool, s string, i int) string {
	at := fmt.Sprintf("%s[%d]", s, i)
	switch t := root(t).(type) {
	case wit.Prim:
		switch t {
		case wit.Bool:
			return "uint32(" + at + ") != 0"
		case wit.U64:
			return at
		case wit.U8, wit.U16, wit.U32, wit.S8, wit.S16, wit.S32, wit.S64:
			return goPrims[t] + "(" + at + ")"
		case wit.F32, wit.F64:
			return "abi.To" + strings.ToUpper(t.String()) + "(" + at + ")"
		case wit.Char:
			return "abi.ToRune(uint32(" + at + "))"
		case wit.String:
			return fmt.Sprintf("c.LoadString(uint32(%s), uint32(%s[%d]))", at, s, i+1)
		}
	case *wit.TypeDef:
		switch k := t.Kind.(type) {
		case *wit.List:
			return g.loadList(k, export, "uint32("+at+")", fmt.Sprintf("uint32(%s[%d])", s, i+1))
		case *wit.Own, *wit.Borrow, *wit.Resource:
			return g.liftHandle(t, export, "uint32("+at+")")
		}
		return fmt.Sprintf("%s(c, %s)", g.function("lift", t, export), from(s, i))
	}
	return ""
}

func from(s string, i int) string {
	if i == 0 {
		return s
	}
	return fmt.Sprintf("%s[%d:]", s, i)
}

// lower returns statements that put the value v into the core values s[i:].
func (g *generator) lower(t wit.Type, export bool, s string, i int, v string) string {
	at := fmt.Sprintf("%s[%d]", s, i)
	switch t := root(t).(type) {
	case wit.Prim:
		switch t {
		case wit.U64:
			return at + " = " + v + "\n"
		case wit.U8, wit.U16, wit.U32, wit.S64:
			return at + " = uint64(" + v + ")\n"
		case wit.S8, wit.S16, wit.S32:
			return at + " = uint64(uint32(" + v + "))\n"
		case wit.Bool, wit.F32, wit.F64:
			return at + " = abi.From" + exported(t.String()) + "(" + v + ")\n"
		case wit.Char:
			return at + " = uint64(abi.FromRune(" + v + "))\n"
		case wit.String:
			return fmt.Sprintf("setPair(%s)(c.StoreString(%s))\n", from(s, i), v)
		}
	case *wit.TypeDef:
		switch k := t.Kind.(type) {
		case *wit.List:
			return fmt.Sprintf("setPair(%s)(%s)\n", from(s, i), g.storeList(k, export, v))
		case *wit.Own, *wit.Borrow, *wit.Resource:
			return fmt.Sprintf("%s = uint64(%s)\n", at, g.lowerHandle(t, export, v))
		}
		return fmt.Sprintf("%s(c, %s, %s)\n", g.function("lower", t, export), from(s, i), v)
	}
	return ""
}

// function returns the name of a function that moves values of a type. It is
// written if it is not there yet.
func (g *generator) function(way string, t wit.Type, export bool) string {
	name := way + g.short(t, export)
	if g.written[name] {
		return name
	}
	g.written[name] = true
	var body string
	var goType string
	r := root(t)
	d, isDef := r.(*wit.TypeDef)
	compound := false
	if isDef {
		goType = g.goType(d, export)
		switch d.Kind.(type) {
		case *wit.List, *wit.Own, *wit.Borrow, *wit.Resource:
		default:
			compound = true
		}
	} else {
		goType = goPrims[r.(wit.Prim)]
	}
	sig := map[string]string{
		"load":  "(c *abi.Call, p uint32) " + goType,
		"store": "(c *abi.Call, p uint32, v " + goType + ")",
		"lift":  "(c *abi.Call, s []uint64) " + goType,
		"lower": "(c *abi.Call, s []uint64, v " + goType + ")",
	}[way]
	if compound {
		body = g.compound(way, d, export, goType)
	} else {
		switch way {
		case "load":
			body = "return " + g.load(r, export, "p") + "\n"
		case "store":
			body = g.store(r, export, "p", "v")
		case "lift":
			body = "return " + g.lift(r, export, "s", 0) + "\n"
		case "lower":
			body = g.lower(r, export, "s", 0, "v")
		}
	}
	g.codec.printf("func %s%s {\n%s}\n\n", name, sig, body)
	return name
}

// support writes what the functions above rely on, as far as it is used.
func (g *generator) support() {
	for n := range 100 {
		if !g.tuples[n] {
			continue
		}
		var params, fields []string
		for i := range n {
			params = append(params, fmt.Sprintf("T%d", i))
			fields = append(fields, fmt.Sprintf("F%d T%d\n", i, i))
		}
		g.codec.printf("// Tuple%d is a tuple of %d.\ntype Tuple%d[%s any] struct {\n%s}\n\n", n, n, n, strings.Join(params, ", "), strings.Join(fields, ""))
	}
	var all strings.Builder
	for _, f := range append(g.files, g.codec) {
		all.WriteString(f.body.String())
	}
	used := func(name string) bool { return strings.Contains(all.String(), name+"(") }
	if used("putPair") {
		g.codec.printf(`// putPair returns a function that stores a pointer and a length at p.
func putPair(c *abi.Call, p uint32) func(ptr, n uint32) {
	return func(ptr, n uint32) {
		c.PutU32(p, ptr)
		c.PutU32(p+4, n)
	}
}

`)
	}
	if used("setPair") {
		g.codec.printf(`// setPair returns a function that sets two core values to a pointer and a length.
func setPair(s []uint64) func(ptr, n uint32) {
	return func(ptr, n uint32) { s[0], s[1] = uint64(ptr), uint64(n) }
}

`)
	}
}
