package bind

import (
	"strings"

	"github.com/ashlar-wasm/ashlar/component/abi"
)

// aliases are the names by which interfaces use resources of others, or rename
// their own. They are part of an interface's type, so that guests ask for them.
var aliases = map[string]map[string]*abi.Resource{
	"wasi:cli/stderr":             {"output-stream": resourceOutputStream},
	"wasi:cli/stdin":              {"input-stream": resourceInputStream},
	"wasi:cli/stdout":             {"output-stream": resourceOutputStream},
	"wasi:cli/terminal-stderr":    {"terminal-output": resourceTerminalOutput},
	"wasi:cli/terminal-stdin":     {"terminal-input": resourceTerminalInput},
	"wasi:cli/terminal-stdout":    {"terminal-output": resourceTerminalOutput},
	"wasi:clocks/monotonic-clock": {"pollable": resourcePollable},
	"wasi:filesystem/preopens":    {"descriptor": resourceDescriptor},
	"wasi:filesystem/types": {
		"input-stream":  resourceInputStream,
		"output-stream": resourceOutputStream,
		"error":         resourceError,
	},
	"wasi:http/outgoing-handler": {
		"outgoing-request":         resourceOutgoingRequest,
		"request-options":          resourceRequestOptions,
		"future-incoming-response": resourceFutureIncomingResponse,
	},
	"wasi:http/types": {
		"input-stream":  resourceInputStream,
		"output-stream": resourceOutputStream,
		"io-error":      resourceError,
		"pollable":      resourcePollable,
		"headers":       resourceFields,
		"trailers":      resourceFields,
	},
	"wasi:io/streams":               {"error": resourceError, "pollable": resourcePollable},
	"wasi:sockets/instance-network": {"network": resourceNetwork},
	"wasi:sockets/ip-name-lookup":   {"pollable": resourcePollable, "network": resourceNetwork},
	"wasi:sockets/network":          {"error": resourceError},
	"wasi:sockets/tcp": {
		"input-stream":  resourceInputStream,
		"output-stream": resourceOutputStream,
		"pollable":      resourcePollable,
		"network":       resourceNetwork,
	},
	"wasi:sockets/tcp-create-socket": {"network": resourceNetwork, "tcp-socket": resourceTCPSocket},
	"wasi:sockets/udp":               {"pollable": resourcePollable, "network": resourceNetwork},
	"wasi:sockets/udp-create-socket": {"network": resourceNetwork, "udp-socket": resourceUDPSocket},
}

// WithAliases returns a registry that offers the aliases along with what it is
// given.
func WithAliases(r abi.Registry) abi.Registry { return aliasing{r} }

type aliasing struct{ abi.Registry }

func (a aliasing) Define(i abi.Interface) error {
	have := map[string]bool{}
	for _, r := range i.Resources {
		have[r.Name] = true
	}
	name, _, _ := strings.Cut(i.Name, "@")
	for alias, r := range aliases[name] {
		if !have[alias] {
			i.Resources = append(i.Resources, &abi.Resource{Name: alias, Type: r.Type})
		}
	}
	return a.Registry.Define(i)
}
