package packages

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Config is wkg's file config.toml: which registry has which packages, and how it is
// reached. The zero value is an empty one.
type Config struct {
	// DefaultRegistry has what no mapping is for. It may be empty.
	DefaultRegistry string
	// Namespaces maps namespaces to registries.
	Namespaces map[string]Mapping
	// Packages maps packages to registries. It comes before Namespaces.
	Packages map[Ref]Mapping
	// Registries are settings for registries, by their names in lower case.
	Registries map[string]RegistryConfig

	fallback map[string]string
}

// Mapping says which registry has a package or a namespace.
type Mapping struct {
	Registry string
	// Metadata is used in place of what the registry says of itself, if not nil.
	Metadata *Metadata
}

// RegistryConfig is how a registry is reached. It may hold secrets, and prints as the
// names of its backends. The zero value says nothing.
type RegistryConfig struct {
	// Default is the backend to use, or empty.
	Default  string
	backends func() map[string]map[string]any // a function: see Secret
}

// OCIConfig is how an OCI registry is reached.
type OCIConfig struct {
	// Auth is nil if there is none.
	Auth *BasicAuth
	// Protocol is "http", "https", or empty if nothing is said.
	Protocol string
	// AcceptInvalidCertificates asks for certificates of TLS not to be checked.
	AcceptInvalidCertificates bool
	// ExtraRootCertificates are trusted besides those of the system.
	ExtraRootCertificates []Certificate
}

// BasicAuth is a user of a registry.
type BasicAuth struct {
	Username string
	Password Secret
}

// Certificate is a certificate of a certificate authority.
type Certificate struct {
	Encoding string // "pem" or "der"
	Data     []byte
}

// maxConfig bounds the bytes of config.toml.
const maxConfig = 256 << 10

// DefaultConfig returns the configuration of those who have none: it knows where the
// namespaces wasi and ba are, if nothing else says it, the default registry included.
func DefaultConfig() *Config {
	return &Config{fallback: map[string]string{"wasi": "wasi.dev", "ba": "bytecodealliance.org"}}
}

// DefaultConfigPath is where config.toml is: below $XDG_CONFIG_HOME or ~/.config, on
// Windows below %APPDATA%.
func DefaultConfigPath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if runtime.GOOS == "windows" {
		dir = os.Getenv("APPDATA")
	}
	if !filepath.IsAbs(dir) { // the specification of XDG has relative ones ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		if dir = filepath.Join(home, ".config"); runtime.GOOS == "windows" {
			dir = filepath.Join(home, "AppData", "Roaming")
		}
	}
	return filepath.Join(dir, "wasm-pkg", "config.toml"), nil
}

// ReadConfig reads a file and merges it into [DefaultConfig]. With an empty path it
// reads the one at [DefaultConfigPath], if there is one.
func ReadConfig(path string) (*Config, error) {
	c, named := DefaultConfig(), path != ""
	if !named {
		var err error
		if path, err = DefaultConfigPath(); err != nil {
			return nil, err
		}
	}
	b, err := readFile(path, maxConfig)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := ParseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.Merge(file)
	return c, nil
}

// readFile reads a file of a bounded size.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: has more than %d bytes", path, limit)
	}
	return b, err
}

// ParseConfig reads a configuration. What wkg refuses is refused: unknown keys at the
// top, settings of registries that are no tables. Settings of backends are looked at
// when they are used.
func ParseConfig(b []byte) (*Config, error) {
	top, err := decodeTOML(b, maxConfig)
	if err != nil {
		return nil, err
	}
	c := &Config{Namespaces: map[string]Mapping{}, Packages: map[Ref]Mapping{}, Registries: map[string]RegistryConfig{}}
	for _, key := range sortedKeys(top) {
		switch value := top[key]; key {
		case "default_registry":
			s, ok := value.(string)
			if !ok {
				return nil, errors.New("default_registry is no string")
			}
			if c.DefaultRegistry, err = ParseRegistry(s); err != nil {
				return nil, fmt.Errorf("default_registry: %w", err)
			}
		case "namespace_registries":
			err = eachEntry(key, value, func(name string, value any) error {
				if err := checkLabel(name); err != nil {
					return err
				}
				c.Namespaces[name], err = newMapping(value)
				return err
			})
		case "package_registry_overrides":
			err = eachEntry(key, value, func(name string, value any) error {
				ref, err := ParseRef(name)
				if err != nil {
					return err
				}
				c.Packages[ref], err = newMapping(value)
				return err
			})
		case "registry":
			err = eachEntry(key, value, func(name string, value any) error {
				registry, err := ParseRegistry(name)
				if err != nil {
					return err
				}
				if _, ok := c.Registries[registry]; ok {
					return errors.New("is there twice")
				}
				c.Registries[registry], err = newRegistryConfig(value)
				return err
			})
		default:
			err = fmt.Errorf("unknown key %q: expected default_registry, namespace_registries, package_registry_overrides or registry", key)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// eachEntry visits the entries of what is to be a table, in order.
func eachEntry(key string, value any, visit func(name string, value any) error) error {
	table, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is no table", key)
	}
	for _, name := range sortedKeys(table) {
		if err := visit(name, table[name]); err != nil {
			return fmt.Errorf("%s.%q: %w", key, name, err)
		}
	}
	return nil
}

func newMapping(value any) (m Mapping, err error) {
	switch value := value.(type) {
	case string:
		m.Registry, err = ParseRegistry(value)
		return m, err
	case map[string]any:
		registry, ok := value["registry"].(string)
		metadata, isTable := value["metadata"].(map[string]any)
		if !ok || !isTable {
			break
		}
		if m.Registry, err = ParseRegistry(registry); err != nil {
			return m, err
		}
		m.Metadata, err = newMetadata(metadata)
		return m, err
	}
	return m, errors.New("expected the name of a registry, or a table with registry and metadata")
}

func newRegistryConfig(value any) (RegistryConfig, error) {
	table, ok := value.(map[string]any)
	if !ok {
		return RegistryConfig{}, errors.New("is no table")
	}
	tables := map[string]map[string]any{}
	r := RegistryConfig{backends: func() map[string]map[string]any { return tables }}
	for _, key := range sortedKeys(table) {
		switch value := table[key].(type) {
		case string:
			if key != "default" && key != "type" {
				return r, fmt.Errorf("%s is no table", key)
			}
			if r.Default != "" {
				return r, errors.New("has default and type, which mean the same")
			}
			r.Default = value
		case map[string]any:
			if key == "default" || key == "type" {
				return r, fmt.Errorf("%s is no string", key)
			}
			tables[key] = value
		default:
			return r, fmt.Errorf("%s is no table", key)
		}
	}
	return r, nil
}

// Merge takes what another configuration says; where both say something, the other
// one's is taken. Settings of a backend are merged key by key.
func (c *Config) Merge(o *Config) {
	if o.DefaultRegistry != "" {
		c.DefaultRegistry = o.DefaultRegistry
	}
	c.Namespaces = merged(c.Namespaces, o.Namespaces)
	c.Packages = merged(c.Packages, o.Packages)
	c.fallback = merged(c.fallback, o.fallback)
	c.Registries = maps.Clone(c.Registries)
	if c.Registries == nil {
		c.Registries = map[string]RegistryConfig{}
	}
	for name, r := range o.Registries {
		c.Registries[name] = c.Registries[name].merge(r)
	}
}

func merged[K comparable, V any](a, b map[K]V) map[K]V {
	m := make(map[K]V, len(a)+len(b))
	maps.Copy(m, a)
	maps.Copy(m, b)
	return m
}

func (r RegistryConfig) merge(o RegistryConfig) RegistryConfig {
	tables := map[string]map[string]any{}
	m := RegistryConfig{r.Default, func() map[string]map[string]any { return tables }}
	if o.Default != "" {
		m.Default = o.Default
	}
	for _, from := range []RegistryConfig{r, o} {
		for name, table := range from.tables() {
			tables[name] = merged(tables[name], table)
		}
	}
	return m
}

func (r RegistryConfig) tables() map[string]map[string]any {
	if r.backends == nil {
		return nil
	}
	return r.backends()
}

// Registry returns the registry of a package: that of the package, that of its
// namespace, the default one, or the one that is known for the namespace.
func (c *Config) Registry(p Ref) (Mapping, bool) {
	if m, ok := c.Packages[p]; ok {
		return m, true
	}
	if m, ok := c.Namespaces[p.Namespace]; ok {
		return m, true
	}
	if c.DefaultRegistry != "" {
		return Mapping{Registry: c.DefaultRegistry}, true
	}
	r, ok := c.fallback[p.Namespace]
	return Mapping{Registry: r}, ok
}

// Backends returns the names of the backends that there are settings for, sorted.
func (r RegistryConfig) Backends() []string { return sortedKeys(r.tables()) }

// Backend returns the backend to use: the default one, or the only one, or nothing.
func (r RegistryConfig) Backend() string {
	if names := r.Backends(); r.Default == "" && len(names) == 1 {
		return names[0]
	}
	return r.Default
}

// OCI returns the settings for OCI.
func (r RegistryConfig) OCI() (o OCIConfig, err error) {
	for key, value := range r.tables()[ProtocolOCI] {
		switch key {
		case "auth":
			o.Auth, err = newBasicAuth(value)
		case "protocol":
			if o.Protocol, _ = value.(string); o.Protocol != "http" && o.Protocol != "https" {
				err = errors.New(`expected "http" or "https"`)
			}
		case "accept_invalid_certificates":
			var ok bool
			if o.AcceptInvalidCertificates, ok = value.(bool); !ok {
				err = errors.New("expected true or false")
			}
		case "extra_root_certificates":
			o.ExtraRootCertificates, err = newCertificates(value)
		}
		if err != nil {
			return OCIConfig{}, fmt.Errorf("oci.%s: %w", key, err)
		}
	}
	return o, nil
}

func newBasicAuth(value any) (*BasicAuth, error) {
	switch value := value.(type) {
	case string:
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil {
			return nil, errors.New("is not in base64")
		}
		user, password, ok := strings.Cut(string(b), ":")
		if !ok {
			return nil, errors.New("expected USERNAME:PASSWORD in base64")
		}
		return &BasicAuth{user, NewSecret(password)}, nil
	case map[string]any:
		user, ok := value["username"].(string)
		password, isString := value["password"].(string)
		if ok && isString && len(value) == 2 {
			return &BasicAuth{user, NewSecret(password)}, nil
		}
	}
	return nil, errors.New("expected a table with username and password, or both in base64")
}

func newCertificates(value any) ([]Certificate, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("is no list")
	}
	certs := make([]Certificate, len(list))
	for i, value := range list {
		table, _ := value.(map[string]any)
		encoding, _ := table["encoding"].(string)
		data, ok := table["data"].(string)
		if !ok || encoding != "pem" && encoding != "der" {
			return nil, fmt.Errorf(`%d: expected a table with encoding ("pem" or "der") and data`, i)
		}
		certs[i] = Certificate{encoding, []byte(data)}
	}
	return certs, nil
}

// LocalRoot returns the folder of the backend "local".
func (r RegistryConfig) LocalRoot() (string, error) {
	root, ok := r.tables()[ProtocolLocal]["root"].(string)
	if !ok {
		return "", errors.New("the backend local has no root: expected the path of a folder")
	}
	return root, nil
}

// String names the backends, and tells no setting of theirs.
func (r RegistryConfig) String() string {
	s := strings.Join(r.Backends(), ",")
	if r.Default != "" {
		s += " (default " + r.Default + ")"
	}
	return s
}

// GoString is [RegistryConfig.String].
func (r RegistryConfig) GoString() string { return r.String() }

// Format is [RegistryConfig.String].
func (r RegistryConfig) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LogValue is [RegistryConfig.String].
func (r RegistryConfig) LogValue() slog.Value { return slog.StringValue(r.String()) }
