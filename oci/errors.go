package oci

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// ErrOffline is wrapped by the error of what would need a registry while the client
// is offline.
var ErrOffline = errors.New("not in the cache, and the network is not to be used")

// ErrNotFound is wrapped by the error for an artifact, tag or repository that does
// not exist.
var ErrNotFound = errors.New("not found")

// UnauthorizedError is the refusal of a registry that wants another credential.
type UnauthorizedError struct {
	Registry  string
	Anonymous bool // no credential was there
	err       error
}

func (e *UnauthorizedError) Error() string {
	if e.Anonymous {
		return fmt.Sprintf("%s refuses access without a credential ('ashlar login %s' stores one): %v", e.Registry, e.Registry, e.err)
	}
	return fmt.Sprintf("%s refuses access with the credential that it got: %v", e.Registry, e.err)
}

func (e *UnauthorizedError) Unwrap() error { return e.err }

// secrets are what no error may show, whatever a registry answers.
type secrets struct {
	mu    sync.Mutex
	set   map[string]bool
	hosts map[string]bool // for which there is a credential
}

func (s *secrets) add(host string, c Credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != (Credential{}) {
		s.hosts[host] = true
	}
	for _, v := range []string{c.Password, c.IdentityToken, c.AccessToken} {
		if v != "" {
			s.set[v] = true
			s.set[base64.StdEncoding.EncodeToString([]byte(c.Username+":"+v))] = true
		}
	}
}

// has reports whether there is a credential for a host.
func (s *secrets) has(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts[host]
}

// URLs of storage behind a registry have signatures in their query.
var (
	queryPattern    = regexp.MustCompile(`(https?://[^\s"'?]*)\?[^\s"']*`)
	userinfoPattern = regexp.MustCompile(`(https?://)[^\s"'/@]*@`)
)

// hide removes what is secret from a text, and control characters.
func (s *secrets) hide(text string) string {
	text = queryPattern.ReplaceAllString(text, "$1")
	text = userinfoPattern.ReplaceAllString(text, "$1")
	s.mu.Lock()
	for v := range s.set {
		text = strings.ReplaceAll(text, v, "***")
	}
	s.mu.Unlock()
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// redactedError is an error whose text shows no secret.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Is compares with the error that was redacted.
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

// As looks for the errors of this package only: others have what was redacted.
func (e *redactedError) As(target any) bool {
	switch target.(type) {
	case **UnauthorizedError, **ArtifactError, **localError:
		return errors.As(e.err, target)
	}
	return false
}

func (c *Client) redact(err error) error {
	if err == nil {
		return nil
	}
	text := c.secrets.hide(err.Error())
	const limit = 2000
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return &redactedError{text, err}
}

// registryError is the error of a request to a registry.
func (c *Client) registryError(err error) error {
	var resp *errcode.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &resp):
		text := http.StatusText(resp.StatusCode)
		if len(resp.Errors) > 0 {
			text = resp.Errors.Error()
		}
		e := fmt.Errorf("%s %s: status %d: %s", resp.Method, resp.URL.Redacted(), resp.StatusCode, text)
		switch resp.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return c.redact(&UnauthorizedError{resp.URL.Host, !c.secrets.has(resp.URL.Host), e})
		case http.StatusNotFound:
			return c.redact(fmt.Errorf("%w: %w", ErrNotFound, e))
		}
		return c.redact(e)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return c.redact(fmt.Errorf("the registry refuses access without a credential ('ashlar login' stores one): %w", err))
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("%w in the registry", ErrNotFound)
	}
	return c.redact(err)
}
