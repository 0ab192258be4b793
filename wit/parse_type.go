package wit

import "strconv"

// typeNames are the primitive types by name.
var typeNames = func() map[string]Prim {
	m := map[string]Prim{}
	for i, name := range primNames {
		m[name] = Prim(i)
	}
	return m
}()

func (p *parser) typ(depth int) *typeExpr {
	t := p.next()
	e := &typeExpr{span: t.span}
	if depth >= maxTypeDepth {
		p.fail(t.span.errorf("types are nested deeper than %d", maxTypeDepth))
		return e
	}
	arg := func() { e.args = append(e.args, p.typ(depth+1)) }
	optionalArg := func() {
		if p.eat("<") {
			arg()
			p.expect(">")
		} else {
			e.args = append(e.args, nil)
		}
	}
	switch t.kind {
	case tokIdent, tokRawID:
		if msg := checkIdent(t.text); msg != "" {
			p.fail(t.span.errorf("%s", msg))
		}
		e.op, e.name = opName, ident{t.text, t.span}
		return e
	case tokKeyword:
		if prim, ok := typeNames[t.text]; ok {
			e.prim = prim
			return e
		}
	default:
		p.unexpected("a type", t)
		return e
	}
	switch t.text {
	case "tuple":
		e.op = opTuple
		p.expect("<")
		p.list(">", func(docs) { arg() })
	case "list":
		e.op = opList
		p.expect("<")
		arg()
		if p.eat(",") {
			e.op = opFixedList
			n := p.next()
			if n.kind != tokInteger {
				p.unexpected("the length of the list", n)
			} else if v, err := strconv.ParseUint(n.text, 10, 32); err != nil {
				p.fail(n.span.errorf("the length of the list is too large"))
			} else {
				e.len = uint32(v)
			}
		}
		p.expect(">")
	case "map":
		e.op = opMap
		p.expect("<")
		arg()
		p.expect(",")
		arg()
		p.expect(">")
	case "option":
		e.op = opOption
		p.expect("<")
		arg()
		p.expect(">")
	case "result":
		e.op = opResult
		e.args = []*typeExpr{nil, nil}
		if p.eat("<") {
			if p.eat("_") {
				p.expect(",")
				e.args[1] = p.typ(depth + 1)
			} else {
				e.args[0] = p.typ(depth + 1)
				if p.eat(",") {
					e.args[1] = p.typ(depth + 1)
				}
			}
			p.expect(">")
		}
	case "future":
		e.op = opFuture
		optionalArg()
	case "stream":
		e.op = opStream
		optionalArg()
	case "own", "borrow":
		e.op = opOwn
		if t.text == "borrow" {
			e.op = opBorrow
		}
		p.expect("<")
		e.name = p.ident()
		p.expect(">")
	default:
		p.unexpected("a type", t)
	}
	return e
}
