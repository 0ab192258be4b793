package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// object is a JSON object that keeps the order of its keys.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) get(key string) any {
	if o == nil {
		return nil
	}
	return o.values[key]
}

func decodeOrdered(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeOrdered(dec)
			if err != nil {
				return nil, err
			}
			o.keys = append(o.keys, key.(string))
			o.values[key.(string)] = v
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := decodeOrdered(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return tok, nil
}

// outlineJSON writes the JSON form of wit-parser's Resolve in the same way as
// outline writes the model.
func outlineJSON(data []byte) (text string, err error) {
	doc, err := decodeOrdered(json.NewDecoder(bytes.NewReader(data)))
	if err != nil {
		return "", err
	}
	defer func() {
		if e := recover(); e != nil {
			err = errors.Join(errors.New("expectation is not in the layout of wit-parser"), fmt.Errorf("%v", e))
		}
	}()
	j := &jsonOutliner{doc: doc.(*object), inline: map[int]string{}}
	for _, w := range j.list("worlds") {
		world := w.(*object)
		for _, set := range []string{"imports", "exports"} {
			items := world.get(set).(*object)
			for _, key := range items.keys {
				if i, ok := items.values[key].(*object).get("interface").(*object); ok {
					id := number(i.get("id"))
					if j.at("interfaces", id).get("name") == nil {
						j.inline[id] = j.packageItem(world) + "#" + key
					}
				}
			}
		}
	}
	for _, p := range j.list("packages") {
		pkg := p.(*object)
		j.line("package %s%s", pkg.get("name"), jsonDocs(pkg))
		ifaces := pkg.get("interfaces").(*object)
		for _, name := range ifaces.keys {
			i := j.at("interfaces", number(ifaces.values[name]))
			j.line("interface %s%s%s", name, jsonDocs(i), jsonStability(i))
			j.iface(i)
		}
		worlds := pkg.get("worlds").(*object)
		for _, name := range worlds.keys {
			w := j.at("worlds", number(worlds.values[name]))
			j.line("world %s%s%s", name, jsonDocs(w), jsonStability(w))
			j.items("import", w.get("imports").(*object))
			j.items("export", w.get("exports").(*object))
		}
	}
	return j.b.String(), nil
}

type jsonOutliner struct {
	b      strings.Builder
	doc    *object
	inline map[int]string // names of inline interfaces
}

func (j *jsonOutliner) line(format string, args ...any) { fmt.Fprintf(&j.b, format+"\n", args...) }

func (j *jsonOutliner) list(arena string) []any { return j.doc.get(arena).([]any) }

func (j *jsonOutliner) at(arena string, i int) *object { return j.list(arena)[i].(*object) }

func number(v any) int { return int(v.(float64)) }

// packageItem returns the ID of an interface or world.
func (j *jsonOutliner) packageItem(o *object) string {
	pkg := j.at("packages", number(o.get("package"))).get("name").(string)
	name, version, versioned := strings.Cut(pkg, "@")
	id := name + "/" + o.get("name").(string)
	if versioned {
		id += "@" + version
	}
	return id
}

func (j *jsonOutliner) interfaceName(id int) string {
	if name := j.inline[id]; name != "" {
		return name
	}
	return j.packageItem(j.at("interfaces", id))
}

func jsonDocs(o *object) string {
	if d, ok := o.get("docs").(*object); ok {
		if s, ok := d.get("contents").(string); ok {
			return docs(s)
		}
	}
	return ""
}

func jsonExternalID(o *object) string {
	s, _ := o.get("external_id").(string)
	return externalID(s)
}

func jsonStability(o *object) string {
	s, ok := o.get("stability").(*object)
	if !ok {
		return ""
	}
	out := ""
	add := func(key string, v any) {
		if v, ok := v.(string); ok {
			out += " " + key + "=" + v
		}
	}
	for _, key := range s.keys {
		inner := s.values[key].(*object)
		add("since", inner.get("since"))
		add("unstable", inner.get("feature"))
		add("deprecated", inner.get("deprecated"))
	}
	return out
}

func (j *jsonOutliner) iface(i *object) {
	j.line("  of %s", j.at("packages", number(i.get("package"))).get("name"))
	types := i.get("types").(*object)
	for _, name := range types.keys {
		j.typeDef("  ", number(types.values[name]))
	}
	functions := i.get("functions").(*object)
	for _, name := range functions.keys {
		j.function("  ", name, functions.values[name].(*object))
	}
}

func (j *jsonOutliner) items(verb string, items *object) {
	for _, key := range items.keys {
		item := items.values[key].(*object)
		switch v := item.values[item.keys[0]]; item.keys[0] {
		case "type":
			j.typeDef("  "+verb+" ", number(v))
		case "function":
			j.function("  "+verb+" ", key, v.(*object))
		case "interface":
			i := v.(*object)
			id := number(i.get("id"))
			if strings.HasPrefix(key, "interface-") {
				key = j.interfaceName(id)
			}
			j.line("  %s %s: interface %s%s%s%s", verb, key, j.interfaceName(id), jsonDocs(i), jsonStability(i), jsonExternalID(i))
			if iface := j.at("interfaces", id); iface.get("name") == nil {
				j.line("  inline%s%s", jsonDocs(iface), jsonStability(iface))
				j.iface(iface)
			}
		default:
			panic(item.keys[0])
		}
	}
}

func (j *jsonOutliner) typeDef(prefix string, id int) {
	t := j.at("types", id)
	j.line("%stype %s = %s%s%s%s", prefix, j.ref(float64(id)), j.kind(t.get("kind")), jsonDocs(t), jsonStability(t), jsonExternalID(t))
}

func (j *jsonOutliner) ref(v any) string {
	switch v := v.(type) {
	case nil:
		return "_"
	case string:
		return v
	case float64:
		t := j.at("types", int(v))
		name, ok := t.get("name").(string)
		if !ok {
			return j.kind(t.get("kind"))
		}
		owner := t.get("owner").(*object)
		if i := owner.get("interface"); i != nil {
			return j.interfaceName(number(i)) + "." + name
		}
		return j.packageItem(j.at("worlds", number(owner.get("world")))) + "." + name
	}
	panic(fmt.Sprintf("type %v", v))
}

func (j *jsonOutliner) kind(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	o := v.(*object)
	name, arg := o.keys[0], o.values[o.keys[0]]
	refs := func(values ...any) string {
		var s []string
		for _, v := range values {
			s = append(s, j.ref(v))
		}
		return "(" + strings.Join(s, " ") + ")"
	}
	members := func(list any, typed bool) string {
		var s []string
		for _, m := range list.([]any) {
			m := m.(*object)
			text := m.get("name").(string)
			if typed {
				text += ":" + j.ref(m.get("type"))
			}
			s = append(s, text+jsonDocs(m))
		}
		return name + "{" + strings.Join(s, " ") + "}"
	}
	switch name {
	case "record":
		return members(arg.(*object).get("fields"), true)
	case "variant":
		return members(arg.(*object).get("cases"), true)
	case "enum":
		return members(arg.(*object).get("cases"), false)
	case "flags":
		return members(arg.(*object).get("flags"), false)
	case "handle":
		h := arg.(*object)
		return h.keys[0] + refs(h.values[h.keys[0]])
	case "tuple":
		return name + refs(arg.(*object).get("types").([]any)...)
	case "result":
		return name + refs(arg.(*object).get("ok"), arg.(*object).get("err"))
	case "map":
		return name + refs(arg.([]any)...)
	case "fixed-length-list":
		l := arg.([]any)
		return name + refs(l[0]) + fmt.Sprint(number(l[1]))
	}
	return name + refs(arg)
}

func (j *jsonOutliner) function(prefix, key string, f *object) {
	kind, ok := f.get("kind").(string)
	if !ok {
		o := f.get("kind").(*object)
		kind = o.keys[0] + "(" + j.ref(o.values[o.keys[0]]) + ")"
	}
	var params []string
	for _, p := range f.get("params").([]any) {
		p := p.(*object)
		params = append(params, p.get("name").(string)+":"+j.ref(p.get("type")))
	}
	j.line("%sfunc %s %s %s (%s) -> %s%s%s%s", prefix, key, f.get("name"), kind, strings.Join(params, " "), j.ref(f.get("result")),
		jsonDocs(f), jsonStability(f), jsonExternalID(f))
}
