package main

import (
	"errors"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// Damaged components do no harm: every byte is damaged.
func TestDamage(t *testing.T) {
	for name, b := range map[string][]byte{
		"echo": guests.Echo(binary.OptUTF8, binary.OptLatin1UTF16), "hello": guests.Hello(), "http": guests.HelloHTTP(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options{every: 1, runEvery: 5, workers: 1, deadline: 30 * time.Second, memory: 4 << 30, dir: t.TempDir()}
			if testing.Short() {
				o.every = 16
			}
			r, err := damageAll(t.Context(), b, o)
			t.Logf("%d bytes\n%s", len(b), r)
			if err != nil || r.panics > 0 {
				t.Fatal(err, r.found)
			}
			if n := len(b) / o.every; r.variants < 2*n {
				t.Errorf("%d variants of %d bytes", r.variants, n)
			}
			if r.valid == 0 || r.run == 0 || r.refused[atDecode] == nil || r.refused[atValidate] == nil {
				t.Error("nothing was refused, valid or run")
			}
		})
	}
}

// What takes too long or too much memory is found.
func TestFindings(t *testing.T) {
	b := guests.Hello()
	for name, o := range map[string]options{
		"hang":   {every: 1, runEvery: 1, workers: 1, deadline: 1, memory: 4 << 30, dir: t.TempDir()},
		"memory": {every: 1, runEvery: 1, workers: 1, deadline: time.Minute, memory: 1, dir: t.TempDir()},
	} {
		if _, err := damageAll(t.Context(), b, o); err == nil {
			t.Errorf("%s: was not found", name)
		}
	}
	r := report{refused: map[stage]map[string]int{}, ended: map[string]int{}}
	r.add(variant{}, outcome{stage: atValidate, err: errors.New("no"), panicked: "yes"}, 0)
	if r.panics != 1 || len(r.found) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestVariants(t *testing.T) {
	seen := map[string]int{}
	variants([]byte{0x00, 0x10, 0xff}, &options{every: 1, bits: true}, func(v variant) bool {
		seen[string(v.apply([]byte{0x00, 0x10, 0xff}))]++
		return true
	})
	// Of each byte its eight flips, and 0x00 and 0xff where it is neither of
	// them nor a flip of it, and three truncations. 0x10 flips to 0x00.
	if want := (8 + 1) + (8 + 1) + (8 + 1) + 3; len(seen) != want {
		t.Errorf("%d variants, want %d", len(seen), want)
	}
	for b, n := range seen {
		if n != 1 || b == "\x00\x10\xff" {
			t.Errorf("%x: %d times", b, n)
		}
	}
}
