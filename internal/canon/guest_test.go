package canon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// guest is a memory with an allocator that never frees, and that remembers
// how it was called.
type guest struct {
	b     []byte
	next  uint32
	calls []string
}

func (g *guest) Bytes() []byte { return g.b }

func (g *guest) realloc(old, oldSize, align, size uint32) uint32 {
	g.calls = append(g.calls, fmt.Sprintf("%d->%d/%d", oldSize, size, align))
	if old != 0 && size <= oldSize {
		return old
	}
	p := uint32(alignTo(uint64(g.next), align))
	if uint64(p)+uint64(size) > uint64(len(g.b)) {
		panic(&Trap{Message: "out of memory"})
	}
	g.next = p + size
	copy(g.b[p:p+size], g.b[old:old+oldSize])
	return p
}

// newGuest returns a context over a memory of n bytes whose heap starts at 8.
func newGuest(n int, enc Encoding) (*Context, *guest) {
	g := &guest{b: make([]byte, n), next: 8}
	return &Context{Encoding: enc, Memory: g, Realloc: g.realloc, Handles: &Table{}, Scope: &Scope{}}, g
}

// trap runs fn and returns the text of its trap, "" if there was none.
func trap(t testing.TB, fn func()) (message string) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			tr, ok := r.(*Trap)
			if !ok {
				panic(r)
			}
			message = tr.Message
		}
	}()
	fn()
	return ""
}

// exceeds runs f and returns the limit that it exceeds.
func exceeds(t *testing.T, f func()) (err *limit.Error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if err, ok = r.(*limit.Error); !ok {
				panic(r)
			}
		}
	}()
	f()
	return nil
}

func wantTrap(t testing.TB, want string, fn func()) {
	t.Helper()
	if got := trap(t, fn); want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("trap %q, want %q", got, want)
	}
}

// show formats a value so that equal values, NaNs included, have equal texts.
func show(v Val) string {
	list := func(open string, vs []Val) string {
		out := make([]string, len(vs))
		for i, v := range vs {
			out[i] = show(v)
		}
		return open + strings.Join(out, " ") + ")"
	}
	switch v := v.(type) {
	case nil:
		return "-"
	case BytesVal:
		return fmt.Sprintf("bytes(%x)", []byte(v))
	case ListVal:
		return list("list(", v)
	case TupleVal:
		return list("tuple(", v)
	case RecordVal:
		out := "record("
		for _, f := range v {
			out += f.Name + "=" + show(f.Value) + " "
		}
		return out + ")"
	case MapVal:
		out := "map("
		for _, e := range v {
			out += show(e.Key) + "=" + show(e.Value) + " "
		}
		return out + ")"
	case VariantVal:
		return v.Case + "(" + show(v.Payload) + ")"
	case OptionVal:
		return "option(" + show(v.Some) + ")"
	case ResultVal:
		return fmt.Sprintf("result(%t %s)", v.IsErr, show(v.Payload))
	case *Handle:
		return fmt.Sprintf("handle(%s %d %t)", v.Type.Name, v.Rep.Core, v.Own)
	}
	return fmt.Sprintf("%T(%#v)", v, v)
}
