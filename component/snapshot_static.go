package component

import (
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// SnapshotOf returns what SnapshotAuto is for a valid component, as far as that can be
// told without running it: the mode is SnapshotAuto where it can't. Bytes is zero.
func SnapshotOf(bytes []byte) (SnapshotInfo, error) {
	c, err := binary.Decode(bytes)
	if err != nil {
		return SnapshotInfo{}, err
	}
	starts, err := startsCode(c)
	switch {
	case err != nil:
		return SnapshotInfo{}, err
	case !starts:
		return SnapshotInfo{Mode: SnapshotInit, Reason: reasonNoCode}, nil
	case initialisedOnce(c):
		return SnapshotInfo{Mode: SnapshotInit, Reason: reasonOnce}, nil
	}
	return SnapshotInfo{Mode: SnapshotAuto, Reason: "init if initialising it calls no import, else data"}, nil
}

// startsCode tells whether some core module has a start function, or is imported, so that
// it may have one.
func startsCode(c *binary.Component) (bool, error) {
	for _, d := range c.Defs {
		starts := false
		var err error
		switch d := d.(type) {
		case *binary.Import:
			starts = d.Type.Kind == binary.ExternModule
		case *binary.Component:
			starts, err = startsCode(d)
		case *binary.CoreModule:
			var m *wasm.Module
			if m, err = wasm.DecodeAt(d.Bytes, d.Offset); err == nil {
				m.CheckElements(engine.ElementsFunc)
				starts = m.Start != nil
			}
		}
		if starts || err != nil {
			return starts, err
		}
	}
	return false, nil
}
