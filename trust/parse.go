package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
)

// Bounds of what a policy has.
const (
	maxPolicy       = 128 << 10 // bytes
	maxKeyFile      = 64 << 10  // bytes
	maxRules        = 200
	maxKeys         = 64 // of a rule
	maxPatterns     = 200
	maxAttestations = 16
	maxAge          = 100 * 365 * 24 * time.Hour
)

// Error is a mistake in a policy.
type Error struct {
	File string
	// Line and Column begin with 1. They are 0 if it is of the whole file.
	Line, Column int
	Err          error
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.File, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Read reads a policy. Files of keys are relative to its folder. The error is an
// [*Error] if the file is wrong, or wraps [fs.ErrNotExist] if there is none.
func Read(path string) (*Policy, error) {
	b, err := readFile(path, maxPolicy)
	if err != nil {
		return nil, fmt.Errorf("trust policy: %w", err)
	}
	p, err := Parse(path, b, func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), filepath.FromSlash(name))
		}
		return readFile(name, maxKeyFile)
	})
	if err != nil {
		return nil, fmt.Errorf("trust policy: %w", err)
	}
	return p, nil
}

func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b.Bytes(), nil
}

// Parse reads the contents of a policy. name is for messages, and readKey reads the
// file of a key that is named. The error is an [*Error].
func Parse(name string, b []byte, readKey func(name string) ([]byte, error)) (*Policy, error) {
	p := &Policy{Name: name}
	r := &ruleReader{readKey: readKey, keys: map[string]Key{}}
	top, err := parseYAML(b)
	if err == nil {
		err = p.parse(r, top)
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		e.File = name
		return nil, e
	case err != nil:
		return nil, &Error{File: name, Err: err}
	}
	return p, nil
}

// ruleReader reads rules, and the keys that they name.
type ruleReader struct {
	readKey func(string) ([]byte, error)
	keys    map[string]Key
}

func (p *Policy) parse(r *ruleReader, top *node) error {
	m, err := top.mapping("version", "default", "rules")
	if err != nil {
		return err
	}
	v, err := m.required("version")
	if err != nil {
		return err
	}
	if n, err := v.integer(); err != nil || n != 1 {
		return v.errorf("expected version: 1")
	}
	if v, err = m.required("default"); err != nil {
		return fmt.Errorf("%w: what is done where no rule matches, accept or refuse", err)
	}
	if p.accept, err = v.decision(); err != nil {
		return err
	}
	rules, err := m.get("rules").list(maxRules)
	if err != nil {
		return err
	}
	for i, n := range rules {
		rule, err := r.rule(n, i+1)
		if err != nil {
			return err
		}
		p.rules = append(p.rules, rule)
	}
	return nil
}

// Keys of rules.
var (
	evidenceKeys = []string{"keys", "signatures", "max-age", "attestations", "yanked"}
	ruleKeys     = append([]string{"name", "packages", "references", "decision"}, evidenceKeys...)
)

func (p *ruleReader) rule(n *node, number int) (rule, error) {
	r := rule{name: fmt.Sprintf("rule %d (line %d)", number, n.line()), signatures: 1}
	m, err := n.mapping(ruleKeys...)
	if err != nil {
		return r, err
	}
	if v := m.get("name"); v != nil {
		s, err := v.text()
		if err != nil {
			return r, err
		}
		r.name = fmt.Sprintf("rule %d %q (line %d)", number, s, n.line())
	}
	if r.packages, err = patterns(m.get("packages"), newPackagePattern); err != nil {
		return r, err
	}
	if r.references, err = patterns(m.get("references"), newReferencePattern); err != nil {
		return r, err
	}
	if len(r.packages)+len(r.references) == 0 {
		return r, n.errorf("the rule matches nothing: it has neither packages nor references")
	}
	if v := m.get("decision"); v != nil {
		for _, k := range evidenceKeys {
			if o := m.get(k); o != nil {
				return r, o.errorf("%s has no meaning beside decision", k)
			}
		}
		r.decided = true
		r.accept, err = v.decision()
		return r, err
	}
	return r, p.evidence(n, m, &r)
}

// evidence reads what a rule asks for.
func (p *ruleReader) evidence(n *node, m mapping, r *rule) (err error) {
	if r.keys, err = p.keyList(m.get("keys")); err != nil {
		return err
	}
	if v := m.get("signatures"); v != nil {
		if r.signatures, err = v.integer(); err != nil {
			return err
		}
		if r.signatures < 0 {
			return v.errorf("signatures: %d is below 0", r.signatures)
		}
	}
	list, err := m.get("attestations").list(maxAttestations)
	if err != nil {
		return err
	}
	for _, v := range list {
		a, err := p.attestation(v, r.keys)
		if err != nil {
			return err
		}
		r.attestations = append(r.attestations, a)
	}
	switch {
	case len(r.all()) == 0:
		return n.errorf("the rule names no keys; to accept or refuse whatever matches, write decision: accept or decision: refuse")
	case r.signatures > len(r.keys):
		at := m.get("signatures")
		if at == nil {
			at = n
		}
		return at.errorf("nothing can be signed by %d of the rule's %d different keys", r.signatures, len(r.keys))
	case r.signatures == 0 && len(r.attestations) == 0:
		return m.get("signatures").errorf("signatures: 0 and no attestations ask for nothing; write decision: accept instead")
	}
	if v := m.get("max-age"); v != nil {
		if r.signatures == 0 {
			return v.errorf("max-age is of signatures, of which the rule asks for none")
		}
		if r.maxAge, err = v.age(); err != nil {
			return err
		}
	}
	if v := m.get("yanked"); v != nil {
		r.acceptYanked, err = v.decision()
	}
	return err
}

func (p *ruleReader) attestation(n *node, keys []Key) (attestation, error) {
	a := attestation{keys: keys}
	kind := n
	if n.isMapping() {
		m, err := n.mapping("type", "keys", "builder", "source")
		if err != nil {
			return a, err
		}
		if kind, err = m.required("type"); err != nil {
			return a, err
		}
		if v := m.get("keys"); v != nil {
			if a.keys, err = p.keyList(v); err != nil {
				return a, err
			}
		}
		if a.builder, err = onePattern(m.get("builder")); err != nil {
			return a, err
		}
		if a.source, err = onePattern(m.get("source")); err != nil {
			return a, err
		}
	}
	s, err := kind.text()
	if err != nil {
		return a, err
	}
	a.name = s
	switch {
	case s == "provenance":
		a.predicateType = signature.PredicateProvenance
	case s == "sbom":
		a.predicateType = signature.PredicateSBOM
	case !strings.Contains(s, ":"):
		return a, kind.errorf("attestation %q: expected provenance, sbom or the URI of a predicate type", s)
	case s == signature.PredicateSign || s == signature.PredicateYank:
		return a, kind.errorf("%s is no attestation: signatures and yanked ask for it", s)
	default:
		a.predicateType = s
	}
	if (a.builder != nil || a.source != nil) && a.predicateType != signature.PredicateProvenance {
		return a, n.errorf("builder and source are of provenance alone, not of %s", s)
	}
	if len(a.keys) == 0 {
		return a, n.errorf("attestation %s: neither it nor the rule names keys", s)
	}
	return a, nil
}

func patterns(n *node, read func(string) (pattern, error)) ([]pattern, error) {
	list, err := n.list(maxPatterns)
	if err != nil {
		return nil, err
	}
	var all []pattern
	for _, v := range list {
		s, err := v.text()
		if err != nil {
			return nil, err
		}
		p, err := read(s)
		if err != nil {
			return nil, v.errorf("%w", err)
		}
		all = append(all, p)
	}
	return all, nil
}

func onePattern(n *node) (*pattern, error) {
	if n == nil {
		return nil, nil
	}
	s, err := n.text()
	if err != nil {
		return nil, err
	}
	p, err := newPattern(s)
	if err != nil {
		return nil, n.errorf("%w", err)
	}
	return &p, nil
}

// nkeyPattern is what public keys of NATS look like.
var nkeyPattern = regexp.MustCompile(`^[A-Z2-7]{56}$`)

func (p *ruleReader) keyList(n *node) ([]Key, error) {
	list, err := n.list(maxKeys)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, v := range list {
		s, err := v.text()
		if err != nil {
			return nil, err
		}
		k, err := p.key(s)
		if err != nil {
			return nil, v.errorf("key %s: %w", k.Name, err)
		}
		keys = addKey(keys, k)
	}
	return keys, nil
}

func (p *ruleReader) key(s string) (k Key, err error) {
	if k, ok := p.keys[s]; ok {
		return k, nil
	}
	k.Name = s
	b := []byte(s)
	switch {
	case strings.Contains(s, "-----BEGIN"):
		k.Name = "inline key"
	case nkeyPattern.MatchString(s):
	default:
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			k.Name = strconv.Quote(s[:min(len(s), 40)])
			return k, errors.New("neither a file, PEM nor an nkey")
		}
		if b, err = p.readKey(s); errors.Is(err, fs.ErrNotExist) {
			return k, fmt.Errorf("no such file: %w", fs.ErrNotExist)
		}
		if err != nil {
			return k, err
		}
	}
	if k.Public, err = signature.ParsePublicKey(b); err == nil {
		p.keys[s] = k
	}
	return k, err
}

// age is a number of days or hours.
func (n *node) age() (time.Duration, error) {
	s, err := n.text()
	if err != nil {
		return 0, err
	}
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour}[s[len(s)-1]]
	count, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil || unit == 0 || count == 0 {
		return 0, n.errorf("%q is no age: expected days or hours, as 90d or 12h", s)
	}
	if count > uint64(maxAge/unit) {
		return 0, n.errorf("%s is more than 100 years", s)
	}
	return time.Duration(count) * unit, nil
}

// decision is accept or refuse.
func (n *node) decision() (accept bool, err error) {
	s, err := n.text()
	if err != nil {
		return false, err
	}
	if s != "accept" && s != "refuse" {
		return false, n.errorf("%q: expected accept or refuse", s)
	}
	return s == "accept", nil
}
