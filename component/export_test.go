package component

// NewEngineWithMappings returns an engine whose memories take no more of the system's
// mappings than that.
func NewEngineWithMappings(o Options, mappings int) *Engine { return newEngine(o, mappings) }

// KeptStack returns the bytes of call stacks that idle sandboxes keep, and how many
// functions they keep.
func (p *Pool) KeptStack() (bytes, funcs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		for _, f := range s.funcs {
			if f != nil {
				bytes += f.StackBytes()
				funcs++
			}
		}
	}
	return bytes, funcs
}

// SharedSnapshots returns how many snapshots pools of the component can share now.
func (c *Component) SharedSnapshots() int {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	return len(c.shared.byKey)
}
