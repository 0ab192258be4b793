// Package remote makes OCI registries sources of packages: version 1.2.3 of ns:name
// is the Wasm OCI artifact HOST/PREFIX + ns/name:1.2.3.
package remote

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/signature"
)

// Options are for [Open].
type Options struct {
	// OCI is what all registries have in common. What the configuration says of one
	// is added to it.
	OCI oci.Options
	// User is the credential for the registry that was chosen by name, unless the
	// configuration has one for it. The zero value is none.
	User oci.Credential
}

// Open returns a registry as a source of packages. It is safe for concurrent use.
func Open(r packages.OCIRegistry, o Options) (packages.Source, error) {
	c := o.OCI
	if r.Config.AcceptInvalidCertificates {
		return nil, errors.New("accept_invalid_certificates: certificates are always checked; name the one of its CA in extra_root_certificates")
	}
	if r.Config.Protocol == "http" {
		c.PlainHTTP = append(slices.Clone(c.PlainHTTP), r.Host)
	}
	c.CACerts = slices.Clone(c.CACerts)
	for _, cert := range r.Config.ExtraRootCertificates {
		b := cert.Data
		if cert.Encoding == "der" {
			b = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b})
		}
		c.CACerts = append(c.CACerts, b)
	}
	c.Credential = credential(r, o)
	client, err := oci.NewClient(c)
	if err != nil {
		return nil, err
	}
	return &source{client, r}, nil
}

// credential finds the credential for the registry where wkg does: a token in the
// environment, the configuration, a user that was given, and the rest.
func credential(r packages.OCIRegistry, o Options) oci.CredentialFunc {
	var own oci.Credential
	switch {
	case r.Bearer.Reveal() != "":
		own.AccessToken = r.Bearer.Reveal()
	case r.Config.Auth != nil:
		own.Username, own.Password = r.Config.Auth.Username, r.Config.Auth.Password.Reveal()
	case r.Chosen:
		own = o.User
	}
	return func(ctx context.Context, host string) (oci.Credential, error) {
		switch {
		case own != (oci.Credential{}) && strings.EqualFold(host, r.Host):
			return own, nil
		case o.OCI.Credential == nil:
			return oci.Credential{}, nil
		}
		return o.OCI.Credential(ctx, host)
	}
}

var _ packages.Attester = (*source)(nil)

type source struct {
	client *oci.Client
	r      packages.OCIRegistry
}

// Artifact returns a client of the registry that is a source, and the reference of a
// release there with the digest of its manifest. ok is false if the source is none of
// [Open], or does not know the digest.
func Artifact(s packages.Source, p packages.Ref, r packages.Release) (client *oci.Client, ref oci.Reference, ok bool) {
	remote, ok := s.(*source)
	if !ok || r.Manifest == "" {
		return nil, ref, false
	}
	ref, err := remote.tagged(p, r.Version)
	ref.Digest = digest.Digest(r.Manifest)
	return remote.client, ref, err == nil
}

// reference returns the repository of a package.
func (s *source) reference(p packages.Ref) (oci.Reference, error) {
	return oci.ParseReference(s.r.Host + "/" + s.r.NamespacePrefix + p.Namespace + "/" + p.Name)
}

func (s *source) tagged(p packages.Ref, v packages.Version) (oci.Reference, error) {
	ref, err := s.reference(p)
	ref.Tag = v.Tag()
	return ref, err
}

// kindError is an error of the client, which says already what the kind means.
type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// sourceError gives an error the kind that sources have for it.
func sourceError(err error) error {
	switch {
	case errors.Is(err, oci.ErrNotFound):
		return &kindError{err, packages.ErrNotFound}
	case errors.Is(err, oci.ErrOffline):
		return &kindError{err, packages.ErrOffline}
	}
	return err
}

// Versions lists the tags that stand for versions.
func (s *source) Versions(ctx context.Context, p packages.Ref) ([]packages.VersionInfo, error) {
	ref, err := s.reference(p)
	if err != nil {
		return nil, err
	}
	tags, err := s.client.Tags(ctx, ref)
	if err != nil {
		return nil, sourceError(err)
	}
	var all []packages.VersionInfo
	for _, tag := range tags {
		if v, err := packages.ParseTag(tag); err == nil {
			all = append(all, packages.VersionInfo{Version: v})
		}
	}
	return all, nil
}

// Release reads the manifest and config of a version.
func (s *source) Release(ctx context.Context, p packages.Ref, v packages.Version) (packages.Release, error) {
	ref, err := s.tagged(p, v)
	if err != nil {
		return packages.Release{}, err
	}
	a, err := s.client.Describe(ctx, ref)
	if err != nil {
		return packages.Release{}, sourceError(err)
	}
	return release(ref, v, a)
}

func release(ref oci.Reference, v packages.Version, a *oci.Artifact) (packages.Release, error) {
	r := packages.Release{Version: v}
	var err error
	if r.Digest, err = packages.ParseDigest(a.Manifest.Layer.Digest.String()); err != nil {
		return r, fmt.Errorf("%s: layer: %w", ref, err)
	}
	if r.Manifest, err = packages.ParseDigest(a.Descriptor.Digest.String()); err != nil {
		return r, fmt.Errorf("%s: manifest: %w", ref, err)
	}
	return r, nil
}

// Content pulls a version, by the digest of its manifest if that is known.
func (s *source) Content(ctx context.Context, p packages.Ref, r packages.Release) ([]byte, error) {
	ref, err := s.pinned(p, r)
	if err != nil {
		return nil, err
	}
	a, err := s.client.Pull(ctx, ref)
	if err != nil {
		return nil, sourceError(err)
	}
	if d := packages.DigestOf(a.Layer); d != r.Digest {
		return nil, &packages.DigestError{Package: p, Version: r.Version, Got: d, Want: r.Digest}
	}
	return a.Layer, nil
}

// Publish pushes a version that is not there yet. Registries do not promise that:
// of two who publish at once, the later wins.
func (s *source) Publish(ctx context.Context, p packages.Ref, v packages.Version, content []byte) (packages.Release, error) {
	ref, err := s.tagged(p, v)
	if err != nil {
		return packages.Release{}, err
	}
	a, err := oci.New(content, oci.BuildOptions{})
	if err != nil {
		return packages.Release{}, err
	}
	switch _, err := s.client.Describe(ctx, ref); {
	case err == nil:
		return packages.Release{}, fmt.Errorf("%s: %w", ref, packages.ErrExists)
	case !errors.Is(err, oci.ErrNotFound):
		return packages.Release{}, sourceError(err)
	}
	if _, err := s.client.Push(ctx, ref, a); err != nil {
		return packages.Release{}, sourceError(err)
	}
	return release(ref, v, a)
}

// pinned is the reference of a release, by its manifest's digest.
func (s *source) pinned(p packages.Ref, r packages.Release) (oci.Reference, error) {
	ref, err := s.tagged(p, r.Version)
	ref.Digest = digest.Digest(r.Manifest)
	return ref, err
}

// Manifest reads the manifest of a release.
func (s *source) Manifest(ctx context.Context, p packages.Ref, r packages.Release) ([]byte, error) {
	ref, err := s.pinned(p, r)
	if err != nil {
		return nil, err
	}
	a, err := s.client.Describe(ctx, ref)
	if err != nil {
		return nil, sourceError(err)
	}
	return a.ManifestBytes, nil
}

// Bundles reads the bundles that are attached to a release.
func (s *source) Bundles(ctx context.Context, p packages.Ref, r packages.Release, predicateType string) ([]*signature.Bundle, error) {
	ref, err := s.pinned(p, r)
	if err != nil {
		return nil, err
	}
	list, err := bundles.List(ctx, s.client, ref, predicateType)
	return bundles.Readable(list), sourceError(err)
}

// Attach attaches a bundle to a release.
func (s *source) Attach(ctx context.Context, p packages.Ref, r packages.Release, b *signature.Bundle) error {
	ref, err := s.pinned(p, r)
	if err != nil {
		return err
	}
	return sourceError(bundles.Attach(ctx, s.client, ref, b, time.Now()))
}
