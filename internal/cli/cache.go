package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/oci/cache"
)

// cacheVariable is the environment variable for what --cache-dir says.
const cacheVariable = "ASHLAR_CACHE_DIR"

// cacheDir says where compiled code is kept.
type cacheDir struct{ flag string }

func (d *cacheDir) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.flag, "cache-dir", "", "`directory` that keeps compiled code, or 'off' (default: $"+cacheVariable+", or ashlar/code in the user's cache directory)")
}

// chosen returns the directory that was asked for, or "" if none was.
func (d *cacheDir) chosen() string {
	if d.flag != "" {
		return d.flag
	}
	return os.Getenv(cacheVariable)
}

const cacheOff = "off"

// open opens the cache for an engine. It is nil where there is none: the guest
// runs nevertheless. Somebody who did not ask for it is not told that there is
// no place for it, but that a place can't be trusted.
func (d *cacheDir) open(s *streams) *component.Cache {
	dir := d.chosen()
	if dir == cacheOff {
		return nil
	}
	c, err := component.OpenCache(component.CacheOptions{Dir: dir})
	if err != nil {
		if dir != "" || errors.Is(err, component.ErrCacheNotPrivate) {
			fmt.Fprintf(s.err, "ashlar: compiled code is not kept: %v\n", err)
		}
		return nil
	}
	return c
}

// use opens the cache for a command about it.
func (d *cacheDir) use(f func(*component.Cache) error) (err error) {
	dir := d.chosen()
	if dir == cacheOff {
		return usageError("the cache is off: name a directory with --cache-dir or %s", cacheVariable)
	}
	c, err := component.OpenCache(component.CacheOptions{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return f(c)
}

func newCache(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look at and clear the caches of compiled code and of artifacts",
		Long: `Look at and clear the caches. 'run', 'serve' and 'invoke' keep what they compiled;
the next start on the same file compiles nothing. What was pulled from registries
is kept too, and used without a network if it is named by digest, or with
--offline. What was not used for the longest time leaves when there is more than
1 GiB of compiled code or 4 GiB of artifacts.

Compiled code is used only if its SHA-256 is right and the same build of Ashlar
wrote it for the same processor. Its directory must be accessible to its owner
alone. Artifacts are checked against their digests whenever they are read.`,
	}
	cmd.AddCommand(newCacheList(s), newCachePrune(s))
	return cmd
}

// cacheEntry is an entry in JSON.
type cacheEntry struct {
	Key    string    `json:"key"`
	Source string    `json:"source,omitempty"`
	Build  string    `json:"build,omitempty"`
	Size   int64     `json:"size"`
	Used   time.Time `json:"used"`
}

func newCacheList(s *streams) *cobra.Command {
	var d cacheDir
	var artifacts artifactCache
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List what is in the caches, last used first",
		Long: `List what is in the caches, last used first. SOURCE is the digest of the file that
was compiled, as 'ashlar inspect' shows it. Of artifacts, BLOB is the digest of a
manifest, a config or a component.`,
		Example: `  ashlar cache list
  ashlar cache list -o json`,
		Args: exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if err := output.check(); err != nil {
				return err
			}
			return d.use(func(c *component.Cache) error {
				entries, err := c.Entries()
				if err != nil {
					return err
				}
				blobs, err := artifacts.entries(s)
				if err != nil {
					return err
				}
				if output.json() {
					return printCacheJSON(s, c.Dir(), entries, blobs)
				}
				if err := printCache(s, c.Dir(), entries); err != nil {
					return err
				}
				return blobs.print(s)
			})
		},
	}
	d.flags(cmd)
	artifacts.flags(cmd)
	output.flags(cmd)
	return cmd
}

func printCacheJSON(s *streams, dir string, entries []component.CacheEntry, artifacts *artifactEntries) error {
	list := struct {
		Dir       string           `json:"dir"`
		Entries   []cacheEntry     `json:"entries"`
		Artifacts *artifactEntries `json:"artifacts,omitempty"`
	}{dir, []cacheEntry{}, artifacts}
	for _, e := range entries {
		list.Entries = append(list.Entries, cacheEntry{e.Key, e.Source, e.Build, e.Bytes, e.Used.UTC()})
	}
	return printJSON(s, list)
}

func printCache(s *streams, dir string, entries []component.CacheEntry) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if len(entries) > 0 {
		fmt.Fprintln(w, "SOURCE\tSIZE\tUSED\tBUILD")
	}
	for _, e := range entries {
		source := e.Source
		if source == "" {
			source = "unreadable"
		}
		fmt.Fprintf(w, "%.19s\t%s\t%s\t%s\n", source, shortSize(e.Bytes), e.Used.Local().Format("2006-01-02 15:04"), e.Build)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s in %s\n", entriesText(entries), dir)
	return err
}

// entriesText says how many entries there are and how large.
func entriesText(entries []component.CacheEntry) string {
	var total int64
	for _, e := range entries {
		total += e.Bytes
	}
	noun := "entries"
	if len(entries) == 1 {
		noun = "entry"
	}
	return fmt.Sprintf("%d %s, %s", len(entries), noun, shortSize(total))
}

// shortSize writes a number of bytes with at most one decimal.
func shortSize(n int64) string {
	f, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for f >= 1024 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[0]
}

func newCachePrune(s *streams) *cobra.Command {
	var d cacheDir
	var artifacts artifactCache
	var all bool
	var maxSize byteSize
	var olderThan timeLimit
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove entries from the caches",
		Long: `Remove entries from the caches of compiled code and of artifacts: all of them,
those not used for some time, or those not used for the longest time until the rest
of each cache is small enough. What runs goes on running. A cache that is 'off' is
left alone.`,
		Example: `  ashlar cache prune --all
  ashlar cache prune --older-than 720h --max-size 256MiB`,
		Args: exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if !all && maxSize == 0 && olderThan == 0 {
				return usageError("say what to remove: --all, --older-than or --max-size")
			}
			var pruned error
			if d.chosen() != cacheOff || artifacts.chosen() == cacheOff {
				pruned = d.use(func(c *component.Cache) error {
					removed, err := c.Prune(component.Pruning{
						All: all, OlderThan: time.Duration(olderThan), Shrink: maxSize > 0, MaxBytes: int64(maxSize),
					})
					fmt.Fprintf(s.out, "removed %s\n", entriesText(removed))
					return err
				})
			}
			return errors.Join(pruned, artifacts.prune(s, cache.Pruning{
				All: all, OlderThan: time.Duration(olderThan), Shrink: maxSize > 0, MaxBytes: int64(maxSize),
			}))
		},
	}
	d.flags(cmd)
	artifacts.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "remove everything")
	cmd.Flags().Var(&olderThan, "older-than", "remove what was not used for this time, like 720h")
	cmd.Flags().Var(&maxSize, "max-size", "remove the oldest until no more than this is left, like 256MiB")
	return cmd
}
