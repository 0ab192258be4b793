package canon

import (
	"context"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

var (
	file = &ResourceType{Name: "file"}
	node = &ResourceType{Name: "node", Guest: true}
)

func TestHandleTable(t *testing.T) {
	var tab Table
	var call Scope
	// Index 0 is no handle; freed indices are used again, the last first.
	for want := uint32(1); want <= 3; want++ {
		if i := tab.AddOwn(file, Rep{Core: 10 * want}); i != want {
			t.Fatalf("index %d, want %d", i, want)
		}
	}
	if rep := tab.Rep(2, file); rep.Core != 20 {
		t.Errorf("rep %v", rep)
	}
	if rep, destroy := tab.Drop(2, file); rep.Core != 20 || !destroy || tab.Len() != 2 {
		t.Errorf("drop: %v, %v, %d left", rep, destroy, tab.Len())
	}
	if rep := tab.TakeOwn(1, file); rep.Core != 10 {
		t.Errorf("take: %v", rep)
	}
	for _, want := range []uint32{1, 2, 4} {
		if i := tab.AddOwn(node, Rep{}); i != want {
			t.Errorf("index %d, want %d", i, want)
		}
	}
	for _, i := range []uint32{0, 5, 1<<32 - 1} {
		wantTrap(t, "unknown handle index", func() { tab.Rep(i, file) })
		wantTrap(t, "unknown handle index", func() { tab.Drop(i, file) })
		wantTrap(t, "unknown handle index", func() { tab.TakeOwn(i, file) })
		wantTrap(t, "unknown handle index", func() { tab.Lend(i, file, &call) })
		wantTrap(t, "unknown handle index", func() { tab.Get(i) })
	}
	tab.Drop(3, file)
	wantTrap(t, "unknown handle index 3", func() { tab.Drop(3, file) }) // twice
	// A handle of one resource is none of another, and a waitable is none at all.
	other := tab.Add("waitable")
	wantTrap(t, "expected host-defined resource but found guest-defined resource", func() { tab.TakeOwn(1, file) })
	wantTrap(t, "expected guest-defined resource but found a different guest-defined resource",
		func() { tab.TakeOwn(1, &ResourceType{Guest: true}) })
	wantTrap(t, "wrong type", func() { tab.Drop(other, node) })
	wantTrap(t, "wrong type", func() { tab.Get(1) })
	if tab.Remove(other) != "waitable" {
		t.Error("what was added is not what was removed")
	}
	if len(call.lent) != 0 || call.Borrows() != 0 {
		t.Errorf("refused handles were lent: %+v", call)
	}
}

func TestLending(t *testing.T) {
	var tab Table
	var outer, inner Scope
	i := tab.AddOwn(file, Rep{Core: 7})
	if rep := tab.Lend(i, file, &outer); rep.Core != 7 {
		t.Errorf("lend: %v", rep)
	}
	tab.Lend(i, file, &inner)
	for n := range 3 {
		drop := trap(t, func() { tab.Drop(i, file) })
		take := trap(t, func() { tab.TakeOwn(i, file) })
		if lent := n < 2; lent != (drop == "cannot remove owned resource while borrowed") || lent != (take == drop) && lent {
			t.Errorf("lent %d times: drop %q, take %q", 2-n, drop, take)
		}
		switch n {
		case 0:
			inner.Return()
		case 1:
			outer.Return()
			outer.Return() // a second time gives nothing back
		}
	}
}

func TestBorrowedHandles(t *testing.T) {
	var tab Table
	var call Scope
	i := tab.AddBorrow(file, Rep{Core: 1}, &call)
	if call.Borrows() != 1 {
		t.Errorf("%d borrows", call.Borrows())
	}
	wantTrap(t, "cannot lift own resource from a borrow", func() { tab.TakeOwn(i, file) })
	// A borrow may be lent on, and then not be dropped.
	var nested Scope
	tab.Lend(i, file, &nested)
	wantTrap(t, "while borrowed", func() { tab.Drop(i, file) })
	nested.Return()
	if _, destroy := tab.Drop(i, file); destroy || call.Borrows() != 0 {
		t.Errorf("destroy %v, %d borrows", destroy, call.Borrows())
	}
}

func TestHandleLimit(t *testing.T) {
	tab := Table{Limit: 2}
	tab.AddOwn(file, Rep{})
	i := tab.AddOwn(file, Rep{})
	var call Scope
	for name, add := range map[string]func(){
		"own":    func() { tab.AddOwn(file, Rep{}) },
		"borrow": func() { tab.AddBorrow(file, Rep{}, &call) },
		"other":  func() { tab.Add(1) },
	} {
		if err := exceeds(t, add); err.Resource != limit.Handles || err.Limit != 2 || err.Requested != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
	tab.Drop(i, file)
	if got := tab.AddOwn(file, Rep{}); got != i {
		t.Errorf("index %d, want %d", got, i)
	}
}

func TestOwned(t *testing.T) {
	tab := Table{Limit: 10}
	var call Scope
	tab.AddOwn(file, Rep{Core: 1})
	tab.AddBorrow(file, Rep{Core: 2}, &call)
	gone := tab.AddOwn(node, Rep{Core: 3})
	tab.Add("x")
	tab.AddOwn(node, Rep{Core: 4})
	tab.Drop(gone, node)
	sum := uint32(0)
	tab.Owned(func(_ *ResourceType, rep Rep) { sum = 10*sum + rep.Core })
	if sum != 14 || tab.Len() != 0 || tab.Limit != 10 {
		t.Errorf("yielded %d, %d left", sum, tab.Len())
	}
}

func TestLowerHandles(t *testing.T) {
	cx, _ := newGuest(64, UTF8)
	r := &Resource{Name: "file", Type: file}
	h := &Handle{Type: file, Rep: Rep{Core: 9}, Own: true}
	i := cx.LowerHandle(h, Own(r))
	if !h.Gone {
		t.Error("ownership was not passed on")
	}
	wantTrap(t, "passed on", func() { cx.LowerHandle(h, Own(r)) })
	wantTrap(t, "passed on", func() { cx.LowerHandle(h, Borrow(r)) })
	if err := Check(h, Own(r)); err == nil {
		t.Error("a handle that is gone was accepted")
	}
	back := cx.LiftHandle(i, Own(r))
	if back.Rep.Core != 9 || !back.Own || back.Gone || cx.Handles.Len() != 0 {
		t.Errorf("lifted %+v", back)
	}
	wantTrap(t, "resource type mismatch", func() { cx.LowerHandle(&Handle{Type: node}, Own(r)) })

	// A borrow is a handle for others and the bare representation for the
	// component that implements the resource.
	g := &Resource{Name: "node", Index: 0}
	owned := &ResourceType{Name: "node", Guest: true, Owner: "me"}
	cx.Resources = []*ResourceType{owned}
	lent := &Handle{Type: owned, Rep: Rep{Core: 77}}
	if i := cx.LowerHandle(lent, Borrow(g)); i != 1 || cx.Scope.Borrows() != 1 {
		t.Errorf("borrow for another: %d", i)
	}
	cx.Owner = "me"
	if i := cx.LowerHandle(lent, Borrow(g)); i != 77 || cx.Scope.Borrows() != 1 {
		t.Errorf("borrow for the owner: %d", i)
	}
	if err := Check(lent, Own(g)); err == nil {
		t.Error("a borrowed handle was accepted as an owned one")
	}
}

func TestHandleDrop(t *testing.T) {
	drops := 0
	rt := &ResourceType{Drop: func(context.Context, Rep) error { drops++; return nil }}
	h := &Handle{Type: rt, Own: true}
	for range 2 {
		if err := h.Drop(t.Context()); err != nil || drops != 1 || !h.Gone {
			t.Errorf("%v, %d drops", err, drops)
		}
	}
	if err := (&Handle{Type: rt}).Drop(t.Context()); err != nil || drops != 1 {
		t.Error("a borrow was destroyed")
	}
}
