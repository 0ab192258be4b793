package p2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

// maxRandom bounds the random bytes of one call.
const maxRandom = 64 << 20

func randomBytes(r io.Reader, n uint64) ([]byte, error) {
	if n > maxRandom {
		return nil, fmt.Errorf("%d random bytes asked for at once, at most %d are given", n, maxRandom)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func randomU64(r io.Reader) (uint64, error) {
	var b [8]byte
	_, err := io.ReadFull(r, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// random is wasi:random/random.
type random struct{ source io.Reader }

func (r random) GetRandomBytes(_ context.Context, n uint64) ([]byte, error) {
	return randomBytes(r.source, n)
}

func (r random) GetRandomU64(context.Context) (uint64, error) { return randomU64(r.source) }

// insecure is wasi:random/insecure and insecure-seed.
type insecure struct{ source io.Reader }

func (r insecure) GetInsecureRandomBytes(_ context.Context, n uint64) ([]byte, error) {
	return randomBytes(r.source, n)
}

func (r insecure) GetInsecureRandomU64(context.Context) (uint64, error) { return randomU64(r.source) }

// InsecureSeed gives other bits in each call: what one guest may learn of its
// seed tells nothing about another's.
func (r insecure) InsecureSeed(context.Context) (bind.Tuple2[uint64, uint64], error) {
	a, err := randomU64(r.source)
	if err != nil {
		return bind.Tuple2[uint64, uint64]{}, err
	}
	b, err := randomU64(r.source)
	return bind.Tuple2[uint64, uint64]{F0: a, F1: b}, err
}
