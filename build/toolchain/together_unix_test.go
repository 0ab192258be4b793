//go:build unix

package toolchain

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEndsWhatItStarted runs itself again without a terminal, as a supervisor would.
func TestEndsWhatItStarted(t *testing.T) {
	const again = "ASHLAR_TEST_WITHOUT_TERMINAL"
	if os.Getenv(again) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), again+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for name, ignored := range map[string]string{"obeys": "", "ignores": "trap '' INT; "} {
		t.Run(name, func(t *testing.T) {
			// What is left holds this open.
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				ended <- Command{Args: []string{"sh", "-c", ignored + "sleep 600 & echo started; wait; sleep 600"}}.Run(ctx, t.TempDir(), w, nil)
				w.Close()
			}()
			if _, err := r.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("something is left: %v", err)
			}
		})
	}
}
