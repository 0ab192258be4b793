package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ErrCacheNotPrivate is wrapped by the error of [OpenCache] for a directory that
// others than the user of this process can get at: native code is not taken
// from there.
var ErrCacheNotPrivate = errors.New("the directory is not private")

// CacheConfig says where compiled code is kept and how much of it.
type CacheConfig struct {
	// Dir is the directory, made if it is not there. Empty means the folder
	// ashlar/code in [os.UserCacheDir].
	Dir string
	// MaxBytes bounds the size of all entries together; zero means 1 GiB.
	// Those that were not used for the longest time leave first.
	MaxBytes int64
	// Logger is told at the level Debug of entries that could not be used or
	// written, and warned if an engine can't use the cache at all; nil means
	// that nobody is told.
	Logger *slog.Logger
}

// Cache keeps compiled code in a directory, for engines of this process and
// others. Any number of processes may use, fill and prune the same directory
// at once: entries are complete files that are renamed into place and never
// change. It is safe for concurrent use.
//
// An entry is used only if its SHA-256 is right and it was written for the same
// source, options, build, engine version and processor; the bytes that were
// checked are the ones that are used. What is damaged is deleted. On unix, the
// directory must belong to the user of this process and be closed to everybody
// else; on Windows it has the access rights of the user's profile, which are
// not checked. Links are never followed.
type Cache struct {
	root  *os.Root
	dir   string
	max   int64
	log   *slog.Logger
	stats struct{ hits, misses, damaged, written, unwritten, evicted atomic.Uint64 }
}

// CacheStats counts what happened to a Cache in this process.
type CacheStats struct {
	Hits      uint64 // entries used
	Misses    uint64 // lookups that found none, damaged ones included
	Damaged   uint64 // entries deleted because something in them was wrong
	Written   uint64 // entries added
	Unwritten uint64 // entries that could not be added
	Evicted   uint64 // entries that left to make room
}

const (
	defaultCacheBytes = 1 << 30
	// temporary begins the names of files that are being written. One that is
	// older than staleAfter was left behind.
	temporary  = ".tmp-"
	staleAfter = time.Hour
)

// OpenCache opens a cache. The error wraps [ErrCacheNotPrivate] for a directory
// that is refused.
func OpenCache(c CacheConfig) (*Cache, error) {
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultCacheBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	dir := c.Dir
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a directory for compiled code: %w", err)
		}
		parent, err := openPrivate(filepath.Join(base, "ashlar"))
		if err != nil {
			return nil, err
		}
		_ = parent.Close()
		dir = filepath.Join(base, "ashlar", "code")
	}
	root, err := openPrivate(dir)
	if err != nil {
		return nil, err
	}
	return &Cache{root: root, dir: dir, max: c.MaxBytes, log: c.Logger}, nil
}

// openPrivate opens a directory that only this user can get at, and makes it if
// it is not there.
func openPrivate(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	// What was opened is looked at, and not the path: that may change.
	info, err := root.Stat(".")
	if err == nil {
		err = checkPrivate(info)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open cache %s: %w", dir, err), root.Close())
	}
	return root, nil
}

// Dir returns the directory.
func (c *Cache) Dir() string { return c.dir }

// Stats returns the counters.
func (c *Cache) Stats() CacheStats {
	s := &c.stats
	return CacheStats{
		Hits: s.hits.Load(), Misses: s.misses.Load(), Damaged: s.damaged.Load(),
		Written: s.written.Load(), Unwritten: s.unwritten.Load(), Evicted: s.evicted.Load(),
	}
}

// Close releases the directory. Engines that use the cache go on without it.
func (c *Cache) Close() error { return c.root.Close() }

// get returns the contents of the entry. Whatever is wrong with it, it is
// deleted and there is none.
func (c *Cache) get(key cacheKey) ([]byte, bool) {
	name := key.fileName()
	payload, err := c.read(name, key)
	if err == nil {
		now := time.Now()
		// One that can't be touched leaves earlier, no more.
		_ = c.root.Chtimes(name, now, now)
		c.stats.hits.Add(1)
		return payload, true
	}
	c.stats.misses.Add(1)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrClosed) {
		c.discard(key, err)
	}
	return nil, false
}

// discard deletes an entry that is no good.
func (c *Cache) discard(key cacheKey, reason error) {
	c.stats.damaged.Add(1)
	err := c.root.RemoveAll(key.fileName())
	c.log.LogAttrs(context.Background(), slog.LevelDebug, "compiled code discarded",
		slog.String("entry", key.fileName()), slog.Any("reason", reason), slog.Any("error", err))
}

// open opens an entry, which has to be a regular file.
func (c *Cache) open(name string) (*os.File, int64, error) {
	info, err := c.root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	f, err := c.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(info, opened) {
		_ = f.Close()
		return nil, 0, errors.New("the file was replaced while it was opened")
	}
	return f, info.Size(), nil
}

func (c *Cache) read(name string, key cacheKey) ([]byte, error) {
	f, size, err := c.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readEntry(f, size, key)
}

// put adds an entry. It fails silently: a full disk must not keep anybody from
// running what is compiled already.
func (c *Cache) put(key cacheKey, about entryInfo, payload [][]byte) {
	err := c.write(key, about, payload)
	if err == nil {
		c.stats.written.Add(1)
		err = c.makeRoom(key.fileName())
	} else {
		c.stats.unwritten.Add(1)
	}
	if err != nil {
		c.log.LogAttrs(context.Background(), slog.LevelDebug, "compiled code not kept", slog.Any("error", err))
	}
}

func (c *Cache) write(key cacheKey, about entryInfo, payload [][]byte) error {
	header := encodeHeader(key, about, payload)
	size := int64(len(header))
	for _, p := range payload {
		size += int64(len(p))
	}
	if size > c.max {
		return fmt.Errorf("an entry of %d bytes is larger than the cache, %d bytes", size, c.max)
	}
	name := temporary + rand.Text()
	f, err := c.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// There is no need to sync: what a crash leaves incomplete has a wrong sum.
	for _, p := range append([][]byte{header}, payload...) {
		if err == nil {
			_, err = f.Write(p)
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = c.root.Rename(name, key.fileName())
	}
	if err != nil {
		_ = c.root.Remove(name)
	}
	return err
}

// CacheEntry describes an entry.
type CacheEntry struct {
	Key    string    // the name of the file
	Source string    // digest of the component or module, as sha256:...
	Build  string    // what wrote it and for which platform
	Bytes  int64     // size of the file
	Used   time.Time // when it was last used or written
}

// Entries lists the entries, that used last first. Those whose header can't be
// read are listed without source and build.
func (c *Cache) Entries() ([]CacheEntry, error) {
	entries, err := c.list()
	if err != nil {
		return nil, err
	}
	for i := range entries {
		e := &entries[i]
		f, _, err := c.open(e.Key)
		if err != nil {
			continue
		}
		if h, err := readHeader(f); err == nil {
			e.Source, e.Build = h.about.source(), printable(h.about.build)
		}
		_ = f.Close()
	}
	slices.Reverse(entries)
	return entries, nil
}

// printable keeps what a damaged file says from reaching a terminal as it is.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// list returns the entries without what their headers say, that used longest
// ago first, and removes files that were left behind by a process that died.
func (c *Cache) list() ([]CacheEntry, error) {
	dir, err := c.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var entries []CacheEntry
	for {
		batch, err := dir.ReadDir(1000)
		for _, d := range batch {
			name := d.Name()
			isEntry := len(name) == 2*len(cacheKey{}) && isHex(name)
			if !isEntry && !strings.HasPrefix(name, temporary) {
				continue
			}
			info, err := d.Info()
			if err != nil {
				continue // gone
			}
			if isEntry {
				entries = append(entries, CacheEntry{Key: name, Bytes: info.Size(), Used: info.ModTime()})
			} else if time.Since(info.ModTime()) > staleAfter {
				_ = c.root.Remove(name)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b CacheEntry) int {
		if n := a.Used.Compare(b.Used); n != 0 {
			return n
		}
		return strings.Compare(a.Key, b.Key)
	})
	return entries, nil
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// makeRoom removes entries until the rest fits, but not the one to keep.
func (c *Cache) makeRoom(keep string) error {
	removed, err := c.remove(c.max, func(e *CacheEntry) bool { return false }, keep)
	c.stats.evicted.Add(uint64(len(removed)))
	return err
}

// Pruning says which entries go. The zero value removes none.
type Pruning struct {
	All       bool          // every entry
	OlderThan time.Duration // those not used for longer than this, unless it is zero
	Shrink    bool          // the oldest, until the rest has no more than MaxBytes
	MaxBytes  int64
}

// Prune removes entries and returns those that it removed. A process that uses
// one of them keeps what it has.
func (c *Cache) Prune(p Pruning) ([]CacheEntry, error) {
	limit := int64(-1)
	if p.Shrink {
		limit = max(p.MaxBytes, 0)
	}
	now := time.Now()
	return c.remove(limit, func(e *CacheEntry) bool {
		return p.All || p.OlderThan > 0 && now.Sub(e.Used) > p.OlderThan
	}, "")
}

// remove deletes the entries that go, and the oldest of the others until they
// have no more than limit bytes, if it is not negative.
func (c *Cache) remove(limit int64, goes func(*CacheEntry) bool, keep string) (removed []CacheEntry, err error) {
	entries, err := c.list()
	if err != nil {
		return nil, err
	}
	var total int64
	for i := range entries {
		total += entries[i].Bytes
	}
	var failed error
	for i := range entries {
		e := &entries[i]
		if e.Key == keep || !goes(e) && (limit < 0 || total <= limit) {
			continue
		}
		switch err := c.root.RemoveAll(e.Key); {
		case err == nil:
			removed = append(removed, *e)
			total -= e.Bytes
		case failed == nil:
			failed = err
		}
	}
	return removed, failed
}
