//go:build unix

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/ashlar-wasm/ashlar/internal/require"
)

func init() { ways["walking"] = openWalking }

func TestSpecialFilesAreRefusedWithoutBlocking(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		if err := unix.Mkfifo(root+"/fifo", 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(s)
		if err := unix.Bind(s, &unix.SockaddrUnix{Name: root + "/sock"}); err != nil {
			t.Fatal(err)
		}
		paths := []string{"fifo", "sock"}
		if unix.Mknod(root+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) == nil {
			paths = append(paths, "null")
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, p := range paths {
				for _, how := range []OpenFlags{{Read: true}, {Write: true}, {Read: true, Write: true}, {Create: true, Write: true}} {
					want(t, "open "+p, open(d, p, how), NotPermitted, NoSuchDevice)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("opening blocked")
		}
		if st, err := d.StatAt("fifo", true); err != nil || st.Type != FIFO {
			t.Errorf("stat of a FIFO: %v, %v", st.Type, err)
		}
	})
}

func TestDeviceDirectory(t *testing.T) {
	if _, err := os.Stat("/dev/null"); err != nil {
		require.Missing(t, "no devices here")
	}
	for name, way := range ways {
		d, err := openDir("/dev", false, way)
		if err != nil {
			t.Fatal(err)
		}
		want(t, name+": device", open(d, "null", OpenFlags{Write: true}), NotPermitted)
		d.Close()
	}
}

func TestProcIsNoWayOut(t *testing.T) {
	if _, err := os.Stat("/proc/self/root"); err != nil {
		require.Missing(t, "no /proc here")
	}
	for name, way := range ways {
		d, err := openDir("/proc/self", false, way)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"root", "root/etc/passwd", "cwd", "cwd/sandbox.go", "fd/0", "exe"} {
			want(t, name+": open "+p, open(d, p, OpenFlags{}), NotPermitted, Loop, NoEntry)
		}
		d.Close()
	}
}

// While a directory is swapped with a link that leads outside, and moved up and
// down, nothing outside is ever read or created.
func TestRaces(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		write(t, root+"/a/b/file", "inside")
		write(t, root+"/../outside/file", "secret")
		symlink(t, "../../outside", root+"/a/link")
		symlink(t, "../outside", root+"/toplink")
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				os.Rename(root+"/a/b", root+"/a/c")
				os.Rename(root+"/a/link", root+"/a/b")
				os.Rename(root+"/a/b", root+"/a/link")
				os.Rename(root+"/a/c", root+"/b")
				os.Rename(root+"/b", root+"/a/b")
			}
		})
		buf := make([]byte, 10)
		deadline := time.Now().Add(300 * time.Millisecond)
		for i := 0; time.Now().Before(deadline); i++ {
			for _, p := range []string{"a/b/file", "a/b/../b/file", "b/../a/b/file", "a/b/../../a/b/file"} {
				f, err := d.Open(p, OpenFlags{Read: true})
				if err != nil {
					continue
				}
				n, _ := f.ReadAt(buf, 0)
				f.Close()
				if string(buf[:n]) != "inside" {
					t.Fatalf("%s gave %q", p, buf[:n])
				}
			}
			open(d, fmt.Sprintf("a/b/../../new%d", i%8), OpenFlags{Create: true, Write: true})
			open(d, "a/b/new", OpenFlags{Create: true, Write: true})
			d.Mkdir("a/b/newdir")
			d.Symlink("x", "a/b/newlink")
			d.Unlink("a/b/../../../outside/file")
		}
		close(stop)
		wg.Wait()
		entries, _ := os.ReadDir(root + "/../outside")
		if len(entries) != 1 {
			t.Fatalf("outside has %v", entries)
		}
		for _, e := range must(os.ReadDir(root + "/..")) {
			if n := e.Name(); n != "root" && n != "outside" {
				t.Errorf("%s appeared outside", n)
			}
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// In random trees with random links, whatever can be opened is beneath the
// root, and the ways of resolving paths agree.
func TestRandomTrees(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(r *rapid.T) {
		base, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(base)
		root := filepath.Join(base, "root")
		os.Mkdir(root, 0o755)
		component := rapid.SampledFrom([]string{"a", "b", "c", "..", ".", ""})
		path := rapid.Custom(func(r *rapid.T) string {
			return strings.Join(rapid.SliceOfN(component, 1, 5).Draw(r, "components"), "/")
		})
		dirs := []string{root}
		for range rapid.IntRange(0, 12).Draw(r, "objects") {
			at := filepath.Join(rapid.SampledFrom(dirs).Draw(r, "dir"), rapid.SampledFrom(names).Draw(r, "name"))
			switch rapid.IntRange(0, 2).Draw(r, "kind") {
			case 0:
				if os.Mkdir(at, 0o755) == nil {
					dirs = append(dirs, at)
				}
			case 1:
				os.WriteFile(at, nil, 0o644)
			case 2:
				if target := path.Draw(r, "target"); target != "" {
					os.Symlink(target, at)
				}
			}
		}
		kernel, err := openDir(root, false, openNative)
		if err != nil {
			r.Fatal(err)
		}
		defer kernel.Close()
		walking, err := openDir(root, false, openWalking)
		if err != nil {
			r.Fatal(err)
		}
		defer walking.Close()
		for range 20 {
			p := path.Draw(r, "path")
			how := OpenFlags{
				NoFollow:  rapid.Bool().Draw(r, "nofollow"),
				Directory: rapid.Bool().Draw(r, "directory"),
			}
			follow := !how.NoFollow
			st1, err1 := kernel.StatAt(p, follow)
			st2, err2 := walking.StatAt(p, follow)
			if err1 != err2 || err1 == nil && !st1.Same(st2) {
				r.Errorf("stat %q (follow %v): %v and %v", p, follow, err1, err2)
			}
			f1, err1 := kernel.Open(p, how)
			f2, err2 := walking.Open(p, how)
			if err1 != err2 {
				r.Errorf("open %q %+v: %v and %v", p, how, err1, err2)
			}
			for _, f := range []*Descriptor{f1, f2} {
				if f == nil {
					continue
				}
				real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.handle().Fd()))
				if err == nil && real != root && !strings.HasPrefix(real, root+"/") {
					r.Errorf("open %q led to %s", p, real)
				}
				f.Close()
			}
		}
	})
}

// Any path at all gives a result of both ways, the same one, and no panic.
func FuzzPath(f *testing.F) {
	root := f.TempDir()
	os.Mkdir(root+"/root", 0o755)
	os.MkdirAll(root+"/root/a/b", 0o755)
	os.WriteFile(root+"/root/a/f", nil, 0o644)
	os.Symlink("a/b", root+"/root/l")
	os.Symlink("..", root+"/root/u")
	os.Symlink("/", root+"/root/r")
	os.WriteFile(root+"/secret", nil, 0o644)
	for _, s := range []string{"a", "a/f", "l/../f", "u/root", "r/etc", "../secret", "a//./b/..", "\xff", "a/f/", "l/", "\x00"} {
		f.Add(s)
	}
	kernel, err := openDir(root+"/root", true, openNative)
	if err != nil {
		f.Fatal(err)
	}
	walking, _ := openDir(root+"/root", true, openWalking)
	f.Fuzz(func(t *testing.T, p string) {
		st1, err1 := kernel.StatAt(p, true)
		st2, err2 := walking.StatAt(p, true)
		if err1 != err2 || err1 == nil && !st1.Same(st2) {
			t.Errorf("stat %q: %v and %v", p, err1, err2)
		}
		if err1 == nil && strings.Contains(p, "secret") {
			t.Errorf("%q led outside", p)
		}
	})
}
