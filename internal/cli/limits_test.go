package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestLimitFlags(t *testing.T) {
	dir := writeGuests(t)
	calc, hello := filepath.Join(dir, "calc.wasm"), filepath.Join(dir, "hello.wasm")
	for _, c := range []struct {
		args   []string
		fails  bool
		stderr string
	}{
		{[]string{"run", "--max-host-memory", "1KiB", hello}, false, ""},
		{[]string{"run", "--max-host-memory", "4B", hello}, true, "host memory for values limit exceeded"},
		{[]string{"invoke", "--max-host-memory", "4B", calc, `echo("long enough")`}, true, "host memory for values limit exceeded"},
		{[]string{"invoke", "--max-host-memory", "0", calc, `echo("x")`}, true, "above zero"},
		{[]string{"run", "--max-open-files", "1", "--max-streams", "1", "--max-guest-connections", "1", "--max-fields", "1KiB", hello}, false, ""},
		{[]string{"run", "--max-open-files", "0", hello}, true, "--max-open-files must be at least 1"},
		{[]string{"serve", "--max-guest-connections", "-1", hello}, true, "--max-guest-connections must be at least 1"},
		{[]string{"run", "--allow-http", "127.1", hello}, true, "does not say where requests may go"},
		{[]string{"run", "--allow-net", "2130706433", hello}, true, "bad host"},
	} {
		code, _, stderr := ashlar(c.args...)
		if (code != 0) != c.fails || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%q: exit code %d, stderr lacks %q:\n%s", c.args, code, c.stderr, stderr)
		}
	}
}
