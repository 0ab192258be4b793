package packages

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseRegistry reads the name of a registry: a host, with a port if it has one. It
// returns it in lower case, as names of registries are compared. It need not exist:
// where the configuration says how a registry is reached, its name is a key.
func ParseRegistry(s string) (string, error) {
	invalid := func() (string, error) { return "", fmt.Errorf("registry %q: expected HOST[:PORT]", s) }
	if len(s) > maxName {
		return "", fmt.Errorf("registry: the name has %d bytes, more than %d", len(s), maxName)
	}
	host, port := splitPort(s)
	if host != s {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '+' {
			return invalid()
		}
	}
	if strings.HasPrefix(host, "[") {
		a, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(host, "]") {
			return invalid()
		}
		return strings.ToLower(s), nil
	}
	if host == "" {
		return invalid()
	}
	for i := range len(host) {
		if c := host[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~", rune(c)) {
			return invalid()
		}
	}
	return strings.ToLower(s), nil
}

// splitPort returns the host and, if there is a colon behind it, the port.
func splitPort(s string) (host, port string) {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.Contains(s[i:], "]") {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// isLoopback reports whether a registry is on this machine.
func isLoopback(registry string) bool {
	host, _ := splitPort(registry)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}
