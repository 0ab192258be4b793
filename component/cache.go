package component

import (
	"log/slog"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// ErrCacheNotPrivate is wrapped by the error of [OpenCache] for a directory that
// others than the user of this process can get at.
var ErrCacheNotPrivate = engine.ErrCacheNotPrivate

// CacheOptions say where compiled code is kept and how much of it.
type CacheOptions struct {
	// Dir is the directory, made if it is not there. Empty means the folder
	// ashlar/code in [os.UserCacheDir].
	Dir string
	// MaxBytes bounds all entries together; zero means 1 GiB. Those that were
	// not used for the longest time leave first, which no process notices that
	// runs one of them.
	MaxBytes int64
	// Logger is told at the level Debug of entries that could not be used or
	// written, and warned if an engine can't use the cache at all; nil means
	// that nobody is told.
	Logger *slog.Logger
}

// Cache keeps what components were compiled to in a directory, so that a later
// start compiles nothing. Engines of one process and of many may share it. It is
// safe for concurrent use.
//
// An entry is used only if its SHA-256 is right and it was written for the same
// component and limits by the same build for the same processor; one that is
// damaged is deleted and the component compiled again. A component found there
// is not validated again. The directory must belong to the user of this process
// and have the mode 0700 (on Windows, access rights are not checked); whoever
// can write to it as that user can run code as that user. A directory that is
// full or read-only is no error.
type Cache struct{ c *engine.Cache }

// OpenCache opens a cache. The error wraps [ErrCacheNotPrivate] for a directory
// that is refused.
func OpenCache(o CacheOptions) (*Cache, error) {
	c, err := engine.OpenCache(engine.CacheConfig{Dir: o.Dir, MaxBytes: o.MaxBytes, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return &Cache{c}, nil
}

func (c *Cache) store() *engine.Cache {
	if c == nil {
		return nil
	}
	return c.c
}

// Close releases the directory. Engines that use the cache go on without it.
func (c *Cache) Close() error { return c.c.Close() }

// Dir returns the directory.
func (c *Cache) Dir() string { return c.c.Dir() }

// CacheStats counts what happened to a Cache in this process.
type CacheStats struct {
	Hits      uint64 // components that were found
	Misses    uint64 // components that were not, damaged entries included
	Damaged   uint64 // entries deleted because something in them was wrong
	Written   uint64 // entries added
	Unwritten uint64 // entries that could not be added
	Evicted   uint64 // entries that left to make room
}

// Stats returns the counters.
func (c *Cache) Stats() CacheStats { return CacheStats(c.c.Stats()) }

// CacheEntry describes an entry.
type CacheEntry struct {
	Key    string    // the name of the file
	Source string    // digest of the component or module, as sha256:...; empty if it can't be read
	Build  string    // what wrote it and for which platform; empty if it can't be read
	Bytes  int64     // size of the file
	Used   time.Time // when it was last used or written
}

// Entries lists the entries, that used last first.
func (c *Cache) Entries() ([]CacheEntry, error) {
	entries, err := c.c.Entries()
	return publicEntries(entries), err
}

// Pruning says which entries go. The zero value removes none.
type Pruning struct {
	All       bool          // every entry
	OlderThan time.Duration // those not used for longer than this, unless it is zero
	Shrink    bool          // the oldest, until the rest has no more than MaxBytes
	MaxBytes  int64
}

// Prune removes entries and returns those that it removed. A process that runs
// one of them goes on running it.
func (c *Cache) Prune(p Pruning) ([]CacheEntry, error) {
	removed, err := c.c.Prune(engine.Pruning(p))
	return publicEntries(removed), err
}

func publicEntries(entries []engine.CacheEntry) []CacheEntry {
	out := make([]CacheEntry, len(entries))
	for i, e := range entries {
		out[i] = CacheEntry(e)
	}
	return out
}
