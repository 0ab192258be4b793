package oci

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ashlar-wasm/ashlar/oci/blob"
	"github.com/ashlar-wasm/ashlar/oci/cache"
)

// Options are for [NewClient]. The zero value reaches registries over TLS that the
// system trusts, without a credential and without a cache.
type Options struct {
	// Credential finds credentials, as [FindCredential] does. Nil means anonymous.
	Credential CredentialFunc
	// CACerts are PEM certificates that are trusted besides the system's.
	CACerts [][]byte
	// PlainHTTP are the hosts that are spoken to without TLS. Hosts of this machine
	// are where they do not speak TLS.
	PlainHTTP []string
	// Mirrors are, for a host, hosts that are asked before it for what is read,
	// each with a prefix for the repository if it has one: mirror.example/prefix.
	Mirrors map[string][]string
	// Cache keeps what was pulled. The caller goes on owning it.
	Cache *cache.Cache
	// Offline answers from the cache and layouts on disk alone.
	Offline bool
	// MaxLayer bounds the size of a layer; zero means 256 MiB.
	MaxLayer int64
	// RetryWait is the wait before the second attempt of a request or transfer; each
	// further one is twice as long, six in all. A registry that says how long to wait
	// is waited for, up to a minute. Zero means 200 ms.
	RetryWait time.Duration
	// IdleTimeout bounds the wait for the next bytes of a transfer; what stalls is begun
	// anew, or goes on. Zero means a minute.
	IdleTimeout time.Duration
	// UserAgent is told to registries; empty means "ashlar".
	UserAgent string
	// Progress is told how many bytes of layers were transferred of how many. It is
	// called by several goroutines, but not at once. Nil means nobody is.
	Progress func(done, total int64)
}

const defaultMaxLayer = 256 << 20

// Client transfers artifacts. It is safe for concurrent use.
type Client struct {
	auth     *auth.Client
	schemes  *schemes
	secrets  secrets
	mirrors  map[string][]endpoint
	cache    *cache.Cache
	offline  bool
	maxLayer int64
	progress progress
	getCred  CredentialFunc
	backoff  backoff
	idle     time.Duration
}

// NewClient returns a client.
func NewClient(o Options) (*Client, error) {
	c := &Client{
		cache: o.Cache, offline: o.Offline, maxLayer: o.MaxLayer, getCred: o.Credential, backoff: backoff(firstWait),
		secrets:  secrets{set: map[string]bool{}, hosts: map[string]bool{}},
		schemes:  &schemes{plain: map[string]bool{}, found: map[string]bool{}},
		mirrors:  map[string][]endpoint{},
		progress: progress{report: o.Progress},
	}
	if o.RetryWait > 0 {
		c.backoff = backoff(o.RetryWait)
	}
	if c.idle = o.IdleTimeout; c.idle <= 0 {
		c.idle = idleTimeout
	}
	if c.maxLayer <= 0 {
		c.maxLayer = defaultMaxLayer
	}
	for _, h := range o.PlainHTTP {
		host, err := ParseRegistry(h)
		if err != nil {
			return nil, err
		}
		c.schemes.plain[host] = true
	}
	for host, mirrors := range o.Mirrors {
		host, err := ParseRegistry(host)
		if err != nil {
			return nil, err
		}
		for _, m := range mirrors {
			name, prefix, _ := strings.Cut(strings.TrimSuffix(m, "/"), "/")
			if name, err = ParseRegistry(name); err != nil {
				return nil, fmt.Errorf("mirror of %s: %w", host, err)
			}
			if prefix != "" && !repositoryPattern.MatchString(prefix) {
				return nil, fmt.Errorf("mirror of %s: %q is no name of a repository", host, prefix)
			}
			c.mirrors[host] = append(c.mirrors[host], endpoint{host: name, prefix: prefix})
		}
	}
	roots, err := certPool(o.CACerts)
	if err != nil {
		return nil, err
	}
	agent := o.UserAgent
	if agent == "" {
		agent = "ashlar"
	}
	c.auth = &auth.Client{
		Client:     &http.Client{Transport: newTransport(roots, c.schemes, c.backoff, c.idle), CheckRedirect: checkRedirect},
		Header:     http.Header{"User-Agent": {agent}},
		Cache:      auth.NewCache(),
		ClientID:   "ashlar",
		Credential: c.credential,
	}
	return c, nil
}

// certPool returns the system's certificates and these; nil means the system's.
func certPool(pems [][]byte) (*x509.CertPool, error) {
	if len(pems) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("certificates of the system: %w", err)
	}
	for _, p := range pems {
		if !roots.AppendCertsFromPEM(p) {
			return nil, errors.New("there is no PEM certificate in the file of a CA")
		}
	}
	return roots, nil
}

// Describe returns the manifest and config of an artifact. Its layer is not
// downloaded.
func (c *Client) Describe(ctx context.Context, r Reference) (*Artifact, error) {
	src, err := c.source(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	defer src.close()
	a, err := c.describe(ctx, src, r, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return a, nil
}

// Pull returns an artifact with its layer.
func (c *Client) Pull(ctx context.Context, r Reference) (*Artifact, error) {
	src, err := c.source(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	defer src.close()
	a, err := c.pull(ctx, src, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return a, nil
}

// PullTo writes the layer of an artifact to a file, which is to be empty and open to
// read and write, and returns the rest of the artifact. After an error the file may
// have anything in it.
func (c *Client) PullTo(ctx context.Context, r Reference, out *os.File) (*Artifact, error) {
	src, err := c.source(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	defer src.close()
	a, err := c.describe(ctx, src, r, func(ctx context.Context, a *Artifact) error {
		if err := c.checkLayer(a); err != nil {
			return err
		}
		return src.copyTo(ctx, a.Manifest.Layer, out)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return a, nil
}

// source is where artifacts are read from.
type source interface {
	// manifest returns the bytes of the manifest that the reference means.
	manifest(ctx context.Context, r Reference) ([]byte, v1.Descriptor, error)
	// blob returns a blob, checked. counted says that its progress is reported.
	blob(ctx context.Context, d v1.Descriptor, counted bool) ([]byte, error)
	// copyTo writes a blob to an empty file. What is in it after an error is wrong.
	copyTo(ctx context.Context, d v1.Descriptor, out *os.File) error
	// referrers lists at most maxReferrers descriptors of what refers to a manifest.
	// pinned says that what was seen before will do where the registry can't be reached.
	referrers(ctx context.Context, subject v1.Descriptor, pinned bool) ([]v1.Descriptor, error)
	close()
}

func (c *Client) source(ctx context.Context, r Reference) (source, error) {
	if r.Layout != "" {
		return openLayout(r.Layout, false)
	}
	return c.newRemote(ctx, r)
}

// describe reads the manifest, and then the config while also is done.
func (c *Client) describe(ctx context.Context, src source, r Reference, also func(context.Context, *Artifact) error) (*Artifact, error) {
	b, desc, err := src.manifest(ctx, r)
	if err != nil {
		return nil, err
	}
	a := &Artifact{Descriptor: desc, ManifestBytes: b}
	if a.Manifest, err = ParseManifest(b); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	if also != nil {
		group.Go(func() error { return also(ctx, a) })
	}
	if a.Manifest.Config.MediaType == MediaTypeConfig {
		group.Go(func() error { return a.readConfig(ctx, src) })
	}
	return a, group.Wait()
}

func (a *Artifact) readConfig(ctx context.Context, src source) (err error) {
	if a.ConfigBytes, err = src.blob(ctx, a.Manifest.Config, false); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if a.Config, err = ParseConfig(a.ConfigBytes); err != nil {
		return err
	}
	return a.check()
}

func (c *Client) pull(ctx context.Context, src source, r Reference) (*Artifact, error) {
	var layer []byte
	a, err := c.describe(ctx, src, r, func(ctx context.Context, a *Artifact) (err error) {
		layer, err = c.layer(ctx, src, a)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.Layer = layer
	return a, nil
}

// checkLayer refuses a layer that is too large.
func (c *Client) checkLayer(a *Artifact) error {
	if size := a.Manifest.Layer.Size; size > c.maxLayer {
		return fmt.Errorf("the layer has %d bytes, more than the %d that are allowed", size, c.maxLayer)
	}
	return nil
}

// layer returns the layer of an artifact that is not too large.
func (c *Client) layer(ctx context.Context, src source, a *Artifact) ([]byte, error) {
	if err := c.checkLayer(a); err != nil {
		return nil, err
	}
	b, err := src.blob(ctx, a.Manifest.Layer, true)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	return b, nil
}

// Push writes an artifact with its layer to where the reference says. With a
// digest in the reference it must be the artifact's. It returns the reference with
// the digest.
func (c *Client) Push(ctx context.Context, r Reference, a *Artifact) (Reference, error) {
	return c.push(ctx, r, a, Reference{}, func(context.Context) ([]byte, error) { return a.Layer, nil })
}

// push writes an artifact whose layer is had from a function, if it is needed. from
// is where it is a copy of, if it is one.
func (c *Client) push(ctx context.Context, r Reference, a *Artifact, from Reference, layer func(context.Context) ([]byte, error)) (Reference, error) {
	if r.Digest != "" && r.Digest != a.Descriptor.Digest {
		return r, fmt.Errorf("%s: the artifact has the digest %s", r, a.Descriptor.Digest)
	}
	var err error
	if r.Layout != "" {
		err = pushLayout(ctx, r, a, layer)
	} else {
		err = c.pushRemote(ctx, r, a, from, layer)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", r, err)
	}
	r.Digest = a.Descriptor.Digest
	return r, nil
}

// CopyOptions are for [Client.Copy].
type CopyOptions struct {
	// Referrers says that what refers to the artifact is copied too, and what refers
	// to that: signatures, attestations.
	Referrers bool
	// Skipped is told of referrers that are not copied since they are no good, which
	// whoever may push can attach: they are none that [Client.ReadReferrer] reads, or
	// are gone. Nil means that they are an error.
	Skipped func(digest.Digest, error)
}

// Copy copies an artifact from one place to another, byte by byte; what is there
// already is not transferred. It returns the reference of the copy, with its digest.
func (c *Client) Copy(ctx context.Context, from, to Reference, o CopyOptions) (Reference, error) {
	src, err := c.source(ctx, from)
	if err != nil {
		return to, fmt.Errorf("%s: %w", from, err)
	}
	defer src.close()
	a, err := c.describe(ctx, src, from, nil)
	if err != nil {
		return to, fmt.Errorf("%s: %w", from, err)
	}
	if a.ConfigBytes == nil {
		if a.Manifest.Config.Size > maxConfig {
			return to, fmt.Errorf("%s: the config has %d bytes, more than %d", from, a.Manifest.Config.Size, maxConfig)
		}
		if a.ConfigBytes, err = src.blob(ctx, a.Manifest.Config, false); err != nil {
			return to, fmt.Errorf("%s: config: %w", from, err)
		}
	}
	copied, err := c.push(ctx, to, a, from, func(ctx context.Context) ([]byte, error) {
		b, err := c.layer(ctx, src, a)
		if err != nil {
			return nil, fmt.Errorf("copy from %s: %w", from, err)
		}
		return b, nil
	})
	if err != nil || !o.Referrers {
		return copied, err
	}
	t := &referrerCopy{c: c, src: src, from: from, to: to, skipped: o.Skipped, seen: map[digest.Digest]bool{}}
	if err := t.copy(ctx, a.Descriptor, 0); err != nil {
		return copied, fmt.Errorf("%s: %w", copied, err)
	}
	return copied, nil
}

// Tags lists the tags of a repository or a layout, sorted. Those that stand for lists
// of referrers are left out.
func (c *Client) Tags(ctx context.Context, r Reference) ([]string, error) {
	r.Tag, r.Digest = "", ""
	src, err := c.source(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	defer src.close()
	var tags map[string]bool
	switch s := src.(type) {
	case *layout:
		tags = s.tags()
	case *remoteSource:
		tags, err = s.tags(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	list := make([]string, 0, len(tags))
	for t := range maps.Keys(tags) {
		if !fallbackTag.MatchString(t) {
			list = append(list, t)
		}
	}
	return sorted(list), nil
}

// credential finds the credential for a host, and sees to it that no error shows it.
func (c *Client) credential(ctx context.Context, host string) (auth.Credential, error) {
	if c.getCred == nil {
		return auth.EmptyCredential, nil
	}
	cred, err := c.getCred(ctx, host)
	if err != nil {
		return auth.EmptyCredential, err
	}
	c.secrets.add(host, cred)
	return cred.oras(), nil
}

// damaged reports whether a blob on disk can't be used, though it is there.
func damaged(err error) bool {
	var d *blob.DamagedError
	return errors.As(err, &d)
}

// wrongSize reports whether a blob is not of the size that a manifest says.
func wrongSize(err error) bool {
	var s *blob.SizeError
	return errors.As(err, &s) || errors.Is(err, errWrongSize)
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrNotExist) }
