package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// server is a process that answers on an address.
type server struct {
	cmd     *exec.Cmd
	address string
	errs    chan string // what it printed, when it ended
}

// startServer starts a process that says on standard error where it listens.
func startServer(command string, args ...string) (*server, error) {
	s := &server{cmd: exec.Command(command, args...), errs: make(chan string, 1)}
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(pipe)
	var printed strings.Builder
	for {
		line, err := lines.ReadString('\n')
		printed.WriteString(line)
		if _, url, ok := strings.Cut(line, "listening on http://"); ok {
			s.address = strings.TrimSpace(url)
			break
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s did not start: %s", command, printed.String()), s.cmd.Wait())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return s, nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// get returns the answer.
func (s *server) get() (string, error) {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + s.address + "/")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return string(b), err
}

// cpu returns the processor time that the process took.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	var user, system int64
	fields := strings.Fields(rest)
	if len(fields) > 12 {
		_, _ = fmt.Sscan(fields[11], &user)
		_, _ = fmt.Sscan(fields[12], &system)
	}
	return time.Duration(user+system) * (time.Second / 100) // the unit of Linux
}

// memory returns the most bytes of memory that the process had.
func (s *server) memory() uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// load sends requests over so many connections: so many a second in all, evenly, or as
// many as are answered if rate is 0.
func (s *server) load(connections int, rate float64) (measured, error) {
	var mu sync.Mutex
	var all []time.Duration
	var first error
	var wg sync.WaitGroup
	begin := time.Now().Add(200 * time.Millisecond) // until then all warm up
	end := begin.Add(*length)
	var before time.Duration
	time.AfterFunc(time.Until(begin), func() { before = s.cpu() })
	for k := range connections {
		wg.Go(func() {
			var pause, due time.Duration
			if rate > 0 {
				pause = time.Duration(float64(connections) / rate * float64(time.Second))
				due = pause * time.Duration(k) / time.Duration(connections)
			}
			times, err := s.requests(begin, end, pause, due)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, times...)
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	if first != nil || len(all) == 0 {
		return measured{}, errors.Join(errors.New("load"), first)
	}
	took := s.cpu() - before
	slices.Sort(all)
	at := func(p float64) float64 { return all[int(p*float64(len(all)-1))].Seconds() }
	return measured{
		rate: float64(len(all)) / length.Seconds(), cpu: took.Seconds() / float64(len(all)),
		p50: at(0.5), p99: at(0.99), p999: at(0.999),
	}, nil
}

// requests sends requests over one connection, with so much time from one to the next
// but not before the last is answered, and returns how long those after begin took, or
// for how long they were due.
func (s *server) requests(begin, end time.Time, pause, due time.Duration) (times []time.Duration, err error) {
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	request := []byte("GET / HTTP/1.1\r\nHost: " + s.address + "\r\n\r\n")
	next := time.Now().Add(due)
	for {
		sent := time.Now()
		if pause > 0 {
			if wait := next.Sub(sent); wait > 0 {
				time.Sleep(wait)
			}
			sent, next = next, next.Add(pause)
		}
		if !sent.Before(end) {
			return times, nil
		}
		if _, err := c.Write(request); err != nil {
			return nil, err
		}
		if err := skipResponse(r); err != nil {
			return nil, err
		}
		if sent.After(begin) {
			times = append(times, time.Since(sent))
		}
	}
}

// skipResponse reads a response of status 200.
func skipResponse(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "HTTP/1.1 200") {
		return fmt.Errorf("response %q", strings.TrimSpace(string(line)))
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, _ := strings.Cut(string(line), ":"); strings.EqualFold(name, "content-length") {
			if _, err := fmt.Sscan(value, &length); err != nil {
				return fmt.Errorf("content-length: %w", err)
			}
		}
	}
	if length >= 0 {
		_, err := r.Discard(length)
		return err
	}
	for { // chunked
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		var size int
		if _, err := fmt.Sscanf(string(line), "%x", &size); err != nil {
			return fmt.Errorf("chunk: %w", err)
		}
		if _, err := r.Discard(size + 2); err != nil || size == 0 {
			return err
		}
	}
}
