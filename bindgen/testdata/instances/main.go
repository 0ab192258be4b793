// A guest that imports and exports the same interface several times.
package main

import (
	"strings"

	"example.com/guest/bind"
	"example.com/guest/bind/a/b/store"
	"example.com/guest/bind/a/b/user"
	exportstore "example.com/guest/bind/export/a/b/store"
	exportuser "example.com/guest/bind/export/a/b/user"
	"example.com/guest/bind/export/three"
	"example.com/guest/bind/one"
	"example.com/guest/bind/two"
)

func main() {}

func init() {
	bind.Export(world{})
	exportstore.Export(stores{})
	exportuser.Export(users{})
	three.Export(threes{})
}

type world struct{}

// Run uses all that is imported.
func (world) Run() []string {
	s, o, t := store.NewBucket("s"), one.NewBucket("o"), two.NewBucket("t")
	defer s.Close()
	defer t.Close()
	note := store.Note{N: 7}
	held := one.Hold(o, note)
	other := two.NewBucket("u")
	merged := two.BucketMerge(other, t)
	defer merged.Close()
	renamed := user.Rename(store.NewBucket("r"), held.Note)
	defer renamed.Close()
	defer held.Bucket.Close()
	return []string{s.Name(), held.Bucket.Name(), t.Name(), merged.Name(), renamed.Name()}
}

// NameOf gets a bucket of the interface that is imported under its own name.
func (world) NameOf(b *store.Bucket) string { return b.Name() }

type bucket struct {
	name string
}

var closed []string

func (b bucket) Name() string { return b.name }
func (b bucket) Close()       { closed = append(closed, b.name) }

type stores struct{}

func (stores) NewBucket(name string) exportstore.Bucket { return bucket{name: "exported " + name} }
func (stores) BucketMerge(a, b exportstore.Bucket) exportstore.Bucket {
	return bucket{name: a.Name() + "+" + b.Name()}
}
func (stores) Hold(b exportstore.Bucket, n store.Note) exportstore.Held {
	return exportstore.Held{Bucket: b, Note: n}
}

type threes struct{}

func (threes) NewBucket(name string) three.Bucket { return bucket{name: "three " + name} }
func (threes) BucketMerge(a, b three.Bucket) three.Bucket {
	return bucket{name: b.Name() + "-" + a.Name()}
}
func (threes) Hold(b three.Bucket, n store.Note) three.Held { return three.Held{Bucket: b, Note: n} }

type users struct{}

func (users) Rename(b exportstore.Bucket, n store.Note) exportstore.Bucket {
	return bucket{name: strings.Repeat(b.Name(), int(n.N))}
}

// Closed says what was closed.
func (world) Closed() []string { return closed }
