package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/wasi"
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

// instanceLimits are the flags that bound what one instance may use.
type instanceLimits struct {
	memory    byteSize
	stack     byteSize
	host      byteSize
	cpu       timeLimit
	tables    uint
	handles   uint
	instances uint
}

func (l *instanceLimits) flags(c *cobra.Command) {
	d := component.DefaultLimits()
	l.memory, l.stack, l.host = byteSize(d.MemoryBytes), byteSize(d.StackBytes), byteSize(d.HostBytes)
	fl := c.Flags()
	fl.Var(&l.memory, "max-memory", "bytes of linear memory the guest may have, like 64MiB")
	fl.Var(&l.stack, "max-stack", "bytes that the guest's call stacks may take")
	fl.Var(&l.host, "max-host-memory", "bytes of this process's memory for the values that the guest passes in one call")
	fl.Var(&l.cpu, "max-cpu", "time the guest may compute in one call, like 500ms"+ifNone(l.cpu))
	fl.UintVar(&l.tables, "max-table-elements", uint(d.TableElements), "elements that all tables of the guest may have")
	fl.UintVar(&l.handles, "max-handles", uint(d.Handles), "handles of resources in each component instance")
	fl.UintVar(&l.instances, "max-instances", uint(d.Instances), "core instances that the component may consist of")
}

// ifNone says that there is no default.
func ifNone(t timeLimit) string {
	if t > 0 {
		return ""
	}
	return " (default: no limit)"
}

// limits returns what the flags say.
func (l *instanceLimits) limits() component.Limits {
	return component.Limits{
		MemoryBytes: uint64(l.memory), StackBytes: uint64(l.stack), HostBytes: uint64(l.host), CPU: time.Duration(l.cpu),
		TableElements: uint64(l.tables), Handles: int(l.handles), Instances: int(l.instances),
	}
}

// heldLimits are the flags that bound what one guest holds of this machine.
type heldLimits struct {
	connections int
	all         int
	files       int
	streams     int
	fields      byteSize
}

func (l *heldLimits) flags(c *cobra.Command) {
	d := wasi.DefaultLimits()
	l.fields = byteSize(d.FieldBytes)
	fl := c.Flags()
	fl.IntVar(&l.connections, "max-guest-connections", d.Connections, "sockets, outgoing HTTP requests and lookups that one guest has at a time")
	fl.IntVar(&l.all, "max-all-guest-connections", d.AllConnections, "those of all guests together")
	fl.IntVar(&l.files, "max-open-files", d.Files, "files and directories that one guest has open")
	fl.IntVar(&l.streams, "max-streams", d.Streams, "streams of files and bodies being sent that one guest has")
	fl.Var(&l.fields, "max-fields", "bytes of HTTP fields that one guest builds")
}

// limits returns what the flags say.
func (l *heldLimits) limits() (wasi.Limits, error) {
	for name, n := range map[string]int{"max-guest-connections": l.connections, "max-all-guest-connections": l.all, "max-open-files": l.files, "max-streams": l.streams} {
		if n < 1 {
			return wasi.Limits{}, usageError("--%s must be at least 1", name)
		}
	}
	return wasi.Limits{Connections: l.connections, AllConnections: l.all, Files: l.files, Streams: l.streams, FieldBytes: int(min(l.fields, math.MaxInt))}, nil
}

// limits are the flags that bound a guest that runs once.
type limits struct {
	compiling
	instanceLimits
	timeout timeLimit
}

func (l *limits) flags(c *cobra.Command) {
	c.Flags().Var(&l.timeout, "timeout", "end the guest after this time, like 500ms or 2m; counts from instantiation"+ifNone(l.timeout))
	l.instanceLimits.flags(c)
	l.compiling.flags(c)
}

// compiling are the flags on how a file is had and compiled.
type compiling struct {
	registries
	cacheDir
	timeLimit timeLimit
	maxFile   byteSize
}

func (l *compiling) flags(c *cobra.Command) {
	l.timeLimit, l.maxFile = timeLimit(5*time.Minute), maxFile
	c.Flags().Var(&l.timeLimit, "compile-timeout", "give up compiling the file after this time")
	c.Flags().Var(&l.maxFile, "max-file", "bytes that the file may have")
	l.cacheDir.flags(c)
	l.readFlags(c)
	l.policies.flags(c)
}

// read reads or pulls what a word of the command line names.
func (l *compiling) read(ctx context.Context, s *streams, word string) (*file, error) {
	return l.load(ctx, s, word, l.maxFile)
}

// compile runs f, which compiles, within its time limit.
func (l *compiling) compile(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(l.timeLimit))
	defer cancel()
	err := f(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return withCode(exitTimeout, fmt.Errorf("time limit of %v for compiling exceeded", time.Duration(l.timeLimit)))
	}
	return err
}

// newEngine returns an engine that has the cache, if there is one, and what
// closes them. No call may be under way then.
func (l *compiling) newEngine(s *streams, limits component.Limits, restore component.Restore) (e *component.Engine, end func(context.Context) error) {
	cache := l.cacheDir.open(s)
	e = component.NewEngine(component.Options{Limits: limits, MaxBytes: uint64(l.maxFile), Cache: cache, Restore: restore})
	return e, func(ctx context.Context) error {
		err := e.Close(context.WithoutCancel(ctx))
		if cache != nil {
			err = errors.Join(err, cache.Close())
		}
		return err
	}
}
