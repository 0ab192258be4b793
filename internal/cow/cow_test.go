package cow_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/cow"
)

var page = uint64(os.Getpagesize())

// spaces returns a space for each way of restoring that this system has. On
// Linux that is all of them.
func spaces(t testing.TB) map[string]*cow.Space {
	t.Helper()
	all := map[string]*cow.Space{}
	for _, m := range []cow.Method{cow.Scan, cow.Pagemap, cow.Discard, cow.Copy} {
		s, err := cow.NewSpace(cow.Options{Method: m})
		if available(t, err) {
			all[m.String()] = s
		}
	}
	for n, s := range narrowSpaces(t) {
		all[n] = s
	}
	if len(all) == 0 {
		t.Fatal("no way of restoring works here")
	}
	t.Cleanup(func() {
		for n, s := range all {
			if err := s.Close(); err != nil {
				t.Errorf("%s: %v", n, err)
			}
			if used, _ := s.Mappings(); used != 0 {
				t.Errorf("%s: %d mappings counted after close", n, used)
			}
		}
	})
	return all
}

// available reports whether a method can be tested here. One that the system
// has and that doesn't work is an error.
func available(t testing.TB, err error) bool {
	t.Helper()
	if errors.Is(err, cow.ErrNotRestored) {
		t.Fatal(err)
	}
	if err != nil {
		t.Logf("not on this system: %v", err)
	}
	return err == nil
}

// content returns n pseudo-random bytes of which about every third page is zero.
func content(r *rand.Rand, n uint64) []byte {
	b := make([]byte, n)
	for at := uint64(0); at < n; at += page {
		if r.IntN(3) > 0 {
			fill(r, b[at:min(at+page, n)])
		}
	}
	return b
}

func fill(r *rand.Rand, b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, r.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

func newImage(t testing.TB, s *cow.Space, b []byte) *cow.Image {
	t.Helper()
	img, err := s.Image(b)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func newMapping(t testing.TB, s *cow.Space, img *cow.Image, n uint64) *cow.Mapping {
	t.Helper()
	m, err := s.Map(img, n)
	if err != nil {
		t.Fatal(err)
	}
	if b := m.Bytes(); uint64(len(b)) != n || uint64(cap(b)) != n || b == nil {
		t.Fatalf("mapping of %d bytes: len %d, cap %d", n, len(b), cap(b))
	}
	return m
}

func closeImage(t testing.TB, img *cow.Image) {
	t.Helper()
	if err := img.Close(); err != nil {
		t.Error(err)
	}
}

// noBytes is compared with, never written.
var noBytes [1 << 20]byte

// checkFresh compares a memory with the image followed by zeros.
func checkFresh(t testing.TB, memory, image []byte) {
	t.Helper()
	checkSame(t, memory[:len(image)], image, 0)
	for at := len(image); at < len(memory); at += len(noBytes) {
		part := memory[at:min(at+len(noBytes), len(memory))]
		checkSame(t, part, noBytes[:len(part)], at)
	}
}

func checkSame(t testing.TB, memory, want []byte, at int) {
	t.Helper()
	if bytes.Equal(memory, want) {
		return
	}
	for i := range want {
		if memory[i] != want[i] {
			t.Fatalf("byte %#x: got %#x, want %#x", at+i, memory[i], want[i])
		}
	}
}

// TestRestoreAtRandom reads, writes, grows, discards, releases and maps anew, and
// compares after every restore: 12,000 rounds over all methods.
func TestRestoreAtRandom(t *testing.T) {
	all := spaces(t)
	rounds := 12000 / len(all)
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(5, 17))
			for done := 0; done < rounds; {
				image := content(r, r.Uint64N(40*page)*uint64(r.IntN(5))/4)
				img := newImage(t, s, image)
				reserve := uint64(len(image)) + r.Uint64N(40*page)
				m := newMapping(t, s, img, reserve)
				for range 60 {
					done++
					mutate(t, r, m, image)
					if r.IntN(8) == 0 {
						m.Release()
						m = newMapping(t, s, img, reserve)
						checkFresh(t, m.Bytes(), image)
					}
				}
				if !bytes.Equal(img.Bytes(), image) || img.Size() != uint64(len(image)) {
					t.Fatal("the image changed")
				}
				m.Release()
				closeImage(t, img)
			}
		})
	}
}

// mutate writes at random to a part of the memory that is fresh and restores it.
// Now and then it leaves it written to.
func mutate(t *testing.T, r *rand.Rand, m *cow.Mapping, image []byte) {
	b := m.Bytes()
	touched := uint64(len(image))
	if grown := uint64(len(b)) - touched; grown > 0 && r.IntN(2) == 0 {
		touched += r.Uint64N(grown + 1)
	}
	var seen byte
	if touched > 0 {
		for range r.IntN(20) {
			seen += b[r.IntN(len(b))]
		}
		for range r.IntN(25) {
			at := r.Uint64N(touched)
			end := min(touched, at+1+r.Uint64N(1<<r.IntN(15)))
			switch r.IntN(3) {
			case 0:
				fill(r, b[at:end])
			case 1:
				// Zeros where the image has none, and ones that it has already.
				clear(b[at:end])
			case 2:
				b[at] = seen
			}
		}
	}
	var err error
	switch r.IntN(10) {
	case 0:
		err = m.Discard()
	case 1:
		err = m.Restore(uint64(len(b)) + 3*page)
	case 2:
		// Two requests for one restore.
		if touched > 0 {
			b[touched-1]++
			err = m.Restore(touched)
		}
	default:
		err = m.Restore(touched)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.IntN(4) > 0 {
		// Comparing reads every page, which is why it isn't done every time.
		checkFresh(t, b[:touched], image[:min(touched, uint64(len(image)))])
	}
	if r.IntN(4) == 0 {
		checkFresh(t, b, image)
	}
}

// TestRestoreMany writes to more pages than are worth copying one by one, and
// to as many runs of pages as there can be.
func TestRestoreMany(t *testing.T) {
	const pages = 2500
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			image := make([]byte, pages*page)
			for at := uint64(0); at < uint64(len(image)); at += 97 {
				image[at] = byte(at)
			}
			img := newImage(t, s, image)
			defer closeImage(t, img)
			m := newMapping(t, s, img, 2*pages*page)
			defer m.Release()
			b := m.Bytes()
			for _, step := range []int{1, 2, 3, 4, 5, 7, 50, 900} {
				for at := 0; at < 2*pages; at += step {
					b[at*int(page)+r.IntN(int(page))]++
				}
				if err := m.Restore(uint64(len(b))); err != nil {
					t.Fatal(err)
				}
				checkFresh(t, b, image)
			}
		})
	}
}

func TestMapWithoutImage(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			for _, img := range []*cow.Image{nil, newImage(t, s, nil), newImage(t, s, make([]byte, 3*page+5))} {
				m := newMapping(t, s, img, 20*page)
				checkFresh(t, m.Bytes(), nil)
				for range 20 {
					fill(r, m.Bytes()[:1+r.IntN(20*int(page))])
					if err := m.Restore(20 * page); err != nil {
						t.Fatal(err)
					}
					checkFresh(t, m.Bytes(), nil)
				}
				m.Release()
				if img != nil {
					closeImage(t, img)
				}
			}
		})
	}
}

func TestMapNothing(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			img := newImage(t, s, nil)
			m := newMapping(t, s, img, 0)
			if err := errors.Join(m.Restore(0), m.Restore(page), m.Discard()); err != nil {
				t.Error(err)
			}
			if img.Size() != 0 || len(img.Bytes()) != 0 {
				t.Errorf("size %d, %d bytes", img.Size(), len(img.Bytes()))
			}
			m.Release()
			closeImage(t, img)
		})
	}
}

// Nothing of a mapping is seen through another one, nor through the next one
// that gets its memory.
func TestMappingsAreSeparate(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			image := content(r, 10*page)
			img := newImage(t, s, image)
			defer closeImage(t, img)
			a, b := newMapping(t, s, img, 20*page), newMapping(t, s, img, 20*page)
			for range 5 {
				fill(r, a.Bytes())
				checkFresh(t, b.Bytes(), image)
				checkFresh(t, img.Bytes(), image)
				// Released as it was written to, without a word of how much.
				a.Release()
				a = newMapping(t, s, img, 20*page)
				checkFresh(t, a.Bytes(), image)
			}
			a.Release()
			b.Release()
		})
	}
}

func TestReleaseAndClose(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			img := newImage(t, s, []byte("image"))
			m := newMapping(t, s, img, page)
			if err := img.Close(); !errors.Is(err, cow.ErrInUse) {
				t.Errorf("close of an image in use: %v", err)
			}
			if err := s.Close(); !errors.Is(err, cow.ErrInUse) {
				t.Errorf("close of a space in use: %v", err)
			}
			if string(m.Bytes()[:5]) != "image" || string(img.Bytes()) != "image" {
				t.Error("a refused close took the content away")
			}
			m.Release()
			if m.Bytes() != nil {
				t.Error("bytes after release")
			}
			other := newMapping(t, s, img, page)
			// The memory may be that of other now.
			m.Release()
			if err := errors.Join(m.Restore(page), m.Discard()); !errors.Is(err, cow.ErrClosed) {
				t.Errorf("restore after release: %v", err)
			}
			checkFresh(t, other.Bytes(), []byte("image"))
			other.Release()
			closeImage(t, img)
			closeImage(t, img)
			if _, err := s.Map(img, page); !errors.Is(err, cow.ErrClosed) {
				t.Errorf("map of a closed image: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := s.Map(nil, page); !errors.Is(err, cow.ErrClosed) {
				t.Errorf("map in a closed space: %v", err)
			}
			if _, err := s.Image(nil); err == nil {
				if _, err = s.Image([]byte{1}); !errors.Is(err, cow.ErrClosed) {
					t.Errorf("image in a closed space: %v", err)
				}
			}
		})
	}
}

func TestMapRefuses(t *testing.T) {
	all := spaces(t)
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			img := newImage(t, s, make([]byte, 2*page))
			defer closeImage(t, img)
			if _, err := s.Map(img, page); err == nil {
				t.Error("a reservation smaller than the image")
			}
			if _, err := s.Map(nil, 1<<64-1); err == nil {
				t.Error("a reservation of all there is")
			}
			for n, o := range all {
				if o == s {
					continue
				}
				if _, err := o.Map(img, 2*page); err == nil {
					t.Errorf("an image of another space (%s)", n)
				}
			}
		})
	}
}

// More mappings are released than are kept for reuse.
func TestReleaseMany(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			image := bytes.Repeat([]byte{3}, 2*int(page))
			img := newImage(t, s, image)
			one, _ := s.Mappings()
			for range 2 {
				var all []*cow.Mapping
				for range 400 {
					m := newMapping(t, s, img, 4*page)
					checkFresh(t, m.Bytes(), image)
					m.Bytes()[3*page]++
					m.Bytes()[page]++
					all = append(all, m)
				}
				for _, m := range all {
					m.Release()
				}
			}
			if used, _ := s.Mappings(); used > one+2*256 {
				t.Errorf("%d mappings stay", used)
			}
			closeImage(t, img)
			if used, _ := s.Mappings(); used != 0 {
				t.Errorf("%d mappings stay without the image", used)
			}
		})
	}
}

func TestMaxMappings(t *testing.T) {
	s, err := cow.NewSpace(cow.Options{MaxMappings: 21})
	if err != nil {
		t.Fatal(err)
	}
	img := newImage(t, s, []byte{1})
	fill := func(img *cow.Image) (all []*cow.Mapping) {
		for {
			m, err := s.Map(img, 4*page)
			if err != nil {
				if !errors.Is(err, cow.ErrMappings) {
					t.Fatal(err)
				}
				return all
			}
			m.Bytes()[0]++
			all = append(all, m)
			if used, limit := s.Mappings(); used > limit || limit != 21 || len(all) > 21 {
				t.Fatalf("%d mappings, %d of %d counted", len(all), used, limit)
			}
		}
	}
	first := fill(img)
	if len(first) < 10 {
		t.Errorf("only %d mappings", len(first))
	}
	// One given back is one that can be had.
	first[0].Release()
	first[0] = newMapping(t, s, img, 4*page)
	if _, err := s.Map(img, 4*page); !errors.Is(err, cow.ErrMappings) {
		t.Errorf("got %v", err)
	}
	for _, m := range first {
		m.Release()
	}
	// Those kept for the next mapping of one image are no obstacle to others.
	second := fill(nil)
	if len(second) < 2*len(first) && runtime.GOOS == "linux" || len(second) < len(first) {
		t.Errorf("%d mappings of zeros, %d of an image", len(second), len(first))
	}
	if _, err := s.Image([]byte{1}); !errors.Is(err, cow.ErrMappings) {
		t.Errorf("image: %v", err)
	}
	for _, m := range second {
		m.Release()
	}
	closeImage(t, img)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if used, _ := s.Mappings(); used != 0 {
		t.Errorf("%d mappings counted after close", used)
	}
	if _, err := cow.NewSpace(cow.Options{MaxMappings: -1}); err == nil {
		t.Error("a negative bound")
	}
}

// TestConcurrentUse shares a space and its images; each mapping has one user.
func TestConcurrentUse(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, 8))
			images := [][]byte{content(r, 9*page), content(r, 3*page), nil}
			var imgs []*cow.Image
			for _, b := range images {
				imgs = append(imgs, newImage(t, s, b))
			}
			var wg sync.WaitGroup
			for worker := range 4 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(worker), 9))
					for range 40 {
						which := r.IntN(len(images))
						m, err := s.Map(imgs[which], 16*page)
						if err != nil {
							t.Error(err)
							return
						}
						checkFresh(t, m.Bytes(), images[which])
						for range 5 {
							mutate(t, r, m, images[which])
						}
						fill(r, m.Bytes()[:r.IntN(len(m.Bytes()))])
						m.Release()
						own, err := s.Image(images[which])
						if err != nil {
							t.Error(err)
							return
						}
						closeImage(t, own)
					}
				})
			}
			wg.Wait()
			for _, img := range imgs {
				closeImage(t, img)
			}
		})
	}
}

// A restore is part of every request: it makes no garbage.
func TestRestoreAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			img := newImage(t, s, bytes.Repeat([]byte{1}, 50*int(page)))
			defer closeImage(t, img)
			m := newMapping(t, s, img, 100*page)
			defer m.Release()
			if n := testing.AllocsPerRun(100, func() {
				for at := uint64(0); at < 80; at += 7 {
					m.Bytes()[at*page]++
				}
				if err := m.Restore(80 * page); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func TestAuto(t *testing.T) {
	s, err := cow.NewSpace(cow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Method() == cow.Auto {
		t.Error("not resolved")
	}
	t.Logf("restores by %s", s.Method())
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := cow.NewSpace(cow.Options{Method: 77}); err == nil {
		t.Error("a method that there isn't")
	}
}

func TestMethodText(t *testing.T) {
	for _, name := range []string{"auto", "scan", "pagemap", "discard", "copy"} {
		var m cow.Method
		if err := m.UnmarshalText([]byte(name)); err != nil {
			t.Error(err)
		}
		if b, err := m.MarshalText(); err != nil || string(b) != name || fmt.Sprint(m) != name {
			t.Errorf("%s: %s, %v, %v", name, b, m, err)
		}
	}
	m := cow.Scan
	if err := m.UnmarshalText([]byte("Scan")); err == nil || m != cow.Scan {
		t.Errorf("Scan: %v, %v", m, err)
	}
	if _, err := cow.Method(99).MarshalText(); err == nil {
		t.Error("an unknown method has a name")
	}
}
