package wasmgen

import (
	"encoding/binary"
	"math/rand/v2"
)

// Source is where a generator takes its choices from. The same source gives the
// same program.
type Source struct {
	data []byte
	rest *rand.Rand
}

// FromSeed returns a source of pseudo-random choices.
func FromSeed(seed uint64) *Source {
	return &Source{rest: rand.New(rand.NewPCG(seed, 0x5eed))}
}

// FromBytes returns a source whose first choices are the bytes of data, one or
// two for each, and the later ones pseudo-random, seeded by the length of data:
// what a fuzzer changes in data changes the program.
func FromBytes(data []byte) *Source {
	s := FromSeed(uint64(len(data)))
	s.data = data
	return s
}

// below chooses a number from 0 to n-1.
func (s *Source) below(n int) int {
	if n <= 1 {
		return 0
	}
	if n <= 256 && len(s.data) >= 1 {
		v := int(s.data[0])
		s.data = s.data[1:]
		return v % n
	}
	if len(s.data) >= 2 {
		v := int(binary.LittleEndian.Uint16(s.data))
		s.data = s.data[2:]
		return v % n
	}
	return s.rest.IntN(n)
}

// percent is true in p of 100 cases.
func (s *Source) percent(p int) bool { return s.below(100) < p }

// between chooses a number from low to high.
func (s *Source) between(low, high int) int { return low + s.below(high-low+1) }

func (s *Source) bits() uint64 {
	var v uint64
	for range 8 {
		v = v<<8 | uint64(s.below(256))
	}
	return v
}

func pick[T any](s *Source, items []T) T { return items[s.below(len(items))] }
