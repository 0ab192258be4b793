package metadata

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// InvalidError is that of a field whose value other tools would refuse, and with it all
// of the metadata.
type InvalidError struct {
	Field string // the name of its section
	Err   error
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InvalidError) Unwrap() error { return e.Err }

// Validate checks the fields that have a form: URLs, and the licenses, of which it does
// not know all that there are. The error is an [*InvalidError].
func (m *Metadata) Validate() error {
	for _, f := range []field{{"source", &m.Source}, {"homepage", &m.Homepage}} {
		if u, err := url.Parse(*f.value); *f.value != "" && (err != nil || !u.IsAbs()) {
			return &InvalidError{f.section, fmt.Errorf("%q is no URL, as https://example.com is", *f.value)}
		}
	}
	if m.Licenses != "" && !isLicenses(m.Licenses) {
		return &InvalidError{"licenses", fmt.Errorf("%q is no SPDX expression, as Apache-2.0 OR MIT is", m.Licenses)}
	}
	return nil
}

var licenseToken = regexp.MustCompile(`^\s*([()]|[A-Za-z0-9.:-]+\+?)`)

// isLicenses reports whether text follows the grammar of SPDX 3.0.1, annex B.
func isLicenses(text string) bool {
	// What follows is a license or an opening parenthesis, else an operator.
	depth, license, exception := 0, true, false
	for {
		at := licenseToken.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		token := text[at[2]:at[3]]
		text = text[at[1]:]
		operator := token == "AND" || token == "OR" || token == "WITH"
		switch {
		case token == "(" && license && !exception:
			depth++
		case token == ")" && !license && depth > 0:
			depth--
		case operator && !license:
			license, exception = true, token == "WITH"
		case !operator && token != "(" && token != ")" && license:
			license, exception = false, false
		default:
			return false
		}
	}
	return !license && depth == 0 && strings.TrimSpace(text) == ""
}
