package engine

import (
	"github.com/tetratelabs/wazero/experimental"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Memories allocates the linear memories of a group of instances under one
// limit, and owns them: they stay mapped until Release, whatever instance is
// closed before. Not safe for concurrent use.
type Memories struct {
	limit    uint64
	used     uint64
	exceeded uint64
	heap     bool
	mapped   []*linearMemory
}

// NewMemories returns an allocator that grants limit bytes in all. A guest
// that grows past it sees memory.grow fail.
func (e *Engine) NewMemories(limit uint64) *Memories {
	return &Memories{limit: limit, heap: e.heap}
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
func (m *Memories) Release() {
	for _, l := range m.mapped {
		unmap(l.reserved, len(l.buffer))
	}
	m.mapped, m.used = nil, 0
}

// Allocate implements experimental.MemoryAllocator. It panics with a
// *limit.Error if the initial size is over the limit, since the interface has
// no way to refuse; Instantiate recovers it.
func (m *Memories) Allocate(initial, maximum uint64) experimental.LinearMemory {
	if initial > m.limit-m.used {
		m.exceeded = m.used + initial
		panic(&limit.Error{Resource: limit.Memory, Limit: m.limit, Requested: m.exceeded})
	}
	l := &linearMemory{owner: m}
	if !m.heap {
		// Address space up to the maximum is reserved at once, so that growth
		// neither copies nor moves; pages cost nothing before they are touched.
		if b, err := reserve(min(maximum, initial+(m.limit-m.used))); err == nil {
			l.reserved = b
			m.mapped = append(m.mapped, l)
		}
	}
	return l
}

type linearMemory struct {
	owner    *Memories
	reserved []byte // the whole mapping, or nil on the heap
	buffer   []byte
}

func (l *linearMemory) Reallocate(size uint64) []byte {
	grow := size - uint64(len(l.buffer))
	if grow > l.owner.limit-l.owner.used {
		l.owner.exceeded = l.owner.used + grow
		return nil
	}
	switch {
	case l.reserved != nil:
		if size > uint64(len(l.reserved)) {
			return nil
		}
		l.buffer = l.reserved[:size:size]
	case size <= uint64(cap(l.buffer)):
		l.buffer = l.buffer[:size]
	default:
		room := max(size, min(2*uint64(cap(l.buffer)), l.owner.limit))
		b := make([]byte, size, room)
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
