//go:build unix

package toolchain

import (
	"os"
	"os/exec"
	"syscall"
)

// together has a command end with its context, and with it what it started: they are
// asked to, and release ends those that are left. In a terminal, which asks all of them
// at Ctrl-C by itself, they stay in the group that may ask for a password there.
func together(cmd *exec.Cmd) (release func()) {
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		tty.Close()
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		return func() {}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	return func() {
		if cmd.Process != nil {
			// The error says that there is none left.
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
}
