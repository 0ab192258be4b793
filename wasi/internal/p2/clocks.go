package p2

import (
	"context"
	"math"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
)

// monotonicClock is wasi:clocks/monotonic-clock.
type monotonicClock struct{ clock grant.Clock }

func (m monotonicClock) Now(context.Context) (uint64, error) {
	return uint64(m.clock.Monotonic()), nil
}

func (m monotonicClock) Resolution(context.Context) (uint64, error) { return 1, nil }

func (m monotonicClock) SubscribeInstant(_ context.Context, when uint64) (bind.Pollable, error) {
	return pollable{grant.Timer(m.clock, when)}, nil
}

func (m monotonicClock) SubscribeDuration(_ context.Context, span uint64) (bind.Pollable, error) {
	return pollable{grant.After(m.clock, span)}, nil
}

// wallClock is wasi:clocks/wall-clock.
type wallClock struct{ clock grant.Clock }

func (w wallClock) Now(context.Context) (bind.Datetime, error) {
	return datetime(w.clock.Now()), nil
}

func (w wallClock) Resolution(context.Context) (bind.Datetime, error) {
	return bind.Datetime{Nanoseconds: 1}, nil
}

// datetime is a time as the interface has it, which nothing before 1970 is.
func datetime(t time.Time) bind.Datetime {
	if t.Unix() < 0 {
		return bind.Datetime{}
	}
	return bind.Datetime{Seconds: uint64(t.Unix()), Nanoseconds: uint32(t.Nanosecond())}
}

// timezone is wasi:clocks/timezone.
type timezone struct{ location *time.Location }

func (z timezone) at(when bind.Datetime) time.Time {
	return time.Unix(int64(min(when.Seconds, math.MaxInt64/2)), int64(when.Nanoseconds)).In(z.location)
}

func (z timezone) Display(_ context.Context, when bind.Datetime) (bind.TimezoneDisplay, error) {
	t := z.at(when)
	name, offset := t.Zone()
	return bind.TimezoneDisplay{UTCOffset: int32(offset), Name: name, InDaylightSavingTime: t.IsDST()}, nil
}

func (z timezone) UTCOffset(_ context.Context, when bind.Datetime) (int32, error) {
	_, offset := z.at(when).Zone()
	return int32(offset), nil
}
