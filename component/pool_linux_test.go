package component_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ashlar-wasm/ashlar/component"
)

// Where the process may open no more files, which images are, pools that are idle give
// theirs back.
func TestPoolsReclaimFiles(t *testing.T) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	k := newKeeper()
	p := pooled(t, component.Options{}, starting(true, startNotes), k.offer(t))
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	few := had
	few.Cur = uint64(len(open)) + 30
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
			t.Error(err)
		}
	}()
	for range 100 {
		pool := newPool(t, p, component.PoolOptions{IdleTime: time.Hour})
		do(t, pool, func(i *component.Instance) {
			if got := number(t, i, "word", component.U32Val(1000)); got != 0x61746164 {
				t.Errorf("data %#x", got)
			}
		})
	}
}
