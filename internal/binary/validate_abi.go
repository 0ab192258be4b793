package binary

import "github.com/ashlar-wasm/ashlar/internal/wasm"

// layout returns the size and alignment of a value in memory with 64-bit pointers.
func (t valType) layout() (size, align uint64) {
	if t.def != nil {
		return t.def.size, t.def.align
	}
	switch t.prim {
	case Bool, S8, U8:
		return 1, 1
	case S16, U16:
		return 2, 2
	case S32, U32, F32, Char, ErrorContext:
		return 4, 4
	case String:
		return 16, 8
	default:
		return 8, 8
	}
}

func roundUp(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }

// setLayout computes size and align from the parts, each of which is smaller than
// maxValueSize.
func (d *definedType) setLayout() {
	discriminant := func(n int) uint64 {
		switch {
		case n <= 1<<8:
			return 1
		case n <= 1<<16:
			return 2
		default:
			return 4
		}
	}
	d.align = 1
	switch d.shape {
	case shapePrim:
		d.size, d.align = valType{prim: d.prim}.layout()
	case shapeRecord, shapeTuple:
		for _, p := range d.parts {
			size, align := p.layout()
			d.size = roundUp(d.size, align) + size
			d.align = max(d.align, align)
		}
		d.size = roundUp(d.size, d.align)
	case shapeVariant, shapeOption, shapeResult:
		cases := len(d.parts)
		if d.shape == shapeOption {
			cases = 2
		}
		tag := discriminant(cases)
		var payload uint64
		payloadAlign := uint64(1)
		for _, p := range d.parts {
			if p == nil {
				continue
			}
			size, align := p.layout()
			payload = max(payload, size)
			payloadAlign = max(payloadAlign, align)
		}
		d.align = max(tag, payloadAlign)
		d.size = roundUp(roundUp(tag, payloadAlign)+payload, d.align)
	case shapeList, shapeMap:
		d.size, d.align = 16, 8
	case shapeFixedList:
		size, align := d.parts[0].layout()
		d.size, d.align = size*uint64(d.length), align
	case shapeFlags:
		switch n := len(d.names); {
		case n <= 8:
			d.size = 1
		case n <= 16:
			d.size = 2
		default:
			d.size = 4
		}
		d.align = d.size
	case shapeEnum:
		d.size = discriminant(len(d.names))
		d.align = d.size
	default: // handles
		d.size, d.align = 4, 4
	}
}

// hasPointer tells whether a value refers to memory outside of itself.
func (t valType) hasPointer() bool {
	if t.def == nil {
		return t.prim == String
	}
	return t.def.pointer
}

// maxFlat is the most core types that values are passed as.
const maxFlat = 16

// pointers are the core types of pointers that layouts are computed for.
var pointers = [2]wasm.ValType{wasm.I32, wasm.I64}

// flatten returns the core types that t is passed as, with pointers of type pointers[i].
// It returns false if there are more than maxFlat.
func (t valType) flatten(i int) ([]wasm.ValType, bool) {
	if t.def != nil {
		return t.def.flat[i], !t.def.wide
	}
	switch t.prim {
	case S64, U64:
		return []wasm.ValType{wasm.I64}, true
	case F32:
		return []wasm.ValType{wasm.F32}, true
	case F64:
		return []wasm.ValType{wasm.F64}, true
	case String:
		return []wasm.ValType{pointers[i], pointers[i]}, true
	default:
		return []wasm.ValType{wasm.I32}, true
	}
}

// setABI computes what calls and memory need to know of d from its parts.
func (d *definedType) setABI() {
	d.setLayout()
	switch d.shape {
	case shapePrim:
		d.pointer = d.prim == String
	case shapeList, shapeMap:
		d.pointer = true
	case shapeStream, shapeFuture:
	default:
		for _, p := range d.parts {
			d.pointer = d.pointer || p != nil && p.hasPointer()
		}
	}
	for i := range pointers {
		flat, ok := d.flattenParts(i)
		d.flat[i] = flat
		d.wide = !ok
	}
}

func (d *definedType) flattenParts(i int) ([]wasm.ValType, bool) {
	var flat []wasm.ValType
	switch d.shape {
	case shapePrim:
		return valType{prim: d.prim}.flatten(i)
	case shapeRecord, shapeTuple:
		for _, p := range d.parts {
			part, ok := p.flatten(i)
			if flat = append(flat, part...); !ok || len(flat) > maxFlat {
				return nil, false
			}
		}
		return flat, true
	case shapeFixedList:
		part, ok := d.parts[0].flatten(i)
		if !ok || uint64(len(part))*uint64(d.length) > maxFlat {
			return nil, false
		}
		for range d.length {
			flat = append(flat, part...)
		}
		return flat, true
	case shapeList, shapeMap:
		return []wasm.ValType{pointers[i], pointers[i]}, true
	case shapeVariant, shapeOption, shapeResult:
		flat = append(flat, wasm.I32)
		for _, p := range d.parts {
			if p == nil {
				continue
			}
			part, ok := p.flatten(i)
			if !ok || 1+len(part) > maxFlat {
				return nil, false
			}
			for j, t := range part {
				if j+1 == len(flat) {
					flat = append(flat, t)
				} else {
					flat[j+1] = joinFlat(flat[j+1], t)
				}
			}
		}
		return flat, true
	}
	return []wasm.ValType{wasm.I32}, true
}

// joinFlat is the core type that holds values of both.
func joinFlat(a, b wasm.ValType) wasm.ValType {
	if a == b {
		return a
	}
	if a != wasm.I64 && a != wasm.F64 && b != wasm.I64 && b != wasm.F64 {
		return wasm.I32
	}
	return wasm.I64
}
