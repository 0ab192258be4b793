// Command damage damages components, and does with each damaged one what a host would
// do with it: it is validated, and of those that are still valid it compiles, links,
// instantiates and runs some. It prints what became of them. It fails when that makes the
// process panic, takes too long, or takes too much memory; the component is then in
// the folder that -keep names.
//
//	go run ./internal/tools/damage FILE...
//	go run ./internal/tools/damage -every 61 -run-every 500 LARGE.wasm
//
// Every byte is changed, to what it is with one of its bits flipped, to 0x00 and to
// 0xff, and the file is cut off before every byte.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	o := options{
		dir: os.TempDir(),
	}
	flag.BoolVar(&o.bits, "bits", false, "flip each bit of a byte, not one of them")
	flag.IntVar(&o.every, "every", 1, "damage one of so many bytes")
	flag.IntVar(&o.runEvery, "run-every", 1, "compile and run one of so many that are valid")
	flag.IntVar(&o.workers, "workers", 1, "components looked at at a time")
	flag.DurationVar(&o.deadline, "deadline", time.Minute, "the most that one may take, on the clock")
	flag.Uint64Var(&o.memory, "memory", 2<<30, "the most memory of this process, in bytes")
	flag.StringVar(&o.dir, "keep", o.dir, "folder for what is found")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed := false
	for _, path := range flag.Args() {
		b, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "damage:", err)
			os.Exit(1)
		}
		start := time.Now()
		r, err := damageAll(ctx, b, o)
		fmt.Printf("%s: %d bytes, %v\n%s", filepath.Base(path), len(b), time.Since(start).Round(time.Second), r)
		if err != nil {
			fmt.Println(err)
		}
		failed = failed || err != nil || r.panics > 0
	}
	if failed {
		os.Exit(1)
	}
}
