package componentize

// provideStack gives an adapter that has its stack in the memory of the main module a
// place for it.
func (l *linker) provideStack(*coreModule) error { return nil }
