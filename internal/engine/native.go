package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"unsafe"

	"github.com/tetratelabs/wazero"
)

// nativeCode stands where wazero has its own file cache, which has a checksum
// over a part of each file only and fails on a wrong one. Code is given to
// wazero, and taken from it, from memory and only for modules that are expected.
//
// wazero has no exported way to put something else there, so that this sets an
// unexported field, of which type and methods are checked by reflection. With a
// version of wazero that is made differently there is no cache.
type nativeCode struct {
	wazero   wazero.CompilationCache
	cache    *Cache
	build    string
	features uint64 // of the processor, as wazero has them in its keys

	mu       sync.Mutex
	expected map[[sha256.Size]byte]*expectation
	busy     map[cacheKey]chan struct{}
	asked    [sha256.Size]byte // the key that wazero last asked for
}

// expectation is a module that is being compiled or loaded.
type expectation struct {
	key    [sha256.Size]byte
	native []byte // to be given to wazero, if not nil
	added  []byte // what wazero compiled
	stale  bool   // wazero refused native
}

// store is the interface that wazero's file cache has.
type store struct{ n *nativeCode }

// Get implements wazero's file cache.
func (s store) Get(key [sha256.Size]byte) (io.ReadCloser, bool, error) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	s.n.asked = key
	if x := s.n.expected[key]; x != nil && x.native != nil {
		return io.NopCloser(bytes.NewReader(x.native)), true, nil
	}
	return nil, false, nil
}

// Add implements wazero's file cache.
func (s store) Add(key [sha256.Size]byte, content io.Reader) error {
	s.n.mu.Lock()
	x := s.n.expected[key]
	s.n.mu.Unlock()
	if x == nil {
		return nil
	}
	var b bytes.Buffer
	if l, ok := content.(interface{ Len() int }); ok {
		b.Grow(l.Len() + bytes.MinRead)
	}
	if _, err := b.ReadFrom(content); err != nil {
		return err
	}
	x.added = b.Bytes()
	return nil
}

// Delete implements wazero's file cache.
func (s store) Delete(key [sha256.Size]byte) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if x := s.n.expected[key]; x != nil {
		x.stale = true
	}
	return nil
}

// wazero notes its version in a variable, without a lock, when a runtime is made.
var makeRuntime sync.Mutex

// newRuntime returns a runtime, with what keeps its code if there is a cache that
// it can use.
func newRuntime(rc wazero.RuntimeConfig, c Config) (wazero.Runtime, *nativeCode) {
	makeRuntime.Lock()
	defer makeRuntime.Unlock()
	// The background context is never consulted: a runtime without
	// WithCloseOnContextDone keeps no context.
	ctx := context.Background()
	if c.Cache == nil || c.Interpreter {
		return wazero.NewRuntimeWithConfig(ctx, rc), nil
	}
	n, err := newNativeCode(c.Cache)
	if err == nil {
		rt := wazero.NewRuntimeWithConfig(ctx, rc.WithCompilationCache(n.wazero))
		if err = n.learn(rt); err == nil {
			return rt, n
		}
		// Nothing can be wrong with closing what was never used.
		_, _ = rt.Close(ctx), n.wazero.Close(ctx)
	}
	c.Cache.log.LogAttrs(ctx, slog.LevelWarn, "compiled code is not kept", slog.Any("reason", err))
	return wazero.NewRuntimeWithConfig(ctx, rc), nil
}

func newNativeCode(cache *Cache) (*nativeCode, error) {
	n := &nativeCode{
		wazero: wazero.NewCompilationCache(), cache: cache, build: buildIdentity(),
		expected: make(map[[sha256.Size]byte]*expectation), busy: make(map[cacheKey]chan struct{}),
	}
	if n.build == "" {
		return nil, errors.New("this program does not know which build it is")
	}
	field := reflect.ValueOf(n.wazero)
	if field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Struct {
		field = field.Elem().FieldByName("fileCache")
	}
	if !field.IsValid() || field.Kind() != reflect.Interface || !reflect.TypeFor[store]().Implements(field.Type()) {
		return nil, errors.New("this version of wazero is not known")
	}
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(store{n}))
	return n, nil
}

// anyModule has one function, which does nothing.
var anyModule = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b")

// maxFeatures bounds the search for the processor's features: wazero knows of
// three.
const maxFeatures = 1 << 10

// learn finds out how wazero makes its keys.
func (n *nativeCode) learn(rt wazero.Runtime) error {
	m, err := rt.CompileModule(context.Background(), anyModule)
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	defer m.Close(context.Background())
	for n.features = 0; n.features < maxFeatures; n.features++ {
		if n.wazeroKey(anyModule) == n.asked {
			return nil
		}
	}
	return errors.New("this version of wazero is not known")
}

// wazeroKey is the key under which wazero looks for the code of a module.
func (n *nativeCode) wazeroKey(wasm []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(wasm)
	h.Write([]byte{0}) // without a check for termination
	id := h.Sum(nil)
	h.Reset()
	h.Write(id)
	io.WriteString(h, "WAZEVO")
	h.Write(binary.LittleEndian.AppendUint64(nil, n.features))
	return [sha256.Size]byte(h.Sum(nil))
}

// key is that of the entry of an origin.
func (n *nativeCode) key(o Origin) cacheKey {
	h := sha256.New()
	digestString(h, n.build)
	digestString(h, fmt.Sprint(uint64(coreFeatures), n.features))
	digestString(h, o.Options)
	h.Write(o.Digest[:])
	return cacheKey(h.Sum(nil))
}

func (n *nativeCode) expect(wasm, native []byte) *expectation {
	x := &expectation{key: n.wazeroKey(wasm), native: native}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expected[x.key] = x
	return x
}

func (n *nativeCode) forget(x *expectation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.expected[x.key] == x {
		delete(n.expected, x.key)
	}
}

// enter waits until nobody else is at work on the key.
func (n *nativeCode) enter(ctx context.Context, key cacheKey) error {
	for {
		n.mu.Lock()
		other := n.busy[key]
		if other == nil {
			n.busy[key] = make(chan struct{})
			n.mu.Unlock()
			return nil
		}
		n.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *nativeCode) leave(key cacheKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.busy[key])
	delete(n.busy, key)
}
