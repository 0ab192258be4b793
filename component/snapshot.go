package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// SnapshotMode is what of an instance is made only once, so that all instances of a
// Pool share it.
type SnapshotMode uint8

const (
	// SnapshotAuto is SnapshotInit where nobody can tell the difference, or where the
	// component declares that it is to be initialised once for a deployment, by a custom
	// section ashlar:initialize with the contents "once", and SnapshotData otherwise.
	SnapshotAuto SnapshotMode = iota
	// SnapshotOff makes every instance from scratch.
	SnapshotOff
	// SnapshotData shares memories as they are before any code of the component runs.
	SnapshotData
	// SnapshotInit shares the state that the start functions leave. What those learned
	// of the host (the time, random numbers, the environment) is the same in all
	// instances.
	SnapshotInit
	// SnapshotWarm shares the state that a call leaves, as a first request.
	SnapshotWarm
)

var snapshotModes = [...]string{"auto", "off", "data", "init", "warm"}

func (m SnapshotMode) String() string {
	if int(m) < len(snapshotModes) {
		return snapshotModes[m]
	}
	return fmt.Sprintf("SnapshotMode(%d)", uint8(m))
}

// ParseSnapshotMode returns the mode of a name: auto, off, data, init or warm.
func ParseSnapshotMode(name string) (SnapshotMode, error) {
	n := slices.Index(snapshotModes[:], name)
	if n < 0 {
		return 0, fmt.Errorf("unknown mode %q, expected one of %s", name, strings.Join(snapshotModes[:], ", "))
	}
	return SnapshotMode(n), nil
}

// Freezer is implemented by resources of the host that a snapshot may have: those that
// an instance which begins in the state of another can have one of its own of.
type Freezer interface {
	// Freeze returns what makes another resource like this for an instance that is about
	// to be called with ctx; nil if there can be none. The resource itself is not kept.
	Freeze() (thaw func(ctx context.Context) (host any, err error))
}

// SnapshotInfo describes what instances of a Pool begin with.
type SnapshotInfo struct {
	Mode   SnapshotMode
	Reason string // why it is this mode, for people
	Bytes  uint64 // of memory that is shared
}

// snapshot is the state that instances begin with.
type snapshot struct {
	info    SnapshotInfo
	core    *engine.Snapshot
	done    int                  // steps whose start function has run
	handles []*canon.FrozenTable // by component instance, or nil if there are none
	pure    bool                 // it depends on nothing but the component and limits

	shared *sharedSnapshots
	users  int // under the lock of shared
}

// Reasons for SnapshotInit.
const (
	reasonNoCode = "no code runs to initialise it"
	reasonOnce   = "the component declares that it is initialised once"
)

// errCantFreeze is wrapped by errors of freeze for a state that can't be shared.
var errCantFreeze = errors.New("the state can't be shared")

// starting returns the first step that has a start function, or the number of steps.
func (p *Prepared) starting() int {
	steps := len(p.component.plan.steps)
	for n := range steps {
		if p.code(n).Starts() {
			return n
		}
	}
	return steps
}

// freeze makes a snapshot. begin brings a new instance to the state that is kept; it
// returns how many steps are done.
func (p *Prepared) freeze(ctx context.Context, mode SnapshotMode, begin func(i *Instance) (int, error)) (snap *snapshot, asked []string, err error) {
	s := p.newSlot(nil, true)
	i := s.newInstance()
	i.asked = make([]bool, len(p.component.plan.imports))
	i.again = true // Close is not for who warms up
	rests := false
	defer func() {
		if !rests && i.retire(false) != resting {
			return
		}
		if e := errors.Join(i.dropOwned(ctx), s.close(ctx)); e != nil {
			if err == nil {
				e = errors.Join(e, snap.core.Close())
			}
			snap, err = nil, errors.Join(err, e)
		}
	}()
	done, err := begin(i)
	if rests = i.retire(false) == resting; !rests {
		err = errors.Join(err, fmt.Errorf("close instance: %w", ErrBusy))
	}
	if err != nil {
		return nil, nil, err
	}
	for n, called := range i.asked {
		if called {
			asked = append(asked, pathName(p.component.plan.imports[n].path))
		}
	}
	snap = &snapshot{info: SnapshotInfo{Mode: mode}, done: done, pure: len(asked) == 0 && len(p.modules) == 0}
	if err := snap.freezeHandles(i); err != nil {
		return nil, asked, fmt.Errorf("%w: %w", errCantFreeze, err)
	}
	if snap.core, err = s.sandbox.Freeze(); err != nil {
		if errors.Is(err, engine.ErrNotFrozen) {
			err = fmt.Errorf("%w: %w", errCantFreeze, err)
		}
		return nil, asked, err
	}
	snap.info.Bytes = snap.core.Bytes()
	return snap, asked, nil
}

// freezeHandles keeps the handle tables of an instance.
func (s *snapshot) freezeHandles(i *Instance) error {
	live := 0
	tables := make([]*canon.FrozenTable, len(i.comps))
	for n := range i.comps {
		st := &i.comps[n]
		if st.backpressure != 0 {
			return errors.New("a component instance does not take calls")
		}
		var err error
		if tables[n], err = st.handles.Freeze(i.freezeResource); err != nil {
			return err
		}
		live += tables[n].Live()
	}
	if live > 0 {
		s.handles = tables
	}
	return nil
}

func (i *Instance) freezeResource(rt *canon.ResourceType, rep canon.Rep) (int, canon.Thaw, error) {
	n := slices.Index(i.resources, rt)
	if n < 0 {
		return 0, nil, fmt.Errorf("a handle to a resource %s that is not the component's", rt.Name)
	}
	if rt.Guest {
		return n, nil, nil
	}
	if f, ok := rep.Host.(Freezer); ok {
		if thaw := f.Freeze(); thaw != nil {
			return n, thaw, nil
		}
	}
	return 0, nil, fmt.Errorf("a handle to a resource %s of the host", rt.Name)
}

// thawsHandles tells whether instances begin with handles.
func (s *slot) thawsHandles() bool { return s.from != nil && s.from.handles != nil }

// thawHandles gives the instance the handles that it begins with.
func (s *slot) thawHandles(ctx context.Context) error {
	if !s.thawsHandles() {
		return nil
	}
	for n, t := range s.from.handles {
		if err := t.Thaw(ctx, &s.comps[n].handles, s.instance.resources); err != nil {
			return fmt.Errorf("begin with the handles of the snapshot: %w", err)
		}
	}
	return nil
}

// sharedSnapshots are those of a component that pools share.
type sharedSnapshots struct {
	mu    sync.Mutex
	byKey map[snapshotKey]*snapshot
}

// snapshotKey is all that a snapshot depends on which depends on nothing else than the
// component.
type snapshotKey struct {
	mode   SnapshotMode // that was asked for
	limits Limits
}

// get returns a snapshot for a pool, which is to release it.
func (c *sharedSnapshots) get(ctx context.Context, p *Prepared, o *PoolOptions) (*snapshot, error) {
	key := snapshotKey{o.Snapshot, p.limits}
	c.mu.Lock()
	snap := c.byKey[key]
	c.mu.Unlock()
	if snap.retain() != nil {
		return snap, nil
	}
	snap, err := p.takeSnapshot(ctx, o.Snapshot, o.WarmUp)
	if err != nil {
		return nil, err
	}
	snap.shared, snap.users = c, 1
	if !snap.pure || o.Snapshot == SnapshotWarm {
		return snap, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey = make(map[snapshotKey]*snapshot)
	}
	// If another pool was as fast, the last is the one that others find.
	c.byKey[key] = snap
	return snap, nil
}

// retain counts one more user and returns s, or nil if there is none left: s is being
// closed, or nil.
func (s *snapshot) retain() *snapshot {
	if s == nil {
		return nil
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	if s.users == 0 {
		return nil
	}
	s.users++
	return s
}

// release is the end of a use. The last gives the memory back.
func (s *snapshot) release() error {
	if s == nil {
		return nil
	}
	s.shared.mu.Lock()
	s.users--
	last := s.users == 0
	for key, other := range s.shared.byKey {
		if last && other == s {
			delete(s.shared.byKey, key)
		}
	}
	s.shared.mu.Unlock()
	if !last {
		return nil
	}
	return s.core.Close()
}

// data makes a snapshot of memories as they are before any code runs.
func (p *Prepared) data(ctx context.Context) (*snapshot, error) {
	first := p.starting()
	snap, _, err := p.freeze(ctx, SnapshotData, func(i *Instance) (int, error) {
		for n := range min(first+1, len(p.component.plan.steps)) {
			if err := i.slot.add(ctx, n); err != nil {
				return 0, i.callError(err)
			}
		}
		return first, nil
	})
	return snap, err
}

// initialised makes a snapshot of an instance that has begun, after warmUp if that is
// not nil.
func (p *Prepared) initialised(ctx context.Context, mode SnapshotMode, warmUp func(context.Context, *Instance) error) (*snapshot, []string, error) {
	return p.freeze(ctx, mode, func(i *Instance) (int, error) {
		err := i.begin(ctx)
		if err == nil && warmUp != nil {
			if err = warmUp(ctx, i); err == nil {
				err = i.poisoned
			}
			if err != nil {
				err = fmt.Errorf("warm up: %w", err)
			}
		}
		return len(p.component.plan.steps), err
	})
}

// takeSnapshot makes the snapshot that a pool asks for.
func (p *Prepared) takeSnapshot(ctx context.Context, mode SnapshotMode, warmUp func(context.Context, *Instance) error) (*snapshot, error) {
	because := func(snap *snapshot, err error, reason string) (*snapshot, error) {
		if snap != nil {
			snap.info.Reason = reason
		}
		return snap, err
	}
	none := p.starting() == len(p.component.plan.steps)
	switch mode {
	case SnapshotData:
		snap, err := p.data(ctx)
		return because(snap, err, "asked for")
	case SnapshotInit, SnapshotWarm:
		if mode == SnapshotInit {
			warmUp = nil
		}
		snap, asked, err := p.initialised(ctx, mode, warmUp)
		if err != nil && len(asked) > 0 {
			err = fmt.Errorf("%w; it had called %s", err, some(asked))
		}
		return because(snap, err, "asked for")
	}
	if none {
		snap, _, err := p.initialised(ctx, SnapshotInit, nil)
		return because(snap, err, reasonNoCode)
	}
	once := p.component.once
	snap, asked, err := p.initialised(ctx, SnapshotInit, nil)
	switch {
	case err == nil && len(asked) == 0:
		return because(snap, nil, "initialising it calls no import")
	case err == nil && once:
		return because(snap, nil, reasonOnce)
	}
	reason := "initialising it calls " + some(asked)
	if err != nil {
		if !errors.Is(err, errCantFreeze) && ctx.Err() != nil {
			return nil, err
		}
		reason = "what initialising it leaves can't be shared: " + err.Error()
	} else if err := snap.core.Close(); err != nil {
		return nil, err
	}
	snap, err = p.data(ctx)
	return because(snap, err, reason)
}

// some lists the first of several names.
func some(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
