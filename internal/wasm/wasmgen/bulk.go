package wasmgen

import "github.com/ashlar-wasm/ashlar/internal/wasm"

// bulk writes an instruction on a range of a memory or table.
func (f *fn) bulk() {
	if f.m.memory && (len(f.m.tables) == 0 || f.s.percent(60)) {
		f.memoryBulk()
		return
	}
	if len(f.m.tables) > 0 {
		f.tableBulk()
	}
}

// span chooses a length and a start within size; sometimes one beyond.
func (f *fn) span(size int, lengths []int) (at, length int32) {
	s := f.s
	n := pick(s, lengths)
	if n < 0 || s.percent(10) {
		n = s.below(size + 1)
	}
	if n > size {
		n = size
	}
	start := s.below(size - n + 1)
	switch s.below(40) {
	case 0:
		return int32(start), int32(size - start + 1) // one beyond the end
	case 1:
		return int32(start), -1
	case 2:
		return -1, int32(n)
	case 3:
		return int32(size), 0
	case 4:
		return int32(size + 1), 0
	case 5:
		return int32(start), 1<<31 - 1
	}
	return int32(start), int32(n)
}

// push32 pushes a constant, sometimes by way of a local that hides it.
func (f *fn) push32(v int32) {
	f.c.I32(v)
	if f.s.percent(30) {
		f.op(opLocalTee, f.newLocal(wasm.I32))
	}
}

var memoryLengths = []int{0, 1, 7, 64, 100, 1000, 4096, 65535, 65536, 65537, 200_000, 1 << 20, -1}

func (f *fn) memoryBulk() {
	s := f.s
	size := f.m.pages << 16
	at, n := f.span(size, memoryLengths)
	switch s.below(4) {
	case 0:
		f.push32(at)
		f.value(wasm.I32)
		f.push32(n)
		f.pop(1)
		f.c.Bulk(MemoryFill, 0)
	case 1, 2:
		from, _ := f.span(size, []int{int(max(0, n))})
		if s.percent(60) { // overlapping
			from = at + int32(s.between(-64, 64))
		}
		f.push32(at)
		f.push32(from)
		f.push32(n)
		f.c.Bulk(MemoryCopy, 0, 0)
	case 3:
		if f.m.data == 0 {
			return
		}
		i := s.below(f.m.data)
		if s.percent(15) {
			f.c.Prefixed(prefixBulk, DataDrop, uint32(i))
			return
		}
		from, n := f.span(len(f.m.Module.Data[i].Init), memoryLengths)
		if f.s.percent(90) {
			at = int32(s.below(max(1, size-int(n)+1)))
		}
		f.push32(at)
		f.push32(from)
		f.push32(n)
		f.c.Bulk(MemoryInit, uint32(i), 0)
	}
}

var tableLengths = []int{0, 1, 2, 3, 5, 8, 1000, -1}

func (f *fn) tableBulk() {
	s := f.s
	i := s.below(len(f.m.tables))
	t := f.m.tables[i]
	at, n := f.span(t.min, tableLengths)
	switch s.below(7) {
	case 0:
		f.element(i)
		f.value(t.elem)
		f.pop(2)
		f.op(opTableSet, uint32(i))
	case 1:
		f.value(t.elem)
		f.c.I32(pick(s, []int32{0, 1, 5, 30, -1, 1 << 30}))
		f.pop(1)
		f.c.Prefixed(prefixBulk, TableGrow, uint32(i))
		f.op(opDrop)
	case 2:
		f.push32(at)
		f.value(t.elem)
		f.push32(n)
		f.pop(1)
		f.c.Bulk(TableFill, uint32(i))
	case 3, 4:
		k := s.below(len(f.m.tables))
		if f.m.tables[k].elem != t.elem {
			k = i
		}
		from, _ := f.span(f.m.tables[k].min, []int{int(max(0, n))})
		if s.percent(50) {
			from = at + int32(s.between(-3, 3))
		}
		f.push32(at)
		f.push32(from)
		f.push32(n)
		f.c.Bulk(TableCopy, uint32(i), uint32(k))
	case 5:
		if len(f.m.elems) == 0 || t.elem != wasm.FuncRef {
			return
		}
		e := pick(s, f.m.elems)
		from, n := f.span(e.length, tableLengths)
		f.push32(int32(s.below(max(1, t.min-int(n)+1))))
		f.push32(from)
		f.push32(n)
		f.c.Bulk(TableInit, e.index, uint32(i))
	case 6:
		if len(f.m.elems) > 0 && s.percent(40) {
			f.c.Prefixed(prefixBulk, ElemDrop, pick(s, f.m.elems).index)
		}
	}
}
