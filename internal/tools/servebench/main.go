// Command servebench compares `ashlar serve` with a plain net/http server that gives the
// same answers, each in a process of its own, under load from this one. It prints tables.
//
//	servebench [flags] FILE...
//
// It loads the two in turn over so many connections that are kept alive: first each as
// fast as it can, then each at half of that rate by the clock (an open loop: a request
// that has to wait for its connection counts from when it was due). Then it measures from
// the start of the process to the first response, with compiled code in the cache and
// without. -serve gives flags to `ashlar serve`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	ashlar      = flag.String("ashlar", "ashlar", "the command to measure")
	connections = flag.String("connections", "1,16,64", "numbers of connections")
	length      = flag.Duration("time", 3*time.Second, "of each measurement")
	rounds      = flag.Int("rounds", 3, "rounds, of which the median is taken")
	starts      = flag.Int("starts", 9, "starts of the process, of which the median is taken; with nothing in the cache it is a third of that")
	serve       = flag.String("serve", "", "flags for ashlar serve, separated by spaces")
	plain       = flag.String("plain", "", "be the plain server, with this answer")
)

func main() {
	flag.Parse()
	var err error
	if *plain != "" {
		err = servePlain(*plain)
	} else {
		err = run(flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "servebench:", err)
		os.Exit(1)
	}
}

// servePlain says where it listens as ashlar serve does.
func servePlain(answer string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(os.Stderr, "listening on http://%s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func run(files []string) error {
	if len(files) == 0 {
		return errors.New("no FILE")
	}
	var counts []int
	for c := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 {
			return fmt.Errorf("-connections: %q is no number", c)
		}
		counts = append(counts, n)
	}
	for _, f := range files {
		if err := load(f, counts); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	fmt.Printf("\nfrom the start of the process to the first response\n%-24s %12s %12s %12s\n", "", "plain", "cached", "not cached")
	for _, f := range files {
		if err := start(f); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	return nil
}

// measured is what one measurement found.
type measured struct {
	rate, cpu      float64 // requests a second, seconds a request
	p50, p99, p999 float64 // seconds
}

// median is that of each figure.
func median(all []measured) (m measured) {
	of := func(f func(*measured) *float64) {
		var v []float64
		for i := range all {
			v = append(v, *f(&all[i]))
		}
		slices.Sort(v)
		*f(&m) = v[len(v)/2]
	}
	of(func(m *measured) *float64 { return &m.rate })
	of(func(m *measured) *float64 { return &m.cpu })
	of(func(m *measured) *float64 { return &m.p50 })
	of(func(m *measured) *float64 { return &m.p99 })
	of(func(m *measured) *float64 { return &m.p999 })
	return m
}

// load compares the two under load.
func load(file string, counts []int) error {
	guest, err := startServer(*ashlar, append(append([]string{"serve", "--addr", "127.0.0.1:0"}, strings.Fields(*serve)...), file)...)
	if err != nil {
		return err
	}
	defer guest.stop()
	answer, err := guest.get()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host, err := startServer(self, "-plain", answer)
	if err != nil {
		return err
	}
	defer host.stop()
	if _, err := host.get(); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d KB\n%-30s %10s %10s %10s %10s %10s %10s\n", filepath.Base(file), info.Size()/1000,
		"", "requests/s", "CPU", "p50", "p99", "p99.9", "rate")
	servers := []struct {
		name string
		*server
	}{{"plain", host}, {"component", guest}}
	print := func(connections int, name string, m, beside measured) {
		us := func(s float64) string { return fmt.Sprintf("%.0f µs", s*1e6) }
		fmt.Printf("%-30s %10.0f %10s %10s %10s %10s %10.2f\n", fmt.Sprintf("%d connections, %s", connections, name),
			m.rate, us(m.cpu), us(m.p50), us(m.p99), us(m.p999), m.rate/beside.rate)
	}
	for _, n := range counts {
		var closed, open [2][]measured
		var most [2]measured
		for range *rounds {
			for i, s := range servers {
				m, err := s.load(n, 0)
				if err != nil {
					return err
				}
				closed[i] = append(closed[i], m)
			}
		}
		for i, s := range servers {
			most[i] = median(closed[i])
			print(n, s.name, most[i], most[0])
		}
		for range *rounds {
			for i, s := range servers {
				m, err := s.load(n, most[i].rate/2)
				if err != nil {
					return err
				}
				open[i] = append(open[i], m)
			}
		}
		for i, s := range servers {
			print(n, s.name+" at half its rate", median(open[i]), median(open[0]))
		}
	}
	for _, s := range servers {
		fmt.Printf("memory of %s at most: %d MiB\n", s.name, s.memory()>>20)
	}
	return nil
}

// start measures starts of the process.
func start(file string) error {
	dir, err := os.MkdirTemp("", "servebench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"serve", "--addr", "127.0.0.1:0"}, strings.Fields(*serve)...)
	once := func(command string, args ...string) (float64, error) {
		begin := time.Now()
		s, err := startServer(command, args...)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		_, err = s.get()
		return time.Since(begin).Seconds(), err
	}
	ways := []struct {
		n       int
		command string
		args    func(k int) []string
	}{
		{*starts, self, func(int) []string { return []string{"-plain", "hello"} }},
		{*starts + 1, *ashlar, func(int) []string { return append(args, "--cache-dir", filepath.Join(dir, "cache"), file) }},
		{max(1, *starts/3), *ashlar, func(k int) []string { return append(args, "--cache-dir", filepath.Join(dir, strconv.Itoa(k)), file) }},
	}
	line := fmt.Sprintf("%-24s", filepath.Base(file))
	for w, way := range ways {
		var times []float64
		for k := range way.n {
			t, err := once(way.command, way.args(k)...)
			if err != nil {
				return err
			}
			if w != 1 || k > 0 { // the first one fills the cache
				times = append(times, t)
			}
		}
		slices.Sort(times)
		line += fmt.Sprintf(" %9.1f ms", times[len(times)/2]*1000)
	}
	fmt.Println(line)
	return nil
}
