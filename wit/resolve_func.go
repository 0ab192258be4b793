package wit

import "strings"

// resolveFunction resolves a function, of a resource unless that is nil.
func (p *packageResolver) resolveFunction(sc *scope, d *funcDecl, resource *TypeDef) (*Function, error) {
	f := &Function{Name: d.name.name, Kind: d.kind, Async: d.async, Resource: resource, Docs: docText(d.docs), span: d.name.span}
	var err error
	if f.Stability, f.ExternalID, err = attributes(d.attrs); err != nil {
		return nil, err
	}
	switch d.kind {
	case Method:
		f.Name = "[method]" + resource.Name + "." + f.Name
		f.Params = []Param{{"self", &TypeDef{Kind: &Borrow{resource}, Stability: resource.Stability, gated: resource.gated, borrows: true, span: d.span}}}
	case Static:
		f.Name = "[static]" + resource.Name + "." + f.Name
	case Constructor:
		f.Name = "[constructor]" + resource.Name
	}
	seen := map[string]bool{}
	if d.kind == Method {
		seen["self"] = true
	}
	for _, param := range d.params {
		key := strings.ToLower(param.name.name)
		if seen[key] {
			return nil, param.name.span.errorf("param `%s` is defined more than once", param.name.name)
		}
		seen[key] = true
		t, err := p.resolveType(sc, param.typ)
		if err != nil {
			return nil, err
		}
		f.Params = append(f.Params, Param{param.name.name, t})
	}
	if d.result != nil {
		if f.Result, err = p.resolveType(sc, d.result); err != nil {
			return nil, err
		}
	}
	if d.kind == Constructor {
		if f.Result == nil {
			f.Result = ownHandle(resource)
			return f, nil
		}
		t, _ := f.Result.(*TypeDef)
		var result *Result
		if t != nil {
			result, _ = t.Kind.(*Result)
		}
		if result == nil {
			return nil, d.result.span.errorf("if a constructor return type is declared it must be a `result`")
		}
		if ok, _ := result.OK.(*TypeDef); ok != nil {
			if own, _ := ok.Kind.(*Own); own != nil && own.Resource == resource {
				return f, nil
			}
		}
		return nil, d.result.span.errorf("the `ok` type must be the resource being constructed")
	}
	return f, nil
}

// keepFunction decides whether a function is part of its owner, which is
// itself kept or not, and checks what only functions that are kept must obey.
func (p *packageResolver) keepFunction(f *Function, ownerKept bool) (bool, error) {
	if !ownerKept {
		return false, nil
	}
	keep, err := p.include(f.Stability, f.span)
	if err != nil || !keep {
		return false, err
	}
	excluded := func(t Type) bool {
		d, ok := t.(*TypeDef)
		return ok && d.gated
	}
	for _, param := range f.Params {
		if excluded(param.Type) {
			return false, gatedReference(f.span)
		}
	}
	if excluded(f.Result) || f.Resource != nil && f.Resource.gated {
		return false, gatedReference(f.span)
	}
	if t, ok := f.Result.(*TypeDef); ok && t.borrows {
		return false, f.span.errorf("function `%s` returns a type which contains a `borrow<T>`, which is not supported", f.Name)
	}
	return true, nil
}
