package wit

const (
	// maxTypeDepth bounds how deep types may be nested.
	maxTypeDepth = 100
	// maxSourceSize bounds the size of one source file, in bytes.
	maxSourceSize = 16 << 20
)

// parser is a recursive descent parser. Its first error is kept in err and
// makes every later token the end of the file, so that callers need not check
// after each step.
type parser struct {
	lx  lexer
	err error
}

// parseSource parses one source file.
func parseSource(src *source) (*file, error) {
	if len(src.text) > maxSourceSize {
		return nil, &Error{Position: Position{File: src.name}, Message: "file is larger than 16 MiB"}
	}
	lx, err := newLexer(src)
	if err != nil {
		return nil, err
	}
	p := &parser{lx: lx}
	f := p.file()
	return f, p.err
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) eof() token {
	n := len(p.lx.src.text)
	return token{kind: tokEOF, span: span{p.lx.src, n, n}}
}

func (p *parser) next() token {
	if p.err != nil {
		return p.eof()
	}
	t, err := p.lx.next()
	if err != nil {
		p.fail(err)
		return p.eof()
	}
	return t
}

func (p *parser) peek() token {
	save := p.lx
	t := p.next()
	p.lx = save
	return t
}

func (p *parser) unexpected(want string, got token) {
	p.fail(got.span.errorf("expected %s, found %s", want, got.describe()))
}

func (p *parser) eat(text string) bool {
	save := p.lx
	if p.next().is(text) {
		return true
	}
	p.lx = save
	return false
}

func (p *parser) expect(text string) token {
	t := p.next()
	if !t.is(text) {
		p.unexpected("`"+text+"`", t)
	}
	return t
}

// more reports whether a block or list goes on: it is false at its end, which
// is consumed, and after an error.
func (p *parser) more(end string) bool { return p.err == nil && !p.eat(end) && p.err == nil }

func (p *parser) ident() ident {
	t := p.next()
	if t.kind != tokIdent && t.kind != tokRawID {
		p.unexpected("an identifier", t)
		if t.kind == tokKeyword && p.err != nil {
			if e, ok := p.err.(*Error); ok && e.Hint == "" {
				e.Hint = "write `%" + t.text + "` to use a keyword as an identifier"
			}
		}
		return ident{span: t.span}
	}
	if msg := checkIdent(t.text); msg != "" {
		p.fail(t.span.errorf("%s", msg))
	}
	return ident{t.text, t.span}
}

// docs collects the comments before the next token.
func (p *parser) docs() docs {
	var d docs
	for p.err == nil {
		save := p.lx
		t, err := p.lx.nextRaw()
		if err != nil || t.kind != tokComment {
			// An error comes again when the token is asked for.
			p.lx = save
			break
		}
		if d.comments == nil {
			d.span = t.span
		}
		d.comments = append(d.comments, t.text)
		d.span.end = t.span.end
	}
	return d
}

func (p *parser) file() *file {
	f := &file{}
	save := *p
	d := p.docs()
	if p.eat("package") {
		h := p.packageHeader(d)
		if p.eat(";") {
			f.header = h
		} else if p.err == nil {
			*p = save
		}
	} else if p.err == nil {
		*p = save
	}
	p.decls(f, "")
	return f
}

// decls reads declarations up to the token end, or the end of the file.
func (p *parser) decls(f *file, end string) {
	for p.err == nil {
		d := p.docs()
		if end != "" && p.eat(end) || end == "" && p.peek().kind == tokEOF {
			return
		}
		attrs := p.attrs()
		t := p.peek()
		switch {
		case t.is("interface"):
			p.next()
			i := &ifaceDecl{docs: d, attrs: attrs, name: p.ident()}
			i.items = p.ifaceItems()
			f.decls = append(f.decls, decl{iface: i})
		case t.is("world"):
			p.next()
			w := &worldDecl{docs: d, attrs: attrs, name: p.ident()}
			w.items = p.worldItems()
			f.decls = append(f.decls, decl{world: w})
		case t.is("use"):
			p.next()
			u := &topUse{attrs: attrs, span: t.span, path: p.path()}
			if p.eat("as") {
				as := p.ident()
				u.as = &as
			}
			p.expect(";")
			f.decls = append(f.decls, decl{use: u})
		case t.is("package"):
			p.next()
			if len(attrs) > 0 {
				p.fail(t.span.errorf("attributes are not allowed on nested packages"))
			}
			if end != "" {
				p.fail(t.span.errorf("nested packages must be placed at the top level"))
			}
			nested := &file{header: p.packageHeader(d)}
			p.expect("{")
			p.decls(nested, "}")
			f.nested = append(f.nested, nested)
		default:
			p.unexpected("`world`, `interface` or `use`", t)
		}
	}
}

func (p *parser) packageHeader(d docs) *packageHeader {
	ns := p.ident()
	p.expect(":")
	name := p.ident()
	h := &packageHeader{name: PackageName{Namespace: ns.name, Name: name.name}, docs: d, span: ns.span}
	h.span.end = name.span.end
	if p.eat("@") {
		v := p.version()
		h.name.Version = v.name
		h.span.end = v.span.end
	}
	return h
}

// version reads a semantic version. Its parts are no tokens of WIT, so the
// text is read directly.
func (p *parser) version() ident {
	first := p.peek()
	if first.kind != tokInteger {
		p.unexpected("a version", first)
		return ident{}
	}
	text, start := p.lx.src.text, first.span.start
	i := start
	run := func(ok func(byte) bool) bool {
		from := i
		for i < len(text) && ok(text[i]) {
			i++
		}
		return i > from
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	word := func(c byte) bool { return digit(c) || isASCIILetter(rune(c)) || c == '-' }
	for n := 0; n < 3; n++ {
		if n > 0 && i < len(text) && text[i] == '.' {
			i++
		}
		run(digit)
	}
	for _, prefix := range []byte{'-', '+'} {
		if i >= len(text) || text[i] != prefix {
			continue
		}
		i++
		for run(word) && i+1 < len(text) && text[i] == '.' && word(text[i+1]) {
			i++
		}
	}
	s := span{p.lx.src, start, i}
	p.lx.pos = i
	if _, err := parseVersion(s.text()); err != nil {
		p.fail(s.errorf("%v", err))
	}
	return ident{s.text(), s}
}

func (p *parser) path() itemPath {
	first := p.ident()
	if !p.eat(":") {
		return itemPath{name: first}
	}
	pkg := p.ident()
	pt := itemPath{pkg: &PackageName{Namespace: first.name, Name: pkg.name}, pkgSpan: first.span}
	pt.pkgSpan.end = pkg.span.end
	p.expect("/")
	pt.name = p.ident()
	if p.eat("@") {
		pt.pkg.Version = p.version().name
	}
	return pt
}

func (p *parser) attrs() []attr {
	var attrs []attr
	for p.eat("@") {
		id := p.ident()
		a := attr{span: id.span}
		arg := func(name string, read func() ident) {
			p.expect("(")
			if got := p.ident(); p.err == nil && got.name != name {
				p.fail(got.span.errorf("expected `%s`, found `%s`", name, got.name))
			}
			p.expect("=")
			a.value = read().name
			p.expect(")")
		}
		switch id.name {
		case "since":
			a.kind = attrSince
			arg("version", p.version)
		case "deprecated":
			a.kind = attrDeprecated
			arg("version", p.version)
		case "unstable":
			a.kind = attrUnstable
			arg("feature", p.ident)
		case "external-id":
			a.kind = attrExternalID
			p.expect("(")
			t := p.next()
			if t.kind != tokString {
				p.unexpected("a string literal", t)
			}
			a.value = t.text
			p.expect(")")
		default:
			if p.err == nil {
				p.fail(id.span.errorf("unknown attribute `%s`", id.name).
					withHint(didYouMean(id.name, []string{"since", "unstable", "deprecated", "external-id"})))
			}
		}
		attrs = append(attrs, a)
	}
	return attrs
}

// typeItem reads a type definition or use, which may stand in interfaces and
// in worlds. It reports whether there was one.
func (p *parser) typeItem(d docs, attrs []attr) (item, bool) {
	t := p.peek()
	if t.kind != tokKeyword {
		return item{}, false
	}
	typ := func(op typeOp, read func(*typeExpr)) (item, bool) {
		p.next()
		decl := &typeDecl{docs: d, attrs: attrs, name: p.ident()}
		decl.expr = &typeExpr{op: op, span: decl.name.span}
		read(decl.expr)
		return item{typ: decl}, true
	}
	switch t.text {
	case "use":
		p.next()
		u := &useDecl{attrs: attrs, from: p.path()}
		p.expect(".")
		p.expect("{")
		p.list("}", func(docs) { u.names = append(u.names, p.rename()) })
		p.expect(";")
		return item{use: u}, true
	case "type":
		p.next()
		decl := &typeDecl{docs: d, attrs: attrs, name: p.ident()}
		p.expect("=")
		decl.expr = p.typ(0)
		p.expect(";")
		return item{typ: decl}, true
	case "record":
		return typ(opRecord, func(e *typeExpr) {
			p.members(e, func(m *member) {
				p.expect(":")
				m.typ = p.typ(0)
			})
		})
	case "variant":
		return typ(opVariant, func(e *typeExpr) {
			p.members(e, func(m *member) {
				if p.eat("(") {
					m.typ = p.typ(0)
					p.expect(")")
				}
			})
		})
	case "enum":
		return typ(opEnum, func(e *typeExpr) { p.members(e, func(*member) {}) })
	case "flags":
		return typ(opFlags, func(e *typeExpr) { p.members(e, func(*member) {}) })
	case "resource":
		return typ(opResource, p.resourceBody)
	}
	return item{}, false
}

func (p *parser) rename() rename {
	r := rename{name: p.ident()}
	if p.eat("as") {
		as := p.ident()
		r.as = &as
	}
	return r
}

func (p *parser) members(e *typeExpr, rest func(*member)) {
	p.expect("{")
	p.list("}", func(d docs) {
		m := member{docs: d, name: p.ident()}
		rest(&m)
		e.members = append(e.members, m)
	})
}

// list reads items separated by commas, a trailing one allowed, up to end.
func (p *parser) list(end string, read func(docs)) {
	for p.err == nil {
		d := p.docs()
		if p.eat(end) {
			return
		}
		read(d)
		if !p.eat(",") {
			p.expect(end)
			return
		}
	}
}

func (p *parser) resourceBody(e *typeExpr) {
	if !p.eat("{") {
		p.expect(";")
		return
	}
	for p.more("}") {
		f := &funcDecl{docs: p.docs(), attrs: p.attrs()}
		t := p.peek()
		switch {
		case t.is("constructor"):
			p.next()
			f.kind = Constructor
			f.name = ident{"constructor", t.span}
			f.span = t.span
			p.signature(f)
		case t.kind == tokIdent || t.kind == tokRawID:
			f.kind = Method
			f.name = p.ident()
			p.expect(":")
			if p.eat("static") {
				f.kind = Static
			}
			p.function(f)
		default:
			p.unexpected("`constructor` or an identifier", t)
		}
		p.expect(";")
		e.funcs = append(e.funcs, f)
	}
}

// function reads `async? func(...) -> ...`.
func (p *parser) function(f *funcDecl) {
	f.async = p.eat("async")
	f.span = p.expect("func").span
	p.signature(f)
}

func (p *parser) signature(f *funcDecl) {
	p.expect("(")
	p.list(")", func(docs) {
		param := paramDecl{name: p.ident()}
		p.expect(":")
		param.typ = p.typ(0)
		f.params = append(f.params, param)
	})
	if p.eat("->") {
		f.result = p.typ(0)
	}
}

func (p *parser) ifaceItems() []item {
	var items []item
	p.expect("{")
	for p.err == nil {
		d := p.docs()
		if p.eat("}") {
			break
		}
		attrs := p.attrs()
		it, ok := p.typeItem(d, attrs)
		if !ok {
			t := p.peek()
			if t.kind != tokIdent && t.kind != tokRawID {
				p.unexpected("`type`, `resource` or a function", t)
				break
			}
			f := &funcDecl{docs: d, attrs: attrs, name: p.ident()}
			p.expect(":")
			p.function(f)
			p.expect(";")
			it.fn = f
		}
		items = append(items, it)
	}
	return items
}

func (p *parser) worldItems() []item {
	var items []item
	p.expect("{")
	for p.err == nil {
		d := p.docs()
		if p.eat("}") {
			break
		}
		attrs := p.attrs()
		it, ok := p.typeItem(d, attrs)
		if !ok {
			t := p.next()
			switch {
			case t.is("import"), t.is("export"):
				it.extern = p.extern(d, attrs, t.is("export"))
			case t.is("include"):
				inc := &includeDecl{attrs: attrs, from: p.path()}
				if p.eat("with") {
					p.expect("{")
					p.list("}", func(docs) {
						r := rename{name: p.ident()}
						p.expect("as")
						as := p.ident()
						r.as = &as
						inc.names = append(inc.names, r)
					})
				} else {
					p.expect(";")
				}
				it.include = inc
			default:
				p.unexpected("`import`, `export`, `include`, `use` or a type definition", t)
			}
		}
		items = append(items, it)
	}
	return items
}

func (p *parser) extern(d docs, attrs []attr, export bool) *externDecl {
	e := &externDecl{docs: d, attrs: attrs, export: export}
	save := p.lx
	id := p.ident()
	if p.err == nil && p.eat(":") {
		t := p.peek()
		switch {
		case t.is("func"), t.is("async"):
			e.name = &id
			e.fn = &funcDecl{docs: d, attrs: attrs, name: id}
			p.function(e.fn)
			p.expect(";")
			return e
		case t.is("interface"):
			p.next()
			e.name = &id
			e.inline = true
			e.items = p.ifaceItems()
			return e
		}
		// `a: b;` and `a: b:c/d;` name an item, `a:b/c;` is a path.
		look := *p
		look.ident()
		if look.err != nil || !look.eat("/") {
			e.name = &id
		} else {
			p.lx = save
		}
	} else {
		p.lx = save
	}
	pt := p.path()
	e.path = &pt
	p.expect(";")
	return e
}
