package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// More of WASI 0.2, as far as hostile guests use it.
var (
	pollable = abi.GuestResource("pollable")
	polling  = abi.Interface{Name: "wasi:io/poll@0.2.0", Resources: []*abi.Resource{pollable}, Funcs: []abi.Func{
		{Name: "poll", Type: abi.Function([]abi.Field{abi.F("in", abi.List(abi.Borrow(pollable)))}, abi.List(abi.U32))},
	}}
	clock = abi.Interface{Name: "wasi:clocks/monotonic-clock@0.2.0", Funcs: []abi.Func{
		{Name: "now", Type: abi.Function(nil, abi.U64)},
		{Name: "subscribe-duration", Type: abi.Function([]abi.Field{abi.F("when", abi.U64)}, abi.Own(pollable))},
	}}
	random = abi.Interface{Name: "wasi:random/random@0.2.0", Funcs: []abi.Func{
		{Name: "get-random-bytes", Type: abi.Function([]abi.Field{abi.F("len", abi.U64)}, abi.List(abi.U8))},
	}}
	fields     = abi.GuestResource("fields")
	fieldError = abi.Variant(abi.C("invalid-syntax", nil), abi.C("forbidden", nil), abi.C("immutable", nil))
	fieldValue = abi.List(abi.U8)
	httpFields = abi.Interface{Name: "wasi:http/types@0.2.0", Resources: []*abi.Resource{fields}, Funcs: []abi.Func{
		{Name: "[constructor]fields", Type: abi.Function(nil, abi.Own(fields))},
		{Name: "[static]fields.from-list", Type: abi.Function([]abi.Field{abi.F("entries", abi.List(abi.Tuple(abi.String, fieldValue)))},
			abi.ResultOf(abi.Own(fields), fieldError))},
		{Name: "[method]fields.set", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(fields)), abi.F("name", abi.String),
			abi.F("value", abi.List(fieldValue))}, abi.ResultOf(nil, fieldError))},
	}}
	tcpSocket = abi.GuestResource("tcp-socket")
	netError  = abi.Enum("unknown", "access-denied", "not-supported", "invalid-argument", "out-of-memory", "timeout", "concurrency-conflict",
		"not-in-progress", "would-block", "invalid-state", "new-socket-limit", "address-not-bindable", "address-in-use", "remote-unreachable",
		"connection-refused", "connection-reset", "connection-aborted", "datagram-too-large", "name-unresolvable", "temporary-resolver-failure",
		"permanent-resolver-failure")
	tcp       = abi.Interface{Name: "wasi:sockets/tcp@0.2.0", Resources: []*abi.Resource{tcpSocket}}
	createTCP = abi.Interface{Name: "wasi:sockets/tcp-create-socket@0.2.0", Funcs: []abi.Func{
		{Name: "create-tcp-socket", Type: abi.Function([]abi.Field{abi.F("address-family", abi.Enum("ipv4", "ipv6"))},
			abi.ResultOf(abi.Own(tcpSocket), netError))},
	}}
)

// hostileValues call the host, have it call them, and give it much to hold.
func hostileValues() []Hostile {
	calls := func(body Code, drops []*abi.Resource, imports ...abi.Interface) []byte {
		g := &Guest{
			Imports: imports, Drops: drops,
			Data:    []Data{{At: 64, Bytes: "a"}},
			Funcs:   []Func{{Name: "run", Results: i32, Locals: 3, Body: body}},
			Exports: []Export{{Interface: cliRun, Name: "run", Type: runResult, Core: "run"}},
		}
		return g.Component()
	}
	return []Hostile{
		{Name: "host-calls", Does: "calls the host in a loop, to ask for the time", Bytes: calls(Forever(Seq(Call(1), Drop)), nil, polling, clock)},
		{Name: "host-slow", Does: "asks the host for 64 KiB of random bytes in a loop", Bytes: slowHost()},
		{Name: "alternate-host", Does: "does a million cheap units, then asks the host for random bytes", Bytes: alternateHost()},
		{Name: "host-output", Does: "writes to the standard output without end",
			Bytes: calls(Seq(Call(1), Set(0), Forever(write(1024, 3072))), nil, ioErrors, streams, stdout)},
		{Name: "host-wait", Does: "waits for a pollable that gets ready in 500 years", Waits: true,
			Bytes: calls(Forever(Seq(I32(128), I64(1<<62), Call(2), Store(0), I32(128), I32(1), I32(32), Call(0))), nil, polling, clock)},
		{Name: "poll-many", Does: "polls the same pollable 100,000 times at once", Limit: "pollables to poll", Bytes: calls(Seq(
			I32(8), MemoryGrow, Drop,
			I32(100_000), Set(0), I64(1<<62), Call(2), Set(1),
			again(0, Seq(I32(65532), Get(0), I32(2), i32Shl, I32Add, Get(1), Store(0))),
			Forever(Seq(I32(65536), I32(100_000), I32(32), Call(0)))), nil, polling, clock)},
		{Name: "loop-realloc", Does: "goes round a loop when the host asks it for memory", Bytes: inRealloc()},
		{Name: "loop-post-return", Does: "goes round a loop in post-return", Bytes: inPostReturn()},
		{Name: "loop-destructor", Does: "goes round a loop in the destructor of a resource", Bytes: resources(
			Seq(I32(1), Call(0), Call(1), I32(0)), Seq(Forever(nil), Drop))},
		{Name: "recurse-destructor", Does: "drops a resource in the destructor of a resource, and so on", Limit: limit.Depth, Bytes: resources(
			Seq(I32(1), Call(0), Call(1), I32(0)), nil, inDestructor)},
		{Name: "handles", Does: "makes resources and drops none", Limit: limit.Handles, Bytes: resources(
			Forever(Seq(I32(1), Call(0), Drop)), nil)},
		{Name: "pollables", Does: "makes pollables and drops none", Limit: limit.Handles, Bytes: calls(Forever(Seq(I64(1<<62), Call(2), Drop)), nil, polling, clock)},
		{Name: "streams", Does: "makes streams and drops none", Limit: limit.Handles, Bytes: calls(Forever(Seq(Call(1), Drop)), nil, ioErrors, streams, stdout)},
		{Name: "sockets", Does: "makes sockets and drops none, also when it is refused", Bytes: calls(Forever(Seq(I32(0), I32(128), Call(0))), nil, tcp, createTCP)},
		{Name: "string-huge", Does: "gives the host the same large list 1,000 times in a list", Limit: limit.Host, Grows: true, Bytes: calls(Seq(
			grow(16), I32(1000), Set(0),
			// Each entry is a name of a letter, and half of the memory.
			again(0, Seq(
				Get(0), I32(4), i32Shl, I32(4096), I32Add, tee(1), I32(64), Store(0),
				Get(1), I32(1), Store(4), Get(1), I32(0), Store(8),
				Get(1), memoryBytes, I32(1), Code{0x76}, Store(12))), // i32.shr_u
			I32(4096+16), I32(1000), I32(32), Call(1), I32(0)), nil, httpFields)},
		{Name: "list-empty", Does: "gives the host as many empty lists as its memory holds", Limit: limit.Host, Grows: true, Bytes: calls(Seq(
			grow(16), Call(0), I32(64), I32(1), I32(65536), memoryBytes, I32(65536), I32Sub, I32(3), Code{0x76}, I32(32), Call(2), I32(0)),
			nil, httpFields)},
	}
}

const inDestructor = true

// resources is a command with a resource: it finds resource.new, which takes what the
// resource is known by, and resource.drop as functions 0 and 1.
func resources(body, destructor Code, drops ...bool) []byte {
	b := NewBuilder()
	r := abi.GuestResource("r")
	m := &CoreModule{}
	m.ImportFunc("table", "call", i32, nil)
	m.Define(&Func{Name: "dtor", Params: i32, Body: Seq(Get(0), Call(0))})
	// The destructor comes before resource.new, so it reaches that through a table.
	relay := &CoreModule{}
	relay.Define(&Func{Name: "call", Params: i32, Body: Seq(Get(0), I32(0), Code{0x11, 0x00, 0x00})})
	relay.table(1)
	relay.Exports = append(relay.Exports, tableExport)
	table := b.instance(relay)
	dtor := b.CoreAlias(binary.SortCoreFunc, b.instance(m, binary.CoreArg{Name: "table", Instance: table}), "dtor")
	b.Resource(r, &dtor)
	fresh, drop := b.ResourceNew(r), b.ResourceDrop(r)
	c := &CoreModule{}
	c.ImportFunc("host", "new", i32, i32)
	c.ImportFunc("host", "drop", i32, nil)
	c.Imports = append(c.Imports, tableImport)
	if len(drops) > 0 {
		destructor = Seq(Get(0), Call(0), Call(1))
	}
	c.Define(&Func{Name: "run", Results: i32, Body: body})
	c.Define(&Func{Params: i32, Body: destructor})
	c.Elements = tableElement(3)
	host := b.Def(&binary.CoreInstance{Inline: true, Exports: []binary.CoreItem{
		{Name: "new", SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: fresh.Index}},
		{Name: "drop", SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: drop.Index}},
	}})
	b.command(b.instance(c, binary.CoreArg{Name: "host", Instance: host}, binary.CoreArg{Name: "table", Instance: table}))
	return b.Bytes()
}

// inRealloc has a realloc that never returns.
func inRealloc() []byte {
	b := NewBuilder()
	libc := b.Libc(nil, 1)
	libc.Realloc = b.CoreAlias(binary.SortCoreFunc, b.Core(libc, []Func{
		{Name: "realloc", Params: append(twoI32, twoI32...), Results: i32, Body: Forever(nil)},
	}), "realloc")
	inst := b.ImportInstance(random)
	f := random.Funcs[0]
	get := b.Lower(b.Alias(binary.SortFunc, inst, f.Name), f.Type, libc.Options()...)
	b.command(b.Core(libc, []Func{{Name: "run", Results: i32, Body: Seq(I64(16), I32(128), Call(0), I32(0))}}, get))
	return b.Bytes()
}

// reusing is a command that calls an imported function with a realloc that gives
// the same memory each time.
func reusing(iface abi.Interface, body Code) []byte {
	b := NewBuilder()
	libc := boundaryLibc(b)
	inst := b.ImportInstance(iface)
	f := iface.Funcs[0]
	get := b.Lower(b.Alias(binary.SortFunc, inst, f.Name), f.Type, libc.Options()...)
	b.command(b.Core(libc, []Func{{Name: "run", Results: i32, Locals: 1, Body: body}}, get))
	return b.Bytes()
}

func slowHost() []byte { return reusing(random, Forever(Seq(I64(64<<10), I32(128), Call(0)))) }

func alternateHost() []byte {
	return reusing(random, Forever(Seq(I32(250_000), Set(0), again(0, Code{0x01}),
		I32(100), Set(0), again(0, Seq(I64(64<<10), I32(128), Call(0))))))
}

func inPostReturn() []byte {
	b := NewBuilder()
	core := b.instance(hostileModule(0, Func{Body: I32(0)}, Func{Name: "post", Params: i32, Body: Seq(Forever(nil), Drop)}))
	b.command(core, binary.CanonOpt{Kind: binary.OptPostReturn, Index: b.CoreAlias(binary.SortCoreFunc, core, "post")})
	return b.Bytes()
}
