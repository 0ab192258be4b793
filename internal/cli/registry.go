package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
)

// artifactCacheVariable is the environment variable for what --artifact-cache says.
const artifactCacheVariable = "ASHLAR_ARTIFACT_CACHE"

// registries are the flags on how OCI registries are spoken to.
type registries struct {
	plainHTTP []string
	caCerts   []string
	mirrors   []string
	artifactCache
	policies
	offline bool
}

func (r *registries) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&r.plainHTTP, "plain-http", nil, "`host` of a registry that is spoken to without TLS (those of this machine are where they have none)")
	f.StringArrayVar(&r.caCerts, "ca-cert", nil, "PEM `file` with certificates of CAs that registries may have besides the system's")
	f.StringArrayVar(&r.mirrors, "mirror", nil, "registry that is asked first for what is read from another, as HOST=MIRROR[/PREFIX]")
}

// readFlags are those of commands that read artifacts.
func (r *registries) readFlags(c *cobra.Command) {
	r.flags(c)
	c.Flags().BoolVar(&r.offline, "offline", false, "take artifacts from the cache alone")
	r.artifactCache.flags(c)
}

// client runs f with a client that keeps what it pulls in the cache.
func (r *registries) client(s *streams, maxLayer byteSize, f func(*oci.Client) error) error {
	return r.options(s, maxLayer, func(o oci.Options) error {
		client, err := oci.NewClient(o)
		if err != nil {
			return withCode(exitUsage, err)
		}
		return f(client)
	})
}

// options runs f with what the flags say.
func (r *registries) options(s *streams, maxLayer byteSize, f func(oci.Options) error) (err error) {
	o := oci.Options{
		Credential: oci.FindCredential, PlainHTTP: r.plainHTTP, Offline: r.offline, MaxLayer: int64(maxLayer),
		Mirrors: map[string][]string{}, UserAgent: "ashlar/" + strings.Fields(version())[0],
	}
	for _, name := range r.caCerts {
		pem, err := readAtMost(name, 16<<20)
		if err != nil {
			return fmt.Errorf("--ca-cert: %w", err)
		}
		o.CACerts = append(o.CACerts, pem)
	}
	for _, m := range r.mirrors {
		host, mirror, ok := strings.Cut(m, "=")
		if !ok {
			return usageError("--mirror %q: expected HOST=MIRROR", m)
		}
		o.Mirrors[host] = append(o.Mirrors[host], mirror)
	}
	if o.Cache, err = r.artifactCache.open(s, r.offline); err != nil {
		return err
	}
	if o.Cache != nil {
		defer func() { err = errors.Join(err, o.Cache.Close()) }()
	}
	bar := newProgressLine(s.err)
	defer bar.end()
	o.Progress = bar.report()
	return f(o)
}

// artifactCache says where pulled artifacts are kept.
type artifactCache struct{ flag string }

func (d *artifactCache) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.flag, "artifact-cache", "", "`directory` that keeps what was pulled, or 'off' (default: $"+artifactCacheVariable+", or ashlar/oci in the user's cache directory)")
}

func (d *artifactCache) chosen() string {
	if d.flag != "" {
		return d.flag
	}
	return os.Getenv(artifactCacheVariable)
}

// open opens the cache. It is nil where there is none, which matters only to those
// who need it or asked for it.
func (d *artifactCache) open(s *streams, needed bool) (*cache.Cache, error) {
	dir := d.chosen()
	if dir == cacheOff {
		if needed {
			return nil, usageError("--offline needs the cache of artifacts, which is off")
		}
		return nil, nil
	}
	c, err := cache.Open(cache.Options{Dir: dir})
	switch {
	case err == nil:
		return c, nil
	case needed:
		return nil, err
	case dir != "":
		fmt.Fprintf(s.err, "ashlar: artifacts are not kept: %v\n", err)
	}
	return nil, nil
}

// packagePattern is what names of packages look like.
var packagePattern = regexp.MustCompile(`^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)+(@.*)?$`)

// remoteReference tells whether a word of the command line names an artifact: it
// does if it begins with oci: or has a slash, and is no path of what is there.
func remoteReference(word string) (ref oci.Reference, ok bool, err error) {
	if _, err := os.Lstat(word); err == nil {
		return ref, false, nil
	}
	switch {
	case strings.HasPrefix(word, "oci:"):
	case !strings.Contains(word, "/") || strings.HasPrefix(word, ".") || filepath.IsAbs(word) || filepath.VolumeName(word) != "":
		return ref, false, nil
	}
	ref, err = oci.ParseReference(word)
	if err != nil {
		// A path that is misspelt is as likely.
		if !strings.HasPrefix(word, "oci:") {
			err = fmt.Errorf("%s: no such file or directory, and no %w", word, err)
		}
		return ref, false, withCode(exitFailure, err)
	}
	return ref, true, nil
}

// parseReference reads an argument that has to be a reference.
func parseReference(word string) (oci.Reference, error) {
	r, err := oci.ParseReference(word)
	if err != nil && packagePattern.MatchString(word) {
		return r, usageError("%s is the name of a package, expected a reference, HOST/NAME or oci:DIR; for packages there is 'ashlar pkg'", word)
	}
	if err != nil {
		return r, withCode(exitUsage, err)
	}
	return r, nil
}

// load reads the file that a word of the command line names, or pulls the artifact.
func (r *registries) load(ctx context.Context, s *streams, word string, limit byteSize) (*file, error) {
	ref, remote, err := remoteReference(word)
	if err != nil {
		return nil, err
	}
	if !remote && !namesPackage(word) {
		return load(word, limit)
	}
	f := &file{path: word}
	if remote {
		err = r.client(s, limit, func(c *oci.Client) error {
			ref, err := r.trusted(ctx, c, ref)
			if err != nil {
				return err
			}
			a, err := c.Pull(ctx, ref)
			if err == nil {
				f.bytes = a.Layer
			}
			return err
		})
	} else {
		f.bytes, err = r.loadPackage(ctx, s, word)
	}
	f.kind = binary.KindOf(f.bytes)
	if err != nil {
		return nil, artifactError(err)
	}
	if f.kind == binary.KindUnknown {
		return nil, f.invalid(fmt.Errorf("not WebAssembly: %s", describe(f.bytes)))
	}
	return f, nil
}

// namesPackage tells whether a word of the command line names a package, and no file.
func namesPackage(word string) bool {
	_, err := os.Lstat(word)
	return err != nil && packagePattern.MatchString(word) && !strings.HasPrefix(word, "oci:") // which is a layout
}

// loadPackage gets the highest version of a package that matches, and says which it is.
func (r *registries) loadPackage(ctx context.Context, s *streams, word string) ([]byte, error) {
	spec, err := parseSpec(word)
	if err != nil {
		return nil, err
	}
	p := packageFlags{registries: *r}
	found, b, err := p.get(ctx, s, spec)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.err, "%s@%s %s\n", found.Package, found.Version, found.Digest)
	return b, nil
}

// artifactError gives an error of an artifact that can't be used its exit code.
func artifactError(err error) error {
	var ae *oci.ArtifactError
	if errors.As(err, &ae) {
		return withCode(exitInvalid, err)
	}
	return err
}
