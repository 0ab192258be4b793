package wasiwit_test

import (
	"fmt"
	"testing"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Every version is there, with what it had.
func TestVersions(t *testing.T) {
	for patch := range 13 {
		v := fmt.Sprintf("0.2.%d", patch)
		text := "package l:l; world all { include wasi:cli/command@" + v + "; include wasi:http/proxy@" + v + "; }"
		r, err := wit.ParseText("all.wit", text, wit.Options{Lookup: wasiwit.Lookup})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range r.Main.Worlds[0].Imports {
			i := item.Interface
			if i.Package.Name.Version != v {
				t.Errorf("%s in version %s", i.ID(), v)
			}
			if i.Name != "exit" {
				continue
			}
			// exit-with-code came last.
			want := 1
			if patch == 12 {
				want = 2
			}
			if len(i.Functions) != want {
				t.Errorf("%s has %d functions, want %d", i.ID(), len(i.Functions), want)
			}
		}
	}
	for _, v := range []string{"0.2.13", "0.1.0", "0.3.0", "1.0.0"} {
		if fsys, _ := wasiwit.Lookup(wit.PackageName{Namespace: "wasi", Name: "cli", Version: v}); fsys != nil {
			t.Errorf("version %s is there", v)
		}
	}
}
