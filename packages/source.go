package packages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Source is a registry, of which it knows how to reach it. Implementations are safe
// for concurrent use.
type Source interface {
	// Versions lists the versions of a package, in any order. The error is
	// [ErrNotFound] if there is no such package.
	Versions(ctx context.Context, p Ref) ([]VersionInfo, error)
	// Release returns what a version is, without its content. The error is
	// [ErrNotFound] if there is no such version.
	Release(ctx context.Context, p Ref, v Version) (Release, error)
	// Content returns the content of a release. It has the release's digest.
	Content(ctx context.Context, p Ref, r Release) ([]byte, error)
	// Publish adds a version. The error is [ErrExists] if it is there already:
	// versions don't change.
	Publish(ctx context.Context, p Ref, v Version, content []byte) (Release, error)
}

// VersionInfo is an entry of a list of versions.
type VersionInfo struct {
	Version Version
	// Yanked says that it is not to be chosen, but by locks that have it. Versions
	// that have it false may be yanked by a signed record, which [Yanked] asks for.
	Yanked bool
}

// Release is a version of a package.
type Release struct {
	Version Version
	// Digest is that of the content.
	Digest Digest
	// Manifest is the digest of the OCI manifest, or empty in other registries.
	Manifest Digest
}

// ErrNotFound is wrapped by the error for a package or version that a registry does
// not have.
var ErrNotFound = errors.New("not found")

// ErrExists is wrapped by the error for a version that is published again.
var ErrExists = errors.New("is published already")

// ErrOffline is wrapped by the error of what would need the network while it is not
// to be used.
var ErrOffline = errors.New("the network is not to be used")

// MaxContent bounds the bytes of a package.
const MaxContent = 256 << 20

// Digest is the SHA-256 of bytes, as sha256: and 64 hexadecimal digits in lower case.
type Digest string

// DigestOf returns the digest of some bytes.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ParseDigest reads a digest.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	if b, err := hex.DecodeString(digits); !ok || err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("digest %.80q: expected sha256: and 64 hexadecimal digits", s)
	}
	return Digest("sha256:" + strings.ToLower(digits)), nil
}

// DigestError is the error for content that is not what was expected.
type DigestError struct {
	Package   Ref
	Version   Version
	Got, Want Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s@%s has the digest %s, expected %s", e.Package, e.Version, e.Got, e.Want)
}
