package cli

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/ashlar-wasm/ashlar/oci/cache"
)

// artifactEntries is what the cache of artifacts has.
type artifactEntries struct {
	Dir   string          `json:"dir"`
	Blobs []artifactEntry `json:"blobs"`
}

type artifactEntry struct {
	Registry string    `json:"registry"`
	Digest   string    `json:"digest"`
	Size     int64     `json:"size"`
	Used     time.Time `json:"used"`
}

// entries lists the cache; nil if it is off.
func (d *artifactCache) entries(s *streams) (list *artifactEntries, err error) {
	c, err := d.open(s, d.chosen() != cacheOff)
	if c == nil || err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	entries, err := c.Entries()
	if err != nil {
		return nil, err
	}
	list = &artifactEntries{Dir: c.Dir(), Blobs: []artifactEntry{}}
	for _, e := range entries {
		list.Blobs = append(list.Blobs, artifactEntry{e.Registry, e.Digest.String(), e.Size, e.Used.UTC()})
	}
	return list, nil
}

func (l *artifactEntries) print(s *streams) error {
	if l == nil {
		return nil
	}
	var total int64
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if len(l.Blobs) > 0 {
		fmt.Fprintln(w, "\nBLOB\tSIZE\tUSED\tREGISTRY")
	}
	for _, e := range l.Blobs {
		total += e.Size
		fmt.Fprintf(w, "%.19s\t%s\t%s\t%s\n", e.Digest, shortSize(e.Size), e.Used.Local().Format("2006-01-02 15:04"), printable(e.Registry))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s in %s\n", blobsText(len(l.Blobs), total), l.Dir)
	return err
}

func blobsText(n int, size int64) string {
	noun := "blobs"
	if n == 1 {
		noun = "blob"
	}
	return fmt.Sprintf("%d %s of artifacts, %s", n, noun, shortSize(size))
}

// prune removes blobs, if there is a cache.
func (d *artifactCache) prune(s *streams, p cache.Pruning) (err error) {
	if d.chosen() == cacheOff {
		return nil
	}
	c, err := d.open(s, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	removed, err := c.Prune(p)
	var total int64
	for _, e := range removed {
		total += e.Size
	}
	fmt.Fprintf(s.out, "removed %s\n", blobsText(len(removed), total))
	return err
}
