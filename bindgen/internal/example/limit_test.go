package example

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Lists that take far more of the host than of the guest are cut off: whatever
// is allocated for them is counted.
func TestHostBytes(t *testing.T) {
	const hostBytes, size = 1 << 18, 1 << 22
	r := registry{}
	echo, err := LookupEcho(echoExporter{newGuest()})
	if err = errors.Join(err, DefineEcho(r, echo), DefineStore(r, store{})); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for name, f := range r {
		flat := f.Type.FlattenLower(false)
		if flat.SpillParams || len(f.Type.Params) > 0 && f.Type.Params[0].Type.Kind == canon.KindBorrow {
			continue
		}
		at := 0
		for _, p := range f.Type.Params {
			pos := at
			at += len(p.Type.Flat)
			if p.Type.Kind != canon.KindList && p.Type.Kind != canon.KindMap || p.Type.Fixed {
				continue
			}
			for _, fill := range []byte{0, 1} {
				g := newGuest()
				g.mem = bytes.Repeat([]byte{fill}, size)
				if p.Type.Elem.Kind == canon.KindBorrow {
					for i := range g.mem {
						g.mem[i] = byte(1 - min(i%4, 1)) // handle 1
					}
					c := abi.NewCall(t.Context(), &g.cx)
					c.PutOwn(resourceBucket, &bucket{})
				}
				g.cx.HostBytes = hostBytes
				stack := make([]uint64, 17)
				stack[pos+1] = uint64(size / p.Type.Elem.Size)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := func() (err error) {
					defer func() { err, _ = recover().(error) }()
					c := abi.NewCall(t.Context(), &g.cx)
					f.Call(&c, stack)
					return nil
				}()
				runtime.ReadMemStats(&after)
				var exceeded *limit.Error
				if used := after.TotalAlloc - before.TotalAlloc; used > 3*hostBytes {
					t.Errorf("%s(%s: %s): %d bytes allocated, %v", name, p.Name, p.Type, used, err)
				}
				switch {
				case errors.As(err, &exceeded):
					tried++
				case fill == 0 || err == nil:
					t.Errorf("%s(%s: %s) of %d: %v", name, p.Name, p.Type, size/p.Type.Elem.Size, err)
				} // else what is not valid was seen before
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d lists were tried", tried)
	}
}
