// Package cow keeps images of linear memories and maps them copy on write: a
// mapping starts as the image followed by zeros, is written to, and is brought
// back to the image for a cost that follows the pages written.
//
// On Linux an image is a sealed memfd that mappings share until they write. On
// other systems each mapping holds a copy, with the same semantics at a higher
// cost.
package cow

import (
	"errors"
	"fmt"
)

// Method says how a mapping is brought back to its image.
type Method uint8

// The methods. All but Auto and Copy depend on the system.
const (
	// Auto is the first of the others, in this order, that works here.
	Auto Method = iota
	// Scan asks the kernel which pages are private to the mapping and copies
	// the image back into those: ioctl PAGEMAP_SCAN, Linux 6.7 and later.
	Scan
	// Pagemap is Scan by way of /proc/self/pagemap, on any Linux that shows it.
	Pagemap
	// Discard makes the system forget all pages that may have been written.
	Discard
	// Copy compares every page with the image and copies those that differ.
	Copy
)

var methodNames = [...]string{Auto: "auto", Scan: "scan", Pagemap: "pagemap", Discard: "discard", Copy: "copy"}

// String returns the name that ParseMethod takes.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

// ParseMethod returns the method of a name: auto, scan, pagemap, discard or copy.
func ParseMethod(name string) (Method, error) {
	for m, n := range methodNames {
		if n == name {
			return Method(m), nil
		}
	}
	return Auto, fmt.Errorf("unknown method %q: want auto, scan, pagemap, discard or copy", name)
}

// MarshalText implements encoding.TextMarshaler.
func (m Method) MarshalText() ([]byte, error) {
	if int(m) >= len(methodNames) {
		return nil, fmt.Errorf("unknown %s", m)
	}
	return []byte(m.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler with ParseMethod.
func (m *Method) UnmarshalText(text []byte) error {
	parsed, err := ParseMethod(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

var (
	// ErrMappings is returned by Map and Image if Options.MaxMappings, or the
	// system's own bound, is reached. It may succeed after others were given back.
	ErrMappings = errors.New("too many mappings")
	// ErrInUse is returned by Close while there are mappings.
	ErrInUse = errors.New("in use by a mapping")
	// ErrClosed is returned for what was closed or released before.
	ErrClosed = errors.New("closed")
)
