package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/wit"
)

// stamp identifies what a component is made of.
type stamp [sha256.Size]byte

func stampOf(p *project.Project, world *wit.World, made []byte) (stamp, error) {
	h := sha256.New()
	types, err := wit.Encode(world.Package)
	if err != nil {
		return stamp{}, err
	}
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.String()
	}
	where := *p
	where.Dir = ""
	for _, part := range [][]byte{[]byte(version), []byte(fmt.Sprintf("%+v", where)), []byte(world.ID()), types, adapter.Command(), made} {
		fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	return stamp(h.Sum(nil)), nil
}

func stampPath(component string) string { return strings.TrimSuffix(component, ".wasm") + ".stamp" }

// with is the contents of the file that says of which stamp a component is.
func (s stamp) with(component []byte) []byte {
	sum := sha256.Sum256(component)
	return []byte(hex.EncodeToString(s[:]) + " " + hex.EncodeToString(sum[:]) + "\n")
}

// upToDate reports whether the component is there as the stamp would make it, and its
// size.
func upToDate(path string, s stamp) (size int, ok bool) {
	component, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	have, err := os.ReadFile(stampPath(path))
	return len(component), err == nil && bytes.Equal(have, s.with(component))
}

// replace writes a file whole or not at all.
func replace(path string, b []byte) error {
	part := fmt.Sprintf("%s.%d.part", path, os.Getpid())
	if err := os.WriteFile(part, b, 0o666); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, path); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}
