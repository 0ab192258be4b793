// Package message moves HTTP messages between net/http and wasi:http: header
// fields and bodies. What blocks lets other goroutines run.
package message

import (
	"net/http"
	"net/textproto"
	"strings"

	"github.com/ashlar-wasm/ashlar/guest/abi"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/types"
)

// hopByHop are the fields that belong to a connection, of which components
// know nothing: hosts refuse them.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true, "Expect": true,
}

// Header closes fields and returns what they hold.
func Header(f *types.Fields) http.Header {
	defer f.Close()
	h := http.Header{}
	for _, entry := range f.Entries() {
		name := textproto.CanonicalMIMEHeaderKey(entry.F0)
		h[name] = append(h[name], string(entry.F1))
	}
	return h
}

// Fields returns fields with all of a header but what belongs to a connection,
// and what the host does not let components set.
func Fields(h http.Header) *types.Fields {
	var entries []abi.Tuple2[string, []byte]
	for name, values := range h {
		if hopByHop[name] || strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, v := range values {
			entries = append(entries, abi.Tuple2[string, []byte]{F0: strings.ToLower(name), F1: []byte(v)})
		}
	}
	f, err := types.FieldsFromList(entries)
	if err == nil {
		return f
	}
	f = types.NewFields()
	for _, e := range entries {
		// One that is refused is left out, as net/http leaves out bad ones.
		_ = f.Append(e.F0, e.F1)
	}
	return f
}

// Method returns the name of a method.
func Method(m types.Method) string {
	switch m := m.(type) {
	case types.MethodGet:
		return http.MethodGet
	case types.MethodHead:
		return http.MethodHead
	case types.MethodPost:
		return http.MethodPost
	case types.MethodPut:
		return http.MethodPut
	case types.MethodDelete:
		return http.MethodDelete
	case types.MethodConnect:
		return http.MethodConnect
	case types.MethodOptions:
		return http.MethodOptions
	case types.MethodTrace:
		return http.MethodTrace
	case types.MethodPatch:
		return http.MethodPatch
	case types.MethodOther:
		return m.Value
	}
	return ""
}

// MethodOf returns the method of that name.
func MethodOf(name string) types.Method {
	switch name {
	case http.MethodGet, "":
		return types.MethodGet{}
	case http.MethodHead:
		return types.MethodHead{}
	case http.MethodPost:
		return types.MethodPost{}
	case http.MethodPut:
		return types.MethodPut{}
	case http.MethodDelete:
		return types.MethodDelete{}
	case http.MethodConnect:
		return types.MethodConnect{}
	case http.MethodOptions:
		return types.MethodOptions{}
	case http.MethodTrace:
		return types.MethodTrace{}
	case http.MethodPatch:
		return types.MethodPatch{}
	}
	return types.MethodOther{Value: name}
}
