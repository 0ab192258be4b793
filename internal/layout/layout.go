// Package layout has the types of WIT as the canonical ABI sees them.
package layout

import (
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Types remembers the layouts of the types that were asked for. All resources have the
// same, which is no resource's own. It is not safe for concurrent use.
type Types map[*wit.TypeDef]*canon.Type

var prims = map[wit.Prim]*canon.Type{
	wit.Bool: canon.Bool, wit.U8: canon.U8, wit.U16: canon.U16, wit.U32: canon.U32, wit.U64: canon.U64,
	wit.S8: canon.S8, wit.S16: canon.S16, wit.S32: canon.S32, wit.S64: canon.S64,
	wit.F32: canon.F32Type, wit.F64: canon.F64Type, wit.Char: canon.Char, wit.String: canon.String,
	wit.ErrorContext: canon.ErrorContext,
}

// Of returns the layout of a type, nil for none.
func (l Types) Of(t wit.Type) *canon.Type {
	switch t := t.(type) {
	case wit.Prim:
		return prims[t]
	case *wit.TypeDef:
		if have := l[t]; have != nil {
			return have
		}
		made := l.kind(t.Kind)
		l[t] = made
		return made
	}
	return nil
}

// Func returns the type of a function.
func (l Types) Func(f *wit.Function) *canon.FuncType {
	var params []canon.Field
	for _, p := range f.Params {
		params = append(params, canon.Field{Name: p.Name, Type: l.Of(p.Type)})
	}
	return canon.Func(f.Async, params, l.Of(f.Result))
}

func (l Types) kind(k wit.Kind) *canon.Type {
	switch k := k.(type) {
	case *wit.Alias:
		return l.Of(k.Type)
	case *wit.Record:
		var fields []canon.Field
		for _, f := range k.Fields {
			fields = append(fields, canon.Field{Name: f.Name, Type: l.Of(f.Type)})
		}
		return canon.Record(fields...)
	case *wit.Variant:
		var cases []canon.Case
		for _, c := range k.Cases {
			cases = append(cases, canon.Case{Name: c.Name, Type: l.Of(c.Type)})
		}
		return canon.Variant(cases...)
	case *wit.Enum:
		return canon.Enum(labels(k.Cases)...)
	case *wit.Flags:
		return canon.Flags(labels(k.Flags)...)
	case *wit.Tuple:
		var types []*canon.Type
		for _, t := range k.Types {
			types = append(types, l.Of(t))
		}
		return canon.Tuple(types...)
	case *wit.Option:
		return canon.Option(l.Of(k.Type))
	case *wit.Result:
		return canon.Result(l.Of(k.OK), l.Of(k.Err))
	case *wit.List:
		return canon.List(l.Of(k.Elem))
	case *wit.FixedLengthList:
		return canon.FixedList(l.Of(k.Elem), k.Len)
	case *wit.Map:
		return canon.Map(l.Of(k.Key), l.Of(k.Value))
	case *wit.Borrow:
		return canon.Borrow(nil)
	case *wit.Stream:
		return canon.Stream(l.Of(k.Type))
	case *wit.Future:
		return canon.Future(l.Of(k.Type))
	}
	return canon.Own(nil) // or a resource, which stands for it
}

func labels(list []wit.Label) []string {
	var names []string
	for _, l := range list {
		names = append(names, l.Name)
	}
	return names
}
