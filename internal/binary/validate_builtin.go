package binary

import "github.com/ashlar-wasm/ashlar/internal/wasm"

// builtin is the number of i32 parameters and results of a built-in without options.
type builtin struct {
	params, results int
	threading       bool
}

var builtins = map[CanonOp]builtin{
	CanonTaskCancel:               {},
	CanonSubtaskCancel:            {params: 1, results: 1},
	CanonSubtaskDrop:              {params: 1},
	CanonBackpressureInc:          {},
	CanonBackpressureDec:          {},
	CanonWaitableSetNew:           {results: 1},
	CanonWaitableSetDrop:          {params: 1},
	CanonWaitableJoin:             {params: 2},
	CanonThreadYield:              {results: 1},
	CanonThreadIndex:              {results: 1, threading: true},
	CanonThreadResumeLater:        {params: 1, threading: true},
	CanonThreadSuspend:            {results: 1, threading: true},
	CanonThreadSuspendThenResume:  {params: 1, results: 1, threading: true},
	CanonThreadYieldThenResume:    {params: 1, results: 1, threading: true},
	CanonThreadSuspendThenPromote: {params: 1, results: 1, threading: true},
	CanonThreadYieldThenPromote:   {params: 1, results: 1, threading: true},
}

func (s *scope) resourceBuiltin(d *Canon) error {
	r, err := s.resourceAt(d.Type, d.Offset)
	if err != nil {
		return err
	}
	if d.Op == CanonResourceDrop {
		s.addCore([]wasm.ValType{wasm.I32}, nil)
		return nil
	}
	rep, ok := s.reps[r.resource]
	if !ok {
		return invalid(d.Offset, "type %d is not a local resource", d.Type)
	}
	if d.Op == CanonResourceNew {
		s.addCore([]wasm.ValType{rep}, []wasm.ValType{wasm.I32})
	} else {
		s.addCore([]wasm.ValType{wasm.I32}, []wasm.ValType{rep})
	}
	return nil
}

// transfer checks a built-in on streams or futures.
func (s *scope) transfer(d *Canon, want shape) error {
	t, err := s.definedAt(d.Type, d.Offset)
	if err != nil {
		return err
	}
	if t.shape != want {
		return invalid(d.Offset, "`%s` requires a %s type", d.Op, shapeNames[want])
	}
	i32 := []wasm.ValType{wasm.I32}
	switch d.Op {
	case CanonStreamNew, CanonFutureNew:
		s.addCore(nil, []wasm.ValType{wasm.I64})
		return nil
	case CanonStreamCancelRead, CanonStreamCancelWrite, CanonFutureCancelRead, CanonFutureCancelWrite:
		if d.Async {
			if err := s.need(FeatureMoreAsync, d.Offset, "async `%s` requires the component model more async builtins feature", d.Op); err != nil {
				return err
			}
		}
		s.addCore(i32, i32)
		return nil
	case CanonStreamDropReadable, CanonStreamDropWritable, CanonFutureDropReadable, CanonFutureDropWritable:
		s.addCore(i32, nil)
		return nil
	}
	o, err := s.options(d.Opts, d.Offset)
	if err != nil {
		return err
	}
	if !o.async {
		if err := s.need(FeatureMoreAsync, d.Offset, "synchronous `%s` requires the component model more async builtins feature", d.Op); err != nil {
			return err
		}
	}
	if elem := t.parts[0]; elem != nil {
		if err := o.requireMemory(d.Offset); err != nil {
			return err
		}
		if reads := d.Op == CanonStreamRead || d.Op == CanonFutureRead; reads && elem.hasPointer() {
			if err := o.requireRealloc(d.Offset); err != nil {
				return err
			}
		}
	}
	if err := o.checkLower(d.Offset); err != nil {
		return err
	}
	pointer := pointers[o.pointer]
	if want == shapeStream {
		s.addCore([]wasm.ValType{wasm.I32, pointer, pointer}, []wasm.ValType{pointer})
	} else {
		s.addCore([]wasm.ValType{wasm.I32, pointer}, i32)
	}
	return nil
}

func (s *scope) taskReturn(d *Canon) error {
	t := &funcType{}
	if d.Result != nil {
		v, err := s.valType(*d.Result, d.Offset)
		if err != nil {
			return err
		}
		t.params = []valType{v}
	}
	o, err := s.options(d.Opts, d.Offset)
	if err != nil {
		return err
	}
	if o.realloc != nil {
		return invalid(d.Offset, "cannot specify `realloc` option on `task.return`")
	}
	if o.postReturn != nil {
		return invalid(d.Offset, "cannot specify `post-return` option on `task.return`")
	}
	if err := o.checkLower(d.Offset); err != nil {
		return err
	}
	if err := o.checkSync(d.Op, d.Offset); err != nil {
		return err
	}
	params, results, err := o.flatten(t, false, d.Offset)
	if err != nil {
		return err
	}
	s.addCore(params, results)
	return nil
}

// context checks context.get and context.set, all of which have one type in a component.
func (s *scope) context(d *Canon) error {
	switch d.ValType {
	case wasm.I32:
	case wasm.I64:
		if err := s.need(FeatureMemory64, d.Offset, "64-bit `%s` requires the component model 64-bit feature", d.Op); err != nil {
			return err
		}
	default:
		return invalid(d.Offset, "`%s` only supports `i32` or `i64`", d.Op)
	}
	if s.contextType != 0 && s.contextType != d.ValType {
		return invalid(d.Offset, "`%s` type must match previous context type", d.Op)
	}
	s.contextType = d.ValType
	if d.Slot > 0 {
		if err := s.need(FeatureThreading, d.Offset, "`%s` immediate must be zero: %d", d.Op, d.Slot); err != nil {
			return err
		}
		if d.Slot > 1 {
			return invalid(d.Offset, "`%s` immediate must be zero or one: %d", d.Op, d.Slot)
		}
	}
	if d.Op == CanonContextGet {
		s.addCore(nil, []wasm.ValType{d.ValType})
	} else {
		s.addCore([]wasm.ValType{d.ValType}, nil)
	}
	return nil
}

func (s *scope) errorContext(d *Canon) error {
	if err := s.need(FeatureErrorContext, d.Offset, "`%s` requires the component model error-context feature", d.Op); err != nil {
		return err
	}
	if d.Op == CanonErrorContextDrop {
		s.addCore([]wasm.ValType{wasm.I32}, nil)
		return nil
	}
	o, err := s.options(d.Opts, d.Offset)
	if err != nil {
		return err
	}
	if d.Op == CanonErrorContextNew {
		err = o.requireMemory(d.Offset)
	} else {
		err = o.requireRealloc(d.Offset)
	}
	if err != nil {
		return err
	}
	if err := o.checkSync(d.Op, d.Offset); err != nil {
		return err
	}
	if err := o.checkLower(d.Offset); err != nil {
		return err
	}
	if p := pointers[o.pointer]; d.Op == CanonErrorContextNew {
		s.addCore([]wasm.ValType{p, p}, []wasm.ValType{wasm.I32})
	} else {
		s.addCore([]wasm.ValType{wasm.I32, p}, nil)
	}
	return nil
}

func (s *scope) threadNew(d *Canon) error {
	if err := s.need(FeatureThreading, d.Offset, "`%s` requires the component model threading feature", d.Op); err != nil {
		return err
	}
	t, err := at(s.coreTypes, d.Type, "type", d.Offset)
	if err != nil {
		return err
	}
	switch {
	case t.fn == nil:
		return invalid(d.Offset, "expected a core function type")
	case len(t.fn.params) != 1 || t.fn.params[0] != wasm.I32:
		return invalid(d.Offset, "start function must take a single `i32` argument (currently)")
	case len(t.fn.results) != 0:
		return invalid(d.Offset, "start function must not return any values")
	}
	table, err := at(s.coreTables, d.Table, "table", d.Offset)
	if err != nil {
		return err
	}
	if err := s.subtype(d.Offset).table(table, wasm.TableType{Elem: wasm.FuncRef}); err != nil {
		return within(err, "table is not a 32-bit table of (ref null (func))")
	}
	s.addCore([]wasm.ValType{wasm.I32, wasm.I32}, []wasm.ValType{wasm.I32})
	return nil
}
