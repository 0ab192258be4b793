package cow_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/cow"
)

const (
	benchImage   = 6 << 20
	benchReserve = 256 << 20
)

// readByte keeps reads from being optimised away.
var readByte atomic.Uint32

var benchDirty = []int{0, 12, 31, 256, 2048}

// dirtier writes to n pages of b: in pairs, as far apart as there is room for.
func dirtier(n int) func(b []byte) {
	return func(b []byte) {
		pages := len(b) / int(page)
		for i := range n {
			b[(i/2*max(2, 2*pages/(n+1))+i%2)*int(page)]++
		}
	}
}

func benchMethods(b *testing.B, run func(b *testing.B, s *cow.Space)) {
	for _, method := range []cow.Method{cow.Scan, cow.Pagemap, cow.Discard, cow.Copy} {
		b.Run(method.String(), func(b *testing.B) {
			s, err := cow.NewSpace(cow.Options{Method: method})
			if err != nil {
				b.Skip(err)
			}
			run(b, s)
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkRestore writes to some pages of an image, of which half was read
// before, and restores; 2,048 pages are partly of grown memory. ns/op is
// both together, since a method may leave work to the writes; restore-ns/op is
// the restore alone.
func BenchmarkRestore(b *testing.B) {
	benchMethods(b, func(b *testing.B, s *cow.Space) {
		for _, size := range []int{1 << 20, benchImage} {
			img := newImage(b, s, bytes.Repeat([]byte{1}, size))
			for _, dirty := range benchDirty {
				if size < benchImage && dirty > 31 {
					continue
				}
				for _, workers := range []int{1, 2} {
					b.Run(fmt.Sprintf("image=%dM/dirty=%d/workers=%d", size>>20, dirty, workers), func(b *testing.B) {
						benchRestore(b, s, img, dirty, workers)
					})
				}
			}
			closeImage(b, img)
		}
	})
}

func benchRestore(b *testing.B, s *cow.Space, img *cow.Image, dirty, workers int) {
	var restoring [2]time.Duration
	touched := max(img.Size(), uint64(dirty)*page)
	write := dirtier(dirty)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for worker := range workers {
		wg.Go(func() {
			m := newMapping(b, s, img, benchReserve)
			defer m.Release()
			used := m.Bytes()[:touched]
			var sum byte
			for at := uint64(0); at < img.Size()/2; at += page {
				sum += used[at]
			}
			for range b.N {
				write(used)
				start := time.Now()
				if err := m.Restore(touched); err != nil {
					b.Error(err)
				}
				restoring[worker] += time.Since(start)
			}
			readByte.Add(uint32(sum))
		})
	}
	wg.Wait()
	b.ReportMetric(float64(restoring[0].Nanoseconds())/float64(b.N), "restore-ns/op")
}

// BenchmarkMap maps an image of 6 MB, writes to 31 pages and releases it.
func BenchmarkMap(b *testing.B) {
	s, err := cow.NewSpace(cow.Options{})
	if err != nil {
		b.Fatal(err)
	}
	img := newImage(b, s, bytes.Repeat([]byte{1}, benchImage))
	write := dirtier(31)
	cycle := func(b *testing.B, reserve uint64) {
		m, err := s.Map(img, reserve)
		if err != nil {
			b.Fatal(err)
		}
		write(m.Bytes()[:benchImage])
		m.Release()
	}
	b.Run("recycled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			cycle(b, benchReserve)
		}
	})
	b.Run("fresh", func(b *testing.B) {
		b.ReportAllocs()
		// Never the same size, so none is found, and as many are given up.
		for i := uint64(0); b.Loop(); i++ {
			cycle(b, benchReserve+i%10000*page)
		}
	})
	closeImage(b, img)
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}

// BenchmarkImage makes an image of 6 MB.
func BenchmarkImage(b *testing.B) {
	s, err := cow.NewSpace(cow.Options{})
	if err != nil {
		b.Fatal(err)
	}
	content := bytes.Repeat([]byte{1}, benchImage)
	for b.Loop() {
		closeImage(b, newImage(b, s, content))
	}
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
