package bindgen

import (
	"fmt"
	"go/token"
	"go/types"
	"strings"
)

// initialisms are words that Go writes in one case.
var initialisms = map[string]string{
	"api": "API", "ascii": "ASCII", "cli": "CLI", "cpu": "CPU", "css": "CSS", "dns": "DNS", "eof": "EOF", "gid": "GID",
	"html": "HTML", "http": "HTTP", "https": "HTTPS", "id": "ID", "io": "IO", "ip": "IP", "ipv4": "IPv4",
	"ipv6": "IPv6", "json": "JSON", "os": "OS", "rpc": "RPC", "sql": "SQL", "tcp": "TCP", "tls": "TLS",
	"ttl": "TTL", "udp": "UDP", "uid": "UID", "uri": "URI", "url": "URL", "utc": "UTC", "utf8": "UTF8",
	"uuid": "UUID", "xml": "XML",
}

// exported returns the exported Go name of a WIT identifier.
func exported(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		if s := initialisms[strings.ToLower(word)]; s != "" {
			b.WriteString(s)
		} else if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// unexported returns the Go name of a WIT identifier for a parameter or
// variable. It is no keyword and none of the taken names.
func unexported(name string, taken ...string) string {
	first, rest, _ := strings.Cut(name, "-")
	s := strings.ToLower(first) + exported(rest)
	for token.IsKeyword(s) || contains(taken, s) {
		s += "_"
	}
	return s
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// nameSet hands out names that are unique in a scope.
type nameSet map[string]bool

// reserve takes the name if it is free.
func (s nameSet) reserve(name string) bool {
	if s[name] {
		return false
	}
	s[name] = true
	return true
}

// pick takes the first of the names that is free, or the last with underscores
// behind it.
func (s nameSet) pick(names ...string) string {
	for _, n := range names {
		if s.reserve(n) {
			return n
		}
	}
	n := names[len(names)-1]
	for !s.reserve(n) {
		n += "_"
	}
	return n
}

// pickInner takes a name that no parameter has: it does not end with an
// underscore.
func (s nameSet) pickInner(name string) string {
	inner := name
	for n := 0; strings.HasSuffix(inner, "_") || !s.reserve(inner); n++ {
		inner = fmt.Sprintf("%s_%d", strings.TrimRight(name, "_"), n)
	}
	return inner
}

// shadows reports whether a parameter of that name could hide something that
// the body of a caller refers to. With an underscore behind it, it does not.
func shadows(name string) bool {
	switch name {
	case "abi", "context", "errors", "fmt", "strings", "e", "c", "s", "p", "args", "failure",
		"storeList", "loadList", "allocList", "setPair", "putPair":
		return true
	}
	if types.Universe.Lookup(name) != nil {
		return true
	}
	for _, prefix := range []string{"load", "store", "lift", "lower", "type", "resource", "import"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' && !strings.HasSuffix(rest, "_") {
			return true
		}
	}
	return false
}
