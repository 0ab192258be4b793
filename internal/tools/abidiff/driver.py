# Runs canonical ABI operations of the specification's definitions.py for the
# abidiff tool: one JSON request a line on stdin, one JSON answer on stdout.
import importlib.util, json, struct, sys

spec = importlib.util.spec_from_file_location("definitions", sys.argv[1])
d = importlib.util.module_from_spec(spec)
sys.modules["definitions"] = d
spec.loader.exec_module(d)
d.DETERMINISTIC_PROFILE = True  # NaNs are canonical instead of random

PRIMS = {
    "bool": d.BoolType, "s8": d.S8Type, "u8": d.U8Type, "s16": d.S16Type, "u16": d.U16Type, "s32": d.S32Type,
    "u32": d.U32Type, "s64": d.S64Type, "u64": d.U64Type, "f32": d.F32Type, "f64": d.F64Type, "char": d.CharType,
    "string": d.StringType,
}

def typ(t):
    if t is None:
        return None
    if isinstance(t, str):
        return PRIMS[t]()
    kind, rest = t[0], t[1:]
    if kind == "list":
        return d.ListType(typ(rest[0]), rest[1])
    if kind == "record":
        return d.RecordType([d.FieldType(n, typ(x)) for n, x in rest])
    if kind == "tuple":
        return d.TupleType([typ(x) for x in rest])
    if kind == "variant":
        return d.VariantType([d.CaseType(n, typ(x)) for n, x in rest])
    if kind == "enum":
        return d.EnumType(rest)
    if kind == "option":
        return d.OptionType(typ(rest[0]))
    if kind == "result":
        return d.ResultType(typ(rest[0]), typ(rest[1]))
    if kind == "flags":
        return d.FlagsType(rest)
    if kind == "map":
        return d.MapType(typ(rest[0]), typ(rest[1]))
    raise ValueError(kind)

def to_float(bits, size):
    return struct.unpack("<f" if size == 4 else "<d", int(bits).to_bytes(size, "little"))[0]

def from_float(f, size):
    return str(int.from_bytes(struct.pack("<f" if size == 4 else "<d", f), "little"))

def value(t, v):
    """The value of the normal form v."""
    t = d.despecialize(t)
    match t:
        case d.BoolType(): return v
        case d.F32Type(): return to_float(v, 4)
        case d.F64Type(): return to_float(v, 8)
        case d.CharType(): return chr(int(v))
        case d.StringType():
            s = bytes.fromhex(v[1]).decode("utf-8")
            return (s, v[0], v[2])
        case d.ListType(): return [value(t.t, x) for x in v]
        case d.RecordType(): return {f.label: value(f.t, x) for f, x in zip(t.fields, v)}
        case d.VariantType():
            for c in t.cases:
                if c.label == v[0]:
                    return {v[0]: None if c.t is None else value(c.t, v[1])}
        case d.FlagsType(): return {l: l in v for l in t.labels}
        case _: return int(v)

def normal(t, v):
    """The normal form of a value that was lifted."""
    t = d.despecialize(t)
    match t:
        case d.BoolType(): return v
        case d.F32Type(): return from_float(v, 4)
        case d.F64Type(): return from_float(v, 8)
        case d.CharType(): return str(ord(v))
        case d.StringType(): return v[0].encode("utf-8").hex()
        case d.ListType(): return [normal(t.t, x) for x in v]
        case d.RecordType(): return [normal(f.t, v[f.label]) for f in t.fields]
        case d.VariantType():
            [(label, x)] = v.items()
            for c in t.cases:
                if c.label == label:
                    return [label, None if c.t is None else normal(c.t, x)]
        case d.FlagsType(): return [l for l in t.labels if v[l]]
        case _: return str(v)

class Context(d.LiftLowerContext):
    """A guest whose realloc only ever allocates at the end of what it gave."""
    def __init__(self, memory, next_, encoding):
        opts = d.LiftLowerOptions(encoding, d.MemInst(memory, "i32"))
        super().__init__(opts, None)
        self.next, self.calls = next_, []
    def reallocate(self, old, old_size, align, size):
        self.calls.append([old, old_size, align, size])
        p = (self.next + align - 1) // align * align
        if p + size <= len(self.opts.memory):
            self.next = p + size
            n = min(old_size, size)
            self.opts.memory.bytes[p:p+n] = self.opts.memory.bytes[old:old+n]
        return p

def flat_bits(f, t):
    if t == "f32":
        return from_float(f, 4)
    if t == "f64":
        return from_float(f, 8)
    return str(f)

def answer(q):
    t = typ(q["type"])
    memory = bytearray.fromhex(q["memory"])
    cx = Context(memory, q["next"], q["encoding"])
    flat_types = d.flatten_types([t], cx.opts)
    if len(flat_types) > d.MAX_FLAT_PARAMS:
        flat_types = ["i32"]
    out = {"size": d.elem_size(t, "i32"), "align": d.alignment(t, "i32"), "flat": flat_types}
    try:
        if q["op"] == "lower":
            vals = d.lower_flat_values(cx, d.MAX_FLAT_PARAMS, [value(t, q["value"])], [t])
            out["vals"] = [flat_bits(v, ft) for v, ft in zip(vals, flat_types)]
            out["memory"] = memory.hex()
            out["calls"] = cx.calls
        else:
            vals = []
            for v, ft in zip(q["vals"], flat_types):
                n = int(v)
                if ft in ("i32", "f32"):
                    n &= 0xffffffff
                vals.append(to_float(n, 4) if ft == "f32" else to_float(n, 8) if ft == "f64" else n)
            [v] = d.lift_flat_values(cx, d.MAX_FLAT_PARAMS, d.CoreValueIter(vals), [t])
            out["value"] = normal(t, v)
    except d.Trap:
        out["trap"] = True
    return out

for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
