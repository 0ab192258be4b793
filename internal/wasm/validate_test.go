package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// funcModule returns a module with one function of type [i32] -> [i32], with a memory, a
// table, globals (one mutable), and segments to refer to. The body is without its end.
func funcModule(body ...byte) []byte {
	code := append([]byte{1, 1, 0x7e}, body...) // local 1 is an i64
	code = append(code, 0x0b)
	return binaryModule(
		section(1, 2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0),
		section(3, 1, 0),
		section(4, 1, 0x70, 0, 4),
		section(5, 1, 0, 1),
		section(13, 1, 0, 1),
		section(6, 2, 0x7f, 0, 0x41, 7, 0x0b, 0x7e, 1, 0x42, 7, 0x0b),
		section(7, 1, 1, 'f', 0, 0),
		section(9, 1, 1, 0, 1, 0),
		section(12, 1),
		section(10, append(appendU32([]byte{1}, uint32(len(code))), code...)...),
		section(11, 1, 1, 1, 'x'),
	)
}

// bodyOffset is where the body given to funcModule starts.
var bodyOffset = bytes.Index(funcModule(0xaa, 0xbb, 0xcc, 0xdd), []byte{0xaa, 0xbb, 0xcc, 0xdd})

func validateBytes(in []byte) error {
	m, err := Decode(in)
	if err != nil {
		return err
	}
	return Validate(m)
}

func TestValidateFunctions(t *testing.T) {
	valid := map[string][]byte{
		"constant":      {0x41, 1},
		"unreachable":   {0x00},
		"after branch":  {0x41, 0, 0x0c, 0, 0x6a},
		"block":         {0x02, 0x7f, 0x41, 1, 0x0c, 0, 0x0b},
		"block type":    {0x20, 0, 0x02, 0, 0x41, 1, 0x6a, 0x0b},
		"loop":          {0x20, 0, 0x03, 0, 0x41, 1, 0x6a, 0x20, 0, 0x0d, 0, 0x0b},
		"if else":       {0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b},
		"if parameter":  {0x20, 0, 0x20, 0, 0x04, 0, 0x41, 1, 0x6a, 0x0b},
		"br_table":      {0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 0, 0x0b, 0x41, 0},
		"bottom select": {0x00, 0x1b},
		"select type":   {0xd2, 0, 0xd0, 0x70, 0x41, 0, 0x1c, 1, 0x70, 0x1a, 0x41, 0},
		"memory":        {0x41, 0, 0x28, 2, 0},
		"memory.init":   {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0, 0x41, 0},
		"memory.copy":   {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 10, 0, 0, 0x41, 0},
		"table.get":     {0x41, 0, 0x25, 0, 0xd1},
		"call_indirect": {0x41, 1, 0x41, 0, 0x11, 0, 0},
		"return_call":   {0x41, 1, 0x12, 0},
		"call_ref":      {0x41, 1, 0xd2, 0, 0x14, 0},
		"br_on_null":    {0x02, 0x40, 0xd0, 0, 0xd5, 0, 0x1a, 0x0b, 0x41, 0},
		"throw":         {0x08, 0},
		"try_table":     {0x02, 0x69, 0x1f, 0x40, 1, 3, 0, 0x0b, 0x00, 0x0b, 0x0a},
		"simd lane":     {0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfd, 21, 15},
		"atomic":        {0x41, 0, 0xfe, 0x10, 2, 0},
		"global.set":    {0x42, 1, 0x24, 1, 0x41, 0},
		"truncate":      {0x43, 0, 0, 0, 0, 0xfc, 0},
	}
	for name, body := range valid {
		if err := validateBytes(funcModule(body...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	invalid := []struct {
		name   string
		body   []byte
		offset int // in body
		rule   string
	}{
		{"nothing", nil, 0, "type mismatch"},
		{"wrong result", []byte{0x42, 1}, 2, "type mismatch"},
		{"left over", []byte{0x41, 1, 0x41, 1}, 4, "type mismatch"},
		{"operand", []byte{0x41, 1, 0x42, 1, 0x6a}, 4, "type mismatch"},
		{"below the block", []byte{0x41, 1, 0x02, 0x40, 0x1a, 0x0b}, 4, "type mismatch"},
		{"local", []byte{0x20, 2}, 0, "unknown local 2"},
		{"global", []byte{0x23, 2}, 0, "unknown global 2"},
		{"immutable", []byte{0x41, 1, 0x24, 0, 0x41, 0}, 2, "global is immutable"},
		{"function", []byte{0x10, 1}, 0, "unknown function 1"},
		{"type", []byte{0x02, 2, 0x0b}, 0, "unknown type 2"},
		{"table", []byte{0x41, 0, 0x25, 1}, 2, "unknown table 1"},
		{"memory", []byte{0x3f, 1}, 0, "unknown memory 1"},
		{"label", []byte{0x0c, 1}, 0, "unknown label 1"},
		{"tag", []byte{0x08, 1}, 0, "unknown tag 1"},
		{"data", []byte{0xfc, 9, 1}, 0, "unknown data segment 1"},
		{"element", []byte{0xfc, 13, 1}, 0, "unknown elem segment 1"},
		{"alignment", []byte{0x41, 0, 0x28, 3, 0}, 2, "alignment must not be larger than natural"},
		{"atomic alignment", []byte{0x41, 0, 0xfe, 0x10, 1, 0}, 2, "atomic instructions must always specify maximum alignment"},
		{"offset", []byte{0x41, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x10}, 2, "offset out of range"},
		{"lane", []byte{0x00, 0xfd, 21, 16}, 1, "invalid lane index"},
		{"shuffle", []byte{0x00, 0xfd, 13, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1, "invalid lane index"},
		{"select references", []byte{0xd0, 0x70, 0xd0, 0x70, 0x41, 0, 0x1b}, 6, "type mismatch"},
		{"select arity", []byte{0x00, 0x1c, 0}, 1, "invalid result arity"},
		{"else", []byte{0x05}, 0, "else found outside of an if block"},
		{"if without else", []byte{0x20, 0, 0x04, 0x7f, 0x41, 1, 0x0b}, 6, "type mismatch"},
		{"br_table arity", []byte{0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x41, 0}, 4, "type mismatch"},
		{"tail call", []byte{0x41, 0, 0x13, 1, 0}, 2, "type mismatch"},
		{"call_ref", []byte{0xd0, 0x70, 0x14, 1}, 2, "type mismatch"},
		{"catch", []byte{0x1f, 0x40, 1, 3, 0, 0x0b}, 0, "type mismatch"},
		{"after the end", []byte{0x41, 0, 0x0b, 0x41, 0}, 3, "unexpected end"},
		{"no end", []byte{0x02, 0x7f, 0x41, 0}, 5, "END opcode expected"},
	}
	for _, tt := range invalid {
		err := validateBytes(funcModule(tt.body...))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error is %v", tt.name, err)
			continue
		}
		// A body longer than the one of bodyOffset does not move: its size has one byte.
		if e.Rule != tt.rule || e.Offset != bodyOffset+tt.offset {
			t.Errorf("%s: error is %v at %d, want %q at %d", tt.name, err, e.Offset-bodyOffset, tt.rule, tt.offset)
		}
	}
}

func TestValidateModules(t *testing.T) {
	noCode := section(10, 0)
	types := section(1, 2, 0x60, 0, 0, 0x60, 0, 1, 0x7f)
	tests := []struct {
		name string
		in   []byte
		rule string // empty if valid
	}{
		{"empty", binaryModule(), ""},
		{"type refers to a later one", binaryModule(section(1, 1, 0x60, 1, 0x63, 1, 0)), "unknown type 1"},
		{"import of unknown type", binaryModule(section(2, 1, 0, 0, 0, 0)), "unknown type 0"},
		{"function of unknown type", binaryModule(section(3, 1, 0), section(10, 1, 2, 0, 0x0b)), "unknown type 0"},
		{"table limits", binaryModule(section(4, 1, 0x70, 1, 2, 1)), "size minimum must not be greater than maximum"},
		{"table of non-null", binaryModule(section(4, 1, 0x64, 0x70, 0, 0)), "type mismatch"},
		{"memory limits", binaryModule(section(5, 1, 1, 2, 1)), "size minimum must not be greater than maximum"},
		{"memory size", binaryModule(section(5, 1, 0, 0x81, 0x80, 4)), "memory size must be at most 65536 pages (4GiB)"},
		{"largest memory", binaryModule(section(5, 1, 0, 0x80, 0x80, 4)), ""},
		{"shared memory", binaryModule(section(5, 1, 2, 0)), "shared memory must have maximum"},
		{"tag with result", binaryModule(types, section(13, 1, 0, 1)), "non-empty tag result type"},
		{"global type", binaryModule(section(6, 1, 0x7f, 0, 0x42, 0, 0x0b)), "type mismatch"},
		{"global not constant", binaryModule(section(6, 1, 0x7f, 0, 0x41, 0, 0x45, 0x0b)), "constant expression required"},
		{"global extended constant", binaryModule(section(6, 1, 0x7f, 0, 0x41, 0, 0x41, 1, 0x6b, 0x0b)), ""},
		{"global of itself", binaryModule(section(6, 1, 0x7f, 0, 0x23, 0, 0x0b)), "unknown global 0"},
		{"global of mutable", binaryModule(section(2, 1, 0, 0, 3, 0x7f, 1), section(6, 1, 0x7f, 0, 0x23, 0, 0x0b)), "constant expression required"},
		{"export twice", binaryModule(section(5, 1, 0, 0), section(7, 2, 1, 'a', 2, 0, 1, 'a', 2, 0)), "duplicate export name"},
		{"export of nothing", binaryModule(section(7, 1, 1, 'a', 2, 0)), "unknown memory 0"},
		{"start of nothing", binaryModule(section(8, 0)), "unknown function 0"},
		{"start with result", binaryModule(types, section(3, 1, 1), section(8, 0), section(10, 1, 4, 0, 0x41, 0, 0x0b)), "start function"},
		{"element without table", binaryModule(section(9, 1, 0, 0x41, 0, 0x0b, 0)), "unknown table 0"},
		{"element of unknown function", binaryModule(section(9, 1, 1, 0, 1, 0)), "unknown function 0"},
		{"element type", binaryModule(section(4, 1, 0x6f, 0, 0), section(9, 1, 0, 0x41, 0, 0x0b, 0)), "type mismatch"},
		{"data without memory", binaryModule(section(11, 1, 0, 0x41, 0, 0x0b, 0)), "unknown memory 0"},
		{"data offset", binaryModule(section(5, 1, 0, 0), section(11, 1, 0, 0x42, 0, 0x0b, 0)), "type mismatch"},
		{"data count", binaryModule(types, section(3, 1, 0), section(10, 1, 5, 0, 0xfc, 9, 0, 0x0b), section(11, 1, 1, 0)), "data count section required"},
		{"undeclared reference", binaryModule(types, section(3, 1, 0), section(10, 1, 5, 0, 0xd2, 0, 0x1a, 0x0b)), "undeclared function reference"},
		{"too many locals", binaryModule(types, section(3, 1, 0), section(10, 1, 6, 1, 0xd1, 0x86, 3, 0x7f, 0x0b)), "too many locals"},
		{"unset local", binaryModule(types, section(3, 1, 0), section(10, 1, 8, 1, 1, 0x64, 0x70, 0x20, 0, 0x1a, 0x0b)), "uninitialized local"},
		{"no code", binaryModule(noCode), ""},
	}
	for _, tt := range tests {
		err := validateBytes(tt.in)
		var e *Error
		switch {
		case tt.rule == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.rule != "" && (!errors.As(err, &e) || e.Rule != tt.rule):
			t.Errorf("%s: error is %v, want %q", tt.name, err, tt.rule)
		}
	}
}

// TestValidateWork checks modules that are small and declare much.
func TestValidateWork(t *testing.T) {
	// 50,000 locals in each of 12,000 functions.
	functions := appendU32(nil, 12_000)
	code := appendU32(nil, 12_000)
	for range 12_000 {
		functions = append(functions, 0)
		code = append(code, 6, 1, 0xd0, 0x86, 3, 0x7f, 0x0b)
	}
	locals := binaryModule(section(1, 1, 0x60, 0, 0), section(3, functions...), section(10, code...))
	// Blocks with a thousand results.
	results := append(appendU32([]byte{1, 0x60, 0}, 1000), bytes.Repeat([]byte{0x7f}, 1000)...)
	body := append([]byte{0, 0x00}, bytes.Repeat([]byte{0x02, 0, 0x00, 0x0b, 0x00}, 300_000)...)
	body = append(body, 0x0b)
	blocks := binaryModule(section(1, results...), section(3, 1, 0), section(10, append(appendU32([]byte{1}, uint32(len(body))), body...)...))
	for name, in := range map[string][]byte{"locals": locals, "blocks": blocks} {
		err := validateBytes(in)
		var e *Error
		if !errors.As(err, &e) || e.Rule != "module is too complex to validate" {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestValidateUnsupported(t *testing.T) {
	tests := []struct {
		name    string
		in      []byte
		feature Feature
		valid   bool
	}{
		{"memory64", binaryModule(section(5, 1, 4, 0)), Memory64, true},
		{"memory64 with data at an i32", binaryModule(section(5, 1, 4, 0), section(11, 1, 0, 0x41, 0, 0x0b, 0)), Memory64, false},
		{"table64", binaryModule(section(4, 1, 0x70, 4, 0)), Memory64, true},
		{"two memories", binaryModule(section(5, 2, 0, 0, 0, 0)), MultiMemory, true},
		{"memory named in an access", funcModule(0x41, 0, 0x28, 0x42, 0, 0), MultiMemory, true},
		{"unknown memory named", funcModule(0x41, 0, 0x28, 0x42, 1, 0), MultiMemory, false},
		{"relaxed", funcModule(0x00, 0xfd, 0x80, 2, 0x1a, 0x41, 0), RelaxedSIMD, true},
		{"wide arithmetic", funcModule(0x00, 0xfc, 19, 0x1a, 0x1a, 0x41, 0), WideArithmetic, true},
		{"garbage collection", funcModule(0xfb, 0x1c), GC, true},
		{"recursive type", binaryModule(section(1, 1, 0x60, 1, 0x63, 0, 0)), RecursiveTypes, true},
		{"defined global", binaryModule(section(6, 2, 0x7f, 0, 0x41, 0, 0x0b, 0x7f, 0, 0x23, 0, 0x0b)), DefinedGlobals, true},
		{"large table", binaryModule(section(4, 1, 0x70, 0, 0x81, 0x80, 0x80, 0x40)), LargeTables, true},
		{"overlong code", funcModule(0x00, 0xfd, 0x8e, 0x00, 0x1a, 0x41, 0), LongOpcodes, true},
		{"page size", binaryModule(section(5, 1, 8, 1, 0)), CustomPageSizes, true},
		{"wrong page size", binaryModule(section(5, 1, 8, 1, 1)), CustomPageSizes, false},
	}
	for _, tt := range tests {
		err := validateBytes(tt.in)
		var u *UnsupportedError
		var e *Error
		if tt.valid && (!errors.As(err, &u) || u.Feature != tt.feature) || !tt.valid && !errors.As(err, &e) {
			t.Errorf("%s: error is %v", tt.name, err)
		}
	}
}

// TestValidateAgreesWithEngine changes bytes of small modules at random and compares the
// verdict with that of wazero. What we take it must take; what it takes we may refuse
// only for a bound of ours.
func TestValidateAgreesWithEngine(t *testing.T) {
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(
		api.CoreFeaturesV2|experimental.CoreFeaturesThreads|experimental.CoreFeaturesTailCall|
			experimental.CoreFeaturesExtendedConst|experimental.CoreFeaturesExceptionHandling|experimental.CoreFeaturesTypedFunctionReferences))
	defer runtime.Close(ctx)

	seeds := [][]byte{
		funcModule(0x20, 0, 0x02, 0, 0x41, 1, 0x6a, 0x0b),
		funcModule(0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b),
		funcModule(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 10, 0, 0, 0x41, 0, 0x28, 2, 0),
		funcModule(0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 0, 0x0b, 0x41, 0),
		funcModule(0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfd, 21, 15),
		funcModule(0x41, 1, 0x41, 0, 0x11, 0, 0),
		binaryModule(section(5, 1, 1, 0, 1), section(7, 1, 1, 'a', 2, 0), section(11, 1, 0, 0x41, 0, 0x0b, 1, 'x')),
	}
	random := rand.New(rand.NewPCG(1, 2))
	agreed, valid := 0, 0
	for range 20_000 {
		var in []byte
		if random.IntN(2) == 0 {
			in = bytes.Clone(seeds[random.IntN(len(seeds))])
			for range 1 + random.IntN(2) {
				in[8+random.IntN(len(in)-8)] = byte(random.UintN(256)) >> random.UintN(8)
			}
		} else {
			in = funcModule(randomBody(random)...)
		}
		ours := validateBytes(in)
		theirs := engineVerdict(ctx, runtime, in)
		if (ours == nil) == (theirs == nil) {
			agreed++
			if ours == nil {
				valid++
			}
			continue
		}
		if knownDifference(ours, theirs) {
			continue
		}
		t.Errorf("module %x\nours:   %v\nwazero: %v", in, ours, theirs)
	}
	if valid < 500 || agreed < 15_000 {
		t.Errorf("agreed on %d modules, %d of them valid: the test says little", agreed, valid)
	}
}

// randomBody returns instructions that are well formed, and often well typed since they
// cannot be reached.
func randomBody(random *rand.Rand) []byte {
	types := []byte{0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f}
	index := func() byte { return byte(random.IntN(3)) * byte(random.IntN(2)) }
	var body []byte
	for range 1 + random.IntN(4) {
		body = append(body, 0x00)
		var info opInfo
		switch random.IntN(4) {
		case 0, 1:
			op := byte(random.IntN(0xd7))
			info = opsPlain[op]
			body = append(body, op)
		case 2:
			op := uint32(random.IntN(18))
			info = opsBulk[op]
			body = appendU32(append(body, 0xfc), op)
		case 3:
			op := uint32(random.IntN(256))
			info = opsSIMD[op]
			body = appendU32(append(body, 0xfd), op)
		}
		switch info.imm {
		case immIndex, immI32, immI64:
			body = append(body, index())
		case immTwo:
			body = append(body, index(), index())
		case immBlock:
			body = append(body, 0x40, 0x00, 0x0b)
		case immTryTable:
			body = append(body, 0x40, 1, byte(random.IntN(4)))
			if body[len(body)-1] < 2 {
				body = append(body, index())
			}
			body = append(body, index(), 0x00, 0x0b)
		case immLabels:
			body = append(body, 1, index(), index())
		case immTypes:
			body = append(body, 1, types[random.IntN(len(types))])
		case immHeap:
			body = append(body, types[5+random.IntN(2)])
		case immF32, immF64, immV128, immShuffle:
			size := map[immediates]int{immF32: 4, immF64: 8, immV128: 16, immShuffle: 16}[info.imm]
			for range size {
				body = append(body, byte(random.IntN(33)))
			}
		case immLane:
			body = append(body, byte(random.IntN(17)))
		case immMem:
			body = append(body, byte(random.IntN(5)), index())
		case immMemLane:
			body = append(body, byte(random.IntN(4)), index(), byte(random.IntN(17)))
		}
	}
	return append(body, 0x00)
}

// engineVerdict compiles a module with wazero, which panics on some invalid ones.
func engineVerdict(ctx context.Context, runtime wazero.Runtime, in []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	compiled, err := runtime.CompileModule(ctx, in)
	if err == nil {
		err = compiled.Close(ctx)
	}
	return err
}

// knownDifference tells differences that are wazero's.
func knownDifference(ours, theirs error) bool {
	in := func(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
	switch {
	case in(ours, "br_on_non_null of (ref bottom)"):
		return true // unreachable, to a label that takes a number
	case in(ours, "illegal opcode: 0xf"):
		return true // only the first byte after a prefix is looked at
	case in(theirs, "failed to read custom section name"):
		return true // custom sections don't make a module invalid
	}
	return false
}
