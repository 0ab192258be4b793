package componentize

import (
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// signatures finds the core types of functions.
type signatures struct {
	layouts  map[*wit.TypeDef]*canon.Type
	contents map[*wit.TypeDef]needs
}

func newSignatures() *signatures {
	return &signatures{layouts: map[*wit.TypeDef]*canon.Type{}, contents: map[*wit.TypeDef]needs{}}
}

// needs are canonical options that a function cannot do without.
type needs uint8

const (
	needMemory needs = 1 << iota
	needRealloc
	needEncoding
)

// convention is how a function is called.
type convention uint8

const (
	synchronous  convention = iota
	asynchronous            // lifted with a callback, or lowered
	stackful                // lifted without a callback
)

// lowered returns the core type of a function that is lowered, and what that needs.
func (s *signatures) lowered(f *wit.Function, conv convention) (wasm.FuncType, needs) {
	flat := s.function(f).FlattenLower(conv != synchronous)
	n := s.lift(f) | s.lower(f.Result)
	if flat.SpillParams || flat.SpillResult {
		n |= needMemory
	}
	return coreFunc(flat), n
}

// lifted returns the core type of a function that is lifted, and what that needs.
func (s *signatures) lifted(f *wit.Function, conv convention) (wasm.FuncType, needs) {
	flat := s.function(f).FlattenLift(conv != synchronous, conv == asynchronous)
	var n needs
	for _, p := range f.Params {
		n |= s.lower(p.Type)
	}
	n |= s.content(f.Result)
	if flat.SpillParams {
		n |= needMemory | needRealloc
	}
	if flat.SpillResult {
		n |= needMemory
	}
	if conv != synchronous {
		// task.return must have the memory and encoding that the function has.
		_, ret := s.taskReturn(f)
		n |= ret
	}
	return coreFunc(flat), n
}

// taskReturn returns the core type of task.return for a function, and the memory and
// encoding that it and the function must have.
func (s *signatures) taskReturn(f *wit.Function) (wasm.FuncType, needs) {
	var params []canon.Field
	if f.Result != nil {
		params = []canon.Field{{Name: "result", Type: s.layout(f.Result)}}
	}
	flat := canon.Func(false, params, nil).FlattenLower(false)
	n := s.lift(f) | s.content(f.Result)
	all := s.function(f)
	if flat.SpillParams || all.FlattenLift(true, true).SpillParams {
		n |= needMemory
	}
	return coreFunc(flat), n
}

// lift returns what it takes to lift the parameters of a function.
func (s *signatures) lift(f *wit.Function) needs {
	var n needs
	for _, p := range f.Params {
		n |= s.content(p.Type)
	}
	return n
}

// lower returns what it takes to lower a value: memory for it must be found too.
func (s *signatures) lower(t wit.Type) needs {
	n := s.content(t)
	if n&needMemory != 0 {
		n |= needRealloc
	}
	return n
}

// content returns what it takes to lift a value.
func (s *signatures) content(t wit.Type) needs {
	switch t := t.(type) {
	case wit.Prim:
		if t == wit.String {
			return needMemory | needEncoding
		}
	case *wit.TypeDef:
		if n, ok := s.contents[t]; ok {
			return n
		}
		var n needs
		switch t.Kind.(type) {
		case *wit.List, *wit.Map:
			n = needMemory
		}
		switch t.Kind.(type) {
		case *wit.Own, *wit.Borrow, *wit.Stream, *wit.Future:
			// What they stand for is lifted and lowered by others.
		default:
			wit.MapKind(t.Kind, func(part wit.Type) wit.Type {
				n |= s.content(part)
				return part
			})
		}
		s.contents[t] = n
		return n
	}
	return 0
}

func coreFunc(flat canon.Flat) wasm.FuncType {
	return wasm.FuncType{Params: coreTypes(flat.Params), Results: coreTypes(flat.Results)}
}

func coreTypes(types []canon.CoreType) []wasm.ValType {
	var out []wasm.ValType
	for _, t := range types {
		out = append(out, [...]wasm.ValType{canon.I32: wasm.I32, canon.I64: wasm.I64, canon.F32: wasm.F32, canon.F64: wasm.F64}[t])
	}
	return out
}

func (s *signatures) function(f *wit.Function) *canon.FuncType {
	var params []canon.Field
	for _, p := range f.Params {
		params = append(params, canon.Field{Name: p.Name, Type: s.layout(p.Type)})
	}
	return canon.Func(f.Async, params, s.layout(f.Result))
}

var canonPrims = map[wit.Prim]*canon.Type{
	wit.Bool: canon.Bool, wit.U8: canon.U8, wit.U16: canon.U16, wit.U32: canon.U32, wit.U64: canon.U64,
	wit.S8: canon.S8, wit.S16: canon.S16, wit.S32: canon.S32, wit.S64: canon.S64,
	wit.F32: canon.F32Type, wit.F64: canon.F64Type, wit.Char: canon.Char, wit.String: canon.String,
	wit.ErrorContext: canon.ErrorContext,
}

// layout returns the layout of a type, nil for none.
func (s *signatures) layout(t wit.Type) *canon.Type {
	switch t := t.(type) {
	case wit.Prim:
		return canonPrims[t]
	case *wit.TypeDef:
		if l := s.layouts[t]; l != nil {
			return l
		}
		l := s.layoutKind(t.Kind)
		s.layouts[t] = l
		return l
	}
	return nil
}

func (s *signatures) layoutKind(k wit.Kind) *canon.Type {
	labels := func(labels []wit.Label) []string {
		var names []string
		for _, l := range labels {
			names = append(names, l.Name)
		}
		return names
	}
	switch k := k.(type) {
	case *wit.Alias:
		return s.layout(k.Type)
	case *wit.Record:
		var fields []canon.Field
		for _, f := range k.Fields {
			fields = append(fields, canon.Field{Name: f.Name, Type: s.layout(f.Type)})
		}
		return canon.Record(fields...)
	case *wit.Variant:
		var cases []canon.Case
		for _, c := range k.Cases {
			cases = append(cases, canon.Case{Name: c.Name, Type: s.layout(c.Type)})
		}
		return canon.Variant(cases...)
	case *wit.Enum:
		return canon.Enum(labels(k.Cases)...)
	case *wit.Flags:
		return canon.Flags(labels(k.Flags)...)
	case *wit.Tuple:
		var types []*canon.Type
		for _, t := range k.Types {
			types = append(types, s.layout(t))
		}
		return canon.Tuple(types...)
	case *wit.Option:
		return canon.Option(s.layout(k.Type))
	case *wit.Result:
		return canon.Result(s.layout(k.OK), s.layout(k.Err))
	case *wit.List:
		return canon.List(s.layout(k.Elem))
	case *wit.FixedLengthList:
		return canon.FixedList(s.layout(k.Elem), k.Len)
	case *wit.Map:
		return canon.Map(s.layout(k.Key), s.layout(k.Value))
	case *wit.Borrow:
		return canon.Borrow(nil)
	case *wit.Stream:
		return canon.Stream(s.layout(k.Type))
	case *wit.Future:
		return canon.Future(s.layout(k.Type))
	}
	return canon.Own(nil)
}
