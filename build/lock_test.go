package build

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, func() { t.Error("waits for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("locked twice: %v", err)
	}
	second, err := lock(t.Context(), path, func() { unlock() })
	if err != nil {
		t.Fatal(err)
	}
	second()
	if _, err := lock(t.Context(), filepath.Join(path, "x"), nil); err == nil {
		t.Error("locked what can't be there")
	}
}
