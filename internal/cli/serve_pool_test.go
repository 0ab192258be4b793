package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// httpGuest writes a guest to a file.
func httpGuest(t *testing.T, g guests.HTTP) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "http.wasm")
	if err := os.WriteFile(path, g.Component(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServePoolFlags(t *testing.T) {
	file := httpGuest(t, guests.HTTP{})
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"--snapshot", "hot"}, "expected one of auto, off, data, init, warm"},
		{[]string{"--snapshot", "warm"}, `--snapshot warm needs a request: --warm-up "GET /path"`},
		{[]string{"--warm-up", "GET /"}, "--warm-up goes with --snapshot warm"},
		{[]string{"--snapshot", "init", "--warm-up", "GET /"}, "--warm-up goes with --snapshot warm"},
		{[]string{"--snapshot", "warm", "--warm-up", "GET"}, `--warm-up "GET" is no request: expected a method and a path, as in "GET /"`},
		{[]string{"--snapshot", "warm", "--warm-up", "/"}, "expected a method and a path"},
		{[]string{"--snapshot", "warm", "--warm-up", "GET http://localhost/"}, "expected a method and a path"},
		{[]string{"--snapshot", "warm", "--warm-up", "G(T /"}, "invalid method"},
		{[]string{"--reuse", "0"}, "--reuse must be at least 1"},
		{[]string{"--max-concurrent", "0"}, "--max-concurrent must be at least 1"},
		{[]string{"--max-queue", "-1"}, "--max-queue must be at least 1, or 0"},
		{[]string{"--sandboxes", "-1"}, "--sandboxes must not be below 0"},
		{[]string{"--idle-sandbox-time", "0s"}, "above zero"},
		{[]string{"--restore", "magic"}, "want auto, scan, pagemap, discard or copy"},
		{[]string{"--max-idle", "many"}, "max-idle"},
	} {
		code, _, stderr := ashlar(append([]string{"serve", "--addr", "127.0.0.1:0", file}, c.args...)...)
		if code != exitUsage || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%q: exit code %d, stderr lacks %q:\n%s", c.args, code, c.stderr, stderr)
		}
	}
}

// letters are the first letters of the responses to requests, one after another.
func letters(t *testing.T, url string, n int) string {
	t.Helper()
	var got strings.Builder
	for range n {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(b) == 0 {
			t.Fatalf("%s: %q, %v", resp.Status, b, err)
		}
		got.WriteByte(b[0])
	}
	return got.String()
}

// The flags say what a request finds of those before it, and -v what is shared.
func TestServeSnapshots(t *testing.T) {
	calm, prints, once := guests.HTTP{Count: true}, guests.HTTP{Count: true, Print: true}, guests.HTTP{Count: true, Print: true, Once: true}
	const initialising, bytes = "initialisation stdout: initialising\n", ", 65536 bytes: "
	for _, c := range []struct {
		name    string
		guest   guests.HTTP
		args    []string
		letters string
		log     string
		ahead   int // times that it was initialised before the first request
		later   int // for requests
	}{
		{"auto", calm, nil, "HHHH", "snapshot init" + bytes + "no code runs to initialise it\n", 0, 0},
		{"calls", prints, nil, "HHHH", "snapshot data" + bytes + "initialising it calls wasi:io/streams@0.2.0#[method]output-stream.blocking-write-and-flush, wasi:cli/stdout@0.2.0#get-stdout\n", 1, 4},
		{"once", once, nil, "HHHH", "snapshot init" + bytes + "the component declares that it is initialised once\n", 1, 0},
		{"init", prints, []string{"--snapshot", "init"}, "HHHH", "snapshot init" + bytes + "asked for\n", 1, 0},
		{"data", once, []string{"--snapshot", "data"}, "HHHH", "snapshot data" + bytes + "asked for\n", 0, 4},
		{"off", once, []string{"--snapshot", "off"}, "HHHH", "snapshot off, 0 bytes: asked for\n", 0, 4},
		{"warm", prints, []string{"--snapshot", "warm", "--warm-up", "GET /first"}, "IIII", "snapshot warm" + bytes + "asked for\n", 1, 0},
		{"reuse", prints, []string{"--reuse", "3"}, "HIJHIJH", "snapshot data", 1, 3},
		{"reuse, off", calm, []string{"--reuse", "2", "--snapshot", "off", "--max-idle", "3"}, "HIHI", "snapshot off", 0, 0},
		{"reuse, warm", calm, []string{"--reuse", "2", "--snapshot", "warm", "--warm-up", "POST /"}, "IJIJ", "snapshot warm", 0, 0},
		{"reuse, none idle", calm, []string{"--reuse", "2", "--max-idle", "-1"}, "HHH", "snapshot init", 0, 0},
		{"more ahead", calm, []string{"--sandboxes", "5", "--idle-sandbox-time", "1s", "--restore", "copy"}, "HHH", "snapshot init", 0, 0},
		{"discard", calm, []string{"--sandboxes", "0", "--restore", "discard"}, "HHH", "snapshot init", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log safeBuffer
			url, stop := startServer(t, &log, append([]string{"-v", httpGuest(t, c.guest)}, c.args...)...)
			if ahead := strings.Count(log.String(), initialising); ahead != c.ahead {
				t.Errorf("initialised %d times ahead, want %d:\n%s", ahead, c.ahead, log.String())
			}
			if got := letters(t, url, len(c.letters)); got != c.letters {
				t.Errorf("responses %s, want %s", got, c.letters)
			}
			http.DefaultClient.CloseIdleConnections()
			if code := stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(log.String(), c.log) {
				t.Errorf("the log lacks %q:\n%s", c.log, log.String())
			}
			if later := strings.Count(log.String(), "stdout: initialising\n") - c.ahead; later != c.later {
				t.Errorf("initialised %d times for requests, want %d:\n%s", later, c.later, log.String())
			}
		})
	}
}

// A server that can't make what it is to serve from says so and ends.
func TestServeCannotBegin(t *testing.T) {
	for name, c := range map[string]struct {
		guest guests.HTTP
		args  []string
		text  []string
	}{
		"warm-up traps":   {guests.HTTP{}, []string{"--snapshot", "warm", "--warm-up", "DELETE /"}, []string{"make a snapshot: warm up: ", "unreachable"}},
		"start traps":     {guests.HTTP{TrapStart: true, Once: true}, []string{"--snapshot", "init"}, []string{"make a snapshot: ", "unreachable"}},
		"output, a trap":  {guests.HTTP{TrapStart: true, Print: true}, []string{"--snapshot", "init"}, []string{"initialisation stdout: initialising", "unreachable"}},
		"warm-up, too":    {guests.HTTP{TrapStart: true}, []string{"--snapshot", "warm", "--warm-up", "GET /"}, []string{"unreachable"}},
		"warm-up spins":   {guests.HTTP{}, []string{"--snapshot", "warm", "--warm-up", "PUT /", "--max-cpu", "20ms"}, []string{"warm up: ", "CPU time limit of 20ms exceeded"}},
		"memory too much": {guests.HTTP{}, []string{"--max-memory", "1KiB"}, []string{"memory limit"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := ashlar(append([]string{"serve", "--addr", "127.0.0.1:0", httpGuest(t, c.guest)}, c.args...)...)
			if code == 0 || code == exitUsage {
				t.Errorf("exit code %d", code)
			}
			for _, want := range append(c.text, "http.wasm") {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
			if strings.Contains(stderr, "listening") {
				t.Errorf("it listened:\n%s", stderr)
			}
		})
	}
	// Without being asked, a component whose start function traps is served: each request
	// traps.
	var log safeBuffer
	url, stop := startServer(t, &log, httpGuest(t, guests.HTTP{TrapStart: true}))
	for range 2 {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusInternalServerError {
			t.Error(resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if n := strings.Count(log.String(), "wasm trap: unreachable"); n != 2 {
		t.Errorf("%d traps in the log:\n%s", n, log.String())
	}
}

// When as many requests wait as may, others are told to come again.
func TestServeQueueFull(t *testing.T) {
	var log safeBuffer
	url, stop := startServer(t, &log, "--max-concurrent", "1", "--max-queue", "1", "--max-cpu", "1m", httpGuest(t, guests.HTTP{}))
	ctx, cancel := context.WithCancel(t.Context())
	spun := make(chan struct{})
	go func() {
		defer close(spun)
		r, _ := http.NewRequestWithContext(ctx, http.MethodPut, url, nil)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			t.Errorf("a request that never ends: %s", resp.Status)
			resp.Body.Close()
		}
	}()
	// The first has its turn when another is not served; then one waits, and no more.
	served := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}
	for end := time.Now().Add(20 * time.Second); served() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	counts := map[string]int{}
	refused := func() int {
		mu.Lock()
		defer mu.Unlock()
		return counts["503 Service Unavailable, Retry-After: 1"]
	}
	for end := time.Now().Add(20 * time.Second); refused() == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for range 2 {
			all.Add(1)
			go func() {
				defer all.Done()
				resp, err := http.Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				mu.Lock()
				defer mu.Unlock()
				counts[resp.Status+", Retry-After: "+resp.Header.Get("Retry-After")]++
			}()
		}
	}
	if refused() == 0 {
		t.Errorf("none was refused: %v", counts)
	}
	cancel()
	<-spun
	all.Wait()
	if counts["200 OK, Retry-After: "] == 0 || len(counts) != 2 {
		t.Errorf("one that waited was to be served: %v", counts)
	}
	if got := letters(t, url, 1); got != "H" {
		t.Errorf("afterwards: %s", got)
	}
	http.DefaultClient.CloseIdleConnections()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(log.String(), "GET /: refused: 1 requests are being handled") {
		t.Errorf("the log lacks the refusal:\n%s", log.String())
	}
}

func TestInspectSnapshot(t *testing.T) {
	for name, c := range map[string]struct {
		guest        guests.HTTP
		mode, reason string
	}{
		"nothing runs": {guests.HTTP{}, "init", "no code runs to initialise it"},
		"something":    {guests.HTTP{Print: true}, "auto", "init if initialising it calls no import, else data"},
		"once":         {guests.HTTP{Print: true, Once: true}, "init", "the component declares that it is initialised once"},
	} {
		file := httpGuest(t, c.guest)
		code, text, stderr := ashlar("inspect", file)
		if want := "snapshot    " + c.mode + ": " + c.reason + "\n"; code != 0 || !strings.Contains(text, want) {
			t.Errorf("%s: %d, stdout lacks %q:\n%s%s", name, code, want, text, stderr)
		}
		_, text, _ = ashlar("inspect", "-o", "json", file)
		var r struct{ Snapshot struct{ Mode, Reason string } }
		if err := json.Unmarshal([]byte(text), &r); err != nil || r.Snapshot.Mode != c.mode || r.Snapshot.Reason != c.reason {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	// A core module has none.
	_, text, _ := ashlar("inspect", "-o", "json", filepath.Join(writeGuests(t), "module.wasm"))
	if strings.Contains(text, "snapshot") {
		t.Errorf("a core module: %s", text)
	}
}
