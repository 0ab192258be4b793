package packages

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ClientOptions are for [NewClient].
type ClientOptions struct {
	// Config says where packages are; nil means [DefaultConfig].
	Config *Config
	// Registry is where all packages are, whatever Config says, if it is not empty: the
	// name of a registry, or the path of a folder ([IsFolder]).
	Registry string
	// OpenOCI reaches OCI registries. Nil means that there are none.
	OpenOCI func(OCIRegistry) (Source, error)
	// Getenv reads the environment, where tokens for registries may be; nil means
	// that there is none.
	Getenv func(string) string
	// CacheDir is a folder to keep the metadata of registries in; empty means that
	// it is kept in memory alone.
	CacheDir string
	// Offline asks no registry for its metadata.
	Offline bool
}

// OCIRegistry is where in which OCI registry packages are, and how to reach it.
type OCIRegistry struct {
	// Name is the name of the registry, Host that of the OCI registry.
	Name, Host string
	// NamespacePrefix stands before the namespace of a package.
	NamespacePrefix string
	Config          OCIConfig
	// Bearer is a token for the registry, or empty.
	Bearer Secret
	// Chosen says that the registry was named in [ClientOptions].
	Chosen bool
}

// Client finds packages in the registries that a configuration maps them to. It is
// safe for concurrent use.
type Client struct {
	o      ClientOptions
	config *Config
	// folder is the path of the only registry, if that is a folder without a name.
	folder string

	mu      sync.Mutex
	sources map[Location]Source
	known   map[string]*Metadata
}

// Location is where a package is.
type Location struct {
	// Registry is the name of the registry.
	Registry string
	// Protocol is [ProtocolOCI] or [ProtocolLocal].
	Protocol string
	// Root is the folder of a local registry.
	Root string
	// Host and NamespacePrefix say where in which OCI registry it is.
	Host, NamespacePrefix string
}

// String returns where the packages of the registry are.
func (l Location) String() string {
	if l.Protocol == ProtocolLocal {
		return l.Root
	}
	return l.Host + "/" + l.NamespacePrefix
}

// NoRegistryError is the error for a package that no registry is known to have.
type NoRegistryError struct{ Package Ref }

func (e *NoRegistryError) Error() string {
	return fmt.Sprintf("no registry is known for %s: config.toml has neither a default_registry, nor %s in [namespace_registries], nor %q in [package_registry_overrides]", e.Package, e.Package.Namespace, e.Package)
}

// NewClient returns a client.
func NewClient(o ClientOptions) (*Client, error) {
	c := &Client{o: o, config: o.Config, sources: map[Location]Source{}, known: map[string]*Metadata{}}
	if c.config == nil {
		c.config = DefaultConfig()
	}
	switch {
	case IsFolder(o.Registry):
		c.folder = filepath.Clean(o.Registry)
		if c.o.Registry = filepath.ToSlash(c.folder); !filepath.IsAbs(c.folder) && !strings.HasPrefix(c.o.Registry, ".") {
			c.o.Registry = "./" + c.o.Registry
		}
	case o.Registry != "":
		var err error
		if c.o.Registry, err = ParseRegistry(o.Registry); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// IsFolder reports whether a word is the path of a folder, and not the name of a
// registry: it is absolute, or begins with . or .. as an element.
func IsFolder(word string) bool {
	first, _, _ := strings.Cut(filepath.ToSlash(word), "/")
	return first == "." || first == ".." || filepath.IsAbs(word)
}

// Registry returns the name of the registry of a package, which for a folder is its path. The error is a
// *[NoRegistryError].
func (c *Client) Registry(p Ref) (string, error) {
	m, err := c.mapping(p)
	return m.Registry, err
}

func (c *Client) mapping(p Ref) (Mapping, error) {
	m, ok := c.config.Registry(p)
	if c.o.Registry != "" && m.Registry != c.o.Registry {
		// What is said of another registry is not said of this one.
		return Mapping{Registry: c.o.Registry}, nil
	}
	if !ok {
		return m, &NoRegistryError{p}
	}
	return m, nil
}

// Source returns the registry of a package, and where it is.
func (c *Client) Source(ctx context.Context, p Ref) (Source, Location, error) {
	m, err := c.mapping(p)
	if err != nil {
		return nil, Location{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, l, err := c.open(ctx, m)
	if err != nil {
		return nil, l, fmt.Errorf("registry %s: %w", m.Registry, err)
	}
	return s, l, nil
}

func (c *Client) open(ctx context.Context, m Mapping) (Source, Location, error) {
	if c.folder != "" {
		return Local(c.folder), Location{Registry: m.Registry, Protocol: ProtocolLocal, Root: c.folder}, nil
	}
	config := c.config.Registries[m.Registry]
	l := Location{Registry: m.Registry, Protocol: config.Backend()}
	if l.Protocol == ProtocolLocal {
		var err error
		l.Root, err = config.LocalRoot()
		return Local(l.Root), l, err
	}
	if l.Protocol != "" && l.Protocol != ProtocolOCI {
		return nil, l, fmt.Errorf("unknown backend %q: expected oci or local", l.Protocol)
	}
	oci, err := config.OCI()
	if err != nil {
		return nil, l, err
	}
	metadata := m.Metadata
	if metadata == nil {
		if metadata, err = c.metadata(ctx, m.Registry, oci); err != nil {
			return nil, l, err
		}
	}
	if l.Protocol == "" {
		l.Protocol = metadata.Protocol()
	}
	switch l.Protocol {
	case "", ProtocolOCI:
		l.Protocol = ProtocolOCI
	case ProtocolLocal:
		// It would be a folder of this machine that somebody else chooses.
		return nil, l, errors.New("its metadata asks for the protocol local, which only config.toml may do")
	default:
		return nil, l, fmt.Errorf("its metadata asks for the unknown protocol %q", l.Protocol)
	}
	where, err := metadata.OCI()
	if err != nil {
		return nil, l, err
	}
	l.Host, l.NamespacePrefix = m.Registry, where.NamespacePrefix
	if where.Registry != "" {
		l.Host = where.Registry
	}
	if s, ok := c.sources[l]; ok {
		return s, l, nil
	}
	if c.o.OpenOCI == nil {
		return nil, l, errors.New("is an OCI registry, of which there are none here")
	}
	s, err := c.o.OpenOCI(OCIRegistry{
		Name: m.Registry, Host: l.Host, NamespacePrefix: l.NamespacePrefix, Config: oci,
		Bearer: c.bearer(l.Host), Chosen: c.o.Registry == m.Registry,
	})
	if err == nil {
		c.sources[l] = s
	}
	return s, l, err
}

// BearerVariable returns the environment variable that holds a token for an OCI
// registry: ghcr.io has WKG_REGISTRY_GHCR_IO_AUTH_BEARER.
func BearerVariable(host string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.ToUpper(host))
	return "WKG_REGISTRY_" + clean + "_AUTH_BEARER"
}

func (c *Client) bearer(host string) Secret {
	if c.o.Getenv == nil {
		return Secret{}
	}
	return NewSecret(c.o.Getenv(BearerVariable(host)))
}

// metadataAge is how long metadata on disk is believed.
const metadataAge = time.Hour

// storedMetadata is a file of metadata. Metadata is nil where a registry has none.
type storedMetadata struct {
	Fetched  time.Time       `json:"fetched"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// metadata returns what a registry says of itself, which may be nothing.
func (c *Client) metadata(ctx context.Context, registry string, oci OCIConfig) (*Metadata, error) {
	if m, ok := c.known[registry]; ok {
		return m, nil
	}
	m, fetched := c.stored(registry)
	if m == nil || !c.o.Offline && time.Since(fetched).Abs() > metadataAge {
		if c.o.Offline {
			return nil, fmt.Errorf("its metadata is not known: %w", ErrOffline)
		}
		b, err := fetchMetadata(ctx, registry, oci)
		if err != nil {
			return nil, err
		}
		m = &Metadata{}
		if b != nil {
			if m, err = ParseMetadata(b); err != nil {
				return nil, err
			}
		}
		c.store(registry, b)
	}
	c.known[registry] = m
	return m, nil
}

func (c *Client) metadataFile(registry string) string {
	return filepath.Join(c.o.CacheDir, "metadata", url.PathEscape(registry)+".json")
}

// stored returns the metadata on disk, or nil. A file that is damaged is none.
func (c *Client) stored(registry string) (*Metadata, time.Time) {
	if c.o.CacheDir == "" {
		return nil, time.Time{}
	}
	b, err := readFile(c.metadataFile(registry), 2*maxMetadata)
	if err != nil {
		return nil, time.Time{}
	}
	var s storedMetadata
	if err := json.Unmarshal(b, &s); err != nil || s.Fetched.IsZero() {
		return nil, time.Time{}
	}
	if s.Metadata == nil {
		return &Metadata{}, s.Fetched
	}
	m, err := ParseMetadata(s.Metadata)
	if err != nil {
		return nil, time.Time{}
	}
	return m, s.Fetched
}

// store keeps metadata on disk. If that is not possible it is fetched again.
func (c *Client) store(registry string, metadata []byte) {
	if c.o.CacheDir == "" {
		return
	}
	b, err := json.Marshal(storedMetadata{time.Now().UTC(), metadata})
	if err != nil {
		return
	}
	path := c.metadataFile(registry)
	if os.MkdirAll(filepath.Dir(path), 0o777) == nil {
		_ = replaceFile(path, b)
	}
}

// fetchMetadata asks a registry for its metadata. It is nil if it has none. That is
// never asked for without TLS, except of this machine, or where the configuration
// says that the registry has no TLS.
func fetchMetadata(ctx context.Context, registry string, oci OCIConfig) ([]byte, error) {
	plain := oci.Protocol == "http" || oci.Protocol == "" && isLoopback(registry)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if len(oci.ExtraRootCertificates) > 0 {
		roots, err := certPool(oci.ExtraRootCertificates)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("more than 5 redirects")
		}
		if r.URL.Scheme != "https" && !plain {
			return errors.New("a redirect leads to where there is no TLS")
		}
		return nil
	}}
	target := url.URL{Scheme: "https", Host: registry, Path: MetadataPath}
	if plain {
		target.Scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch metadata: GET %s: status %d", target.Redacted(), resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("fetch metadata: GET %s: %w", target.Redacted(), err)
	}
	return b, nil
}

// certPool returns the certificates of the system and these.
func certPool(certs []Certificate) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("certificates of the system: %w", err)
	}
	for _, c := range certs {
		if c.Encoding == "der" {
			parsed, err := x509.ParseCertificate(c.Data)
			if err != nil {
				return nil, fmt.Errorf("extra_root_certificates: %w", err)
			}
			roots.AddCert(parsed)
		} else if !roots.AppendCertsFromPEM(c.Data) {
			return nil, errors.New("extra_root_certificates: there is no certificate in PEM in one of them")
		}
	}
	return roots, nil
}
