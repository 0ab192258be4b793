package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/wit"
)

func newPkgTree(s *streams) *cobra.Command {
	var format outputFormat
	cmd := &cobra.Command{
		Use:   "tree [flags]",
		Short: "Show what packages a project depends on, and through which",
		Long: `Show the packages that ashlar.lock in the current folder has, below those that depend on
them. What depends on packages that were shown already is marked with (*).`,
		Args: atMostArgs(0),
		RunE: func(*cobra.Command, []string) error {
			if err := format.check(); err != nil {
				return err
			}
			lock, err := readLock()
			if err != nil {
				return err
			}
			if format.json() {
				return printJSON(s, treeOf(lock))
			}
			t := lockTree{lock, s.out, map[wit.PackageName]bool{}}
			for _, r := range lock.Roots {
				if _, err := fmt.Fprintln(s.out, r.Path); err != nil {
					return err
				}
				if err := t.print(r.Dependencies, 1); err != nil {
					return err
				}
			}
			return nil
		},
	}
	format.flags(cmd)
	return cmd
}

// treeNode is a folder of WIT or a package, and what it depends on.
type treeNode struct {
	// Path is a folder, relative to that of the lock.
	Path    string `json:"path,omitempty"`
	Package string `json:"package,omitempty"`
	Version string `json:"version,omitempty"`
	// Source is the registry, or "path", "builtin" or "embedded".
	Source string          `json:"source,omitempty"`
	Digest packages.Digest `json:"digest,omitempty"`
	// Signer is the key whose signature was checked.
	Signer       string       `json:"signer,omitempty"`
	Dependencies []dependency `json:"dependencies"`
}

type dependency struct {
	Package     string               `json:"package"`
	Version     string               `json:"version,omitempty"`
	Requirement packages.Requirement `json:"requirement"`
}

// treeOf returns the folders and packages of a lock, each once.
func treeOf(lock *packages.Lock) []treeNode {
	nodes := []treeNode{}
	edges := func(deps []packages.LockedDependency) []dependency {
		all := []dependency{}
		for _, d := range deps {
			all = append(all, dependency{d.Name.Namespace + ":" + d.Name.Name, d.Name.Version, d.Requirement})
		}
		return all
	}
	for _, r := range lock.Roots {
		nodes = append(nodes, treeNode{Path: r.Path, Dependencies: edges(r.Dependencies)})
	}
	for _, p := range lock.Packages {
		n := treeNode{
			Path: p.Path, Package: p.Name.Namespace + ":" + p.Name.Name, Version: p.Name.Version, Source: p.Registry,
			Digest: p.Digest, Signer: p.Signer, Dependencies: edges(p.Dependencies),
		}
		switch {
		case p.Builtin:
			n.Source = "builtin"
		case p.Embedded:
			n.Source = "embedded"
		case p.Path != "":
			n.Source = "path"
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// lockTree prints the packages of a lock.
type lockTree struct {
	lock  *packages.Lock
	out   io.Writer
	shown map[wit.PackageName]bool
}

func (t *lockTree) print(deps []packages.LockedDependency, depth int) error {
	for _, d := range deps {
		p := t.lock.Package(d.Name)
		mark := ""
		if t.shown[d.Name] && len(p.Dependencies) > 0 {
			mark = " (*)"
		}
		if _, err := fmt.Fprintf(t.out, "%s%s (%s)%s\n", strings.Repeat("  ", depth), d.Name, lockedFrom(p), mark); err != nil {
			return err
		}
		if t.shown[d.Name] {
			continue
		}
		t.shown[d.Name] = true
		if err := t.print(p.Dependencies, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// lockedFrom says where a package of a lock is from.
func lockedFrom(p *packages.LockedPackage) string {
	switch {
	case p.Builtin:
		return "comes with ashlar"
	case p.Embedded:
		return "part of what depends on it"
	case p.Path != "":
		return printable(p.Path)
	}
	return printable(p.Registry)
}
