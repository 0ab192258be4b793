package p2

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
)

// What bounds the random bytes of one call, and those between two looks at
// whether the call has ended.
const (
	maxRandom   = 64 << 20
	randomPiece = 1 << 20
)

// randomBytes gives random bytes of a source.
type randomBytes struct {
	source io.Reader
	book   *quota.Book
}

func (r randomBytes) bytes(ctx context.Context, n uint64) ([]byte, error) {
	if err := r.book.Check(ctx, quota.Random, n, maxRandom); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	for rest := b; len(rest) > 0; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		got, err := io.ReadFull(r.source, rest[:min(len(rest), randomPiece)])
		if err != nil {
			return nil, err
		}
		rest = rest[got:]
	}
	return b, nil
}

func (r randomBytes) u64() (uint64, error) {
	var b [8]byte
	_, err := io.ReadFull(r.source, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// random is wasi:random/random.
type random struct{ from randomBytes }

func (r random) GetRandomBytes(ctx context.Context, n uint64) ([]byte, error) {
	return r.from.bytes(ctx, n)
}

func (r random) GetRandomU64(context.Context) (uint64, error) { return r.from.u64() }

// insecure is wasi:random/insecure and insecure-seed.
type insecure struct{ from randomBytes }

func (r insecure) GetInsecureRandomBytes(ctx context.Context, n uint64) ([]byte, error) {
	return r.from.bytes(ctx, n)
}

func (r insecure) GetInsecureRandomU64(context.Context) (uint64, error) { return r.from.u64() }

// InsecureSeed gives other bits in each call: what one guest may learn of its
// seed tells nothing about another's.
func (r insecure) InsecureSeed(context.Context) (bind.Tuple2[uint64, uint64], error) {
	a, err := r.from.u64()
	if err != nil {
		return bind.Tuple2[uint64, uint64]{}, err
	}
	b, err := r.from.u64()
	return bind.Tuple2[uint64, uint64]{F0: a, F1: b}, err
}
