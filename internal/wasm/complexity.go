package wasm

import "fmt"

// These constants bound what a compiler may be asked to do. Its time and memory grow
// faster than the size of a function: with the square of the number of branches,
// with their product with the number of variables, and with the number of values that
// calls and branches take along, of which two bytes of code may name a thousand.
// Compiling a function can't be interrupted, so each one has to be bounded.
//
// Tables of branches count as half of their labels. In 416,000 functions by compilers of
// C, C++, Rust, Go and Zig, interpreters of Python and JavaScript among them, the most was
// 170,000 instructions, 12,000 branches, 800 open blocks, 1,500 locals, 710,000 branches
// times locals, and 12,000 values. A function within the bounds takes up to 10 seconds and
// 500 MB to compile.
const (
	maxFunctionInstructions = 500_000
	maxFunctionBranches     = 30_000
	maxFunctionDepth        = 4_000
	maxFunctionLocals       = 5_000     // with parameters
	maxFunctionVariables    = 2_000_000 // branches times locals
	maxFunctionValues       = 100_000   // taken along by calls and branches
	tableWeight             = 2
	// meterWeight is the branches that metering adds where it has to check.
	meterWeight = 3
)

// A module may take along a number of values in calls and branches that is in
// proportion to its code.
const (
	freeValues    = 4_000_000
	valuesPerByte = 4
)

// ComplexityError is a valid module that is too complex to compile.
type ComplexityError struct {
	Offset       int // of the function body
	What         string
	Found, Limit uint64
}

func (e *ComplexityError) Error() string {
	return fmt.Sprintf("at offset %#x: too complex to compile: %s: found %d or more, no more than %d are allowed",
		e.Offset, e.What, e.Found, e.Limit)
}

// CheckComplexity returns a [*ComplexityError] if a function of m, which is valid, is so
// complex that compiling it could take long or much memory. It takes time in proportion
// to the code.
func CheckComplexity(m *Module) error {
	c := complexity{m: m, space: m.Space()}
	var values, size uint64
	for i := range m.Code {
		if err := c.function(i); err != nil {
			return err
		}
		values += c.values
		size += uint64(len(m.Code[i].Code))
		if limit := freeValues + valuesPerByte*size; values > limit {
			return &ComplexityError{m.Code[i].Offset, "values of calls and branches in the module", values, limit}
		}
	}
	return nil
}

// complexity is that of one function.
type complexity struct {
	m     *Module
	space *Space
	in    instr
	// arity has the number of values that a branch to each open block takes along.
	arity []int

	instructions, branches, variables, values, locals uint64
}

func (c *complexity) function(index int) error {
	body := &c.m.Code[index]
	t := &c.m.Types[c.m.Functions[index].Type]
	c.instructions, c.branches, c.variables, c.values = 0, 0, 0, 0
	c.locals = uint64(len(t.Params))
	r := &reader{b: body.Code, base: body.Offset}
	for range r.count("locals", maxBody) {
		c.locals += uint64(r.u32())
		r.valType()
	}
	if err := c.check(body.Offset); err != nil {
		return err
	}
	c.arity = append(c.arity[:0], len(t.Results))
	labels := uint64(0)
	for len(c.arity) > 0 {
		r.instr(&c.in)
		if r.err != nil {
			return r.err
		}
		c.instructions++
		before := c.branches
		if c.in.op == opBrTable {
			labels += uint64(len(c.in.labels))
			c.branches += labels / tableWeight
			labels %= tableWeight
		}
		values := c.values
		if c.step(); c.branches == before && c.values == values && c.instructions <= maxFunctionInstructions {
			continue
		}
		c.variables += (c.branches - before) * c.locals
		if err := c.check(body.Offset); err != nil {
			return err
		}
	}
	return nil
}

// check compares what was counted until now with the bounds.
func (c *complexity) check(offset int) error {
	for _, x := range [...]struct {
		what         string
		found, limit uint64
	}{
		{"instructions in a function", c.instructions, maxFunctionInstructions},
		{"branches and blocks in a function", c.branches, maxFunctionBranches},
		{"blocks that are open at once", uint64(len(c.arity)), maxFunctionDepth},
		{"locals in a function", c.locals, maxFunctionLocals},
		{"branches times locals in a function", c.variables, maxFunctionVariables},
		{"values of calls and branches in a function", c.values, maxFunctionValues},
	} {
		if x.found > x.limit {
			return &ComplexityError{offset, x.what, x.found, x.limit}
		}
	}
	return nil
}

// step counts the current instruction.
func (c *complexity) step() {
	switch op := c.in.op; op {
	case opBlock, opLoop, opIf, opTryTable:
		params, results := c.blockType()
		c.branches++
		if op == opLoop {
			c.branches += meterWeight
		}
		c.values += uint64(params + results)
		label := results
		if op == opLoop {
			label = params
		}
		for _, clause := range c.in.catches {
			if op == opTryTable {
				c.branch(clause.label)
			}
		}
		c.arity = append(c.arity, label)
	case opElse:
		c.branches++
	case opEnd:
		c.arity = c.arity[:len(c.arity)-1]
	case opBr, opBrIf, opBrOnNull, opBrOnNonNull:
		c.branch(c.in.x)
	case opBrTable:
		for _, l := range c.in.labels {
			c.values += uint64(c.label(l))
		}
	case opReturn:
		c.values += uint64(c.arity[0])
	case opCall, opReturnCall:
		c.call(c.space.Funcs[c.in.x])
	case opCallIndirect, opReturnCallIndirect, opCallRef, opReturnCallRef:
		c.branches += meterWeight
		c.call(c.in.x)
	case opThrow:
		c.call(c.space.Tags[c.in.x])
	}
}

func (c *complexity) label(depth uint32) int { return c.arity[len(c.arity)-1-int(depth)] }

func (c *complexity) branch(depth uint32) {
	c.branches++
	c.values += uint64(c.label(depth))
}

func (c *complexity) call(typeIndex uint32) {
	t := &c.m.Types[typeIndex]
	c.values += uint64(len(t.Params) + len(t.Results))
}

func (c *complexity) blockType() (params, results int) {
	b := &c.in.block
	switch {
	case b.index >= 0:
		t := &c.m.Types[b.index]
		return len(t.Params), len(t.Results)
	case b.one:
		return 0, 1
	}
	return 0, 0
}
