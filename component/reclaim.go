package component

import (
	"slices"
	"sync"
	"time"
)

// pools are those of an engine.
type pools struct {
	mu  sync.Mutex
	all map[*Pool]struct{}
}

func (p *pools) add(pool *Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = make(map[*Pool]struct{})
	}
	p.all[pool] = struct{}{}
}

func (p *pools) remove(pool *Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, pool)
}

// reclaim has pools give back the sandboxes that were idle for the longest time, a
// sixteenth of all pools at a time, and snapshots where no pool has idle sandboxes. It
// returns whether there were any.
func (p *pools) reclaim() bool {
	return p.giveBack((*Pool).idleSince, false) || p.giveBack((*Pool).unusedSince, true)
}

func (p *pools) giveBack(since func(*Pool) (time.Time, bool), snapshots bool) bool {
	type idle struct {
		pool  *Pool
		since time.Time
	}
	var all []idle
	p.mu.Lock()
	for pool := range p.all {
		if since, ok := since(pool); ok {
			all = append(all, idle{pool, since})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(a, b idle) int { return a.since.Compare(b.since) })
	n := 0
	for _, i := range all[:(len(all)+15)/16] {
		n += i.pool.giveBack(time.Now(), snapshots)
	}
	return n > 0
}
