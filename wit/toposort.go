package wit

import (
	"fmt"
	"slices"
)

// toposort orders names so that each comes after those that it depends on,
// and otherwise keeps their order. extra names candidates for a hint.
func toposort(kind string, names []string, deps map[string][]ident, extra []string) ([]string, error) {
	index := make(map[string]int, len(names))
	for i, n := range names {
		index[n] = i
	}
	waiting := make([]int, len(names))
	dependents := make([][]int, len(names))
	for i, n := range names {
		waiting[i] = len(deps[n])
		for _, d := range deps[n] {
			j, ok := index[d.name]
			if !ok {
				return nil, d.span.errorf("%s `%s` does not exist", kind, d.name).
					withHint(didYouMean(d.name, append(slices.Clone(names), extra...)))
			}
			dependents[j] = append(dependents[j], i)
		}
	}
	ready := &indexHeap{}
	for i := range names {
		if waiting[i] == 0 {
			ready.push(i)
		}
	}
	order := make([]string, 0, len(names))
	for len(*ready) > 0 {
		i := ready.pop()
		order = append(order, names[i])
		for _, j := range dependents[i] {
			if waiting[j]--; waiting[j] == 0 {
				ready.push(j)
			}
		}
	}
	if len(order) == len(names) {
		return order, nil
	}
	for i, n := range names {
		if waiting[i] == 0 {
			continue
		}
		for _, d := range deps[n] {
			if waiting[index[d.name]] > 0 {
				return nil, d.span.errorf("%s `%s` depends on itself", kind, d.name)
			}
		}
	}
	return nil, fmt.Errorf("cycle among the %ss", kind)
}

// indexHeap is a binary heap of indices, the smallest first.
type indexHeap []int

func (h *indexHeap) push(v int) {
	*h = append(*h, v)
	for i := len(*h) - 1; i > 0; {
		parent := (i - 1) / 2
		if (*h)[parent] <= (*h)[i] {
			break
		}
		(*h)[parent], (*h)[i] = (*h)[i], (*h)[parent]
		i = parent
	}
}

func (h *indexHeap) pop() int {
	old := *h
	top := old[0]
	n := len(old) - 1
	old[0] = old[n]
	*h = old[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return top
		}
		if c+1 < n && old[c+1] < old[c] {
			c++
		}
		if old[i] <= old[c] {
			return top
		}
		old[i], old[c] = old[c], old[i]
		i = c
	}
}
