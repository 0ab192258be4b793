package binary

import (
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Bounds on the number of core parameters (CanonicalABI.md, "Flattening").
const (
	maxFlatParams      = maxFlat
	maxFlatAsyncParams = 4
	maxFlatResults     = 1
)

// canonOpts are the options of a canonical definition.
type canonOpts struct {
	encoding   CanonOptKind
	encoded    bool
	memory     bool
	pointer    int // index into pointers of the memory's index type
	realloc    *uint32
	postReturn *uint32
	callback   *uint32
	async      bool
}

var optNames = map[CanonOptKind]string{
	OptUTF8: "utf8", OptUTF16: "utf16", OptLatin1UTF16: "latin1-utf16", OptMemory: "memory", OptRealloc: "realloc",
	OptPostReturn: "post-return", OptAsync: "async", OptCallback: "callback", OptCoreType: "core type", OptGC: "gc",
}

// options checks the options that go for every definition.
func (s *scope) options(list []CanonOpt, offset int) (*canonOpts, error) {
	o := &canonOpts{}
	seen := map[CanonOptKind]bool{}
	for i := range list {
		opt := &list[i]
		if opt.Kind <= OptLatin1UTF16 {
			if o.encoded {
				return nil, invalid(opt.Offset, "canonical encoding option `%s` conflicts with option `%s`", optNames[o.encoding], optNames[opt.Kind])
			}
			o.encoding, o.encoded = opt.Kind, true
			continue
		}
		if seen[opt.Kind] {
			return nil, invalid(opt.Offset, "canonical option `%s` is specified more than once", optNames[opt.Kind])
		}
		seen[opt.Kind] = true
		switch opt.Kind {
		case OptMemory:
			m, err := s.memoryAt(opt.Index, opt.Offset)
			if err != nil {
				return nil, err
			}
			o.memory = true
			if m.Limits.Index64 {
				o.pointer = 1
			}
		case OptRealloc:
			o.realloc = &opt.Index
		case OptPostReturn:
			o.postReturn = &opt.Index
		case OptCallback:
			o.callback = &opt.Index
		case OptAsync:
			o.async = true
		case OptCoreType, OptGC:
			return nil, &wasm.UnsupportedError{Feature: wasm.GC, Offset: opt.Offset}
		}
	}
	if o.callback != nil && !o.async {
		return nil, invalid(offset, "cannot specify callback without async")
	}
	if o.postReturn != nil && o.async {
		return nil, invalid(offset, "cannot specify post-return function in async")
	}
	if o.realloc != nil {
		if !o.memory {
			return nil, invalid(offset, "canonical option `realloc` requires `memory` to also be specified")
		}
		p := pointers[o.pointer]
		if err := s.signature(*o.realloc, "realloc", []wasm.ValType{p, p, p, p}, []wasm.ValType{p}, offset); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// memoryAt returns a memory that canonical definitions can use.
func (s *scope) memoryAt(index uint32, offset int) (wasm.MemoryType, error) {
	m, err := at(s.coreMemories, index, "memory", offset)
	if err != nil {
		return m, err
	}
	if m.Limits.Index64 {
		if err := s.need(FeatureMemory64, offset, "64-bit memories require the `cm64` feature to be enabled"); err != nil {
			return m, err
		}
	}
	want := wasm.MemoryType{PageSizeLog2: m.PageSizeLog2, Limits: wasm.Limits{Index64: m.Limits.Index64}}
	return m, s.subtype(offset).memory(m, want)
}

// signature checks the type of a core function that an option names.
func (s *scope) signature(index uint32, option string, params, results []wasm.ValType, offset int) error {
	f, err := at(s.coreFuncs, index, "core function", offset)
	if err != nil {
		return err
	}
	if !slices.Equal(f.params, params) || !slices.Equal(f.results, results) {
		return invalid(offset, "canonical option `%s` uses a core function with an incorrect signature", option)
	}
	return nil
}

func (o *canonOpts) requireMemory(offset int) error {
	if !o.memory {
		return invalid(offset, "canonical option `memory` is required")
	}
	return nil
}

func (o *canonOpts) requireRealloc(offset int) error {
	if err := o.requireMemory(offset); err != nil {
		return err
	}
	if o.realloc == nil {
		return invalid(offset, "canonical option `realloc` is required")
	}
	return nil
}

// checkLower checks that there are no options that only lift takes.
func (o *canonOpts) checkLower(offset int) error {
	switch {
	case o.postReturn != nil:
		return invalid(offset, "canonical option `post-return` cannot be specified for lowerings")
	case o.callback != nil:
		return invalid(offset, "canonical option `callback` cannot be specified for lowerings")
	}
	return nil
}

// checkSync checks that a built-in is not given the option async.
func (o *canonOpts) checkSync(op CanonOp, offset int) error {
	if o.async {
		return invalid(offset, "cannot specify `async` option on `%s`", op)
	}
	return nil
}

// flatten returns the core type that a function is lifted from or lowered to, and checks
// that the options suffice for its types.
func (o *canonOpts) flatten(t *funcType, lift bool, offset int) (params, results []wasm.ValType, err error) {
	pointer := pointers[o.pointer]
	limit := maxFlatParams
	if !lift && o.async {
		limit = maxFlatAsyncParams
	}
	wide := false
	for _, p := range t.params {
		if p.hasPointer() {
			if lift {
				err = o.requireRealloc(offset)
			} else {
				err = o.requireMemory(offset)
			}
			if err != nil {
				return nil, nil, err
			}
		}
		flat, ok := p.flatten(o.pointer)
		if params = append(params, flat...); !ok || len(params) > limit {
			wide = true
			break
		}
	}
	if wide {
		params = []wasm.ValType{pointer}
		if err = o.requireMemory(offset); err == nil && lift {
			err = o.requireRealloc(offset)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if t.result == nil {
		if o.async && (!lift || o.callback != nil) {
			results = []wasm.ValType{wasm.I32}
		}
		return params, results, nil
	}
	flat, ok := t.result.flatten(o.pointer)
	if !lift && t.result.hasPointer() {
		if err := o.requireRealloc(offset); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case !o.async && ok && len(flat) <= maxFlatResults:
		results = flat
	case !o.async:
		if lift {
			results = []wasm.ValType{pointer}
		} else {
			params = append(params, pointer)
		}
		err = o.requireMemory(offset)
	case !lift:
		params = append(params, pointer)
		results = []wasm.ValType{wasm.I32}
		err = o.requireMemory(offset)
	default:
		// The result is passed to task.return.
		if !ok || t.result.hasPointer() {
			err = o.requireMemory(offset)
		}
		if o.callback != nil {
			results = []wasm.ValType{wasm.I32}
		}
	}
	return params, results, err
}

// addCore adds a core function of the type.
func (s *scope) addCore(params, results []wasm.ValType) {
	s.coreFuncs = append(s.coreFuncs, s.intern(params, results, false, nil))
}

// canon checks a canonical definition.
func (s *scope) canon(d *Canon) error {
	switch d.Op {
	case CanonLift:
		return s.lift(d)
	case CanonLower:
		return s.lower(d)
	case CanonResourceNew, CanonResourceRep, CanonResourceDrop:
		return s.resourceBuiltin(d)
	case CanonStreamNew, CanonStreamRead, CanonStreamWrite, CanonStreamCancelRead, CanonStreamCancelWrite,
		CanonStreamDropReadable, CanonStreamDropWritable:
		return s.transfer(d, shapeStream)
	case CanonFutureNew, CanonFutureRead, CanonFutureWrite, CanonFutureCancelRead, CanonFutureCancelWrite,
		CanonFutureDropReadable, CanonFutureDropWritable:
		return s.transfer(d, shapeFuture)
	case CanonTaskReturn:
		return s.taskReturn(d)
	case CanonContextGet, CanonContextSet:
		return s.context(d)
	case CanonErrorContextNew, CanonErrorContextDebugMessage, CanonErrorContextDrop:
		return s.errorContext(d)
	case CanonThreadNewIndirect:
		return s.threadNew(d)
	case CanonThreadSpawnRef, CanonThreadSpawnIndirect, CanonThreadAvailableParallelism:
		return &wasm.UnsupportedError{Feature: wasm.SharedEverything, Offset: d.Offset}
	case CanonSubtaskCancel:
		if d.Async {
			if err := s.need(FeatureMoreAsync, d.Offset, "async `subtask.cancel` requires the component model more async builtins feature"); err != nil {
				return err
			}
		}
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		m, err := s.memoryAt(d.Memory, d.Offset)
		if err != nil {
			return err
		}
		pointer := wasm.I32
		if m.Limits.Index64 {
			pointer = wasm.I64
		}
		s.addCore([]wasm.ValType{wasm.I32, pointer}, []wasm.ValType{wasm.I32})
		return nil
	}
	sig, ok := builtins[d.Op]
	if !ok {
		return invalid(d.Offset, "unknown canonical definition %#x", byte(d.Op))
	}
	if sig.threading {
		if err := s.need(FeatureThreading, d.Offset, "`%s` requires the component model threading feature", d.Op); err != nil {
			return err
		}
	}
	s.addCore(slices.Repeat([]wasm.ValType{wasm.I32}, sig.params), slices.Repeat([]wasm.ValType{wasm.I32}, sig.results))
	return nil
}

// lift checks a function that a core function implements.
func (s *scope) lift(d *Canon) error {
	any, err := at(s.types, d.Type, "type", d.Offset)
	if err != nil {
		return err
	}
	t, ok := any.(*funcType)
	if !ok {
		return invalid(d.Offset, "type index %d is not a function type", d.Type)
	}
	f, err := at(s.coreFuncs, d.Func, "core function", d.Offset)
	if err != nil {
		return err
	}
	o, err := s.options(d.Opts, d.Offset)
	if err != nil {
		return err
	}
	if o.postReturn != nil {
		if err := s.signature(*o.postReturn, "post-return", f.results, nil, d.Offset); err != nil {
			return err
		}
	}
	if o.async && o.callback == nil {
		if err := s.need(FeatureStackful, d.Offset, "requires the component model async stackful feature"); err != nil {
			return err
		}
	}
	if o.callback != nil {
		if err := s.signature(*o.callback, "callback", []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}, []wasm.ValType{wasm.I32}, d.Offset); err != nil {
			return err
		}
	}
	if err := o.checkAsync(t, d.Offset); err != nil {
		return err
	}
	params, results, err := o.flatten(t, true, d.Offset)
	if err != nil {
		return err
	}
	if !slices.Equal(params, f.params) {
		return invalid(d.Offset, "lowered parameter types `%s` do not match parameter types `%s` of core function %d",
			coreTypeList(params), coreTypeList(f.params), d.Func)
	}
	if !slices.Equal(results, f.results) {
		return invalid(d.Offset, "lowered result types `%s` do not match result types `%s` of core function %d",
			coreTypeList(results), coreTypeList(f.results), d.Func)
	}
	s.funcs = append(s.funcs, t)
	return nil
}

func coreTypeList(types []wasm.ValType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = strings.ToUpper(t.String())
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func (o *canonOpts) checkAsync(t *funcType, offset int) error {
	if o.async && !t.async {
		return invalid(offset, "the `async` canonical option requires an async function type")
	}
	return nil
}

// lower checks a core function that calls a function.
func (s *scope) lower(d *Canon) error {
	t, err := at(s.funcs, d.Func, "function", d.Offset)
	if err != nil {
		return err
	}
	o, err := s.options(d.Opts, d.Offset)
	if err != nil {
		return err
	}
	if err := o.checkLower(d.Offset); err != nil {
		return err
	}
	if err := o.checkAsync(t, d.Offset); err != nil {
		return err
	}
	params, results, err := o.flatten(t, false, d.Offset)
	if err != nil {
		return err
	}
	s.addCore(params, results)
	return nil
}
