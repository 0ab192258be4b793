package abi

// A Handle refers to a resource that another component, or the host,
// implements. The zero value refers to none.
type Handle struct {
	id       uint32
	borrowed bool
}

// Own returns an owned handle.
func Own(id uint32) Handle { return Handle{id: id} }

// Borrow returns a handle that is lent for the length of a call.
func Borrow(id uint32) Handle { return Handle{id: id, borrowed: true} }

// Lend returns the number of the handle, to be lent to an import. It panics if
// the resource was closed or passed on.
func (h *Handle) Lend() uint32 {
	if h.id == 0 {
		panic("resource is used after it was closed, passed on, or given back")
	}
	return h.id
}

// Take returns the number of an owned handle, which is passed on and can't be
// used any more.
func (h *Handle) Take() uint32 {
	id := h.Lend()
	if h.borrowed {
		panic("resource is passed on that is only borrowed")
	}
	h.id = 0
	return id
}

// Close returns the number of the handle, to be dropped, and whether there is
// one.
func (h *Handle) Close() (id uint32, open bool) {
	id, h.id = h.id, 0
	return id, id != 0
}

// Implementation holds the resources of a type that the component implements
// while others own them.
type Implementation[T closer] struct {
	// New, Rep and Drop are the functions of the canonical ABI for the type.
	New, Rep func(uint32) uint32
	Drop     func(uint32)

	values []held[T] // the index is the representation less one
	free   []uint32
}

type held[T any] struct {
	value T
	live  bool
}

// Give returns an owned handle for v, to be passed on.
func (t *Implementation[T]) Give(v T) uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		t.values[i] = held[T]{v, true}
		return t.New(i + 1)
	}
	t.values = append(t.values, held[T]{v, true})
	return t.New(uint32(len(t.values)))
}

// Get returns the resource with a representation: one that is lent.
func (t *Implementation[T]) Get(rep uint32) T {
	h := &t.values[rep-1]
	if !h.live {
		panic("resource does not exist")
	}
	return h.value
}

// Take returns the resource of an owned handle that comes back to the component.
func (t *Implementation[T]) Take(handle uint32) T {
	rep := t.Rep(handle)
	v := t.remove(rep)
	t.Drop(handle) // calls Destroy, which finds nothing
	t.free = append(t.free, rep-1)
	return v
}

// Destroy is called when the last owner drops a resource: it closes it.
func (t *Implementation[T]) Destroy(rep uint32) {
	if !t.values[rep-1].live {
		return
	}
	v := t.remove(rep)
	t.free = append(t.free, rep-1)
	v.Close()
}

func (t *Implementation[T]) remove(rep uint32) T {
	v := t.Get(rep)
	t.values[rep-1] = held[T]{}
	return v
}
