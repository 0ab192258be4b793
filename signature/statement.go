package signature

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Types of predicates, which say what a statement says.
const (
	// PredicateSign says that the signer signed the artifact, and nothing else: what
	// 'cosign sign' writes. The predicate is a [SignPredicate], or empty.
	PredicateSign = "https://sigstore.dev/cosign/sign/v1"
	// PredicateYank says that a version of a package is withdrawn, or is no more:
	// {"package": "ns:name@1.2.0", "yanked": bool, "reason": string, "signedAt": RFC 3339, "publicKey": PEM}.
	PredicateYank = "https://ashlar.dev/attestation/yank/v1"
	// PredicateProvenance is provenance as SLSA has it.
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	// PredicateSBOM is a bill of materials in CycloneDX.
	PredicateSBOM = "https://cyclonedx.org/bom"
)

// SignPredicate is the predicate of statements of the type [PredicateSign] that
// Ashlar makes.
type SignPredicate struct {
	SignedAt time.Time `json:"signedAt"`
}

// Subject is an artifact that a statement is about.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"` // algorithm ("sha256") -> hexadecimal
}

// Statement is an in-toto statement: a claim about artifacts.
type Statement struct {
	Subjects      []Subject       // at least one
	PredicateType string          // a URI
	Predicate     json.RawMessage // an object; nil if there is none
}

const (
	statementV1   = "https://in-toto.io/Statement/v1"
	statementV01  = "https://in-toto.io/Statement/v0.1"
	maxSubjects   = 1024
	maxAlgorithms = 32
)

// NewStatement makes a statement about an artifact whose manifest is given. The
// predicate is anything that encoding/json makes an object of.
func NewStatement(manifest []byte, predicateType string, predicate any) (*Statement, error) {
	b, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("encode predicate: %w", err)
	}
	sum := sha256.Sum256(manifest)
	return &Statement{
		Subjects:      []Subject{{Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}},
		PredicateType: predicateType, Predicate: b,
	}, nil
}

// ParseStatement reads a statement of version 1 or 0.1. Fields that are not known are
// of no concern, as in-toto asks for.
func ParseStatement(b []byte) (*Statement, error) {
	o, err := parseObject(b)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	st, err := o.statement()
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return st, nil
}

func (o object) statement() (*Statement, error) {
	kind, err := o.text("_type")
	if err != nil {
		return nil, err
	}
	if kind != statementV1 && kind != statementV01 {
		return nil, fmt.Errorf("_type %q is no in-toto statement that is known", clip(kind))
	}
	st := &Statement{Predicate: o["predicate"]}
	if st.PredicateType, err = o.text("predicateType"); err != nil {
		return nil, err
	}
	subjects, err := o.objects("subject", maxSubjects)
	if err != nil {
		return nil, err
	}
	for _, s := range subjects {
		subject, err := s.subject()
		if err != nil {
			return nil, fmt.Errorf("subject: %w", err)
		}
		st.Subjects = append(st.Subjects, subject)
	}
	return st, st.check()
}

func (o object) subject() (s Subject, err error) {
	if s.Name, err = o.text("name"); err != nil {
		return s, err
	}
	digest, err := o.object("digest")
	if err != nil {
		return s, err
	}
	if len(digest) > maxAlgorithms {
		return s, fmt.Errorf("more than %d digests", maxAlgorithms)
	}
	s.Digest = map[string]string{}
	for algorithm := range digest {
		if s.Digest[algorithm], err = digest.text(algorithm); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (st *Statement) check() error {
	switch {
	case st.PredicateType == "":
		return errors.New("there is no predicateType")
	case len(st.Subjects) == 0:
		return errors.New("there is no subject")
	case len(st.Subjects) > maxSubjects:
		return fmt.Errorf("more than %d subjects", maxSubjects)
	}
	if st.Predicate != nil {
		if _, err := asObject(st.Predicate); err != nil {
			return fmt.Errorf("predicate: %w", err)
		}
	}
	return nil
}

// Encode writes a statement of version 1, as it is signed.
func (st *Statement) Encode() ([]byte, error) {
	if err := st.check(); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return encodeJSON(struct {
		Type          string          `json:"_type"`
		Subject       []Subject       `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate,omitempty"`
	}{statementV1, st.Subjects, st.PredicateType, st.Predicate})
}

// ErrSubject is the error of a signature over another artifact.
var ErrSubject = errors.New("the signature is about another artifact")

// isAbout checks that a manifest is among the subjects: its sha256 is a subject's,
// and so is every stronger digest that is given with it.
func (st *Statement) isAbout(manifest []byte) bool {
	s256, s384, s512 := sha256.Sum256(manifest), sha512.Sum384(manifest), sha512.Sum512(manifest)
	for _, s := range st.Subjects {
		equal := func(algorithm string, sum []byte) bool {
			got, ok := s.Digest[algorithm]
			return !ok || got == hex.EncodeToString(sum)
		}
		if _, ok := s.Digest["sha256"]; ok && equal("sha256", s256[:]) && equal("sha384", s384[:]) && equal("sha512", s512[:]) {
			return true
		}
	}
	return false
}
