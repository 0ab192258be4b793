package build

import (
	"context"
	"errors"
	"os"
	"time"
)

// lock waits until no other process has the file locked, and locks it. The file stays;
// the lock ends with the process at the latest. waiting is called once if there is
// another. Where files can't be locked, nothing is.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		taken, err := tryLock(f)
		if err == nil && taken || errors.Is(err, errors.ErrUnsupported) {
			return func() { f.Close() }, nil
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if first {
			waiting()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}
