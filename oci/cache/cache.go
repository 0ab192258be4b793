// Package cache keeps what was pulled from OCI registries on disk: blobs by their
// digest, and what tags meant when they were last seen.
package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci/blob"
)

// Options are for [Open].
type Options struct {
	// Dir is the directory, made if it is not there. Empty means the folder
	// ashlar/oci in [os.UserCacheDir].
	Dir string
	// MaxBytes bounds the size of all blobs together; zero means 4 GiB. Those that
	// were not used for the longest time leave first.
	MaxBytes int64
}

const defaultMaxBytes = 4 << 30

// Cache keeps blobs and tags, those of each registry apart. Any number of processes
// may use, fill and prune the same directory at once: every file is written whole
// and renamed into place. Blobs are checked against their digest on every read. It
// is safe for concurrent use.
//
//	HOST/blobs/ALGORITHM/HEX   a blob; below HOST is the folder of blobs of an OCI layout
//	HOST/tags/REPOSITORY/TAG   the digest that a tag had
//	HOST/referrers/REPOSITORY/ALGORITHM-HEX   what referred to a manifest
type Cache struct {
	root  *os.Root
	dir   string
	max   int64
	grown atomic.Int64 // bytes added since room was last made
	mu    sync.Mutex
	hosts map[string]*Host
}

// Open opens a cache. A directory that others can write to is refused.
func Open(o Options) (*Cache, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a directory for artifacts: %w", err)
		}
		o.Dir = filepath.Join(base, "ashlar", "oci")
	}
	// The folder above also holds compiled code, which must be private.
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	info, err := root.Stat(".")
	if err == nil {
		err = checkOwner(info)
	}
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("open cache: %s: %w", o.Dir, err)
	}
	return &Cache{root: root, dir: o.Dir, max: o.MaxBytes, hosts: map[string]*Host{}}, nil
}

// Dir returns the directory.
func (c *Cache) Dir() string { return c.dir }

// Close releases the directory.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.root.Close()
	for _, h := range c.hosts {
		err = errors.Join(err, h.root.Close())
	}
	clear(c.hosts)
	return err
}

// Host is what is cached of one registry.
type Host struct {
	*blob.Store
	root *os.Root
}

// Host returns what is cached of a registry.
func (c *Cache) Host(registry string) (*Host, error) {
	name := hostFolder(registry)
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[name]; h != nil {
		return h, nil
	}
	h, err := c.open(name)
	if err == nil {
		c.hosts[name] = h
	}
	return h, err
}

func (c *Cache) open(name string) (*Host, error) {
	if err := c.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cache: %w", err)
	}
	root, err := c.root.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &Host{blob.New(root, 0o600), root}, nil
}

// hostFolder is the name of a registry's folder: no two registries have the same,
// and none is a name that a system gives a meaning to.
func hostFolder(registry string) string {
	return "r-" + url.QueryEscape(strings.ToLower(registry))
}

// tagFile is the file of a tag. Some file systems take upper case for lower case,
// and names of repositories never begin with '_'.
func tagFile(repository, tag string) string {
	var b strings.Builder
	for _, c := range []byte(tag) {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('!')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return path.Join("tags", repository, "_"+b.String())
}

// tagEntry is what a file of a tag has.
type tagEntry struct {
	Digest digest.Digest `json:"digest"`
	Seen   time.Time     `json:"seen"`
}

// Tag returns the digest that a tag had when it was last seen, and when that was.
// The error wraps [fs.ErrNotExist] if it was never seen.
func (h *Host) Tag(repository, tag string) (digest.Digest, time.Time, error) {
	return h.readTag(tagFile(repository, tag))
}

func (h *Host) readTag(name string) (digest.Digest, time.Time, error) {
	b, err := h.root.ReadFile(name)
	if err != nil {
		return "", time.Time{}, err
	}
	var e tagEntry
	if err := json.Unmarshal(b, &e); err != nil {
		return "", time.Time{}, fmt.Errorf("cached tag: %w", err)
	}
	if err := e.Digest.Validate(); err != nil {
		return "", time.Time{}, fmt.Errorf("cached tag: %w", err)
	}
	return e.Digest, e.Seen, nil
}

// SetTag notes the digest that a tag has.
func (h *Host) SetTag(repository, tag string, d digest.Digest) error {
	b, err := json.Marshal(tagEntry{d, time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return blob.WriteFile(h.root, tagFile(repository, tag), b, 0o600)
}

// referrersFile is the file of what refers to a manifest.
func referrersFile(repository string, d digest.Digest) string {
	return path.Join("referrers", repository, "_"+d.Algorithm().String()+"-"+d.Encoded())
}

// Referrers returns what [Host.SetReferrers] noted last, of at most maxReferrers
// bytes. The error wraps [fs.ErrNotExist] if that was nothing.
func (h *Host) Referrers(repository string, d digest.Digest) ([]byte, error) {
	f, err := h.root.Open(referrersFile(repository, d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxReferrers))
}

const maxReferrers = 16 << 20

// SetReferrers notes what refers to a manifest.
func (h *Host) SetReferrers(repository string, d digest.Digest, list []byte) error {
	return blob.WriteFile(h.root, referrersFile(repository, d), list, 0o600)
}

// Added tells that a blob of that size was added, and makes room if there is too
// much.
func (c *Cache) Added(size int64) error {
	// Looking at all files each time would be slow where there are many.
	if c.grown.Add(size) < c.max/64 {
		return nil
	}
	c.grown.Store(0)
	_, err := c.Prune(Pruning{Shrink: true, MaxBytes: c.max})
	return err
}

// Entry is a blob in the cache.
type Entry struct {
	Registry string
	blob.Info
}

// Entries lists the blobs, that used last first.
func (c *Cache) Entries() ([]Entry, error) {
	var all []Entry
	err := c.each(func(registry string, h *Host) error {
		infos, err := h.List()
		for _, i := range infos {
			all = append(all, Entry{registry, i})
		}
		return err
	})
	slices.SortStableFunc(all, func(a, b Entry) int { return b.Used.Compare(a.Used) })
	return all, err
}

// each visits the registries of which something is cached.
func (c *Cache) each(visit func(registry string, h *Host) error) error {
	entries, err := fs.ReadDir(c.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		escaped, ok := strings.CutPrefix(e.Name(), "r-")
		registry, err := url.QueryUnescape(escaped)
		if !ok || err != nil || !e.IsDir() {
			continue
		}
		h, err := c.Host(registry)
		if err != nil {
			return err
		}
		if err := visit(registry, h); err != nil {
			return err
		}
	}
	return nil
}

// Pruning says what [Cache.Prune] removes.
type Pruning struct {
	All       bool
	OlderThan time.Duration // what was not used for longer; zero means nothing
	Shrink    bool          // the oldest until MaxBytes are left
	MaxBytes  int64
}

// Prune removes blobs, and tags whose manifest is no longer there. It returns the
// blobs that it removed, also with an error.
func (c *Cache) Prune(p Pruning) ([]Entry, error) {
	entries, err := c.Entries()
	if err != nil {
		return nil, err
	}
	var removed []Entry
	var failed error
	var total int64
	for _, e := range entries { // those used last come first, and stay
		goes := p.All || p.OlderThan > 0 && time.Since(e.Used) > p.OlderThan || p.Shrink && total+e.Size > p.MaxBytes
		if !goes {
			total += e.Size
			continue
		}
		h, err := c.Host(e.Registry)
		if err == nil {
			err = h.Remove(e.Digest)
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		removed = append(removed, e)
	}
	if len(removed) == 0 && !p.All {
		return nil, failed
	}
	return removed, errors.Join(failed, c.each(func(_ string, h *Host) error { return h.pruneTags() }))
}

// pruneTags removes tags and lists of referrers whose manifest is no longer there.
func (h *Host) pruneTags() error {
	err := h.pruneFiles("tags", func(p, _ string) (digest.Digest, error) {
		d, _, err := h.readTag(p)
		return d, err
	})
	return errors.Join(err, h.pruneFiles("referrers", func(_, name string) (digest.Digest, error) {
		d := digest.Digest(strings.Replace(strings.TrimPrefix(name, "_"), "-", ":", 1))
		return d, d.Validate()
	}))
}

// pruneFiles removes the files that are about manifests that are not there.
func (h *Host) pruneFiles(folder string, about func(path, name string) (digest.Digest, error)) error {
	err := fs.WalkDir(h.root.FS(), folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !strings.HasPrefix(d.Name(), "_") {
			return nil // being written
		}
		digest, err := about(p, d.Name())
		if err == nil {
			_, err = h.Stat(digest)
		}
		if err != nil {
			_ = h.root.Remove(p)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
