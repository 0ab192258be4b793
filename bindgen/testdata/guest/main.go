// The guest of the tests: it passes on what it gets to the host, with the
// garbage collector at work in between.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/guest/bind"
	"example.com/guest/bind/example/bindings/echo"
	"example.com/guest/bind/example/bindings/kinds"
	"example.com/guest/bind/example/bindings/store"
	"example.com/guest/bind/export/example/bindings/counter"
	exportecho "example.com/guest/bind/export/example/bindings/echo"
	"github.com/ashlar-wasm/ashlar/guest/abi"
)

func main() {}

func init() {
	exportecho.Export(echoes{})
	counter.Export(counters{})
	bind.Export(world{})
}

var (
	calls int
	trash [][]byte
)

// churn makes memory that nothing refers to be used again, and overwritten.
func churn() {
	if calls++; calls%4 == 0 {
		runtime.GC()
	}
	trash = nil
	for n := 8; n <= 1<<12; n *= 2 {
		for range 8 {
			b := make([]byte, n)
			for i := range b {
				b[i] = 0xa5
			}
			trash = append(trash, b)
		}
	}
}

type echoes struct{}

func (echoes) Scalars(a bool, b uint8, c int8, d uint16, e int16, f uint32, g int32, h uint64, i int64, j float32, k float64, l rune) abi.Tuple12[bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64, rune] {
	churn()
	defer churn()
	return echo.Scalars(a, b, c, d, e, f, g, h, i, j, k, l)
}

func (echoes) Strings(a string, b []byte, c []string, d []uint16) abi.Tuple4[string, []byte, []string, []uint16] {
	churn()
	defer churn()
	return echo.Strings(a, b, c, d)
}

func (echoes) SingleU8(a uint8) uint8                 { return echo.SingleU8(a) }
func (echoes) SingleS16(a int16) int16                { return echo.SingleS16(a) }
func (echoes) SingleF32(a float32) float32            { return echo.SingleF32(a) }
func (echoes) SingleChar(a rune) rune                 { return echo.SingleChar(a) }
func (echoes) SingleLevel(a kinds.Level) kinds.Level  { return echo.SingleLevel(a) }
func (echoes) SingleAccess(a echo.Access) echo.Access { return echo.SingleAccess(a) }
func (echoes) None()                                  { echo.None() }
func (echoes) Fixed(a [3]uint16, b [2]string) abi.Tuple2[[3]uint16, [2]string] {
	churn()
	return echo.Fixed(a, b)
}

func (echoes) FlagLists(a []echo.Access, b []echo.Many, c echo.Many) abi.Tuple3[[]echo.Access, []echo.Many, echo.Many] {
	churn()
	defer churn()
	return echo.FlagLists(a, b, c)
}

func (echoes) Records(a echo.Mixed, b []echo.Mixed) abi.Tuple2[echo.Mixed, []echo.Mixed] {
	churn()
	defer churn()
	return echo.Records(a, b)
}

func (echoes) Shapes(a echo.Shape, b []echo.Shape, c echo.Shape) abi.Tuple3[echo.Shape, []echo.Shape, echo.Shape] {
	churn()
	defer churn()
	return echo.Shapes(a, b, c)
}

func (echoes) Options(a *string, b abi.Option[*uint8], c echo.Shape, d *[]byte) abi.Tuple4[*string, abi.Option[*uint8], echo.Shape, *[]byte] {
	churn()
	defer churn()
	return echo.Options(a, b, c, d)
}

func (echoes) Results(a abi.Result[uint64, string], b abi.Result[abi.Unit, kinds.Level], c abi.Result[float32, abi.Unit], d abi.Result[abi.Unit, abi.Unit]) abi.Tuple4[abi.Result[uint64, string], abi.Result[abi.Unit, kinds.Level], abi.Result[float32, abi.Unit], abi.Result[abi.Unit, abi.Unit]] {
	churn()
	defer churn()
	return echo.Results(a, b, c, d)
}

func (echoes) Maps(a map[uint32]string, b map[string]kinds.Point) abi.Tuple2[map[uint32]string, map[string]kinds.Point] {
	churn()
	defer churn()
	return echo.Maps(a, b)
}

func (echoes) Spilled(a, b, c echo.Mixed) []echo.Mixed {
	churn()
	defer churn()
	return echo.Spilled(a, b, c)
}

// count is a resource that the component implements.
type count struct{ n uint32 }

var closed int

func (c *count) Add(n uint32) uint32 {
	churn()
	c.n += n
	return c.n
}

func (c *count) Close() { closed++ }

type counters struct{}

func (counters) NewCount(start uint32) counter.Count { return &count{start} }

func (counters) CountJoined(a, b counter.Count) (counter.Count, error) {
	churn()
	if a == b {
		return nil, errors.New("the same count twice")
	}
	a.(*count).n += b.(*count).n
	return a, nil
}

var kept counter.Snapshot

func (counters) All(source *store.Bucket) counter.Snapshot {
	// The bucket is lent: its name leads to an owned one.
	b, err := store.BucketOpen(store.Describe(source))
	if err != nil {
		panic(err)
	}
	s := kept
	kept = counter.Snapshot{}
	s.Source = b
	return s
}

func (counters) Restore(s counter.Snapshot) {
	churn()
	s.Source.Close()
	s.Source = nil
	kept = s
}

type world struct{}

// Run does what the first argument names.
func (world) Run(args []string) error {
	switch args[0] {
	case "log":
		bind.Log(args[1], 7)
	case "closed":
		if got := fmt.Sprint(closed); got != args[1] {
			return fmt.Errorf("%s counts are closed, want %s", got, args[1])
		}
	case "panic":
		panic("out of " + args[1])
	case "invalid":
		bind.Log(map[string]string{
			"surrogate": "\xed\xa0\x80", "low": "a\xed\xbf\xbf", "byte": "\xff", "short": "abc\xe4\xb8",
		}[args[1]], 1)
	case "block":
		<-make(chan int)
	case "get":
		return get(args[1], args[2])
	case "keep":
		return keep()
	case "stack":
		if n := deep(make([]byte, 8), 10000); n != 10000*3 {
			return fmt.Errorf("got %d", n)
		}
	case "arguments":
		return arguments()
	case "goroutines":
		return goroutines()
	case "start":
		// What is started here outlives the call.
		go func() {
			for {
				time.Sleep(time.Millisecond)
				ticks++
			}
		}()
	case "ticks":
		before := ticks
		time.Sleep(20 * time.Millisecond)
		return fmt.Errorf("%t %t", before > 1, ticks > before)
	case "env":
		return errors.New(strings.Join([]string{os.Getenv("NAME"), time.Unix(0, 0).UTC().String()}, " "))
	}
	return nil
}

func get(bucket, key string) error {
	b, err := store.BucketOpen(bucket)
	var failure store.StoreError
	if errors.As(err, &failure) {
		return fmt.Errorf("open: %w", err)
	}
	defer b.Close()
	value, err := b.Get(key)
	if denied, ok := errors.AsType[store.StoreErrorDenied](err); ok {
		return errors.New("denied because of " + denied.Value)
	}
	return errors.New(string(value))
}

// keep uses a resource after it was passed on.
func keep() error {
	a, b := store.NewBucket("a"), store.NewBucket("loud")
	if _, err := a.Merge(b); err != kinds.LevelLoud {
		return err
	}
	_, err := b.Get("x")
	return err
}

// deep calls the host with a stack that grows in between.
func deep(b []byte, n int) int {
	if n == 0 {
		return 0
	}
	var here [64]byte
	copy(here[:], b)
	c := echo.Strings("abc", here[:n%64], nil, nil)
	if len(c.F1) != n%64 {
		panic("bytes are lost")
	}
	return deep(here[:], n-1) + len(c.F0)
}

// arguments lowers values that nothing else refers to, as generated code does, and
// looks at them after the collector has run.
func arguments() error {
	c := abi.NewCall()
	defer c.Free()
	const size = 1 << 16
	text, n := c.StoreString(strings.Repeat("ab", size/2))
	numbers, m := abi.StorePlain(c, slices.Repeat([]uint64{1 << 40}, size/8))
	list := c.AllocList(size/4, 4, 4)
	for i := range uint32(size / 4) {
		c.PutU32(list+4*i, i)
	}
	for range 3 {
		runtime.GC()
		for range 10 {
			trash = append(trash, slices.Repeat([]byte{0xa5}, size))
		}
	}
	trash = nil
	if c.LoadString(text, n) != strings.Repeat("ab", size/2) {
		return errors.New("the string is overwritten")
	}
	for _, v := range abi.LoadPlain[uint64](c, numbers, m) {
		if v != 1<<40 {
			return errors.New("the numbers are overwritten")
		}
	}
	for i := range uint32(size / 4) {
		if c.U32(list+4*i) != i {
			return errors.New("the list is overwritten")
		}
	}
	return nil
}

// goroutines wait for each other and call the host in between.
func goroutines() error {
	done := make(chan error)
	for i := range 20 {
		go func() {
			for j := range 50 {
				want := strings.Repeat(fmt.Sprint(i), j)
				got := echo.Strings(want, nil, []string{want, "x"}, nil)
				runtime.Gosched()
				churn()
				if got.F0 != want || got.F2[0] != want {
					done <- fmt.Errorf("got %q, want %q", got.F0, want)
					return
				}
				time.Sleep(time.Microsecond)
			}
			done <- nil
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

var ticks int
