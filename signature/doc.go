// Package signature makes and checks signatures of artifacts: keys, what is said of
// an artifact (statements of in-toto), and the bundles of sigstore that hold a
// statement with its signature.
//
// The formats are those of cosign, so that either tool verifies what the other has
// signed with a key: bundles v0.3 (github.com/sigstore/protobuf-specs), DSSE
// (github.com/secure-systems-lab/dsse), statements v1 (github.com/in-toto/attestation).
// Certificates, transparency logs and timestamps of others are not looked at: what
// counts is a signature by a key that the caller trusts.
//
// Where bundles are kept is not the concern of this package.
package signature
