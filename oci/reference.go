package oci

import (
	_ "crypto/sha256" // the digests that the image specification registers
	_ "crypto/sha512"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Reference names an artifact in a registry, or in an OCI layout on disk.
type Reference struct {
	// Layout is the folder of an OCI layout. Then Registry and Repository are
	// empty.
	Layout string
	// Registry is the host of the registry, with its port if it has one.
	Registry string
	// Repository is the name of the repository in the registry.
	Repository string
	// Tag and Digest say which artifact; one of them, both or neither may be
	// empty. With both, the digest decides. With neither the tag is "latest" in a
	// registry, and in a layout the only artifact in it.
	Tag    string
	Digest digest.Digest
}

// ReferenceError is a text that is no reference.
type ReferenceError struct {
	Text   string
	Reason string
}

func (e *ReferenceError) Error() string {
	return fmt.Sprintf("reference %q: %s", e.Text, e.Reason)
}

const (
	layoutScheme = "oci:"
	// defaultTag is what a reference without tag and digest means in a registry.
	defaultTag = "latest"
	// The distribution specification allows names of up to 255 characters, host
	// included; paths of layouts may be longer.
	maxName      = 255
	maxReference = 4096
)

// The grammar of the distribution specification, "Pulling manifests".
var (
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	hostPattern       = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)
)

// ParseReference reads a reference: HOST/NAME, HOST/NAME:TAG, HOST/NAME@DIGEST,
// HOST/NAME:TAG@DIGEST, or oci:DIR with the same endings for a layout on disk. A
// host has a dot or a port, or is localhost: there is no default registry. The
// error is a *[ReferenceError].
func ParseReference(s string) (Reference, error) {
	r, err := parseReference(s)
	if err != nil {
		return Reference{}, &ReferenceError{s, err.Error()}
	}
	return r, nil
}

func parseReference(s string) (Reference, error) {
	var r Reference
	if len(s) > maxReference {
		return r, fmt.Errorf("has %d bytes, more than %d", len(s), maxReference)
	}
	dir, layout := strings.CutPrefix(s, layoutScheme)
	rest := dir
	at := strings.LastIndexByte(rest, '@')
	if layout && (at < 0 || !strings.HasPrefix(rest[at:], "@sha256:") && !strings.HasPrefix(rest[at:], "@sha512:")) {
		at = -1 // it belongs to the path
	}
	if at >= 0 {
		d, err := parseDigest(rest[at+1:])
		if err != nil {
			return r, err
		}
		r.Digest, rest = d, rest[:at]
	}
	if layout {
		// A colon also stands behind the letter of a drive, where there are such.
		if i := strings.LastIndexByte(rest, ':'); i > 0 && (i > 1 || runtime.GOOS != "windows") && tagPattern.MatchString(rest[i+1:]) {
			r.Tag, rest = rest[i+1:], rest[:i]
		}
		if rest == "" || strings.ContainsRune(rest, 0) {
			return r, errors.New("expected oci:DIR")
		}
		r.Layout = rest
		return r, nil
	}
	host, name, ok := strings.Cut(rest, "/")
	if !ok {
		return r, errors.New("expected HOST/NAME")
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		r.Tag, name = name[i+1:], name[:i]
		if !tagPattern.MatchString(r.Tag) {
			return r, fmt.Errorf("%q is no tag: up to 128 letters, digits and \"_.-\", not beginning with '.' or '-'", r.Tag)
		}
	}
	if err := checkHost(host); err != nil {
		return r, err
	}
	if !repositoryPattern.MatchString(name) {
		return r, fmt.Errorf("%q is no name of a repository: lower-case letters and digits, separated by '/', '.', '_', '__' or '-'", name)
	}
	if len(host)+1+len(name) > maxName {
		return r, fmt.Errorf("host and name have %d characters, more than %d", len(host)+1+len(name), maxName)
	}
	r.Registry, r.Repository = strings.ToLower(host), name
	return r, nil
}

// ParseRegistry reads the name of a registry: a host, with a port if it has one.
func ParseRegistry(s string) (string, error) {
	if err := checkHost(s); err != nil {
		return "", fmt.Errorf("registry %q: %w", s, err)
	}
	return strings.ToLower(s), nil
}

// checkHost accepts what says by itself that it is a host.
func checkHost(s string) error {
	u, err := url.Parse("//" + s)
	if err != nil || u.Host != s || s == "" || u.User != nil {
		return fmt.Errorf("%q is no host", s)
	}
	name, port := u.Hostname(), u.Port()
	if strings.HasSuffix(s, ":") {
		return fmt.Errorf("%q is no host: the port is missing", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("%q is no host: %s is no port", s, port)
	}
	if strings.HasPrefix(s, "[") {
		if a, err := netip.ParseAddr(name); err != nil || !a.Is6() || a.Zone() != "" {
			return fmt.Errorf("%q is no host: expected an IPv6 address in the brackets", s)
		}
		return nil
	}
	if !hostPattern.MatchString(name) {
		return fmt.Errorf("%q is no host", s)
	}
	if port == "" && !strings.Contains(name, ".") && !strings.EqualFold(name, "localhost") {
		return fmt.Errorf("%q is no host of a registry, which has a dot or a port; on Docker Hub it is docker.io/%s/NAME", s, s)
	}
	return nil
}

func parseDigest(s string) (digest.Digest, error) {
	d := digest.Digest(s)
	if err := checkDigest(d); err != nil {
		return "", err
	}
	return d, nil
}

// checkDigest accepts the algorithms that the image specification registers.
func checkDigest(d digest.Digest) error {
	algorithm, _, _ := strings.Cut(string(d), ":")
	if algorithm != "sha256" && algorithm != "sha512" {
		return fmt.Errorf("%q is no digest: expected sha256 or sha512", clip(string(d)))
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%q is no digest: expected %d hexadecimal digits", clip(string(d)), map[string]int{"sha256": 64, "sha512": 128}[algorithm])
	}
	return nil
}

// clip shortens a text from outside for an error.
func clip(s string) string {
	const limit = 160
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// String returns the text of the reference, as [ParseReference] reads it.
func (r Reference) String() string {
	s := r.name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}

// name is the reference without tag and digest.
func (r Reference) name() string {
	if r.Layout != "" {
		return layoutScheme + r.Layout
	}
	return r.Registry + "/" + r.Repository
}

// tag is the tag that the reference means, where it has no digest.
func (r Reference) tag() string {
	if r.Tag == "" && r.Layout == "" {
		return defaultTag
	}
	return r.Tag
}
