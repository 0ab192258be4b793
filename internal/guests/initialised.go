package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
)

// Initialised says what a command does when it is initialised. Its start function gets
// and keeps the standard output, to which it writes "initialising\n", the standard input
// and the directories, and notes a random number and the time. It exports wasi:cli/run,
// which writes the greeting to what was kept, and
//
//	drawn, started: func() -> u64    // the random number and the time that were noted
//	draw, now: func() -> u64         // others
//	directories: func() -> u32       // how many were kept
//	same: func() -> bool             // whether the first one kept is the same as itself
//	arguments: func() -> u32         // how many there are
type Initialised struct {
	Once bool
	// Subscribe has it keep a pollable of the standard input, too, which can't be part of
	// a snapshot.
	Subscribe bool
	// Trap has it trap in the end.
	Trap bool
}

// Component writes the component.
func (o Initialised) Component() []byte {
	inputStream, pollable, descriptor := abi.GuestResource("input-stream"), abi.GuestResource("pollable"), abi.GuestResource("descriptor")
	directories := abi.List(abi.Tuple(abi.Own(descriptor), abi.String))
	u64 := abi.Function(nil, abi.U64)
	both := streams
	both.Resources = append([]*abi.Resource{inputStream}, streams.Resources...)
	both.Funcs = append(append([]abi.Func(nil), streams.Funcs...), abi.Func{Name: "[method]input-stream.subscribe",
		Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(inputStream))}, abi.Own(pollable))})
	const subscribe, getStdout, getStdin, sameObject, getDirectories, draw, now, getArguments = 1, 2, 3, 4, 5, 6, 7, 8
	// Where it keeps things.
	const stdoutAt, stdinAt, listAt, drawnAt, startedAt, argumentsAt = 64, 68, 72, 80, 88, 96
	store64 := func(at int32, v Code) Code { return Seq(I32(at), v, Code{0x37, 0x03, 0x00}) }
	load64 := func(at int32) Code { return Seq(I32(at), Code{0x29, 0x03, 0x00}) }
	const hello = "initialising\n"
	start := Seq(
		Call(getStdout), Set(0), I32(stdoutAt), Get(0), Store(0), write(2048, int32(len(hello))),
		I32(stdinAt), Call(getStdin), Store(0),
		I32(listAt), Call(getDirectories),
		store64(drawnAt, Call(draw)), store64(startedAt, Call(now)),
	)
	if o.Subscribe {
		start = Seq(start, I32(stdinAt), Load(0), Call(subscribe), Drop)
	}
	if o.Trap {
		start = Seq(start, Unreachable)
	}
	first := Seq(I32(listAt), Load(0), Load(0))
	g := &Guest{
		Once: o.Once,
		Imports: []abi.Interface{
			ioErrors,
			{Name: "wasi:io/poll@0.2.0", Resources: []*abi.Resource{pollable}},
			both, stdout,
			{Name: "wasi:cli/stdin@0.2.0", Funcs: []abi.Func{{Name: "get-stdin", Type: abi.Function(nil, abi.Own(inputStream))}}},
			{Name: "wasi:filesystem/types@0.2.0", Resources: []*abi.Resource{descriptor}, Funcs: []abi.Func{
				{Name: "[method]descriptor.is-same-object", Type: abi.Function(
					[]abi.Field{abi.F("self", abi.Borrow(descriptor)), abi.F("other", abi.Borrow(descriptor))}, abi.Bool)}}},
			{Name: "wasi:filesystem/preopens@0.2.0", Funcs: []abi.Func{{Name: "get-directories", Type: abi.Function(nil, directories)}}},
			{Name: "wasi:random/random@0.2.0", Funcs: []abi.Func{{Name: "get-random-u64", Type: u64}}},
			{Name: "wasi:clocks/monotonic-clock@0.2.0", Funcs: []abi.Func{{Name: "now", Type: u64}}},
			{Name: "wasi:cli/environment@0.2.0", Funcs: []abi.Func{{Name: "get-arguments", Type: abi.Function(nil, abi.List(abi.String))}}},
		},
		Data: []Data{{At: 1024, Bytes: greeting}, {At: 2048, Bytes: hello}},
		Funcs: []Func{
			{Name: "run", Results: i32, Locals: 1, Body: Seq(I32(stdoutAt), Load(0), Set(0), write(1024, int32(len(greeting))), I32(0))},
			{Name: "drawn", Results: i64, Body: load64(drawnAt)},
			{Name: "started", Results: i64, Body: load64(startedAt)},
			{Name: "draw", Results: i64, Body: Call(draw)},
			{Name: "now", Results: i64, Body: Call(now)},
			{Name: "directories", Results: i32, Body: Seq(I32(listAt), Load(4))},
			{Name: "same", Results: i32, Body: Seq(first, first, Call(sameObject))},
			{Name: "arguments", Results: i32, Body: Seq(I32(argumentsAt), Call(getArguments), I32(argumentsAt), Load(4))},
			{Start: true, Locals: 1, Body: start},
		},
		Exports: []Export{
			{Interface: "wasi:cli/run@0.2.0", Name: "run", Type: runResult, Core: "run"},
			{Name: "same", Type: abi.Function(nil, abi.Bool), Core: "same"},
		},
	}
	for _, f := range g.Funcs[1:8] {
		if f.Name == "same" {
			continue
		}
		ft := abi.Function(nil, abi.U32)
		if f.Results[0] == i64[0] {
			ft = u64
		}
		g.Exports = append(g.Exports, Export{Name: f.Name, Type: ft, Core: f.Name})
	}
	return g.Component()
}
