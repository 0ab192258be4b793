package cow

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRestoreKnown writes to the same few pages again and again, so that most restores
// need not search, and now and then to others: by this thread, by another one, by the
// kernel, and where the page was read before.
func TestRestoreKnown(t *testing.T) {
	for _, method := range []Method{Scan, Pagemap} {
		t.Run(method.String(), func(t *testing.T) {
			s, err := NewSpace(Options{Method: method})
			if err != nil {
				t.Skip(err)
			}
			defer s.Close()
			p := s.closer.(*pagemap)
			if !p.faults.counted {
				t.Skip("the kernel does not count faults")
			}
			page := s.pageSize
			content := make([]byte, 100*page)
			for i := range content {
				content[i] = byte(i/page + 1)
			}
			image, err := s.Image(content)
			if err != nil {
				t.Fatal(err)
			}
			defer image.Close()
			m, err := s.Map(image, uint64(200*page))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			want := slices.Concat(content, make([]byte, 100*page))
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte("from a file"), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			r := rand.New(rand.NewPCG(3, 4))
			b := m.Bytes()
			known := 0
			for round := range 2000 {
				for _, at := range []int{1, 7, 50, 120} {
					b[at*page+r.IntN(page)] ^= byte(1 + r.IntN(255))
				}
				other := r.IntN(199) * page
				switch round % 20 {
				case 3:
					b[other]++
				case 7:
					done := make(chan struct{})
					go func() {
						runtime.LockOSThread() // a thread that ends with its goroutine
						b[other]++
						close(done)
					}()
					<-done
				case 11:
					if _, err := unix.Pread(int(file.Fd()), b[other:other+11], 0); err != nil {
						t.Fatal(err)
					}
				case 15:
					b[other] = b[other+1] + 1
				}
				now, _ := p.faults.now()
				if m.known.ok && now == m.known.faults && (m.count+1)%lookEvery != 0 {
					known++
				}
				touched := len(b)
				if round%20 > 15 {
					touched = 121 * page // of which more is written to than the image has
				}
				if err := m.Restore(uint64(touched)); err != nil {
					t.Fatal(err)
				}
				if round%20 < 16 && round%5 > 0 {
					continue // a look at all pages would make them ones that were read
				}
				if !bytes.Equal(b, want) {
					for i := range b {
						if b[i] != want[i] {
							t.Fatalf("round %d: page %d differs", round, i/page)
						}
					}
				}
			}
			if known < 200 {
				t.Errorf("%d restores were without a search", known)
			}
		})
	}
}
