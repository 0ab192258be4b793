package engine

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// state is what a guest can change in an instance, beside its memory, as far as the
// instance defines it. The engine has no API for that, but fields that are exported.
type state struct {
	globals  []variable
	all      []globalValue   // imported ones too
	tables   []reflect.Value // of references, which are uintptr
	imported []reflect.Value // tables of other instances
	elements reflect.Value   // a slice of slices of references
	data     reflect.Value   // a slice of byte slices
}

// variable is a global variable.
type variable struct {
	globalValue
	mutable, ref bool
}

// globalValue is a global variable of the engine's.
type globalValue interface {
	Value() (lo, hi uint64)
	SetValue(lo, hi uint64)
}

var errState = errors.New("the engine does not show the state of its instances")

// stateOf finds the state of an instance.
func stateOf(m api.Module) (s *state, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("%w: %v", errState, r)
		}
	}()
	v := reflect.ValueOf(m).Elem()
	source := v.FieldByName("Source").Elem()
	s = &state{elements: v.FieldByName("ElementInstances"), data: v.FieldByName("DataInstances")}
	globals, imported := v.FieldByName("Globals"), int(source.FieldByName("ImportGlobalCount").Uint())
	for i := range globals.Len() {
		g := globals.Index(i)
		s.all = append(s.all, g.Interface().(globalValue))
		if i < imported {
			continue
		}
		t := g.Elem().FieldByName("Type")
		s.globals = append(s.globals, variable{
			globalValue: s.all[i],
			mutable:     t.FieldByName("Mutable").Bool(),
			ref:         t.FieldByName("ValType").Interface().(interface{ IsRef() bool }).IsRef(),
		})
	}
	tables, imported := v.FieldByName("Tables"), int(source.FieldByName("ImportTableCount").Uint())
	for i := range tables.Len() {
		refs := tables.Index(i).Elem().FieldByName("References")
		_ = refs.Interface().([]uintptr)
		if i < imported {
			s.imported = append(s.imported, refs)
		} else {
			s.tables = append(s.tables, refs)
		}
	}
	for i := range s.elements.Len() {
		_ = s.elements.Index(i).Interface().([]uintptr)
	}
	for i := range s.data.Len() {
		_ = s.data.Index(i).Interface().([]byte)
	}
	return s, nil
}

// releaseMemory has an instance know of no memory any more. It can only be closed then.
func releaseMemory(m api.Module) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errState, r)
		}
	}()
	reflect.ValueOf(m).Elem().FieldByName("MemoryInstance").SetZero()
	return nil
}

func references(v reflect.Value) []uintptr { return v.Interface().([]uintptr) }

// key identifies a table.
func key(table reflect.Value) uintptr { return table.Addr().Pointer() }

// names lists all references that a guest can get at in a new instance, in an order
// that is the same for each instance of a module. before has what the imported tables
// held before it was made.
func (s *state) names(before map[uintptr][]uintptr) []uintptr {
	var out []uintptr
	for _, t := range s.tables {
		out = append(out, references(t)...)
	}
	for i := range s.elements.Len() {
		out = append(out, references(s.elements.Index(i))...)
	}
	for _, g := range s.globals {
		if g.ref {
			lo, _ := g.Value()
			out = append(out, uintptr(lo))
		}
	}
	for _, t := range s.imported {
		for i, r := range references(t) {
			if r != before[key(t)][i] {
				out = append(out, r)
			}
		}
	}
	return out
}
