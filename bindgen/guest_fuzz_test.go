package bindgen

import (
	"fmt"
	"os"
	"strings"
	"testing"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// FuzzText binds the worlds of any text that is WIT: what is written compiles, and
// what is refused is not supported.
func FuzzText(f *testing.F) {
	for _, w := range worlds {
		f.Add(w.text)
	}
	example, err := os.ReadFile("testdata/example.wit")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	for _, text := range documented {
		f.Add(text)
	}
	for n := range 12 {
		f.Add(writeWorld([]byte(strings.Repeat(string(rune('a'+n)), 400+n) + strings.Repeat("\x01\x07\x31\x59\x83", n))))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 {
			t.Skip("takes too long")
		}
		bindWorlds(t, text)
	})
}

// FuzzNames binds worlds that are made of names which mean something in Go, or
// in the code that is generated, or become the same in Go.
func FuzzNames(f *testing.F) {
	for n := range 12 {
		b := make([]byte, 256)
		for i := range b {
			b[i] = byte(i*i*(n+3) + n*31 + i>>3)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<11 {
			t.Skip("takes too long")
		}
		bindWorlds(t, writeWorld(data))
	})
}

func bindWorlds(t *testing.T, text string) {
	r, err := wit.ParseText("w.wit", text, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		return
	}
	for _, w := range r.Main.Worlds {
		if err := compiles(w); err != nil && !strings.Contains(err.Error(), "not supported") {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// names are what writeWorld chooses from.
var names = strings.Fields(`
	a b r ab a-b a-B A-b t v c s p e i id i-d ID n u8 x y to-string get-a set-a
	type func string error errors close handle handles new drop export exports import imports implementation impl
	new-a a-new a-drop a-rep a-handles a-handle a-destroy a-close a-string a-error export-a import-a post-a cabi-post
	load-a store-a lift-a lower-a load-list store-list list list-a option option-a own-a borrow-a result tuple unit map
	put-pair set-pair labels-a type-a resource-a is-a plain value label set f0 t0 v0 a0 args self err ok failure key at start ptr rep open
	abi fmt strings context len cap nil true make clear int uint32 uint64 any byte rune float64 append panic main init go select
	internal vendor testdata con aux com1 types exportt exporta export-t kind-a a-kind interface world ctx call free begin
	a1 a-1 a1-b http-api HTTP-API api-http utf8 ipv4 url`)

// maker makes choices of data, zeros behind its end.
type maker struct {
	data []byte
	b    strings.Builder
}

func (m *maker) choose(n int) int {
	if len(m.data) == 0 {
		return 0
	}
	v := int(m.data[0])
	m.data = m.data[1:]
	return v % n
}

// name chooses a name that is not in the set.
func (m *maker) name(taken map[string]bool) string {
	at := m.choose(len(names))
	for {
		n := names[at%len(names)]
		if !taken[strings.ToLower(n)] {
			taken[strings.ToLower(n)] = true
			return n
		}
		at++
	}
}

// scope is what can be referred to.
type scope struct {
	types, resources []string
	taken            map[string]bool
}

func (m *maker) typ(s *scope, depth int, result bool) string {
	prims := []string{"u8", "string", "u64", "bool", "char", "f32", "s16"}
	switch c := m.choose(12); {
	case c < 3 && len(s.types) > 0:
		return "%" + s.types[m.choose(len(s.types))]
	case c < 5 && len(s.resources) > 0:
		r := "%" + s.resources[m.choose(len(s.resources))]
		if !result && m.choose(2) == 0 {
			return "borrow<" + r + ">"
		}
		return r
	case depth > 3 || c < 7:
		return prims[m.choose(len(prims))]
	}
	sub := func() string { return m.typ(s, depth+1, result) }
	switch m.choose(8) {
	case 0:
		return "list<" + sub() + ">"
	case 1:
		return "option<" + sub() + ">"
	case 2:
		return "result<" + sub() + ", " + sub() + ">"
	case 3:
		return "result<_, " + sub() + ">"
	case 4:
		return "tuple<" + sub() + ", " + sub() + ">"
	case 5:
		return "list<" + sub() + ", 3>"
	case 6:
		return "map<string, " + sub() + ">"
	}
	return "result"
}

func (m *maker) signature(s *scope) string {
	taken := map[string]bool{}
	var params []string
	for range m.choose(5) {
		params = append(params, "%"+m.name(taken)+": "+m.typ(s, 0, false))
	}
	out := "func(" + strings.Join(params, ", ") + ")"
	switch m.choose(3) {
	case 0:
		out += " -> " + m.typ(s, 0, true)
	case 1:
		out += " -> result<" + m.typ(s, 1, true) + ", " + m.typ(s, 1, true) + ">"
	}
	return out
}

// item writes a type or a function of an interface.
func (m *maker) item(s *scope) string {
	name := m.name(s.taken)
	fields := func(payload bool) string {
		taken := map[string]bool{}
		var out []string
		for range 1 + m.choose(3) {
			f := "%" + m.name(taken)
			if payload {
				f += ": " + m.typ(s, 1, true)
			}
			out = append(out, f)
		}
		return strings.Join(out, ", ")
	}
	text := ""
	switch m.choose(8) {
	case 0:
		text = fmt.Sprintf("record %%%s { %s }", name, fields(true))
	case 1:
		taken := map[string]bool{}
		var cases []string
		for range 1 + m.choose(3) {
			c := "%" + m.name(taken)
			if m.choose(2) == 0 {
				c += "(" + m.typ(s, 1, true) + ")"
			}
			cases = append(cases, c)
		}
		text = fmt.Sprintf("variant %%%s { %s }", name, strings.Join(cases, ", "))
	case 2:
		text = fmt.Sprintf("enum %%%s { %s }", name, fields(false))
	case 3:
		text = fmt.Sprintf("flags %%%s { %s }", name, fields(false))
	case 4:
		text = fmt.Sprintf("type %%%s = %s;", name, m.typ(s, 0, true))
	case 5:
		s.resources = append(s.resources, name)
		text = fmt.Sprintf("resource %%%s {", name)
		taken := map[string]bool{}
		if m.choose(2) == 0 {
			text += " constructor" + strings.TrimPrefix(strings.Split(m.signature(s), " ->")[0], "func") + ";"
		}
		for range m.choose(4) {
			static := []string{"", "static "}[m.choose(2)]
			text += " %" + m.name(taken) + ": " + static + m.signature(s) + ";"
		}
		return text + " }"
	default:
		return fmt.Sprintf("%%%s: %s;", name, m.signature(s))
	}
	s.types = append(s.types, name)
	return text
}

// writeWorld writes WIT according to data.
func writeWorld(data []byte) string {
	m := &maker{data: data}
	p := func(format string, args ...any) { fmt.Fprintf(&m.b, format, args...) }
	p("package %%%s:%%%s;\n", names[m.choose(len(names))], names[m.choose(len(names))])
	top := map[string]bool{}
	scopes := map[string]*scope{}
	var ifaces []string
	use := func(s *scope) {
		if len(ifaces) == 0 || m.choose(2) == 0 {
			return
		}
		from := ifaces[m.choose(len(ifaces))]
		of := scopes[from]
		switch as := m.name(s.taken); {
		case len(of.resources) > 0 && m.choose(2) == 0:
			p("use %%%s.{%%%s as %%%s};\n", from, of.resources[m.choose(len(of.resources))], as)
			s.resources = append(s.resources, as)
		case len(of.types) > 0:
			p("use %%%s.{%%%s as %%%s};\n", from, of.types[m.choose(len(of.types))], as)
			s.types = append(s.types, as)
		}
	}
	body := func(s *scope) {
		use(s)
		use(s)
		for range 1 + m.choose(5) {
			p("\t%s\n", m.item(s))
		}
	}
	for range 1 + m.choose(3) {
		name := m.name(top)
		s := &scope{taken: map[string]bool{}}
		p("interface %%%s {\n", name)
		body(s)
		p("}\n")
		scopes[name] = s
		ifaces = append(ifaces, name)
	}
	p("world %%%s {\n", m.name(top))
	world := &scope{taken: map[string]bool{}}
	labels := [2]map[string]bool{world.taken, {}}
	listed := map[string]bool{}
	use(world)
	for range 1 + m.choose(6) {
		side := m.choose(2)
		verb := []string{"import", "export"}[side]
		switch m.choose(6) {
		case 0, 1:
			if i := ifaces[m.choose(len(ifaces))]; !listed[verb+i] {
				listed[verb+i] = true
				p("\t%s %%%s;\n", verb, i)
			}
		case 2:
			p("\t%s %%%s: %%%s;\n", verb, m.name(labels[side]), ifaces[m.choose(len(ifaces))])
		case 3:
			p("\t%s %%%s: %s;\n", verb, m.name(labels[side]), m.signature(world))
		case 4:
			p("\t%s %%%s: interface {\n", verb, m.name(labels[side]))
			body(&scope{taken: map[string]bool{}})
			p("}\n")
		case 5:
			if text := m.item(world); strings.Contains(text[:9], ":") {
				p("\timport %s\n", text)
			} else {
				p("\t%s\n", text)
			}
		}
	}
	p("}\n")
	return m.b.String()
}

// documented have documentation that means something to Go's tools.
var documented = []string{
	"package a:b;\n/// //go:build ignore\n/// +build ignore\n/// go:build ignore\n///go:wasmexport x\n/// */ /*\ninterface i {\n///export f\n/// +build ignore\n/// //export f\n/// //line x.go:1\n/// #include\n f: func(); \n /// //go:linkname x y\n/// Deprecated: a\n///\tcode\n///  - list\n/// # Head\n record r { /// //go:noinline\n a: u8 } }\n/// +build ignore\nworld w { import i; export i; /// //go:embed x\n import f: func(); }",
	"package a:b;\n/** */ interface i { /**\n//go:build x\n*\n   * b  \n\n\n c */ enum e { /** \t\n +build ignore */ a } }\nworld w { import i; }",
}
