package p2

import (
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
)

// Imports returns the implementations of all interfaces but HTTP's for guests
// with these grants.
func Imports(g *grant.Set) bind.Imports {
	c, f, n := cli{g}, filesystem{g}, sockets{g.Network}
	return bind.Imports{
		Poll:            pollHost{g.Book},
		MonotonicClock:  monotonicClock{g.Clock},
		WallClock:       wallClock{g.Clock},
		Timezone:        timezone{g.Location},
		Random:          random{randomBytes{g.Random, g.Book}},
		Insecure:        insecure{randomBytes{g.Insecure, g.Book}},
		InsecureSeed:    insecure{randomBytes{g.Insecure, g.Book}},
		Environment:     c,
		Exit:            c,
		Stdin:           c,
		Stdout:          c,
		Stderr:          c,
		TerminalStdin:   c,
		TerminalStdout:  c,
		TerminalStderr:  c,
		FilesystemTypes: f,
		Preopens:        f,
		Network:         n,
		InstanceNetwork: n,
		TCPCreateSocket: n,
		UDPCreateSocket: n,
		IPNameLookup:    n,
	}
}
