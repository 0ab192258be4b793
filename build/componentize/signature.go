package componentize

import (
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/layout"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// signatures finds the core types of functions.
type signatures struct {
	layouts  layout.Types
	contents map[*wit.TypeDef]needs
}

func newSignatures() *signatures {
	return &signatures{layouts: layout.Types{}, contents: map[*wit.TypeDef]needs{}}
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
	flat := s.layouts.Func(f).FlattenLower(conv != synchronous)
	n := s.lift(f) | s.lower(f.Result)
	if flat.SpillParams || flat.SpillResult {
		n |= needMemory
	}
	return coreFunc(flat), n
}

// lifted returns the core type of a function that is lifted, and what that needs.
func (s *signatures) lifted(f *wit.Function, conv convention) (wasm.FuncType, needs) {
	flat := s.layouts.Func(f).FlattenLift(conv != synchronous, conv == asynchronous)
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
		params = []canon.Field{{Name: "result", Type: s.layouts.Of(f.Result)}}
	}
	flat := canon.Func(false, params, nil).FlattenLower(false)
	n := s.lift(f) | s.content(f.Result)
	all := s.layouts.Func(f)
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
