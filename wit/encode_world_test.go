package wit

import "testing"

func TestEncodeWorld(t *testing.T) {
	r, err := ParseText("test.wit", `package test:w@0.1.0;

interface types {
  resource r;
  record p {
    a: u32,
    b: list<r>,
  }
}

interface other {
  f: func();
}

world first {
  use types.{p};
  import f: func(x: p) -> string;
  import inline: interface {
    g: async func();
  }
  export types;
}

world second {
  import other;
}
`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range r.Main.Worlds {
		data, err := EncodeWorld(w)
		if err != nil {
			t.Fatal(err)
		}
		again, component, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if component != nil || len(again.Main.Worlds) != 1 || again.Main.Name != w.Package.Name {
			t.Fatalf("%s: decoded as package %s with %d worlds", w.ID(), again.Main.Name, len(again.Main.Worlds))
		}
		alone := func(w *World) string { return Print(&Package{Name: w.Package.Name, Worlds: []*World{w}}) }
		if want, got := alone(w), alone(again.Main.Worlds[0]); got != want {
			t.Errorf("%s is\n%s\nafter it was\n%s", w.ID(), got, want)
		}
	}
	empty, err := ParseText("test.wit", "package test:e; world w { import f: func(x: r); record r { } }", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := EncodeWorld(empty.Main.World("w")); err == nil {
		t.Error("an empty record was encoded")
	}
}
