package wit

import "fmt"

func (p *printer) function(f *Function) {
	if f.Async {
		p.print("async ")
	}
	params := f.Params
	if f.Kind == Constructor {
		p.print("constructor(")
	} else {
		p.print("func(")
	}
	if f.Kind == Method && len(params) > 0 {
		params = params[1:]
	}
	for i, param := range params {
		if i > 0 {
			p.print(", ")
		}
		p.print(escape(param.Name), ": ")
		p.typ(param.Type)
	}
	p.print(")")
	if t, ok := f.Result.(*TypeDef); ok && f.Kind == Constructor {
		if _, ok := t.Kind.(*Own); ok && t.Name == "" {
			return
		}
	}
	if f.Result != nil {
		p.print(" -> ")
		p.typ(f.Result)
	}
}

// String returns the type as it is written in WIT where it is used: its name,
// or its expression if it has none.
func (t *TypeDef) String() string {
	p := &printer{}
	p.typ(t)
	return p.b.String()
}

func (p *printer) typ(t Type) {
	switch t := t.(type) {
	case Prim:
		p.print(t.String())
	case *TypeDef:
		if t.Name != "" {
			p.print(escape(t.Name))
		} else {
			p.kind(t.Kind)
		}
	}
}

func (p *printer) kind(k Kind) {
	generic := func(name string, args ...Type) {
		p.print(name)
		if len(args) == 0 {
			return
		}
		p.print("<")
		for i, a := range args {
			if i > 0 {
				p.print(", ")
			}
			if a == nil {
				p.print("_")
			} else {
				p.typ(a)
			}
		}
		p.print(">")
	}
	optional := func(name string, t Type) {
		if t == nil {
			generic(name)
		} else {
			generic(name, t)
		}
	}
	switch k := k.(type) {
	case *Alias:
		p.typ(k.Type)
	case *Own:
		p.print(escape(k.Resource.Name))
	case *Borrow:
		generic("borrow", k.Resource)
	case *Tuple:
		if len(k.Types) == 0 {
			p.print("tuple<>")
		} else {
			generic("tuple", k.Types...)
		}
	case *Option:
		generic("option", k.Type)
	case *Result:
		if k.Err != nil {
			generic("result", k.OK, k.Err)
		} else {
			optional("result", k.OK)
		}
	case *List:
		generic("list", k.Elem)
	case *FixedLengthList:
		p.print("list<")
		p.typ(k.Elem)
		p.print(fmt.Sprintf(", %d>", k.Len))
	case *Map:
		generic("map", k.Key, k.Value)
	case *Future:
		optional("future", k.Type)
	case *Stream:
		optional("stream", k.Type)
	}
}
