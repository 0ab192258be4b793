package wit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// bind records what a type of the component stands for.
func (d *decoder) bind(t *binType, def *TypeDef) {
	d.types[t] = def
	if base := t.base(); base.resource && d.resources[base] == nil {
		d.resources[base] = def
	}
}

// find returns the definition that a type, or one that it is an alias of,
// stands for; nil if none was met before.
func (d *decoder) find(t *binType) *TypeDef {
	for ; t != nil; t = t.alias {
		d.e.steps++
		if def := d.types[t]; def != nil {
			return def
		}
	}
	return nil
}

// typeExport decodes a named type: an alias of one that was met before, or a
// new one.
func (d *decoder) typeExport(owner Owner, x binItem) (*TypeDef, error) {
	if !ValidName(x.name.Name) {
		return nil, errors.New("invalid name")
	}
	if d.byName[owner][x.name.Name] != nil {
		return nil, errors.New("duplicate name")
	}
	t := &TypeDef{Name: x.name.Name, Owner: owner, ExternalID: x.name.ExternalID}
	if prev := d.find(x.typ); prev != nil {
		t.Kind = &Alias{prev}
	} else if base := x.typ.base(); base.resource {
		if prev := d.resources[base]; prev != nil {
			t.Kind = &Alias{prev}
		} else {
			t.Kind = &Resource{}
		}
	} else {
		kind, err := d.kind(base, 0)
		if err != nil {
			return nil, err
		}
		t.Kind = kind
	}
	d.bind(x.typ, t)
	if d.byName[owner] == nil {
		d.byName[owner] = map[string]*TypeDef{}
	}
	d.byName[owner][t.Name] = t
	return t, nil
}

var primsOfBinary = func() map[binary.Prim]Prim {
	m := map[binary.Prim]Prim{}
	for p, b := range binaryPrims {
		m[b] = p
	}
	return m
}()

// valType decodes a reference to a type.
func (d *decoder) valType(s *binScope, v binary.ValType, depth int) (Type, error) {
	if v.Prim != 0 {
		return primsOfBinary[v.Prim], nil
	}
	if uint64(v.Index) >= uint64(len(s.types)) {
		return nil, fmt.Errorf("type index %d is out of bounds", v.Index)
	}
	t := s.types[v.Index]
	if def := d.find(t); def != nil {
		return def, d.spend(d.weights[def])
	}
	kind, err := d.kind(t.base(), depth)
	if err != nil {
		return nil, err
	}
	switch k := kind.(type) {
	case *Alias:
		return k.Type, nil
	case *Record, *Variant, *Enum, *Flags, *Resource:
		return nil, fmt.Errorf("a type of kind %s has no name", strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", kind), "*wit.")))
	}
	def := &TypeDef{Kind: kind}
	d.types[t.base()] = def
	weight := 1
	MapKind(kind, func(part Type) Type {
		if p, ok := part.(*TypeDef); ok {
			weight += d.weights[p]
		}
		return part
	})
	if weight > maxTypeWeight {
		return nil, fmt.Errorf("a type has more than %d parts", maxTypeWeight)
	}
	d.weights[def] = weight
	return def, nil
}

// maxTypeWeight bounds the size of a type without a name. The parts of such a
// type can be shared in the binary form, but not in text.
const maxTypeWeight = 10000

// spend counts work that grows faster than the input.
func (d *decoder) spend(n int) error {
	if d.e.steps += n; d.e.steps > maxSteps {
		return errors.New("the component's types are too large")
	}
	return nil
}

// kind decodes the definition of a type.
func (d *decoder) kind(t *binType, depth int) (Kind, error) {
	if depth >= maxTypeDepth {
		return nil, fmt.Errorf("types are nested deeper than %d", maxTypeDepth)
	}
	if err := d.spend(1); err != nil {
		return nil, err
	}
	var failure error
	val := func(v binary.ValType) Type {
		t, err := d.valType(t.scope, v, depth+1)
		if failure == nil {
			failure = err
		}
		return t
	}
	opt := func(v *binary.ValType) Type {
		if v == nil {
			return nil
		}
		return val(*v)
	}
	labels := func(names []string) []Label {
		var l []Label
		for _, n := range names {
			l = append(l, Label{Name: n})
		}
		return l
	}
	handle := func(index uint32) *TypeDef {
		if uint64(index) < uint64(len(t.scope.types)) {
			r := t.scope.types[index]
			if def := d.find(r); def != nil {
				return def
			}
			if def := d.resources[r.base()]; def != nil {
				return def
			}
		}
		if failure == nil {
			failure = errors.New("a handle's resource has no name")
		}
		return nil
	}
	var k Kind
	switch def := t.def.(type) {
	case binary.Prim:
		k = &Alias{primsOfBinary[def]}
	case *binary.Record:
		r := &Record{}
		for _, f := range def.Fields {
			r.Fields = append(r.Fields, Field{Name: f.Name, Type: val(f.Type)})
		}
		k = r
	case *binary.Variant:
		v := &Variant{}
		for _, c := range def.Cases {
			v.Cases = append(v.Cases, Case{Name: c.Name, Type: opt(c.Type)})
		}
		k = v
	case *binary.Enum:
		k = &Enum{labels(def.Labels)}
	case *binary.Flags:
		k = &Flags{labels(def.Labels)}
	case *binary.Tuple:
		t := &Tuple{}
		for _, v := range def.Types {
			t.Types = append(t.Types, val(v))
		}
		k = t
	case *binary.Option:
		k = &Option{val(def.Type)}
	case *binary.Result:
		k = &Result{opt(def.Ok), opt(def.Err)}
	case *binary.List:
		if def.Len != nil {
			k = &FixedLengthList{val(def.Elem), *def.Len}
		} else {
			k = &List{val(def.Elem)}
		}
	case *binary.Map:
		key := val(def.Key)
		k = &Map{key, val(def.Value)}
	case *binary.Future:
		k = &Future{opt(def.Elem)}
	case *binary.Stream:
		k = &Stream{opt(def.Elem)}
	case *binary.Own:
		k = &Own{handle(def.Type)}
	case *binary.Borrow:
		k = &Borrow{handle(def.Type)}
	default:
		if t.resource {
			return &Resource{}, nil
		}
		return nil, errors.New("not a value type")
	}
	if failure != nil {
		return nil, failure
	}
	return k, nil
}

// function decodes a function. Its name says whether it belongs to a resource.
func (d *decoder) function(owner Owner, x binItem) (*Function, error) {
	base := x.fn.base()
	def, ok := base.def.(*binary.FuncType)
	if !ok {
		return nil, errors.New("type is no function type")
	}
	f := &Function{Name: x.name.Name, Async: def.Async, ExternalID: x.name.ExternalID}
	resource := ""
	if rest, ok := strings.CutPrefix(f.Name, "["); ok {
		prefix, rest, _ := strings.Cut(rest, "]")
		fn := ""
		resource, fn, ok = strings.Cut(rest, ".")
		switch {
		case prefix == "constructor" && !ok:
			f.Kind = Constructor
		case prefix == "method" && ok && ValidName(fn):
			f.Kind = Method
		case prefix == "static" && ok && ValidName(fn):
			f.Kind = Static
		default:
			return nil, errors.New("WIT has no form for the name")
		}
		f.Resource = d.byName[owner][resource]
		if f.Resource == nil {
			return nil, fmt.Errorf("resource %q is not defined beside it", resource)
		}
	} else if !ValidName(f.Name) {
		return nil, errors.New("WIT has no form for the name")
	}
	for _, p := range def.Params {
		t, err := d.valType(base.scope, p.Type, 0)
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", p.Name, err)
		}
		f.Params = append(f.Params, Param{p.Name, t})
	}
	if def.Result != nil {
		t, err := d.valType(base.scope, *def.Result, 0)
		if err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
		f.Result = t
	}
	return f, nil
}
