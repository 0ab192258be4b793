package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/component"
	wasihttp "github.com/ashlar-wasm/ashlar/wasi/http"
)

// queueTime is how long a request waits for its turn.
const queueTime = 10 * time.Second

// pooling are the flags on the sandboxes that serve requests.
type pooling struct {
	maxConcurrent int
	queue         int
	snapshot      snapshotMode
	warmUp        string
	reuse         int
	ahead         int
	idle          int
	idleTime      timeLimit
	restore       restoreMethod
}

// snapshotMode is a flag.
type snapshotMode component.SnapshotMode

// Set implements pflag.Value.
func (m *snapshotMode) Set(s string) error {
	v, err := component.ParseSnapshotMode(s)
	*m = snapshotMode(v)
	return err
}

// String implements pflag.Value.
func (m *snapshotMode) String() string { return component.SnapshotMode(*m).String() }

// Type implements pflag.Value.
func (*snapshotMode) Type() string { return "MODE" }

// restoreMethod is a flag.
type restoreMethod struct {
	name string
	component.Restore
}

// Set implements pflag.Value.
func (m *restoreMethod) Set(s string) (err error) {
	m.name = s
	m.Restore, err = component.ParseRestore(s)
	return err
}

// String implements pflag.Value.
func (m *restoreMethod) String() string { return cmp.Or(m.name, "auto") }

// Type implements pflag.Value.
func (*restoreMethod) Type() string { return "METHOD" }

func (o *pooling) flags(c *cobra.Command) {
	fl := c.Flags()
	fl.IntVar(&o.maxConcurrent, "max-concurrent", 256, "requests handled at a time; further ones wait for up to 10s")
	fl.IntVar(&o.queue, "max-queue", 0, "requests that may wait (default: four times as many as are handled)")
	o.idleTime = timeLimit(time.Minute)
	fl.Var(&o.snapshot, "snapshot", "what all sandboxes share: off (nothing), data (memory before any code runs), init (what initialisation left), warm (what a first request left), or auto: init where nobody can tell, else data")
	fl.StringVar(&o.warmUp, "warm-up", "", "the request for --snapshot warm, as \"GET /path\"")
	fl.IntVar(&o.reuse, "reuse", 1, "requests that an instance handles; with more than one, each sees what those before it left in memory")
	fl.IntVar(&o.ahead, "sandboxes", 1, "sandboxes made before the first request")
	fl.IntVar(&o.idle, "max-idle", 0, "unused sandboxes that are kept (default: as many as --max-concurrent; below zero: none)")
	fl.Var(&o.idleTime, "idle-sandbox-time", "time that an unused sandbox is kept")
	fl.Var(&o.restore, "restore", "how memory is brought back to its beginning: scan, pagemap, discard or copy; auto takes the first that the system has")
}

// check tells of flags that contradict each other.
func (o *pooling) check() error {
	switch warm := o.snapshot == snapshotMode(component.SnapshotWarm); {
	case o.maxConcurrent < 1:
		return usageError("--max-concurrent must be at least 1")
	case o.queue < 0:
		return usageError("--max-queue must be at least 1, or 0 for four times as many as are handled")
	case o.ahead < 0:
		return usageError("--sandboxes must not be below 0")
	case o.reuse < 1:
		return usageError("--reuse must be at least 1")
	case warm && o.warmUp == "":
		return usageError("--snapshot warm needs a request: --warm-up \"GET /path\"")
	case !warm && o.warmUp != "":
		return usageError("--warm-up goes with --snapshot warm")
	}
	if o.warmUp != "" {
		if _, err := o.request(context.Background()); err != nil {
			return usageError("--warm-up %q is no request: %v", o.warmUp, err)
		}
	}
	return nil
}

// request returns the request to warm up with.
func (o *pooling) request(ctx context.Context) (*http.Request, error) {
	method, path, ok := strings.Cut(o.warmUp, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("expected a method and a path, as in \"GET /\"")
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.RequestURI = path
	return r, nil
}

// pool makes the pool with the sandboxes that are wanted ahead. What guests print
// meanwhile goes to the log.
func (o *pooling) pool(ctx context.Context, p *component.Prepared, log *serveLog) (*component.Pool, error) {
	options := component.PoolOptions{
		Concurrent: o.maxConcurrent, Queue: o.queue, Wait: queueTime, Snapshot: component.SnapshotMode(o.snapshot),
		Reuse: o.reuse, Idle: o.idle, IdleTime: time.Duration(o.idleTime),
	}
	if o.warmUp != "" {
		options.WarmUp = o.warm
	}
	pool, err := p.NewPool(options)
	if err != nil {
		return nil, err
	}
	prime, end := log.initialising(ctx)
	defer end()
	if _, err := pool.Prime(prime, o.ahead); err != nil {
		return nil, errors.Join(err, pool.Close(context.WithoutCancel(ctx)))
	}
	return pool, nil
}

// warm has an instance handle the request that all others are to have handled.
func (o *pooling) warm(ctx context.Context, i *component.Instance) (err error) {
	r, err := o.request(ctx)
	if err != nil {
		return err
	}
	w := &response{header: make(http.Header)}
	h := wasihttp.Handler{
		Instantiate: func(context.Context) (wasihttp.Instance, error) { return kept{i}, nil },
		Error:       func(_ *http.Request, e error) { err = e },
	}
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		h.ServeHTTP(w, r)
	}()
	if err == nil && w.status >= 500 {
		return fmt.Errorf("%s: status %d: %s", o.warmUp, w.status, bytes.TrimSpace(w.body))
	}
	return err
}

// kept is an instance that is not closed when it has handled a request.
type kept struct{ *component.Instance }

func (kept) Close(context.Context) error { return nil }

// response is a response that nobody gets.
type response struct {
	header http.Header
	status int
	body   []byte // the beginning
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(status int) {
	if r.status < 200 {
		r.status = status
	}
}

func (r *response) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.body = append(r.body, p[:min(len(p), max(0, 200-len(r.body)))]...)
	return len(p), nil
}

// FlushError implements what http.ResponseController asks for.
func (*response) FlushError() error { return nil }
