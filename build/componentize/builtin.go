package componentize

import "github.com/ashlar-wasm/ashlar/wit"

func (l *linker) environmentSource(name string, t any) *source { return nil }
func (l *linker) builtinSource(m *coreModule, name string, at setup) (*source, error) {
	return nil, nil
}
func (l *linker) typedSource(m *coreModule, item *wit.WorldItem, name string, exported bool, at setup) (*source, error) {
	return nil, nil
}
