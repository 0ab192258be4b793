package oci

import "sync"

// progress sums up the transfers of a client.
type progress struct {
	report      func(done, total int64)
	mu          sync.Mutex
	done, total int64
}

// meter is the part of one transfer in a progress. A nil one counts nothing.
type meter struct {
	of   *progress
	done int64
}

func (p *progress) begin(size int64) *meter {
	if p.report == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += size
	p.report(p.done, p.total)
	return &meter{of: p}
}

// set says how many bytes were transferred.
func (m *meter) set(done int64) {
	if m == nil {
		return
	}
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	m.of.done += done - m.done
	m.done = done
	m.of.report(m.of.done, m.of.total)
}
