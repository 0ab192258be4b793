package abi_test

import (
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// A nil resource fails where it is given, with the name of the resource.
func TestNilResource(t *testing.T) {
	r := abi.HostResource("file", nil)
	handles := &canon.Table{}
	c := abi.NewCall(t.Context(), &canon.Context{Handles: handles, Scope: &canon.Scope{}})
	for name, put := range map[string]func(*abi.Resource, any) uint32{"own": c.PutOwn, "borrow": c.PutBorrow} {
		if h := put(r, 7); h == 0 {
			t.Errorf("%s: handle 0", name)
		}
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "nil as resource file") {
					t.Errorf("%s: panic %v", name, err)
				}
			}()
			put(r, nil)
		}()
	}
	if handles.Len() != 2 {
		t.Errorf("%d handles", handles.Len())
	}
}
