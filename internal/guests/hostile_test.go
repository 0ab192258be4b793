package guests

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

var update = flag.Bool("update", false, "write testdata/hostile anew")

const hostileDir = "../../testdata/hostile"

// hostileReadme tells what the files are.
func hostileReadme(all []Hostile) []byte {
	var b strings.Builder
	b.WriteString(`# Hostile guests

Each of these components would hurt its host if it were let: use all of a processor
for ever, keep the garbage collector or the network from their work, or take more
memory than it was given. All are contained. ` + "`ashlar run --timeout 1s FILE`" + ` shows one.

They are commands (wasi:cli/run), made by internal/guests/hostile*.go: after a change
there, ` + "`go test ./internal/guests -run Hostile -update`" + ` writes them anew. TestHostile
in wasi runs all of them under limits, alone and on all processors at once;
BenchmarkHostile in internal/cli measures what others notice.

Where "time" is what ends one, it would go on for ever: a deadline, --max-cpu or
cancelling ends it. The others end by themselves when they reach the limit.

| file | what it does | stopped when it is | by |
|---|---|---|---|
`)
	for _, h := range all {
		by := "the limit of " + string(h.Limit)
		if h.Error != "" {
			by = fmt.Sprintf("the error %q", h.Error)
		}
		fmt.Fprintf(&b, "| %s.wasm | %s | %s | %s |\n", h.Name, h.Does, h.Stage, by)
	}
	return []byte(b.String())
}

// The files are what is made here, valid but for what is refused, and small.
func TestHostileFiles(t *testing.T) {
	all := Hostiles()
	files := map[string][]byte{"README.md": hostileReadme(all)}
	for _, h := range all {
		name := h.Name + ".wasm"
		if files[name] != nil {
			t.Errorf("there are two of %s", name)
		}
		files[name] = h.Bytes
		if len(h.Bytes) > 8<<10 {
			t.Errorf("%s has %d bytes", name, len(h.Bytes))
		}
		c, err := binary.Decode(h.Bytes)
		if err == nil {
			err = binary.Validate(c)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if *update {
		if err := os.MkdirAll(hostileDir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(hostileDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] != nil {
			continue
		}
		if *update {
			err = os.Remove(filepath.Join(hostileDir, e.Name()))
		} else {
			err = fmt.Errorf("%s is none of them", e.Name())
		}
		if err != nil {
			t.Error(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(hostileDir, name)
		if *update {
			if err := os.WriteFile(path, files[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !slices.Equal(have, files[name]) {
			t.Errorf("%s is not what is made here (go test -run Hostile -update writes it): %v", name, err)
		}
	}
}
