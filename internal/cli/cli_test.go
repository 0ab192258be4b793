package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// writeGuests writes the guests that tests use to a folder.
func writeGuests(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"calc": guests.Calc(), "hello": guests.Hello(), "exit": guests.ExitFailure(), "trap": guests.TrapAfterOutput(),
		"grow": guests.GrowAfterOutput(2000), "http": guests.HelloHTTP(),
		"cut": guests.Calc()[:200], "empty": nil, "text": []byte("(component)"),
		"module": []byte("\x00asm\x01\x00\x00\x00"),
		// A command with 32 pages of memory.
		"big": []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x05\x03\x01\x00\x20" +
			"\x07\x0a\x01\x06_start\x00\x00\x0a\x04\x01\x02\x00\x0b"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func ashlar(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommands(t *testing.T) {
	dir := writeGuests(t)
	file := func(name string) string { return filepath.Join(dir, name+".wasm") }
	const hello = "Hello from a component!\n"
	for _, c := range []struct {
		args   []string
		code   int
		stdout string   // exactly
		stderr []string // all contained
	}{
		{[]string{"run", file("hello")}, 0, hello, nil},
		{[]string{"run", file("exit")}, 1, hello, nil},
		{[]string{"run", file("trap")}, exitTrap, hello, []string{"wasm trap: unreachable", "guest.run"}},
		{[]string{"run", "--max-memory", "8MiB", file("grow")}, exitMemory, hello, []string{"memory limit of 8MiB exceeded"}},
		{[]string{"run", file("grow")}, 0, hello, nil},
		{[]string{"run", file("calc")}, exitInvalid, "", []string{"exports no wasi:cli/run", "add: func(a: u32, b: u32) -> u32"}},
		{[]string{"run", file("http")}, exitInvalid, "", []string{"ashlar serve"}},
		{[]string{"run", file("module")}, exitInvalid, "", []string{"_start"}},
		{[]string{"run", file("cut")}, exitInvalid, "", []string{"cut.wasm", "offset 0x", "unexpected end"}},
		{[]string{"run", file("empty")}, exitInvalid, "", []string{"the file is empty"}},
		{[]string{"run", file("text")}, exitInvalid, "", []string{"text format"}},
		{[]string{"run", file("nothing")}, exitFailure, "", []string{"no such file"}},
		{[]string{"run", file("big")}, 0, "", nil},
		{[]string{"run", "--max-memory", "1MiB", file("big")}, exitMemory, "", []string{"memory limit of 1MiB exceeded"}},
		{[]string{"run", "--max-memory", "0", file("big")}, exitUsage, "", []string{"above zero"}},
		{[]string{"run", "--timeout", "0s", file("big")}, exitUsage, "", []string{"above zero"}},
		{[]string{"serve", "--timeout", "-1s", file("http")}, exitUsage, "", []string{"above zero"}},
		{[]string{"runn", file("big")}, exitUsage, "", []string{`unknown command "runn"; did you mean "run"?`}},
		{[]string{"bindgen", "guest"}, exitUsage, "", []string{`unknown command "guest"`, "ashlar bindgen --help"}},
		{[]string{"completion", "tcsh"}, exitUsage, "", []string{`unknown command "tcsh"`}},
		{[]string{"run"}, exitUsage, "", []string{"missing argument FILE"}},
		{[]string{"run", "--max-memory", "much", file("hello")}, exitUsage, "", []string{"64MiB"}},
		{[]string{"run", "--dir", "::", file("hello")}, exitUsage, "", []string{"HOST[::GUEST][:ro]"}},
		{[]string{"run", "--env", "=x", file("hello")}, exitUsage, "", []string{"NAME=VALUE"}},
		{[]string{"invoke", file("calc"), "add(20, 22)"}, 0, "42\n", nil},
		{[]string{"invoke", file("hello"), "wasi:cli/run#run()"}, 0, "ok\n", []string{hello}},
		{[]string{"invoke", file("calc"), `echo("a\"b")`}, 0, "\"a\\\"b\"\n", nil},
		{[]string{"invoke", file("calc"), "docs:calc/points#swap({x: 1, y: -2})"}, 0, "{x: -2, y: 1}\n", nil},
		{[]string{"invoke", file("calc"), "docs:calc/points@0.1.0#swap({y: 1, x: 3,})"}, 0, "{x: 1, y: 3}\n", nil},
		{[]string{"invoke", file("calc"), "div(1, 0)"}, exitTrap, "", []string{"integer divide by zero"}},
		{[]string{"invoke", file("calc"), "add(1)"}, exitUsage, "", []string{"b: u32, is missing"}},
		{[]string{"invoke", file("calc"), "add(1, -2)"}, exitUsage, "", []string{"at offset 4", "unsigned integer of 32 bits"}},
		{[]string{"invoke", file("calc"), "mul(1, 2)"}, exitUsage, "", []string{"exports no function \"mul\"", "add: func"}},
		{[]string{"invoke", file("calc"), "add"}, exitUsage, "", []string{"arguments in parentheses"}},
		{[]string{"invoke", file("module"), "add(1, 2)"}, exitInvalid, "", []string{"is a core module"}},
		{[]string{"validate", file("http")}, 0, "", nil},
		{[]string{"validate", file("module")}, 0, "", nil},
		{[]string{"validate", file("cut")}, exitInvalid, "", []string{"offset 0x"}},
		{[]string{"serve", file("hello")}, exitInvalid, "", []string{"exports no wasi:http/incoming-handler"}},
		{[]string{"bindgen", "host", dir}, exitInvalid, "", nil},
		{[]string{"frobnicate"}, exitUsage, "", []string{"unknown command"}},
	} {
		t.Run(strings.Join(c.args[:min(2, len(c.args))], " "), func(t *testing.T) {
			code, stdout, stderr := ashlar(c.args...)
			if code != c.code || stdout != c.stdout {
				t.Errorf("%q: exit code %d, want %d; stdout %q, want %q; stderr:\n%s", c.args, code, c.code, stdout, c.stdout, stderr)
			}
			for _, want := range c.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q: stderr lacks %q:\n%s", c.args, want, stderr)
				}
			}
		})
	}
}

func TestInspect(t *testing.T) {
	dir := writeGuests(t)
	code, stdout, stderr := ashlar("inspect", "-o", "json", filepath.Join(dir, "http.wasm"))
	if code != 0 {
		t.Fatal(stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.Kind != "component" || len(r.Modules) != 2 || r.Modules[1].Name != "guest" || r.Size == 0 || !strings.HasPrefix(r.Digest, "sha256:") {
		t.Errorf("%+v", r)
	}
	if fmt.Sprint(r.Imports) != "[wasi:io/error@0.2.0 wasi:io/streams@0.2.0 wasi:http/types@0.2.0]" {
		t.Errorf("imports: %v", r.Imports)
	}
	_, text, _ := ashlar("inspect", filepath.Join(dir, "http.wasm"))
	for _, want := range []string{r.Digest, "wasi:http/incoming-handler@0.2.0", "guest"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, c := range newRoot(&streams{}).Commands() {
		if len(c.Commands()) == 0 && c.Example == "" {
			t.Errorf("%s has no example", c.Name())
		}
		if code, stdout, _ := ashlar(c.Name(), "--help"); code != 0 || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%s --help: %d %q", c.Name(), code, stdout)
		}
	}
}

// safeBuffer is a buffer that a server writes while the test reads.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startServer runs serve until the test stops it, and returns its URL.
func startServer(t *testing.T, log *safeBuffer, args ...string) (url string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...), strings.NewReader(""), io.Discard, log)
	}()
	t.Cleanup(cancel)
	for range 24_000 { // two minutes, for large guests with the race detector
		if _, after, ok := strings.Cut(log.String(), "listening on "); ok {
			if url, _, ok := strings.Cut(after, "\n"); ok {
				return url, func() int { cancel(); return <-done }
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("the server did not start:\n%s", log)
	return "", nil
}

func TestServe(t *testing.T) {
	var log safeBuffer
	url, stop := startServer(t, &log, "-v", "--max-body", "1KB", filepath.Join(writeGuests(t), "http.wasm"))
	get := func(method string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, body := get("GET"); code != 200 || body != "Hello from a component!\n" {
		t.Errorf("GET: %d %q", code, body)
	}
	if code, _ := get("DELETE"); code != 500 {
		t.Errorf("a request that traps: %d", code)
	}
	if code, _ := get("POST"); code != 200 {
		t.Errorf("after a trap: %d", code)
	}
	for size, want := range map[int]int{1000: 200, 1001: http.StatusRequestEntityTooLarge} {
		r, err := http.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil || r.StatusCode != want {
			t.Fatalf("a body of %d bytes: %v, %v", size, r, err)
		}
		r.Body.Close()
	}
	// HTTP/2 without TLS, by prior knowledge.
	h2 := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	h2.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	resp, err := h2.Get(url)
	if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("HTTP/2: %v, %v", resp, err)
	}
	if err == nil {
		resp.Body.Close()
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 5 {
				if code, _ := get("GET"); code != 200 {
					t.Errorf("under load: %d", code)
				}
			}
		})
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
	h2.CloseIdleConnections()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"request 1: GET / 200 24B", "request 2: DELETE /: wasm trap: unreachable", "0: guest.handle", "request 2: DELETE / 500",
		"CPU time ", "166 requests, CPU time of guests ", "no limit was reached"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String()[:min(2000, len(log.String()))])
		}
	}
}

// A guest that traps in the middle of a response breaks it off.
func TestServeTrapInBody(t *testing.T) {
	var log safeBuffer
	url, stop := startServer(t, &log, filepath.Join(writeGuests(t), "http.wasm"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("the response is whole")
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(log.String(), "wasm trap: unreachable") {
		t.Errorf("the log lacks the trap:\n%s", log.String())
	}
}

// What is responded once the body has turned out too large is not sent.
func TestBodyTooLarge(t *testing.T) {
	for begun, want := range map[bool]int{false: http.StatusRequestEntityTooLarge, true: http.StatusAccepted} {
		w := httptest.NewRecorder()
		rec := &recorder{ResponseWriter: w}
		body := &limitedBody{http.MaxBytesReader(w, io.NopCloser(strings.NewReader("four")), 3), func() { rec.tooLarge.Store(true) }}
		rec.Header().Set("X-Guest", "yes")
		if begun {
			rec.WriteHeader(http.StatusAccepted)
		}
		if b, err := io.ReadAll(body); string(b) != "fou" || err == nil {
			t.Errorf("read %q, %v", b, err)
		}
		if !begun {
			rec.WriteHeader(http.StatusInternalServerError)
		}
		n, err := rec.Write([]byte("guest"))
		if flush := rec.FlushError(); flush != nil || w.Flushed != begun || begun != (err == nil) || begun != (n == 5) {
			t.Errorf("begun %v: wrote %d, %v; flushed %v, %v", begun, n, err, w.Flushed, flush)
		}
		if rec.refused() == begun {
			t.Errorf("begun %v: refused %v", begun, rec.refused())
		}
		if !begun {
			rec.refuse()
		}
		if w.Code != want || (w.Header().Get("X-Guest") == "") == begun {
			t.Errorf("begun %v: %d %v", begun, w.Code, w.Header())
		}
	}
}

func TestServeAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, _, stderr := ashlar("serve", "--addr", l.Addr().String(), filepath.Join(writeGuests(t), "http.wasm"))
	if code != exitFailure || !strings.Contains(stderr, "address already in use") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestGuestLog(t *testing.T) {
	var b bytes.Buffer
	g := newServeLog(&b).guest(7, "stdout")
	for _, p := range []string{"one\ntw", "o\r\n", strings.Repeat("x", maxGuestLine+5) + "\n", "rest"} {
		if n, err := g.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	g.Close()
	var lines []string
	for l := range strings.Lines(b.String()) {
		_, l, _ = strings.Cut(l, " request 7 stdout: ")
		lines = append(lines, strings.TrimSuffix(l, "\n"))
	}
	want := []string{"one", "two", strings.Repeat("x", maxGuestLine), "xxxxx", "rest"}
	if strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Errorf("lines: %q", lines)
	}
	b.Reset()
	g = newServeLog(&b).guest(8, "stderr")
	for range 2 * maxGuestOutput / 64 {
		_, _ = g.Write([]byte(strings.Repeat("y", 63) + "\n"))
	}
	if n := strings.Count(b.String(), "\n"); n > maxGuestOutput/64+2 || !strings.Contains(b.String(), "cut off") {
		t.Errorf("%d lines", n)
	}
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]uint64{"12": 12, "1KiB": 1024, "64MiB": 64 << 20, "2GiB": 2 << 30, "1MB": 1e6, "3K": 3072} {
		var b byteSize
		if err := b.Set(in); err != nil || uint64(b) != want {
			t.Errorf("%s: %d, %v", in, b, err)
		}
	}
	for _, in := range []string{"", "x", "0", "0KiB", "-1", "1.5MiB", "99999999999GiB", "MiB"} {
		var b byteSize
		if err := b.Set(in); err == nil {
			t.Errorf("%q was accepted as %d", in, b)
		}
	}
}

// A guest that computes past its limit is told from others in the log, and counted.
func TestServeLimit(t *testing.T) {
	var log safeBuffer
	url, stop := startServer(t, &log, "--max-cpu", "20ms", filepath.Join(writeGuests(t), "http.wasm"))
	for range 2 {
		r, err := http.NewRequest("PUT", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != http.StatusInternalServerError {
			t.Fatalf("%v, %v", resp, err)
		}
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"request 1: PUT /: CPU time limit of 20ms exceeded", "request 2: PUT /: CPU time limit", "limits reached: CPU time 2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}
