package guesttest_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/bindgen/internal/guesttest"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wasi"
)

var instances = guesttest.New("../../..", "bindgen/testdata/instances/main.go", "", `
package a:b;

interface store {
	resource bucket {
		constructor(name: string);
		name: func() -> string;
		merge: static func(a: bucket, b: borrow<bucket>) -> bucket;
	}
	record note { n: u32 }
	record held { bucket: bucket, note: note }
	hold: func(b: bucket, n: note) -> held;
}

interface user {
	use store.{bucket, note};
	rename: func(b: bucket, n: note) -> bucket;
}

world instances {
	use store.{bucket};
	import one: store;
	import two: store;
	import user;
	export store;
	export three: store;
	export user;
	export run: func() -> list<string>;
	export name-of: func(b: borrow<bucket>) -> string;
	export closed: func() -> list<string>;
}
`, "instances")

// bucketHost offers the interface store, as an import of any name.
type bucketHost struct {
	resource *abi.Resource
	dropped  []string
}

func (h *bucketHost) give(name string) component.Val {
	return &component.Resource{Type: h.resource.Type, Rep: canon.Rep{Host: name}, Own: true}
}

func (h *bucketHost) offer(l *component.Linker, name string) error {
	h.resource = abi.HostResource("bucket", func(_ context.Context, v any) error {
		h.dropped = append(h.dropped, v.(string))
		return nil
	})
	in, err := l.Instance(name)
	if err != nil {
		return err
	}
	if err := in.Resource("bucket", h.resource); err != nil {
		return err
	}
	for fn, f := range map[string]func(args []component.Val) component.Val{
		"[constructor]bucket": func(args []component.Val) component.Val {
			return h.give(name + ":" + string(args[0].(component.StringVal)))
		},
		"[method]bucket.name": func(args []component.Val) component.Val {
			return component.StringVal(nameOf(args[0]))
		},
		"[static]bucket.merge": func(args []component.Val) component.Val {
			return h.give(nameOf(args[0]) + "+" + nameOf(args[1]))
		},
		"hold": func(args []component.Val) component.Val {
			return component.RecordVal{{Name: "bucket", Value: h.give("held " + nameOf(args[0]))}, {Name: "note", Value: args[1]}}
		},
	} {
		if err := in.Func(fn, nil, func(_ context.Context, args []component.Val) (component.Val, error) { return f(args), nil }); err != nil {
			return err
		}
	}
	return nil
}

func nameOf(v component.Val) string { return v.(*component.Resource).Rep.Host.(string) }

// Interfaces under plain names have resources of their own, and their functions are
// those of their own imports and exports.
func TestInterfacesOfPlainNames(t *testing.T) {
	ctx := t.Context()
	engine, code := instances.Compile(t)
	system, err := wasi.New(wasi.Options{Stderr: os.Stderr, Stdout: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer system.Close()
	linker := engine.NewLinker()
	if err := system.AddTo(linker); err != nil {
		t.Fatal(err)
	}
	hosts := map[string]*bucketHost{}
	for _, name := range []string{"a:b/store", "one", "two"} {
		hosts[name] = &bucketHost{}
		if err := hosts[name].offer(linker, name); err != nil {
			t.Fatal(err)
		}
	}
	user, err := linker.Instance("a:b/user")
	if err != nil {
		t.Fatal(err)
	}
	err = user.Func("rename", nil, func(_ context.Context, args []component.Val) (component.Val, error) {
		return hosts["a:b/store"].give("renamed " + nameOf(args[0])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := linker.Prepare(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close(ctx)
	i, err := prepared.Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close(ctx)
	call := func(iface, name string, args ...component.Val) (component.Val, error) {
		t.Helper()
		f, ok := i.Func(iface, name)
		if !ok {
			t.Fatalf("%s %s is not exported", iface, name)
		}
		return f.Call(ctx, args)
	}
	text := func(v component.Val, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := v.(component.StringVal); ok {
			return string(s)
		}
		var list []string
		for _, s := range v.(component.ListVal) {
			list = append(list, string(s.(component.StringVal)))
		}
		return strings.Join(list, ", ")
	}
	if got, want := text(call("", "run")), "a:b/store:s, held one:o, two:t, two:u+two:t, renamed a:b/store:r"; got != want {
		t.Errorf("run gives %q, want %q", got, want)
	}
	for name, want := range map[string][]string{
		"a:b/store": {"renamed a:b/store:r", "a:b/store:s"}, "one": {"held one:o"}, "two": {"two:t", "two:u+two:t"},
	} {
		slices.Sort(want)
		if slices.Sort(hosts[name].dropped); !slices.Equal(hosts[name].dropped, want) {
			t.Errorf("of %s are dropped: %q, want %q", name, hosts[name].dropped, want)
		}
	}
	if got := text(call("", "name-of", hosts["a:b/store"].give("mine"))); got != "mine" {
		t.Errorf("name-of gives %q", got)
	}

	make := func(iface, name string) component.Val {
		t.Helper()
		v, err := call(iface, "[constructor]bucket", component.StringVal(name))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const store, three = "a:b/store", "three"
	note := component.RecordVal{{Name: "n", Value: component.U32Val(2)}}
	merged, err := call(three, "[static]bucket.merge", make(three, "x"), make(three, "y"))
	if got := text(call(three, "[method]bucket.name", merged)); err != nil || got != "three y-three x" {
		t.Errorf("merged: %q, %v", got, err)
	}
	renamed, err := call("a:b/user", "rename", make(store, "z"), note)
	if got := text(call(store, "[method]bucket.name", renamed)); err != nil || got != "exported zexported z" {
		t.Errorf("renamed: %q, %v", got, err)
	}
	if err := merged.(*component.Resource).Drop(ctx); err != nil {
		t.Error(err)
	}
	if got := text(call("", "closed")); got != "three y-three x" {
		t.Errorf("closed: %q", got)
	}
	if _, err := call(store, "[method]bucket.name", make(three, "w")); err == nil {
		t.Error("a bucket of one interface is one of the other")
	}
}
