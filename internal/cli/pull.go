package cli

import (
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
)

func newPull(s *streams) *cobra.Command {
	var r registries
	var out string
	limit := maxFile
	cmd := &cobra.Command{
		Use:   "pull [flags] REF|PACKAGE",
		Short: "Pull a component or core module from an OCI registry",
		Long: `Pull a component or core module from an OCI registry into a file, and print its
reference with the digest. The file is written only if everything is right.

` + artifactHelp,
		Example: `  ashlar pull registry.example/ns/hello:1.2.0
  ashlar pull -o hello.wasm registry.example/ns/hello@sha256:...
  ashlar pull --offline -o hello.wasm registry.example/ns/hello:1.2.0`,
		Args: exactArgs("REF|PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			return r.artifact(c.Context(), s, args[0], limit, true, func(client *oci.Client, ref oci.Reference) (err error) {
				if out == "-" {
					a, err := client.Pull(c.Context(), ref)
					if err != nil {
						return artifactError(err)
					}
					_, err = s.out.Write(a.Layer)
					return err
				}
				name := out
				if name == "" {
					if name, err = pulledName(ref); err != nil {
						return err
					}
				}
				var a *oci.Artifact
				err = replaceFile(name, func(f *os.File) (err error) {
					a, err = client.PullTo(c.Context(), ref, f)
					return artifactError(err)
				})
				if err != nil {
					return err
				}
				ref.Digest = a.Descriptor.Digest
				_, err = fmt.Fprintln(s.out, ref)
				return err
			})
		},
	}
	r.readFlags(cmd)
	r.policies.flags(cmd)
	cmd.Flags().Var(&limit, "max-file", "bytes that the file may have")
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` to write, or - for stdout (default: the last part of the name, with .wasm)")
	return cmd
}

// pulledName is the file that an artifact is written to unless one is named, which
// must not be there.
func pulledName(r oci.Reference) (string, error) {
	name := path.Base(r.Repository)
	if r.Layout != "" {
		name = filepath.Base(r.Layout)
	}
	name += ".wasm"
	if _, err := os.Lstat(name); err == nil {
		return "", fmt.Errorf("%s is there already; say where to write, with --out", name)
	}
	return name, nil
}

// replaceFile has a file written, as a whole or not at all.
func replaceFile(name string, write func(*os.File) error) (err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file; --out - writes to stdout", name)
	}
	// Its permissions are those of other files, unlike those of temporary ones.
	f, err := os.OpenFile(filepath.Join(filepath.Dir(name), ".ashlar-"+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
