// Package require is for tests that need something a machine may lack.
package require

import (
	"os"
	"testing"
)

// Missing ends a test that can't run here because something is missing: it is
// skipped, or with ASHLAR_REQUIRE=all in the environment, as CI has it, failed.
func Missing(t testing.TB, what ...any) {
	t.Helper()
	if os.Getenv("ASHLAR_REQUIRE") == "all" {
		t.Fatal(append([]any{"required by ASHLAR_REQUIRE=all:"}, what...)...)
	}
	t.Skip(what...)
}
