package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
)

// The parts of WASI 0.2 that guests here use, as WIT has them.
var (
	ioError      = abi.GuestResource("error")
	outputStream = abi.GuestResource("output-stream")
	streamError  = abi.Variant(abi.C("last-operation-failed", abi.Own(ioError)), abi.C("closed", nil))

	ioErrors = abi.Interface{Name: "wasi:io/error@0.2.0", Resources: []*abi.Resource{ioError}}
	streams  = abi.Interface{Name: "wasi:io/streams@0.2.0", Resources: []*abi.Resource{outputStream}, Funcs: []abi.Func{
		{Name: "[method]output-stream.blocking-write-and-flush", Type: abi.Function(
			[]abi.Field{abi.F("self", abi.Borrow(outputStream)), abi.F("contents", abi.List(abi.U8))},
			abi.ResultOf(nil, streamError))},
	}}
	stdout = abi.Interface{Name: "wasi:cli/stdout@0.2.0", Funcs: []abi.Func{
		{Name: "get-stdout", Type: abi.Function(nil, abi.Own(outputStream))},
	}}
	exit = abi.Interface{Name: "wasi:cli/exit@0.2.0", Funcs: []abi.Func{
		{Name: "exit", Type: abi.Function([]abi.Field{abi.F("status", abi.ResultOf(nil, nil))}, nil)},
	}}
	runResult = abi.Function(nil, abi.ResultOf(nil, nil))
)

// write calls function 0, blocking-write-and-flush, on the stream in local 0
// with n bytes at p; the result goes to address 32.
func write(p, n int32) Code { return Seq(Get(0), I32(p), I32(n), I32(32), Call(0)) }

const greeting = "Hello from a component!\n"

func command(after Code) []byte {
	g := &Guest{
		Imports: []abi.Interface{ioErrors, streams, stdout, exit},
		Drops:   []*abi.Resource{outputStream},
		Data:    []Data{{At: 1024, Bytes: greeting}},
		Funcs: []Func{{Name: "run", Results: i32, Locals: 1, Body: Seq(
			Call(1), Set(0), write(1024, int32(len(greeting))), Get(0), Call(3), after, I32(0))}},
		Exports: []Export{{Interface: "wasi:cli/run@0.2.0", Name: "run", Type: runResult, Core: "run"}},
	}
	return g.Component()
}

// Hello is a command that prints a greeting.
func Hello() []byte { return command(nil) }

// ExitFailure prints the greeting and exits with a failure.
func ExitFailure() []byte { return command(Seq(I32(1), Call(2))) }

// TrapAfterOutput prints the greeting and traps.
func TrapAfterOutput() []byte { return command(Unreachable) }

// SpinAfterOutput prints the greeting and never ends.
func SpinAfterOutput() []byte { return command(Loop(I32(1))) }

// GrowAfterOutput prints the greeting, asks for pages of memory and traps if it
// does not get them.
func GrowAfterOutput(pages int32) []byte {
	return command(Seq(I32(pages), MemoryGrow, I32(-1), Code{0x46}, If(Unreachable)))
}

// HelloHTTP answers every HTTP request with the greeting. For a request whose
// method is DELETE it traps, for PATCH after the greeting, for PUT it goes round an
// empty loop for ever.
func HelloHTTP() []byte { return HTTP{}.Component() }

// HTTP is HelloHTTP with more.
type HTTP struct {
	// Count has the first letter of the greeting become the next one in the alphabet
	// whenever it was sent.
	Count bool
	// Print has a start function print "initialising\n", and TrapStart trap.
	Print, TrapStart bool
	Once             bool // whether it is declared to be initialised once
}

// Component writes the component.
func (o HTTP) Component() []byte {
	fields, request := abi.GuestResource("fields"), abi.GuestResource("incoming-request")
	response, outparam := abi.GuestResource("outgoing-response"), abi.GuestResource("response-outparam")
	body := abi.GuestResource("outgoing-body")
	method := abi.Variant(abi.C("get", nil), abi.C("head", nil), abi.C("post", nil), abi.C("put", nil), abi.C("delete", nil),
		abi.C("connect", nil), abi.C("options", nil), abi.C("trace", nil), abi.C("patch", nil), abi.C("other", abi.String))
	types := abi.Interface{
		Name:      "wasi:http/types@0.2.0",
		Resources: []*abi.Resource{fields, request, response, outparam, body},
		Funcs: []abi.Func{
			{Name: "[constructor]fields", Type: abi.Function(nil, abi.Own(fields))},
			{Name: "[constructor]outgoing-response", Type: abi.Function([]abi.Field{abi.F("headers", abi.Own(fields))}, abi.Own(response))},
			{Name: "[method]outgoing-response.body", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(response))}, abi.ResultOf(abi.Own(body), nil))},
			{Name: "[method]outgoing-body.write", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(body))}, abi.ResultOf(abi.Own(outputStream), nil))},
			{Name: "[static]outgoing-body.finish", Type: abi.Function([]abi.Field{abi.F("this", abi.Own(body)), abi.F("trailers", abi.OptionOf(abi.Own(fields)))}, abi.ResultOf(nil, errorCode))},
			{Name: "[static]response-outparam.set", Type: abi.Function([]abi.Field{abi.F("param", abi.Own(outparam)), abi.F("response", abi.ResultOf(abi.Own(response), errorCode))}, nil)},
			{Name: "[method]incoming-request.method", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(request))}, method)},
		},
	}
	const (
		newFields, newResponse, responseBody, bodyWrite, bodyFinish, outparamSet, requestMethod = 1, 2, 3, 4, 5, 6, 7
	)
	dropStream, dropRequest, getStdout := uint32(8), uint32(9), uint32(8)
	zeros := func(n int) Code {
		var c Code
		for range n {
			c = append(c, I32(0)...)
		}
		return c
	}
	// set(outparam, ok(response)): the case and the handle, then the flat rest
	// of error-code, in which the fourth value is 64 bits wide.
	set := Seq(Get(1), I32(0), Get(2), zeros(1), I64(0), zeros(4), Call(outparamSet))
	imports := []abi.Interface{ioErrors, streams, types}
	if o.Print {
		imports = append(imports, stdout)
		dropStream, dropRequest = 9, 10
	}
	const letter, hello = 1024, "initialising\n"
	var count Code
	if o.Count {
		count = Seq(I32(letter), I32(letter), Code{0x2d, 0, 0}, I32(1), I32Add, Code{0x3a, 0, 0}) // i32.load8_u, i32.store8
	}
	g := &Guest{
		Once:    o.Once,
		Imports: imports,
		Drops:   []*abi.Resource{outputStream, request},
		Data:    []Data{{At: letter, Bytes: greeting}, {At: 2048, Bytes: hello}},
		Funcs: []Func{{Name: "handle", Params: twoI32, Locals: 3, Body: Seq(
			Get(0), I32(128), Call(requestMethod),
			I32(128), Code{0x2d, 0x00, 0x00}, Set(4), // i32.load8_u
			Get(4), I32(4), Code{0x46}, If(Unreachable), // i32.eq
			Get(4), I32(3), Code{0x46}, If(Loop(I32(1))),
			Get(0), Call(dropRequest),
			Call(newFields), Call(newResponse), Set(2),
			Get(2), I32(128), Call(responseBody), I32(128), Load(4), Set(3),
			set,
			Get(3), I32(128), Call(bodyWrite), I32(128), Load(4), Set(0),
			write(letter, int32(len(greeting))), count,
			Get(4), I32(8), Code{0x46}, If(Unreachable),
			Get(0), Call(dropStream),
			Get(3), zeros(2), I32(256), Call(bodyFinish),
		)}},
		Exports: []Export{{Interface: "wasi:http/incoming-handler@0.2.0", Name: "handle", Core: "handle", Type: abi.Function(
			[]abi.Field{abi.F("request", abi.Own(request)), abi.F("response-out", abi.Own(outparam))}, nil)}},
	}
	var start Code
	if o.Print {
		start = Seq(Call(getStdout), Set(0), write(2048, int32(len(hello))))
	}
	if o.TrapStart {
		start = Seq(start, Unreachable)
	}
	if start != nil {
		g.Funcs = append(g.Funcs, Func{Start: true, Locals: 1, Body: start})
	}
	return g.Component()
}

// errorCode is the variant of that name in wasi:http/types.
var errorCode = func() *abi.Type {
	size, size64 := abi.OptionOf(abi.U32), abi.OptionOf(abi.U64)
	text := abi.OptionOf(abi.String)
	dns := abi.Record(abi.F("rcode", text), abi.F("info-code", abi.OptionOf(abi.U16)))
	tls := abi.Record(abi.F("alert-id", abi.OptionOf(abi.U8)), abi.F("alert-message", text))
	field := abi.Record(abi.F("field-name", text), abi.F("field-size", size))
	return abi.Variant(
		abi.C("DNS-timeout", nil), abi.C("DNS-error", dns), abi.C("destination-not-found", nil),
		abi.C("destination-unavailable", nil), abi.C("destination-IP-prohibited", nil), abi.C("destination-IP-unroutable", nil),
		abi.C("connection-refused", nil), abi.C("connection-terminated", nil), abi.C("connection-timeout", nil),
		abi.C("connection-read-timeout", nil), abi.C("connection-write-timeout", nil), abi.C("connection-limit-reached", nil),
		abi.C("TLS-protocol-error", nil), abi.C("TLS-certificate-error", nil), abi.C("TLS-alert-received", tls),
		abi.C("HTTP-request-denied", nil), abi.C("HTTP-request-length-required", nil), abi.C("HTTP-request-body-size", size64),
		abi.C("HTTP-request-method-invalid", nil), abi.C("HTTP-request-URI-invalid", nil), abi.C("HTTP-request-URI-too-long", nil),
		abi.C("HTTP-request-header-section-size", size), abi.C("HTTP-request-header-size", abi.OptionOf(field)),
		abi.C("HTTP-request-trailer-section-size", size), abi.C("HTTP-request-trailer-size", field),
		abi.C("HTTP-response-incomplete", nil), abi.C("HTTP-response-header-section-size", size), abi.C("HTTP-response-header-size", field),
		abi.C("HTTP-response-body-size", size64), abi.C("HTTP-response-trailer-section-size", size), abi.C("HTTP-response-trailer-size", field),
		abi.C("HTTP-response-transfer-coding", text), abi.C("HTTP-response-content-coding", text), abi.C("HTTP-response-timeout", nil),
		abi.C("HTTP-upgrade-failed", nil), abi.C("HTTP-protocol-error", nil), abi.C("loop-detected", nil),
		abi.C("configuration-error", nil), abi.C("internal-error", text))
}()
