package wasm

// opcode is the code of an instruction; of a prefixed one, the prefix is in the upper
// half.
type opcode uint32

const (
	opUnreachable        opcode = 0x00
	opNop                opcode = 0x01
	opBlock              opcode = 0x02
	opLoop               opcode = 0x03
	opIf                 opcode = 0x04
	opElse               opcode = 0x05
	opThrow              opcode = 0x08
	opThrowRef           opcode = 0x0a
	opEnd                opcode = 0x0b
	opBr                 opcode = 0x0c
	opBrIf               opcode = 0x0d
	opBrTable            opcode = 0x0e
	opReturn             opcode = 0x0f
	opCall               opcode = 0x10
	opCallIndirect       opcode = 0x11
	opReturnCall         opcode = 0x12
	opReturnCallIndirect opcode = 0x13
	opCallRef            opcode = 0x14
	opReturnCallRef      opcode = 0x15
	opDrop               opcode = 0x1a
	opSelect             opcode = 0x1b
	opSelectTyped        opcode = 0x1c
	opTryTable           opcode = 0x1f
	opLocalGet           opcode = 0x20
	opLocalSet           opcode = 0x21
	opLocalTee           opcode = 0x22
	opGlobalGet          opcode = 0x23
	opGlobalSet          opcode = 0x24
	opTableGet           opcode = 0x25
	opTableSet           opcode = 0x26
	opMemorySize         opcode = 0x3f
	opMemoryGrow         opcode = 0x40
	opI32Const           opcode = 0x41
	opI64Const           opcode = 0x42
	opF32Const           opcode = 0x43
	opF64Const           opcode = 0x44
	opRefNull            opcode = 0xd0
	opRefIsNull          opcode = 0xd1
	opRefFunc            opcode = 0xd2
	opRefAsNonNull       opcode = 0xd4
	opBrOnNull           opcode = 0xd5
	opBrOnNonNull        opcode = 0xd6

	opMemoryInit opcode = 0xfc_0008
	opDataDrop   opcode = 0xfc_0009
	opMemoryCopy opcode = 0xfc_000a
	opMemoryFill opcode = 0xfc_000b
	opTableInit  opcode = 0xfc_000c
	opElemDrop   opcode = 0xfc_000d
	opTableCopy  opcode = 0xfc_000e
	opTableGrow  opcode = 0xfc_000f
	opTableSize  opcode = 0xfc_0010
	opTableFill  opcode = 0xfc_0011

	opV128Const opcode = 0xfd_000c
	opShuffle   opcode = 0xfd_000d
)

// immediates is the form of what follows an opcode.
type immediates uint8

const (
	immUndefined immediates = iota // no such instruction
	immRefused                     // an instruction of a feature that is not represented
	immNone
	immIndex    // one index or label
	immTwo      // two indices
	immBlock    // block type
	immTryTable // block type and catch clauses
	immLabels   // br_table
	immTypes    // select
	immHeap     // heap type
	immI32
	immI64
	immF32
	immF64
	immV128
	immShuffle
	immLane
	immMem      // address in memory
	immMemLane  // address in memory, then a lane
	immReserved // a zero byte
)

// opInfo describes an instruction. The signature is meaningful for those whose operands
// do not depend on immediates other than the index type of a memory.
type opInfo struct {
	imm     immediates
	simple  bool // params and results are all there is to its typing
	nparams uint8
	// nresults is 0 to 2.
	nresults uint8
	// limit is the binary logarithm of the natural alignment of a memory access, or the
	// number of lanes.
	limit   uint8
	lanes   uint8 // immMemLane
	exact   bool  // alignment must be natural (atomics)
	feature Feature
	params  [4]ValType
	results [2]ValType
}

// address stands for the index type of the memory in signatures.
const address ValType = 1

var (
	opsPlain = tableOf(256, plainOps)
	opsBulk  = tableOf(32, bulkOps)
	opsSIMD  = tableOf(0x114, simdOps)
	opsAtom  = tableOf(0x4f, atomicOps)
)

// opRange gives the same description to the opcodes first to last. In signatures i, I,
// f, F and v are the number and vector types and a is the index type of the memory.
type opRange struct {
	first, last int
	sig         string
	info        opInfo
}

func tableOf(size int, ranges []opRange) []opInfo {
	letters := map[rune]ValType{'i': I32, 'I': I64, 'f': F32, 'F': F64, 'v': V128, 'a': address}
	table := make([]opInfo, size)
	for _, r := range ranges {
		info := r.info
		if info.imm == immUndefined {
			info.imm = immNone
		}
		results := false
		for _, c := range r.sig {
			info.simple = true
			switch {
			case c == '>':
				results = true
			case results:
				info.results[info.nresults] = letters[c]
				info.nresults++
			default:
				info.params[info.nparams] = letters[c]
				info.nparams++
			}
		}
		for op := r.first; op <= r.last; op++ {
			table[op] = info
		}
	}
	return table
}

func mem(align uint8) opInfo { return opInfo{imm: immMem, limit: align} }

func imm(form immediates) opInfo { return opInfo{imm: form} }

func refused(f Feature) opInfo { return opInfo{imm: immRefused, feature: f} }

var plainOps = []opRange{
	{0x00, 0x01, "", imm(immNone)},
	{0x02, 0x04, "", imm(immBlock)},
	{0x05, 0x05, "", imm(immNone)},
	{0x06, 0x07, "", refused(LegacyExceptions)},
	{0x08, 0x08, "", imm(immIndex)},
	{0x09, 0x09, "", refused(LegacyExceptions)},
	{0x0a, 0x0b, "", imm(immNone)},
	{0x0c, 0x0d, "", imm(immIndex)},
	{0x0e, 0x0e, "", imm(immLabels)},
	{0x0f, 0x0f, "", imm(immNone)},
	{0x10, 0x10, "", imm(immIndex)},
	{0x11, 0x11, "", imm(immTwo)},
	{0x12, 0x12, "", imm(immIndex)},
	{0x13, 0x13, "", imm(immTwo)},
	{0x14, 0x15, "", imm(immIndex)},
	{0x18, 0x19, "", refused(LegacyExceptions)},
	{0x1a, 0x1b, "", imm(immNone)},
	{0x1c, 0x1c, "", imm(immTypes)},
	{0x1f, 0x1f, "", imm(immTryTable)},
	{0x20, 0x26, "", imm(immIndex)},
	{0x28, 0x28, "a>i", mem(2)},
	{0x29, 0x29, "a>I", mem(3)},
	{0x2a, 0x2a, "a>f", mem(2)},
	{0x2b, 0x2b, "a>F", mem(3)},
	{0x2c, 0x2d, "a>i", mem(0)},
	{0x2e, 0x2f, "a>i", mem(1)},
	{0x30, 0x31, "a>I", mem(0)},
	{0x32, 0x33, "a>I", mem(1)},
	{0x34, 0x35, "a>I", mem(2)},
	{0x36, 0x36, "ai>", mem(2)},
	{0x37, 0x37, "aI>", mem(3)},
	{0x38, 0x38, "af>", mem(2)},
	{0x39, 0x39, "aF>", mem(3)},
	{0x3a, 0x3a, "ai>", mem(0)},
	{0x3b, 0x3b, "ai>", mem(1)},
	{0x3c, 0x3c, "aI>", mem(0)},
	{0x3d, 0x3d, "aI>", mem(1)},
	{0x3e, 0x3e, "aI>", mem(2)},
	{0x3f, 0x40, "", imm(immIndex)},
	{0x41, 0x41, ">i", imm(immI32)},
	{0x42, 0x42, ">I", imm(immI64)},
	{0x43, 0x43, ">f", imm(immF32)},
	{0x44, 0x44, ">F", imm(immF64)},
	{0x45, 0x45, "i>i", opInfo{}},
	{0x46, 0x4f, "ii>i", opInfo{}},
	{0x50, 0x50, "I>i", opInfo{}},
	{0x51, 0x5a, "II>i", opInfo{}},
	{0x5b, 0x60, "ff>i", opInfo{}},
	{0x61, 0x66, "FF>i", opInfo{}},
	{0x67, 0x69, "i>i", opInfo{}},
	{0x6a, 0x78, "ii>i", opInfo{}},
	{0x79, 0x7b, "I>I", opInfo{}},
	{0x7c, 0x8a, "II>I", opInfo{}},
	{0x8b, 0x91, "f>f", opInfo{}},
	{0x92, 0x98, "ff>f", opInfo{}},
	{0x99, 0x9f, "F>F", opInfo{}},
	{0xa0, 0xa6, "FF>F", opInfo{}},
	{0xa7, 0xa7, "I>i", opInfo{}},
	{0xa8, 0xa9, "f>i", opInfo{}},
	{0xaa, 0xab, "F>i", opInfo{}},
	{0xac, 0xad, "i>I", opInfo{}},
	{0xae, 0xaf, "f>I", opInfo{}},
	{0xb0, 0xb1, "F>I", opInfo{}},
	{0xb2, 0xb3, "i>f", opInfo{}},
	{0xb4, 0xb5, "I>f", opInfo{}},
	{0xb6, 0xb6, "F>f", opInfo{}},
	{0xb7, 0xb8, "i>F", opInfo{}},
	{0xb9, 0xba, "I>F", opInfo{}},
	{0xbb, 0xbb, "f>F", opInfo{}},
	{0xbc, 0xbc, "f>i", opInfo{}},
	{0xbd, 0xbd, "F>I", opInfo{}},
	{0xbe, 0xbe, "i>f", opInfo{}},
	{0xbf, 0xbf, "I>F", opInfo{}},
	{0xc0, 0xc1, "i>i", opInfo{}},
	{0xc2, 0xc4, "I>I", opInfo{}},
	{0xd0, 0xd0, "", imm(immHeap)},
	{0xd1, 0xd1, "", imm(immNone)},
	{0xd2, 0xd2, "", imm(immIndex)},
	{0xd3, 0xd3, "", refused(GC)},
	{0xd4, 0xd4, "", imm(immNone)},
	{0xd5, 0xd6, "", imm(immIndex)},
	{0xe0, 0xe6, "", refused(StackSwitching)},
	{0xfb, 0xfb, "", refused(GC)},
}

// bulkOps are the instructions with the prefix 0xfc.
var bulkOps = []opRange{
	{0, 1, "f>i", opInfo{}},
	{2, 3, "F>i", opInfo{}},
	{4, 5, "f>I", opInfo{}},
	{6, 7, "F>I", opInfo{}},
	{8, 8, "", imm(immTwo)},
	{9, 9, "", imm(immIndex)},
	{10, 10, "", imm(immTwo)},
	{11, 11, "", imm(immIndex)},
	{12, 12, "", imm(immTwo)},
	{13, 13, "", imm(immIndex)},
	{14, 14, "", imm(immTwo)},
	{15, 17, "", imm(immIndex)},
	{18, 18, "", refused(MemoryControl)},
	{19, 20, "IIII>II", opInfo{feature: WideArithmetic}},
	{21, 22, "II>II", opInfo{feature: WideArithmetic}},
}

func lane(n uint8) opInfo { return opInfo{imm: immLane, limit: n} }

func memLane(align, lanes uint8) opInfo {
	return opInfo{imm: immMemLane, limit: align, lanes: lanes}
}

// simdOps are the instructions with the prefix 0xfd.
var simdOps = []opRange{
	{0, 0, "a>v", mem(4)},
	{1, 6, "a>v", mem(3)},
	{7, 7, "a>v", mem(0)},
	{8, 8, "a>v", mem(1)},
	{9, 9, "a>v", mem(2)},
	{10, 10, "a>v", mem(3)},
	{11, 11, "av>", mem(4)},
	{12, 12, ">v", imm(immV128)},
	{13, 13, "vv>v", imm(immShuffle)},
	{14, 14, "vv>v", opInfo{}},
	{15, 17, "i>v", opInfo{}},
	{18, 18, "I>v", opInfo{}},
	{19, 19, "f>v", opInfo{}},
	{20, 20, "F>v", opInfo{}},
	{21, 22, "v>i", lane(16)},
	{23, 23, "vi>v", lane(16)},
	{24, 25, "v>i", lane(8)},
	{26, 26, "vi>v", lane(8)},
	{27, 27, "v>i", lane(4)},
	{28, 28, "vi>v", lane(4)},
	{29, 29, "v>I", lane(2)},
	{30, 30, "vI>v", lane(2)},
	{31, 31, "v>f", lane(4)},
	{32, 32, "vf>v", lane(4)},
	{33, 33, "v>F", lane(2)},
	{34, 34, "vF>v", lane(2)},
	{35, 76, "vv>v", opInfo{}},
	{77, 77, "v>v", opInfo{}},
	{78, 81, "vv>v", opInfo{}},
	{82, 82, "vvv>v", opInfo{}},
	{83, 83, "v>i", opInfo{}},
	{84, 84, "av>v", memLane(0, 16)},
	{85, 85, "av>v", memLane(1, 8)},
	{86, 86, "av>v", memLane(2, 4)},
	{87, 87, "av>v", memLane(3, 2)},
	{88, 88, "av>", memLane(0, 16)},
	{89, 89, "av>", memLane(1, 8)},
	{90, 90, "av>", memLane(2, 4)},
	{91, 91, "av>", memLane(3, 2)},
	{92, 92, "a>v", mem(2)},
	{93, 93, "a>v", mem(3)},
	{94, 98, "v>v", opInfo{}},
	{99, 100, "v>i", opInfo{}},
	{101, 102, "vv>v", opInfo{}},
	{103, 106, "v>v", opInfo{}},
	{107, 109, "vi>v", opInfo{}},
	{110, 115, "vv>v", opInfo{}},
	{116, 117, "v>v", opInfo{}},
	{118, 121, "vv>v", opInfo{}},
	{122, 122, "v>v", opInfo{}},
	{123, 123, "vv>v", opInfo{}},
	{124, 129, "v>v", opInfo{}},
	{130, 130, "vv>v", opInfo{}},
	{131, 132, "v>i", opInfo{}},
	{133, 134, "vv>v", opInfo{}},
	{135, 138, "v>v", opInfo{}},
	{139, 141, "vi>v", opInfo{}},
	{142, 147, "vv>v", opInfo{}},
	{148, 148, "v>v", opInfo{}},
	{149, 153, "vv>v", opInfo{}},
	{155, 159, "vv>v", opInfo{}},
	{160, 161, "v>v", opInfo{}},
	{163, 164, "v>i", opInfo{}},
	{167, 170, "v>v", opInfo{}},
	{171, 173, "vi>v", opInfo{}},
	{174, 174, "vv>v", opInfo{}},
	{177, 177, "vv>v", opInfo{}},
	{181, 186, "vv>v", opInfo{}},
	{188, 191, "vv>v", opInfo{}},
	{192, 193, "v>v", opInfo{}},
	{195, 196, "v>i", opInfo{}},
	{199, 202, "v>v", opInfo{}},
	{203, 205, "vi>v", opInfo{}},
	{206, 206, "vv>v", opInfo{}},
	{209, 209, "vv>v", opInfo{}},
	{213, 223, "vv>v", opInfo{}},
	{224, 225, "v>v", opInfo{}},
	{227, 227, "v>v", opInfo{}},
	{228, 235, "vv>v", opInfo{}},
	{236, 237, "v>v", opInfo{}},
	{239, 239, "v>v", opInfo{}},
	{240, 247, "vv>v", opInfo{}},
	{248, 255, "v>v", opInfo{}},
	{0x100, 0x100, "vv>v", opInfo{feature: RelaxedSIMD}},
	{0x101, 0x104, "v>v", opInfo{feature: RelaxedSIMD}},
	{0x105, 0x10c, "vvv>v", opInfo{feature: RelaxedSIMD}},
	{0x10d, 0x112, "vv>v", opInfo{feature: RelaxedSIMD}},
	{0x113, 0x113, "vvv>v", opInfo{feature: RelaxedSIMD}},
}

func atomic(align uint8) opInfo { return opInfo{imm: immMem, limit: align, exact: true} }

// atomicOps are the instructions with the prefix 0xfe.
var atomicOps = func() []opRange {
	ops := []opRange{
		{0x00, 0x00, "ai>i", atomic(2)},
		{0x01, 0x01, "aiI>i", atomic(2)},
		{0x02, 0x02, "aII>i", atomic(3)},
		{0x03, 0x03, ">", imm(immReserved)},
	}
	// Seven widths: i32, i64, i32 of 8 and 16 bits, i64 of 8, 16 and 32 bits.
	aligns := [7]uint8{2, 3, 0, 1, 0, 1, 2}
	group := func(first int, sig32, sig64 string) {
		for i, align := range aligns {
			sig := sig32
			if i == 1 || i >= 4 {
				sig = sig64
			}
			ops = append(ops, opRange{first + i, first + i, sig, atomic(align)})
		}
	}
	group(0x10, "a>i", "a>I")
	group(0x17, "ai>", "aI>")
	for first := 0x1e; first <= 0x41; first += 7 {
		group(first, "ai>i", "aI>I")
	}
	group(0x48, "aii>i", "aII>I")
	return ops
}()
