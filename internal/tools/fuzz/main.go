// Command fuzz runs the fuzz targets of this module, each for a time, and prints how
// many executions each had. It fails if one of them found something; the input is then
// in testdata/fuzz of the package, to be kept as a regression test.
//
//	go run ./internal/tools/fuzz -time 30m           // all of them
//	go run ./internal/tools/fuzz -time 10s -jobs 2 'canon|wave'
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"time"
)

func main() {
	each := flag.Duration("time", 10*time.Second, "time for each target")
	jobs := flag.Int("jobs", 1, "targets run at a time, with one worker each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *each, *jobs, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// target is a fuzz target.
type target struct{ pkg, name string }

func run(ctx context.Context, each time.Duration, jobs int, pattern string) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	targets, err := list(ctx, match)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	turn := make(chan struct{}, max(1, jobs))
	for _, t := range targets {
		turn <- struct{}{}
		group.Go(func() {
			defer func() { <-turn }()
			executions, output, err := fuzz(ctx, t, each)
			mu.Lock()
			defer mu.Unlock()
			fmt.Printf("%-60s %12s executions\n", t.pkg+" "+t.name, executions)
			if err != nil {
				failed++
				fmt.Printf("%v\n%s\n", err, output)
			}
		})
	}
	group.Wait()
	if failed > 0 {
		return fmt.Errorf("%d of %d targets failed", failed, len(targets))
	}
	return ctx.Err()
}

// list finds the fuzz targets whose package and name match.
func list(ctx context.Context, match *regexp.Regexp) ([]target, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", err)
	}
	// Names of targets stand before the line of their package.
	var targets []target
	var names []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Fuzz"):
			names = append(names, fields[0])
		case len(fields) > 1 && fields[0] == "ok":
			for _, n := range names {
				if t := (target{fields[1], n}); match.MatchString(t.pkg + " " + t.name) {
					targets = append(targets, t)
				}
			}
			names = nil
		}
	}
	return targets, nil
}

var execs = regexp.MustCompile(`execs: (\d+)`)

// ended is what go prints if the time is over while it minimizes an input that is new to
// it. It has found nothing then (https://go.dev/issue/75804).
var ended = regexp.MustCompile(`^--- FAIL: \w+ \(.*\)\n    context deadline exceeded\nFAIL\n`)

// fuzz runs a target and returns the number of executions that it reported last.
func fuzz(ctx context.Context, t target, each time.Duration) (executions string, output []byte, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(),
		"-parallel", "1", "-fuzzminimizetime", "10x", "-timeout", "0", t.pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	executions = "0"
	var tail bytes.Buffer
	for lines := bufio.NewReader(pipe); ; {
		line, e := lines.ReadString('\n')
		if m := execs.FindStringSubmatch(line); m != nil {
			executions = m[1]
		} else if !strings.HasPrefix(line, "fuzz: ") {
			tail.WriteString(line)
		}
		if e == io.EOF {
			break
		} else if e != nil {
			return executions, tail.Bytes(), e
		}
	}
	err = cmd.Wait()
	if ended.Match(tail.Bytes()) && ctx.Err() == nil {
		err = nil
	}
	return executions, tail.Bytes(), err
}
