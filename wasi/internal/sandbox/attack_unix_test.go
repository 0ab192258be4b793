//go:build unix

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// picture describes everything beneath a directory: names, kinds, modes, times,
// contents.
func picture(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		st, _ := os.Readlink(p)
		fmt.Fprintf(&b, "%s %v %v %d %s", p, fi.Mode(), fi.ModTime(), links(t, p), st)
		if fi.Mode().IsRegular() {
			text, _ := os.ReadFile(p)
			fmt.Fprintf(&b, " %q", text)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func links(t *testing.T, p string) uint64 {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return uint64(st.Nlink)
}

// attempts are all that a guest can do with a path, each with whether it did
// something.
func attempts(d *Descriptor, p string) map[string]error {
	opened := func(how OpenFlags) error {
		f, err := d.Open(p, how)
		if err == nil {
			f.Close()
		}
		return err
	}
	one := func(_ any, err error) error { return err }
	return map[string]error{
		"read":            opened(OpenFlags{Read: true}),
		"read, no follow": opened(OpenFlags{Read: true, NoFollow: true}),
		"write":           opened(OpenFlags{Write: true}),
		"truncate":        opened(OpenFlags{Write: true, Truncate: true}),
		"create":          opened(OpenFlags{Write: true, Create: true}),
		"create new":      opened(OpenFlags{Write: true, Create: true, Exclusive: true}),
		"open directory":  opened(OpenFlags{Directory: true}),
		"stat":            one(d.StatAt(p, true)),
		"times":           d.SetTimesAt(p, true, SetTime{Now: true}, SetTime{Now: true}),
		"mkdir":           d.Mkdir(p),
		"symlink":         d.Symlink("x", p),
		"link to":         d.Link("file", d, p),
		"link from":       d.Link(p, d, "taken"),
		"rename to":       d.Rename("victim", d, p),
		"rename from":     d.Rename(p, d, "taken"),
		"unlink":          d.Unlink(p),
		"rmdir":           d.Rmdir(p),
	}
}

// No path of a guest's does anything outside, nor tells whether there is
// something.
func TestEscapes(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		base := filepath.Dir(root)
		write(t, base+"/outside/secret", "secret")
		write(t, base+"/outside/dir/nested", "secret")
		write(t, root+"/dir/sub/file", "inside")
		write(t, root+"/file", "inside")
		for name, target := range map[string]string{
			"abs": base + "/outside", "rel": "../outside", "deep": "dir/../../outside", "dots": "dir/sub/../../../outside",
			"root": "/", "up": "..", "chain": "dir/chain2", "dir/chain2": "../chain3", "chain3": "rel", "self": "./../root/../outside",
			"proc": "/proc/self/root", "cwd": "/proc/self/cwd", "fd": fmt.Sprintf("/proc/self/fd/%d", d.handle().Fd()), "slashes": "..//outside",
		} {
			symlink(t, target, root+"/"+name)
		}
		before := picture(t, base+"/outside")
		var paths []string
		for _, way := range []string{
			"..", "../outside", "./../outside", "dir/../../outside", "dir/sub/../../../outside", "dir//..//../outside", "file/../../outside", "nothing/../../outside",
			"abs", "rel", "deep", "dots", "chain", "self", "slashes", "up/outside", "dir/../rel", "dir/../chain", "root" + base + "/outside",
			"proc" + base + "/outside", "fd/../../outside", "fd/../outside", "cwd", "rel/dir/..", "rel/../outside",
		} {
			for _, end := range []string{"/secret", "/dir", "/dir/nested", "/new", "/dir/new", "/", "/.", "/secret/", "/dir/"} {
				paths = append(paths, way+end)
			}
		}
		for _, p := range paths {
			for what, err := range attempts(d, p) {
				if err == nil {
					t.Errorf("%s %q worked", what, p)
				}
			}
		}
		// Links are objects inside, and may be taken away, but lead nowhere.
		for _, p := range []string{"abs", "rel", "root", "up", "chain", "proc", "cwd", "fd"} {
			for _, what := range []string{"read", "write", "truncate", "create", "open directory", "stat", "times"} {
				var err error
				switch what {
				case "stat":
					_, err = d.StatAt(p, true)
				case "times":
					err = d.SetTimesAt(p, true, SetTime{Now: true}, SetTime{})
				default:
					err = open(d, p, map[string]OpenFlags{
						"read": {Read: true}, "write": {Write: true}, "truncate": {Write: true, Truncate: true},
						"create": {Write: true, Create: true}, "open directory": {Directory: true},
					}[what])
				}
				if err != NotPermitted && err != Loop {
					t.Errorf("%s %q: %v", what, p, err)
				}
			}
			if target, err := d.Readlink(p); err == nil && strings.HasPrefix(target, "/") {
				t.Errorf("readlink %q: %q", p, target)
			}
		}
		// What is there and what is not look the same.
		for _, way := range []string{"..", "abs", "rel", "deep", "chain", "root" + base, "up", "proc" + base} {
			for _, follow := range []bool{true, false} {
				_, err1 := d.StatAt(way+"/outside/secret", follow)
				_, err2 := d.StatAt(way+"/outside/nothing", follow)
				_, err3 := d.StatAt(way+"/secret", follow)
				_, err4 := d.StatAt(way+"/nothing", follow)
				if err1 != err2 || err3 != err4 {
					t.Errorf("%s: %v and %v, %v and %v", way, err1, err2, err3, err4)
				}
			}
		}
		if after := picture(t, base+"/outside"); after != before {
			t.Errorf("outside changed:\n%s\n%s", before, after)
		}
		for _, e := range must(os.ReadDir(base)) {
			if n := e.Name(); n != "root" && n != "outside" {
				t.Errorf("%s appeared outside", n)
			}
		}
	})
}

func TestLinkLoops(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		symlink(t, "b", root+"/a")
		symlink(t, "a", root+"/b")
		symlink(t, "self/self", root+"/self")
		symlink(t, "./grow/x", root+"/grow")
		write(t, root+"/long0", "x")
		for i := range 60 {
			symlink(t, fmt.Sprintf("long%d", i), fmt.Sprintf("%s/long%d", root, i+1))
		}
		for _, p := range []string{"a", "b", "self", "self/x", "grow", "a/x", "long60"} {
			_, err := d.StatAt(p, true)
			want(t, "stat "+p, err, Loop, NameTooLong)
			want(t, "open "+p, open(d, p, OpenFlags{Read: true}), Loop, NameTooLong)
			want(t, "create "+p, open(d, p, OpenFlags{Write: true, Create: true}), Loop, NameTooLong)
		}
		want(t, "a chain that is short", open(d, "long6", OpenFlags{Read: true}))
	})
}

// Names mean what they say: nothing but a slash separates them, and what is
// special elsewhere is not here.
func TestOddNames(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		for _, name := range []string{
			strings.Repeat("x", 255), "new\nline", `back\slash`, `..\..\outside`, "...", ". ", " ", "a.", "CON", "C:", "file:stream", "~", "-rf", "*", "\x01\x7f", "ünï\u202e",
		} {
			want(t, "create "+name, open(d, name, OpenFlags{Write: true, Create: true, Exclusive: true}))
			st, err := d.StatAt(name, false)
			if want(t, "stat "+name, err); st.Type != RegularFile {
				t.Errorf("%q is %v", name, st.Type)
			}
			if entries := must(os.ReadDir(root)); len(entries) != 1 || entries[0].Name() != name {
				t.Errorf("creating %q made %v", name, entries)
			}
			want(t, "unlink "+name, d.Unlink(name))
		}
		long := strings.Repeat("x", 256)
		for name, code := range map[string]Code{
			long: NameTooLong, long + "/x": NameTooLong, strings.Repeat("y/", 2048): NameTooLong, strings.Repeat("z", 4096): NameTooLong,
			strings.Repeat("z", 1<<20): NameTooLong, "a\x00b": Invalid, "\x00": Invalid, "": NoEntry, "/": NotPermitted, "/file": NotPermitted, "//": NotPermitted,
		} {
			for what, err := range attempts(d, name) {
				if err == nil || what == "create" && err != code {
					t.Errorf("%s %.20q: %v, want %v", what, name, err, code)
				}
			}
			if err := d.Symlink(name, "link"); err == nil {
				want(t, "open what a link to it means", open(d, "link", OpenFlags{Read: true}), code)
				want(t, "unlink", d.Unlink("link"))
			}
		}
		// A path that just fits.
		if err := open(d, strings.Repeat("./", 2046)+"ok", OpenFlags{Write: true, Create: true}); err != nil {
			t.Errorf("a path of 4094 bytes: %v", err)
		}
		// Names that are no UTF-8, which only others can make, are passed over.
		bad := root + "/\xff\xfe"
		if os.WriteFile(bad, nil, 0o666) == nil {
			r, err := d.ReadDir()
			want(t, "read directory", err)
			defer r.Close()
			var seen []string
			for skipped := 0; ; {
				e, more, err := r.Next()
				if err == IllegalByteSequence && skipped == 0 {
					skipped++
					continue
				}
				want(t, "next", err)
				if !more {
					break
				}
				seen = append(seen, e.Name)
			}
			if len(seen) != 1 || seen[0] != "ok" {
				t.Errorf("names %q", seen)
			}
		}
	})
}

// Opening a pipe wakes nobody at its other end.
func TestPipesAreNotTouched(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		fifo := root + "/fifo"
		if err := unix.Mkfifo(fifo, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, bits := range []int{os.O_RDONLY, os.O_WRONLY} {
			woken := make(chan error, 1)
			go func() {
				f, err := os.OpenFile(fifo, bits, 0)
				if err == nil {
					f.Close()
				}
				woken <- err
			}()
			time.Sleep(20 * time.Millisecond)
			for range 20 {
				for what, err := range attempts(d, "fifo/") {
					if err == nil {
						t.Error(what, "worked")
					}
				}
				for _, how := range []OpenFlags{{Read: true}, {Write: true}, {Read: true, Write: true}, {Write: true, Truncate: true}, {Write: true, Create: true}, {Read: true, NoFollow: true}} {
					want(t, "open", open(d, "fifo", how), NotPermitted)
				}
			}
			select {
			case err := <-woken:
				t.Error("the other end was woken:", err)
			case <-time.After(20 * time.Millisecond):
			}
			both, err := os.OpenFile(fifo, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			<-woken
			both.Close()
		}
	})
}

// While files turn into pipes, opening gives files or refuses, and never waits.
func TestFileBecomesPipe(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		if err := unix.Mkfifo(root+"/pipe", 0o666); err != nil {
			t.Fatal(err)
		}
		write(t, root+"/plain", "inside")
		stop := attack(func() {
			for _, from := range []string{"plain", "pipe"} {
				os.Rename(root+"/"+from, root+"/it")
				os.Rename(root+"/it", root+"/"+from)
			}
		})
		defer stop()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 3000 {
				for _, how := range []OpenFlags{{Read: true}, {Write: true}, {Read: true, Write: true}} {
					f, err := d.Open("it", how)
					if err != nil {
						want(t, "open", err, NotPermitted, NoEntry, NoSuchDevice)
						continue
					}
					if st, err := f.Stat(); err != nil || st.Type != RegularFile {
						t.Errorf("opened %v, %v", st.Type, err)
					}
					f.Close()
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("opening blocked")
		}
	})
}

// attack repeats f in a goroutine until stop is called.
func attack(f func()) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				f()
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}

// Guests do all they can at once while directories and links that lead outside
// take each other's places at every level.
func TestSwaps(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		base := filepath.Dir(root)
		for _, dir := range []string{"/outside", "/outside/b"} {
			write(t, base+dir+"/file", "secret")
			write(t, base+dir+"/b/file", "secret")
		}
		write(t, root+"/a/b/file", "inside")
		write(t, root+"/a/file", "inside")
		write(t, root+"/file", "inside")
		symlink(t, "../outside", root+"/out")
		symlink(t, base+"/outside", root+"/abs")
		symlink(t, "../../outside", root+"/a/out")
		symlink(t, "../outside/file", root+"/filelink")
		outside := map[uint64]bool{}
		filepath.WalkDir(base+"/outside", func(p string, _ fs.DirEntry, _ error) error {
			var st unix.Stat_t
			unix.Lstat(p, &st)
			outside[uint64(st.Ino)] = true
			return nil
		})
		before := picture(t, base+"/outside")

		// The attackers hold the directories, so that they meet only what they mean.
		swap := func(dir int, x, y string) {
			unix.Renameat(dir, x, dir, "spare "+x)
			unix.Renameat(dir, y, dir, x)
			runtime.Gosched()
			unix.Renameat(dir, x, dir, y)
			unix.Renameat(dir, "spare "+x, dir, x)
		}
		hold := func(name string) int {
			fd, err := unix.Open(name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			return fd
		}
		top, within := hold(root), hold(root+"/a")
		for _, stop := range []func(){
			attack(func() { swap(within, "b", "out") }),
			attack(func() { swap(top, "a", "out"); swap(top, "a", "abs") }),
			attack(func() { swap(top, "file", "filelink") }),
		} {
			defer stop()
		}

		paths := []string{
			"file", "a/file", "a/b/file", "a/b/../file", "a/b/../b/file", "a/b/../../file", "a/../a/b/file", "out/file", "abs/file", "a/out/file",
			"a/b/../../../outside/file", "a/b/new", "a/new", "a/b", "a/b/",
		}
		var wg sync.WaitGroup
		rounds := 400
		if testing.Short() {
			rounds = 50
		}
		for g := range 4 {
			wg.Go(func() {
				buf := make([]byte, 16)
				for i := range rounds {
					for _, p := range paths {
						if f, err := d.Open(p, OpenFlags{Read: true}); err == nil {
							st, err := f.Stat()
							if err == nil && outside[st.Inode] {
								t.Errorf("open %s led outside", p)
							}
							if f.IsDir() {
								readAll(t, f, outside)
							} else if n, _ := f.ReadAt(buf, 0); string(buf[:n]) == "secret" {
								t.Errorf("%s gave the secret", p)
							}
							f.Close()
						}
						for _, follow := range []bool{true, false} {
							if st, err := d.StatAt(p, follow); err == nil && outside[st.Inode] {
								t.Errorf("stat %s led outside", p)
							}
						}
						mine := fmt.Sprintf("%s%d", p, g)
						switch (i + g) % 8 {
						case 0:
							open(d, mine, OpenFlags{Write: true, Create: true, Truncate: true})
						case 1:
							d.Mkdir(mine)
						case 2:
							d.Symlink("file", mine)
						case 3:
							d.Link(p, d, mine)
						case 4:
							d.Rename(mine, d, "a/b/moved")
							d.Rename("a/b/moved", d, mine)
						case 5:
							d.SetTimesAt(p, true, SetTime{Now: true}, SetTime{Now: true})
						case 6:
							d.Unlink(mine)
							d.Rmdir(mine)
						case 7:
							d.Unlink("a/b/../../../outside/file")
							d.Rename("a/b/file", d, "a/b/../file")
							d.Rename("a/b/../file", d, "a/b/file")
						}
					}
				}
			})
		}
		wg.Wait()
		if after := picture(t, base+"/outside"); after != before {
			t.Errorf("outside changed:\n%s\n%s", before, after)
		}
		for _, e := range must(os.ReadDir(base)) {
			if n := e.Name(); n != "root" && n != "outside" {
				t.Errorf("%s appeared outside", n)
			}
		}
	})
}

func readAll(t *testing.T, d *Descriptor, outside map[uint64]bool) {
	r, err := d.ReadDir()
	if err != nil {
		return
	}
	defer r.Close()
	for {
		e, more, err := r.Next()
		if err != nil || !more {
			return
		}
		if outside[e.Inode] {
			t.Errorf("a directory has %s of outside", e.Name)
		}
	}
}

func TestHugeOffsets(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		f, err := d.Open("f", OpenFlags{Create: true, Read: true, Write: true})
		want(t, "create", err)
		defer f.Close()
		for _, at := range []uint64{1 << 62, 1<<63 - 2, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
			if n, err := f.WriteAt([]byte("xx"), at); n != 0 || err != FileTooLarge && err != Invalid {
				t.Errorf("write at %d: %d, %v", at, n, err)
			}
			if n, err := f.ReadAt(make([]byte, 2), at); n != 0 || err != nil && err != Invalid {
				t.Errorf("read at %d: %d, %v", at, n, err)
			}
			if err := f.Allocate(at, 1); err != FileTooLarge && err != Invalid && err != InsufficientSpace && err != Unsupported {
				t.Errorf("allocate %d: %v", at, err)
			}
			if err := f.SetSize(at); err != nil && err != FileTooLarge && err != Invalid {
				t.Errorf("set size %d: %v", at, err)
			}
			want(t, "set size", f.SetSize(0))
		}
		if err := f.SetSize(1 << 40); err == nil { // a hole
			if n, err := f.ReadAt(make([]byte, 10), 1<<39); n != 10 || err != nil {
				t.Errorf("read a hole: %d, %v", n, err)
			}
			var st unix.Stat_t
			if err := unix.Stat(root+"/f", &st); err != nil || st.Blocks > 1024 {
				t.Errorf("a hole takes %d blocks, %v", st.Blocks, err)
			}
		}
	})
}

// What guests create can't be executed, nor run as somebody else.
func TestModes(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		want(t, "create", open(d, "f", OpenFlags{Create: true, Write: true}))
		want(t, "mkdir", d.Mkdir("d"))
		for name, allowed := range map[string]fs.FileMode{"f": 0o666, "d": 0o777 | fs.ModeDir | fs.ModeSetgid} {
			fi, err := os.Lstat(root + "/" + name)
			if err != nil || fi.Mode()&^allowed != 0 {
				t.Errorf("%s has mode %v, %v", name, fi.Mode(), err)
			}
		}
	})
}

// Where grants overlap, each allows what it says: the wider one does not make the
// narrower one writable, nor the other way around.
func TestOverlappingGrants(t *testing.T) {
	for name, way := range ways {
		root := t.TempDir()
		write(t, root+"/sub/file", "inside")
		wide, err := openDir(root, true, way)
		if err != nil {
			t.Fatal(err)
		}
		defer wide.Close()
		sub, err := openDir(root+"/sub", false, way)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		want(t, name+": write", open(sub, "new", OpenFlags{Create: true, Write: true}))
		want(t, name+": write through the wide one", open(wide, "sub/new", OpenFlags{Write: true}), NotPermitted)
		want(t, name+": link out of what is read-only", wide.Link("sub/file", sub, "taken"), NotPermitted)
		want(t, name+": move out of what is read-only", wide.Rename("sub/file", sub, "taken"), NotPermitted)
		want(t, name+": move into what is read-only", sub.Rename("file", wide, "taken"), NotPermitted)
		want(t, name+": up", open(sub, "../sub/file", OpenFlags{Read: true}), NotPermitted)
	}
}

// A deep path holds a bounded number of descriptors, and an endless directory a
// bounded number of entries.
func TestDeepAndWide(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		deep := strings.TrimSuffix(strings.Repeat("d/", maxDepth+40), "/")
		if err := os.MkdirAll(root+"/"+deep, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := open(d, deep, OpenFlags{Directory: true}); err != nil && err != NameTooLong {
			t.Errorf("deep: %v", err)
		}
		want(t, "less deep", open(d, deep[:2*maxDepth-2], OpenFlags{Directory: true}))
		os.Mkdir(root+"/wide", 0o777)
		for i := range 3000 {
			write(t, fmt.Sprintf("%s/wide/%d", root, i), "")
		}
		wide, err := d.Open("wide", OpenFlags{Directory: true})
		want(t, "open", err)
		defer wide.Close()
		r, err := wide.ReadDir()
		want(t, "read directory", err)
		defer r.Close()
		seen := map[string]bool{}
		for {
			e, more, err := r.Next()
			if err != nil || !more {
				want(t, "next", err)
				break
			}
			if seen[e.Name] {
				t.Fatal("twice", e.Name)
			}
			seen[e.Name] = true
		}
		if len(seen) != 3000 {
			t.Errorf("%d entries", len(seen))
		}
	})
}

// Every code of the system that a guest may cause has its own meaning.
func TestTooManyFilesOfTheHost(t *testing.T) {
	if c := CodeOf(&os.PathError{Err: unix.EMFILE}); c != InsufficientMemory || !errors.Is(c, InsufficientMemory) {
		t.Error(c)
	}
}
