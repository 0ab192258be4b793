package engine

import (
	"errors"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/ashlar-wasm/ashlar/internal/cow"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Memories allocates the linear memories of a group of instances under one
// limit, and owns them: they stay mapped until Release, whatever instance is
// closed before. Not safe for concurrent use.
type Memories struct {
	engine   *Engine
	limit    uint64
	used     uint64
	exceeded uint64
	images   []*cow.Image // what the first memories begin with
	all      []*linearMemory
}

// NewMemories returns an allocator that grants limit bytes in all. A guest
// that grows past it sees memory.grow fail.
func (e *Engine) NewMemories(limit uint64) *Memories {
	return &Memories{engine: e, limit: limit}
}

// Used returns the bytes granted now.
func (m *Memories) Used() uint64 { return m.used }

// Exceeded reports, as a *limit.Error, that some growth was refused; nil if none was.
func (m *Memories) Exceeded() *limit.Error {
	if m.exceeded == 0 {
		return nil
	}
	return &limit.Error{Resource: limit.Memory, Limit: m.limit, Requested: m.exceeded}
}

// Release gives all memories back. No instance may use them any more.
func (m *Memories) Release() { m.releaseFrom(0) }

// releaseFrom gives back all but the first n memories.
func (m *Memories) releaseFrom(n int) {
	for _, l := range m.all[n:] {
		m.used -= uint64(len(l.buffer))
		l.buffer = nil
		if l.mapping != nil {
			l.mapping.Release()
			l.mapping = nil
		}
	}
	clear(m.all[n:])
	m.all = m.all[:n]
}

// Allocate implements experimental.MemoryAllocator. It panics with a
// *limit.Error if the initial size is over the limit, since the interface has
// no way to refuse; Instantiate recovers it.
func (m *Memories) Allocate(initial, maximum uint64) experimental.LinearMemory {
	l := &linearMemory{owner: m}
	if n := len(m.all); n < len(m.images) {
		l.image = m.images[n]
		initial = max(initial, l.image.Size())
	}
	if initial > m.limit-m.used {
		m.exceeded = m.used + initial
		panic(&limit.Error{Resource: limit.Memory, Limit: m.limit, Requested: m.exceeded})
	}
	m.all = append(m.all, l)
	if !m.engine.heap {
		// Address space up to the maximum is reserved at once, so that growth
		// neither copies nor moves; pages cost nothing before they are touched.
		l.mapping = m.engine.reserve(l.image, min(maximum, initial+(m.limit-m.used)))
	}
	return l
}

// reserve maps memory, or returns nil where that can't be done.
func (e *Engine) reserve(image *cow.Image, size uint64) *cow.Mapping {
	if size == 0 {
		return nil
	}
	var m *cow.Mapping
	if e.mapping(func() (err error) { m, err = e.space.Map(image, size); return err }) != nil {
		return nil
	}
	return m
}

// image makes an image of a memory.
func (e *Engine) image(content []byte) (image *cow.Image, err error) {
	err = e.mapping(func() (err error) { image, err = e.space.Image(content); return err })
	return image, err
}

// mapping calls do again for as long as it finds no room for a mapping and somebody gives
// one back.
func (e *Engine) mapping(do func() error) error {
	for {
		err := do()
		if !errors.Is(err, cow.ErrMappings) || e.reclaim == nil || !e.reclaim() {
			return err
		}
	}
}

// linearMemory is the memory of an instance.
type linearMemory struct {
	owner   *Memories
	image   *cow.Image   // that it began with, or nil
	mapping *cow.Mapping // or nil on the heap
	buffer  []byte
	memory  api.Memory // the engine's, once the sandbox has its instance
	rewind  bool       // Reallocate is to return the initial size
}

// Reallocate implements experimental.LinearMemory.
func (l *linearMemory) Reallocate(size uint64) []byte {
	if l.image != nil && l.buffer == nil || l.rewind {
		size = l.image.Size()
	}
	if l.rewind {
		l.rewind = false
		l.owner.used -= uint64(len(l.buffer)) - size
		l.buffer = l.buffer[:size:size]
		return l.buffer
	}
	grow := size - uint64(len(l.buffer))
	if grow > l.owner.limit-l.owner.used {
		l.owner.exceeded = l.owner.used + grow
		return nil
	}
	switch {
	case l.mapping != nil:
		reserved := l.mapping.Bytes()
		if size > uint64(len(reserved)) {
			return nil
		}
		l.buffer = reserved[:size:size]
	case size <= uint64(cap(l.buffer)):
		l.buffer = l.buffer[:size]
	default:
		room := max(size, min(2*uint64(cap(l.buffer)), l.owner.limit))
		b := make([]byte, size, room)
		if l.buffer == nil && l.image != nil {
			copy(b, l.image.Bytes())
		}
		copy(b, l.buffer)
		l.buffer = b
	}
	l.owner.used += grow
	if l.buffer == nil {
		// A memory of no pages still needs a buffer: nil means refusal.
		l.buffer = []byte{}
	}
	return l.buffer
}

// Free does nothing: wazero calls it for an instance that merely imports the
// memory. The mapping is the owner's.
func (l *linearMemory) Free() {}
