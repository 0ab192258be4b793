// Package quota counts what guests hold of the host, and refuses more than they
// may have.
package quota

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// The resources that are counted.
const (
	Connections limit.Resource = "connections"       // sockets, requests and lookups
	Files       limit.Resource = "open files"        // and directories, and readers of them
	Streams     limit.Resource = "streams"           // with buffers
	Fields      limit.Resource = "bytes of fields"   // of HTTP, with methods and URIs
	Random      limit.Resource = "random bytes"      // in one call
	Pollables   limit.Resource = "pollables to poll" // in one call
)

// kinds are those of which guests hold some.
var kinds = [...]limit.Resource{Connections, Files, Streams, Fields}

func kindOf(r limit.Resource) int {
	for i, k := range kinds {
		if k == r {
			return i
		}
	}
	panic("quota: " + string(r) + " is not held")
}

// Limits bound what one guest holds at a time.
type Limits struct {
	Connections, Files, Streams, Fields uint64
	// AllConnections bounds those of all guests; 0 does not.
	AllConnections uint64
}

func (l Limits) of(kind int) uint64 {
	return [...]uint64{l.Connections, l.Files, l.Streams, l.Fields}[kind]
}

// Book has the accounts of guests that share limits. A nil Book has none: it
// gives what is asked for. It is safe for concurrent use.
type Book struct {
	limits  Limits
	reached func(context.Context, *limit.Error)
	shared  Guest         // those without a context of their own
	total   atomic.Uint64 // connections of all guests

	mu     sync.Mutex
	counts map[limit.Resource]uint64
}

// NewBook returns a book. It tells reached, which may be nil, when a guest meets
// a limit for the first time.
func NewBook(l Limits, reached func(context.Context, *limit.Error)) *Book {
	return &Book{limits: l, reached: reached, counts: make(map[limit.Resource]uint64)}
}

// Guest is the account of one guest. The zero value holds nothing.
type Guest struct {
	held [len(kinds)]atomic.Uint64
	told sync.Map // of limit.Resource
}

// GuestKey is the key of the *Guest in the context of a guest's calls that has an
// account of its own.
type GuestKey struct{}

// WithGuest gives the calls made with the context an account of their own.
func WithGuest(ctx context.Context) context.Context {
	return context.WithValue(ctx, GuestKey{}, &Guest{})
}

func (b *Book) guest(ctx context.Context) *Guest {
	if g, ok := ctx.Value(GuestKey{}).(*Guest); ok {
		return g
	}
	return &b.shared
}

// Hold is a part of a guest's account. It is safe for concurrent use; nil and the zero
// value hold nothing.
type Hold struct {
	book  *Book // or nil
	guest *Guest
	kind  int
	mu    sync.Mutex
	n     uint64
	over  bool
}

// Take counts n of a resource. The error is a *limit.Error.
func (b *Book) Take(ctx context.Context, r limit.Resource, n uint64) (*Hold, error) {
	if b == nil {
		return nil, nil
	}
	h := &Hold{}
	if err := b.Open(ctx, h, r, n); err != nil {
		return nil, err
	}
	return h, nil
}

// Open is Take for a hold that is a part of something else: it was not used before.
func (b *Book) Open(ctx context.Context, h *Hold, r limit.Resource, n uint64) error {
	if b == nil {
		return nil
	}
	h.book, h.guest, h.kind = b, b.guest(ctx), kindOf(r)
	return h.Grow(ctx, n)
}

// Grow counts n more. Nothing is counted any more after Give.
func (h *Hold) Grow(ctx context.Context, n uint64) error {
	if h == nil || h.book == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil
	}
	held := &h.guest.held[h.kind]
	err := add(held, n, h.book.limits.of(h.kind))
	if most := h.book.limits.AllConnections; err == nil && h.counted() {
		if err = add(&h.book.total, n, most); err != nil {
			held.Add(-n)
		}
	}
	if err != nil {
		err.Resource = kinds[h.kind]
		return h.book.refuse(ctx, h.guest, err)
	}
	h.n += n
	return nil
}

// counted reports whether what is held counts for all guests, too.
func (h *Hold) counted() bool {
	return kinds[h.kind] == Connections && h.book.limits.AllConnections > 0
}

// add adds n unless there is more than most then.
func add(held *atomic.Uint64, n, most uint64) *limit.Error {
	for {
		now := held.Load()
		if n > most || now > most-n {
			return &limit.Error{Limit: most, Requested: now + n}
		}
		if held.CompareAndSwap(now, now+n) {
			return nil
		}
	}
}

// back gives back n, with the lock held.
func (h *Hold) back(n uint64) {
	h.n -= n
	h.guest.held[h.kind].Add(-n)
	if h.counted() {
		h.book.total.Add(-n)
	}
}

// Shrink gives back n of what is held.
func (h *Hold) Shrink(n uint64) {
	if h == nil || h.book == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.back(min(n, h.n))
}

// Give gives back all that is held, once.
func (h *Hold) Give() {
	if h == nil || h.book == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.back(h.n)
	h.over = true
}

// Check fails if n, of a resource that is not held, is more than most.
func (b *Book) Check(ctx context.Context, r limit.Resource, n, most uint64) error {
	if n <= most {
		return nil
	}
	err := &limit.Error{Resource: r, Limit: most, Requested: n}
	if b == nil {
		return err
	}
	return b.refuse(ctx, b.guest(ctx), err)
}

func (b *Book) refuse(ctx context.Context, g *Guest, err *limit.Error) error {
	b.mu.Lock()
	b.counts[err.Resource]++
	b.mu.Unlock()
	if _, before := g.told.LoadOrStore(err.Resource, true); !before && b.reached != nil {
		b.reached(ctx, err)
	}
	return err
}

// Counts returns how often each limit was met.
func (b *Book) Counts() map[limit.Resource]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := make(map[limit.Resource]uint64, len(b.counts))
	for r, n := range b.counts {
		counts[r] = n
	}
	return counts
}
