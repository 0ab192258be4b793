package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// SandboxOptions say what a sandbox is to be. The zero value, but for a limit, is one
// for a single use.
type SandboxOptions struct {
	// MemoryBytes bounds the linear memories of all instances together.
	MemoryBytes uint64
	// Snapshot is the state that the first instances are in when they were added, to
	// which Restore brings them back.
	Snapshot *Snapshot
	// Freezable says that Freeze is to be called, or that there is a Snapshot.
	Freezable bool
}

// Sandbox is a group of instances of core modules that are linked with each other and
// have memories under one limit. It is not safe for concurrent use.
type Sandbox struct {
	engine *Engine
	mems   *Memories
	from   *Snapshot
	cores  []*Instance
	state  bool          // is looked at
	named  bool          // references are
	frozen []restoration // by instance of from
	names  []uintptr     // references that guests may have, as far as tables change
}

// NewSandbox returns an empty sandbox.
func (e *Engine) NewSandbox(o SandboxOptions) *Sandbox {
	s := &Sandbox{engine: e, mems: e.NewMemories(o.MemoryBytes), from: o.Snapshot, state: o.Freezable || o.Snapshot != nil, named: o.Freezable}
	if o.Snapshot != nil {
		s.mems.images, s.named = o.Snapshot.images, o.Snapshot.references
	}
	return s
}

// Len returns the number of instances that were added.
func (s *Sandbox) Len() int { return len(s.cores) }

// Instance returns the instance that was added as the nth, or nil.
func (s *Sandbox) Instance(n int) *Instance {
	if n >= len(s.cores) {
		return nil
	}
	return s.cores[n]
}

// Memories returns the account of the memories.
func (s *Sandbox) Memories() *Memories { return s.mems }

// Add instantiates a module, which runs no code of it: see Start. Its memory has its
// data, or what the snapshot has, if it has this instance.
//
// The error is a *Trap if data does not fit, a *limit.Error if a declared memory is
// larger than what is left, or a link error.
func (s *Sandbox) Add(ctx context.Context, m *Module, imports Imports) error {
	fromSnapshot := s.from != nil && len(s.cores) < len(s.from.states)
	before, memories := s.tables(), len(s.mems.all)
	i, err := s.engine.instantiate(ctx, m, imports, s.mems)
	if err != nil {
		return err
	}
	if !fromSnapshot {
		err = i.applyData(m.held.Data)
	}
	if err == nil && s.state {
		i.state, err = stateOf(i.module)
	}
	if err != nil {
		// A close error would say that the engine is closed, which hides nothing.
		_ = i.Close(ctx)
		return err
	}
	if before != nil {
		s.names = append(s.names, i.state.names(before)...)
	}
	for _, l := range s.mems.all[memories:] {
		l.memory = i.module.Memory()
	}
	s.cores = append(s.cores, i)
	if fromSnapshot && len(s.cores) == len(s.from.states) {
		return s.thaw()
	}
	return nil
}

// tables returns copies of all tables, by key, if references are to be named.
func (s *Sandbox) tables() map[uintptr][]uintptr {
	if !s.named {
		return nil
	}
	out := make(map[uintptr][]uintptr)
	for _, c := range s.cores {
		for _, t := range c.state.tables {
			out[key(t)] = slices.Clone(references(t))
		}
	}
	return out
}

// Start runs the start function of the nth instance, if it has one.
func (s *Sandbox) Start(ctx context.Context, n int) error {
	if f := s.cores[n].Func(StartFunc); f != nil {
		return f.Call(ctx, nil)
	}
	return nil
}

// Close closes all instances and gives their memory back. No call may be under way.
func (s *Sandbox) Close(ctx context.Context) error {
	err := s.closeFrom(ctx, 0)
	s.mems.Release()
	return err
}

// closeFrom closes all but the first n instances.
func (s *Sandbox) closeFrom(ctx context.Context, n int) (err error) {
	for len(s.cores) > n {
		last := len(s.cores) - 1
		if n > 0 {
			// The engine would take the allocator off a memory that others have, too:
			// it would grow without limit, out of what is restored.
			err = errors.Join(err, releaseMemory(s.cores[last].module))
		}
		err = errors.Join(err, s.cores[last].Close(ctx))
		s.cores[last] = nil
		s.cores = s.cores[:last]
	}
	return err
}

// applyData copies active data segments into the instance's memory.
func (i *Instance) applyData(data []wasm.Data) error {
	if len(data) == 0 {
		return nil
	}
	var st *state
	memory := Memory{i.module.Memory()}.Bytes()
	for n := range data {
		d := &data[n]
		var err error
		at, ok := d.At.Value(func(index uint32) uint64 {
			if st == nil {
				if st, err = stateOf(i.module); err != nil {
					return 0
				}
			}
			lo, _ := st.all[index].Value()
			return lo
		})
		if err != nil {
			return err
		}
		at = uint64(uint32(at))
		if !ok || at+uint64(len(d.Init)) > uint64(len(memory)) {
			return &Trap{Message: "out of bounds memory access"}
		}
		copy(memory[at:], d.Init)
	}
	return nil
}
