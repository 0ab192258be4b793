package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// byteSize is a flag for a number of bytes with an optional unit.
type byteSize uint64

var byteUnits = []struct {
	suffix string
	factor uint64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}, {"", 1},
}

// Set implements pflag.Value.
func (b *byteSize) Set(s string) error {
	for _, u := range byteUnits {
		n, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseUint(n, 10, 64)
		if err != nil || v == 0 || v > 1<<62/u.factor {
			break
		}
		*b = byteSize(v * u.factor)
		return nil
	}
	return fmt.Errorf("%q is no size: expected a number of bytes above zero, or one with a unit like 64MiB", s)
}

// String implements pflag.Value.
func (b *byteSize) String() string {
	for _, u := range []string{"GiB", "MiB", "KiB"} {
		for _, x := range byteUnits {
			if x.suffix == u && uint64(*b) >= x.factor && uint64(*b)%x.factor == 0 {
				return fmt.Sprintf("%d%s", uint64(*b)/x.factor, u)
			}
		}
	}
	return fmt.Sprintf("%dB", uint64(*b))
}

// Type implements pflag.Value.
func (*byteSize) Type() string { return "SIZE" }

// timeLimit is a flag for a time above zero.
type timeLimit time.Duration

// Set implements pflag.Value.
func (t *timeLimit) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no time: expected one above zero with a unit, like 500ms or 2m", s)
	}
	*t = timeLimit(d)
	return nil
}

// String implements pflag.Value. The zero value is no limit.
func (t *timeLimit) String() string {
	if *t == 0 {
		return ""
	}
	return time.Duration(*t).String()
}

// Type implements pflag.Value.
func (*timeLimit) Type() string { return "TIME" }

// limits are the flags that bound a guest.
type limits struct {
	timeout        timeLimit
	compileTimeout timeLimit
	maxMemory      byteSize
}

func (l *limits) flags(c *cobra.Command) {
	l.maxMemory, l.compileTimeout = 1<<30, compileTimeout
	c.Flags().Var(&l.timeout, "timeout", "end the guest after this time, like 500ms or 2m; counts from instantiation (default: no limit)")
	c.Flags().Var(&l.compileTimeout, "compile-timeout", "give up compiling the file after this time")
	c.Flags().Var(&l.maxMemory, "max-memory", "bytes of linear memory the guest may have, like 64MiB")
}

// compileTimeout is the default bound on compiling.
const compileTimeout = timeLimit(5 * time.Minute)

// compile runs f, which compiles, within its time limit.
func (l *limits) compile(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(l.compileTimeout))
	defer cancel()
	err := f(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return withCode(exitTimeout, fmt.Errorf("time limit of %v for compiling exceeded", time.Duration(l.compileTimeout)))
	}
	return err
}
