package cow_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ashlar-wasm/ashlar/internal/cow"
)

// narrowSpaces returns spaces whose searches for private pages end early.
func narrowSpaces(t testing.TB) map[string]*cow.Space {
	t.Helper()
	all := map[string]*cow.Space{}
	for name, o := range map[string]struct {
		method        cow.Method
		runs, entries int
	}{
		"scan of one run":        {cow.Scan, 1, 0},
		"scan of three runs":     {cow.Scan, 3, 0},
		"pagemap of one run":     {cow.Pagemap, 1, 8},
		"pagemap of one entry":   {cow.Pagemap, 8, 1},
		"pagemap of seven pages": {cow.Pagemap, 5, 7},
	} {
		s, err := cow.NewNarrowSpace(o.method, o.runs, o.entries)
		if available(t, err) {
			all[name] = s
		}
	}
	return all
}

// Whatever the kernel says, a restore is exact.
func TestFailedSearchDiscards(t *testing.T) {
	for _, method := range []cow.Method{cow.Scan, cow.Pagemap} {
		s, err := cow.NewNarrowSpace(method, 256, 256)
		if !available(t, err) {
			continue
		}
		image := bytes.Repeat([]byte{1, 2, 3}, 5*int(page))
		img := newImage(t, s, image)
		m := newMapping(t, s, img, 30*page)
		s.FailSearches()
		clear(m.Bytes()[5 : 7*page])
		m.Bytes()[20*page] = 1
		if err := m.Restore(30 * page); err != nil {
			t.Error(err)
		}
		checkFresh(t, m.Bytes(), image)
		if n, err := m.Private(); err != nil || n > 30*page {
			t.Errorf("%d private bytes, %v", n, err)
		}
		m.Release()
		closeImage(t, img)
	}
}

// A kernel that doesn't know a request is noticed before it matters.
func TestMethodThatKernelRefuses(t *testing.T) {
	for _, method := range []cow.Method{cow.Scan, cow.Pagemap} {
		if err := cow.TrySearch(method, true); err == nil {
			t.Errorf("%s: a refused search passes", method)
		}
		_, err := cow.NewSpace(cow.Options{Method: method})
		if got := cow.TrySearch(method, false); (got == nil) != (err == nil) {
			t.Errorf("%s: search: %v, space: %v", method, got, err)
		}
	}
}

// Restoring keeps the pages that were written to, up to a bound, and Discard
// gives all of them up.
func TestPrivate(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			img := newImage(t, s, bytes.Repeat([]byte{1}, 4000*int(page)))
			defer closeImage(t, img)
			m := newMapping(t, s, img, 4100*page)
			defer m.Release()
			check := func(what string, want uint64) {
				t.Helper()
				if n, err := m.Private(); err != nil || n != want*page {
					t.Errorf("%s: %d private bytes, want %d, %v", what, n, want*page, err)
				}
			}
			check("fresh", 0)
			var sum byte
			for at := range uint64(4000) {
				sum += m.Bytes()[at*page]
			}
			check("read", 0)
			for at := range uint64(10) {
				m.Bytes()[at*3*page] = sum
			}
			check("written", 10)
			if err := m.Discard(); err != nil {
				t.Error(err)
			}
			check("discarded", 0)
			for at := range uint64(4000) {
				m.Bytes()[at*page] = sum
			}
			if err := m.Restore(4000 * page); err != nil {
				t.Error(err)
			}
			if s.Method() != cow.Copy {
				check("restored after many writes", 0)
			}
		})
	}
}

// Pages of one large request are not copied back for ever.
func TestRestoreForgets(t *testing.T) {
	for name, s := range spaces(t) {
		if m := s.Method(); m != cow.Scan && m != cow.Pagemap {
			continue
		}
		t.Run(name, func(t *testing.T) {
			large := int(4 << 20 / page)
			small := large / 50
			image := bytes.Repeat([]byte{1}, large*int(page))
			img := newImage(t, s, image)
			defer closeImage(t, img)
			m := newMapping(t, s, img, 2*uint64(large)*page)
			defer m.Release()
			request := func(pages int) uint64 {
				t.Helper()
				for at := range pages {
					m.Bytes()[at*int(page)]++
					m.Bytes()[(large+at)*int(page)]++
				}
				if err := m.Restore(uint64(len(m.Bytes()))); err != nil {
					t.Fatal(err)
				}
				checkFresh(t, m.Bytes()[:large*int(page)], image)
				n, err := m.Private()
				if err != nil {
					t.Fatal(err)
				}
				return n / page
			}
			if n := request(large); n != 2*uint64(large) {
				t.Errorf("%d private pages after one large request", n)
			}
			// What is written to every time stays.
			for range 40 {
				if n := request(large); n != 2*uint64(large) {
					t.Fatalf("%d private pages after many large requests", n)
				}
			}
			for range 16 {
				request(small)
			}
			if n := request(small); n != 2*uint64(small) {
				t.Errorf("%d private pages after many small requests", n)
			}
		})
	}
}

// Memory that the system backs with huge pages is restored like any other.
func TestHugePages(t *testing.T) {
	const reserve = 16 << 20
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(11, 12))
			image := content(r, 10*page)
			img := newImage(t, s, image)
			defer closeImage(t, img)
			m := newMapping(t, s, img, reserve)
			defer m.Release()
			b := m.Bytes()
			if err := unix.Madvise(b, unix.MADV_HUGEPAGE); err != nil {
				t.Skip("no huge pages: ", err)
			}
			for range 20 {
				touched := r.IntN(reserve)
				for range 5 {
					b[r.IntN(touched+1)]++
				}
				if err := m.Restore(uint64(touched) + 1); err != nil {
					t.Fatal(err)
				}
				checkFresh(t, b, image)
			}
		})
	}
}

func TestImageIsSealed(t *testing.T) {
	for name, s := range spaces(t) {
		t.Run(name, func(t *testing.T) {
			img := newImage(t, s, []byte("image"))
			defer closeImage(t, img)
			if err := img.WriteToFile([]byte("other")); err == nil {
				t.Error("an image can be written to")
			}
			if string(img.Bytes()) != "image" {
				t.Errorf("content is %q", img.Bytes())
			}
		})
	}
}
