package cow

// ErrNotRestored is returned by NewSpace if a method of the system is not exact.
var ErrNotRestored = errNotRestored
