package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/require"
)

// ways are the ways to resolve paths that this system has; those that another
// system would use are forced here.
var ways = map[string]func(string) (directory, error){
	"native": openNative,
	"rooted": openRooted,
}

func eachWay(t *testing.T, f func(t *testing.T, root string, d *Descriptor)) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			d, err := openDir(root, false, open)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			f(t, root, d)
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		if runtime.GOOS == "windows" {
			require.Missing(t, "symbolic links need a privilege here:", err)
		}
		t.Fatal(err)
	}
}

// want fails unless err is one of the codes, none of them meaning success.
func want(t *testing.T, what string, err error, codes ...Code) {
	t.Helper()
	if len(codes) == 0 {
		if err != nil {
			t.Errorf("%s: %v, want success", what, err)
		}
		return
	}
	var c Code
	if !errors.As(err, &c) || !slices.Contains(codes, c) {
		t.Errorf("%s: %v, want %v", what, err, codes)
	}
}

func open(d *Descriptor, path string, how OpenFlags) error {
	f, err := d.Open(path, how)
	if err == nil {
		f.Close()
	}
	return err
}

func TestNothingLeadsOutside(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		write(t, filepath.Join(root, "../secret"), "secret")
		write(t, filepath.Join(root, "../outside/file"), "x")
		write(t, filepath.Join(root, "sub/file"), "inside")
		symlink(t, "../secret", root+"/up")
		symlink(t, filepath.Join(root, "../secret"), root+"/absolute")
		symlink(t, root+"/sub", root+"/absolute-inside")
		symlink(t, "../outside", root+"/updir")
		symlink(t, "sub/../../secret", root+"/devious")
		symlink(t, "../nothing", root+"/dangling-up")
		symlink(t, "up", root+"/up2")
		paths := []string{
			"..", "../", "../secret", "sub/../../secret", "/etc/passwd", "/",
			"up", "up2", "absolute", "absolute-inside/file", "updir/file", "updir/../secret",
			"devious", "sub/../../root/sub/file", "./../secret", "sub/../..",
		}
		for _, p := range paths {
			want(t, "open "+p, open(d, p, OpenFlags{}), NotPermitted)
			want(t, "open for writing "+p, open(d, p, OpenFlags{Write: true}), NotPermitted)
			_, err := d.StatAt(p, true)
			want(t, "stat "+p, err, NotPermitted)
			want(t, "set times "+p, d.SetTimesAt(p, true, SetTime{Now: true}, SetTime{}), NotPermitted)
		}
		for _, p := range []string{"../new", "updir/new", "sub/../../new", "/tmp/new", "absolute-inside/new"} {
			want(t, "create "+p, open(d, p, OpenFlags{Create: true, Write: true}), NotPermitted)
			want(t, "mkdir "+p, d.Mkdir(p), NotPermitted)
			want(t, "symlink "+p, d.Symlink("sub", p), NotPermitted)
			want(t, "link to "+p, d.Link("sub/file", d, p), NotPermitted)
			want(t, "rename to "+p, d.Rename("sub/file", d, p), NotPermitted)
		}
		for _, p := range []string{"../secret", "updir/file", "sub/../../secret"} {
			want(t, "unlink "+p, d.Unlink(p), NotPermitted)
			want(t, "link from "+p, d.Link(p, d, "new"), NotPermitted)
			want(t, "rename from "+p, d.Rename(p, d, "new"), NotPermitted)
			_, err := d.Readlink(p)
			want(t, "readlink "+p, err, NotPermitted)
		}
		want(t, "rmdir", d.Rmdir("../outside"), NotPermitted)
		want(t, "create through a dangling link", open(d, "dangling-up", OpenFlags{Create: true, Write: true}), NotPermitted)
		want(t, "absolute symlink", d.Symlink("/etc", "etc"), NotPermitted)
		if target, err := d.Readlink("absolute"); err != NotPermitted {
			t.Errorf("readlink of an absolute link told %q, %v", target, err)
		}
		for _, p := range []string{"../new", "../outside/new", "../nothing"} {
			if _, err := os.Lstat(filepath.Join(root, p)); !os.IsNotExist(err) {
				t.Errorf("%s was created outside", p)
			}
		}
		sub, err := d.Open("sub", OpenFlags{Directory: true})
		want(t, "open sub", err)
		defer sub.Close()
		want(t, "out of an opened directory", open(sub, "../up", OpenFlags{}), NotPermitted)
		want(t, "out of an opened directory, inside the grant", open(sub, "../sub/file", OpenFlags{}), NotPermitted)
		want(t, "rename out of an opened directory", sub.Rename("file", sub, "../moved"), NotPermitted)
	})
}

func TestPathsInside(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		write(t, root+"/dir/nested/file", "hello")
		symlink(t, "dir/nested", root+"/link")
		symlink(t, "../nested/file", root+"/dir/nested/self")
		symlink(t, "loop", root+"/loop")
		symlink(t, "nothing", root+"/dangling")
		symlink(t, "dir/nested/file", root+"/flink")
		for _, p := range []string{
			"dir/nested/file", "dir/.//nested/../../dir/nested/../nested///./file",
			"link/file", "link/self", "link/../nested/file", "flink",
		} {
			f, err := d.Open(p, OpenFlags{Read: true})
			want(t, "open "+p, err)
			if err != nil {
				continue
			}
			buf := make([]byte, 10)
			n, err := f.ReadAt(buf, 0)
			if string(buf[:n]) != "hello" || err != nil {
				t.Errorf("%s: read %q, %v", p, buf[:n], err)
			}
			if n, err := f.ReadAt(buf, 5); n != 0 || err != nil {
				t.Errorf("%s: read at the end: %d, %v", p, n, err)
			}
			f.Close()
			want(t, "closed", func() error { _, err := f.ReadAt(buf, 0); return err }(), BadDescriptor)
		}
		for _, p := range []string{".", "dir", "dir/", "dir/nested///", "link", "link/", "dir/nested/..", "dir/.."} {
			want(t, "open directory "+p, open(d, p, OpenFlags{Directory: true}))
			st, err := d.StatAt(p, true)
			if err != nil || st.Type != Directory {
				t.Errorf("stat %s: %v, %v", p, st.Type, err)
			}
		}
		st, err := d.StatAt("link", false)
		if err != nil || st.Type != SymbolicLink {
			t.Errorf("lstat link: %v, %v", st.Type, err)
		}
		if st, err = d.StatAt("link/", false); err != nil || st.Type != Directory {
			t.Errorf("lstat link/: %v, %v", st.Type, err)
		}
		want(t, "file with a slash", open(d, "dir/nested/file/", OpenFlags{}), NotDirectory)
		want(t, "file as a directory", open(d, "dir/nested/file", OpenFlags{Directory: true}), NotDirectory)
		want(t, "through a file", open(d, "dir/nested/file/x", OpenFlags{}), NotDirectory)
		want(t, "loop", open(d, "loop", OpenFlags{}), Loop)
		want(t, "loop inside", open(d, "loop/x", OpenFlags{}), Loop)
		want(t, "dangling", open(d, "dangling", OpenFlags{}), NoEntry)
		want(t, "link not followed", open(d, "link", OpenFlags{NoFollow: true}), Loop)
		want(t, "link as directory not followed", open(d, "link", OpenFlags{NoFollow: true, Directory: true}), Loop, NotDirectory)
		want(t, "empty", open(d, "", OpenFlags{}), NoEntry)
		want(t, "nul", open(d, "dir\x00", OpenFlags{}), Invalid)
		want(t, "long", open(d, strings.Repeat("a/", 4000), OpenFlags{}), NameTooLong)
		want(t, "long name", open(d, strings.Repeat("a", 300), OpenFlags{}), NameTooLong)
		want(t, "directory for writing", open(d, "dir", OpenFlags{Write: true}), IsDirectory)
		want(t, "exclusive", open(d, "flink", OpenFlags{Create: true, Exclusive: true, Write: true}), Exist)
		want(t, "exclusive dangling", open(d, "dangling", OpenFlags{Create: true, Exclusive: true, Write: true}), Exist)
		want(t, "create directory", open(d, "x", OpenFlags{Create: true, Directory: true}), Invalid)
		want(t, "create through dangling", open(d, "dangling", OpenFlags{Create: true, Write: true}))
		if _, err := os.Lstat(root + "/nothing"); err != nil {
			t.Error("the target of a dangling link was not created:", err)
		}
		if target, err := d.Readlink("link"); target != "dir/nested" || err != nil {
			t.Errorf("readlink: %q, %v", target, err)
		}
		_, err = d.Readlink("dir")
		want(t, "readlink of a directory", err, Invalid)
		_, err = d.Readlink("link/")
		want(t, "readlink with a slash", err, Invalid)
	})
}

func TestChanges(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		want(t, "mkdir", d.Mkdir("dir/"))
		want(t, "mkdir again", d.Mkdir("dir"), Exist)
		want(t, "mkdir .", d.Mkdir("."), Exist)
		want(t, "create", open(d, "file", OpenFlags{Create: true, Write: true}))
		want(t, "unlink directory", d.Unlink("dir"), IsDirectory, NotPermitted)
		want(t, "unlink directory with slash", d.Unlink("dir/"), IsDirectory, NotPermitted)
		want(t, "unlink file with slash", d.Unlink("file/"), NotDirectory)
		want(t, "rmdir file", d.Rmdir("file"), NotDirectory)
		want(t, "rmdir file/", d.Rmdir("file/"), NotDirectory)
		want(t, "link", d.Link("file", d, "dir/link"))
		want(t, "link over something", d.Link("file", d, "dir/link"), Exist)
		want(t, "link with slash", d.Link("file", d, "new/"), NoEntry)
		want(t, "link to a directory", d.Link("dir", d, "new"), NotPermitted, Access)
		want(t, "symlink with slash", d.Symlink("file", "new/"), NoEntry)
		want(t, "symlink over a file, with slash", d.Symlink("x", "file/"), NotDirectory)
		want(t, "symlink over a directory, with slash", d.Symlink("x", "dir/"), Exist)
		want(t, "rmdir nonempty", d.Rmdir("dir"), NotEmpty)
		want(t, "rename file with slash", d.Rename("file", d, "new/"), NotDirectory)
		want(t, "rename over a directory", d.Rename("file", d, "dir"), IsDirectory)
		want(t, "rename a directory over a file", d.Rename("dir", d, "file"), NotDirectory)
		want(t, "rename directory with slashes", d.Rename("dir/", d, "moved/"))
		want(t, "rename .", d.Rename(".", d, "x"), Busy, Invalid)
		sub, err := d.Open("moved", OpenFlags{Directory: true})
		want(t, "open directory", err)
		defer sub.Close()
		want(t, "rename into it", d.Rename("file", sub, "file"))
		want(t, "link out of it", sub.Link("file", d, "again"))
		st1, err := d.StatAt("again", false)
		want(t, "stat", err)
		st2, err := sub.StatAt("file", false)
		want(t, "stat", err)
		if !st1.Same(st2) {
			t.Error("hard links differ")
		}
		if runtime.GOOS != "windows" && st1.Links != 3 {
			t.Errorf("%d links, want 3", st1.Links)
		}
		if st3, _ := d.StatAt("moved", false); st3.Same(st1) {
			t.Error("a directory and a file are the same")
		}
		when := time.Unix(1_000_000_000, 500)
		want(t, "set times", d.SetTimesAt("again", false, SetTime{}, SetTime{At: when}))
		if st, err := d.StatAt("again", false); err != nil || st.Modify.Unix() != when.Unix() {
			t.Errorf("modified %v, %v; want %v", st.Modify, err, when)
		}
		names := map[string]FileType{}
		r, err := d.ReadDir()
		want(t, "read directory", err)
		for {
			e, ok, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			names[e.Name] = e.Type
		}
		r.Close()
		if fmt.Sprint(names) != fmt.Sprint(map[string]FileType{"moved": Directory, "again": RegularFile}) {
			t.Errorf("names: %v", names)
		}
		want(t, "unlink", d.Unlink("again"))
		want(t, "unlink again", d.Unlink("again"), NoEntry)
	})
}

func TestFile(t *testing.T) {
	eachWay(t, func(t *testing.T, root string, d *Descriptor) {
		f, err := d.Open("f", OpenFlags{Create: true, Write: true, Read: true})
		want(t, "create", err)
		defer f.Close()
		n, err := f.WriteAt([]byte("hello"), 2)
		if n != 5 || err != nil {
			t.Fatal(n, err)
		}
		for _, s := range []string{" world", "!"} {
			if n, err := f.Append([]byte(s)); n != len(s) || err != nil {
				t.Fatal(n, err)
			}
		}
		got, _ := os.ReadFile(root + "/f")
		if string(got) != "\x00\x00hello world!" {
			t.Fatalf("contents %q", got)
		}
		want(t, "allocate", f.Allocate(0, 20))
		want(t, "allocate less", f.Allocate(0, 10))
		st, err := f.Stat()
		if st.Size != 20 || st.Type != RegularFile || err != nil {
			t.Fatal(st, err)
		}
		want(t, "set size", f.SetSize(3))
		want(t, "sync", f.Sync())
		want(t, "sync data", f.SyncData())
		want(t, "advise", f.Advise(0, 0, AdviceWillNeed))
		want(t, "advise nonsense", f.Advise(0, 0, 99), Invalid)
		_, err = f.ReadAt(make([]byte, 1), 1<<63)
		want(t, "read far away", err, Invalid)
		_, err = f.WriteAt(make([]byte, 1), 1<<63-1)
		want(t, "write far away", err, Invalid)
		want(t, "sync directory", d.Sync())
		_, err = d.ReadAt(nil, 0)
		want(t, "read directory as file", err, IsDirectory)
		want(t, "file as directory", open(f, "x", OpenFlags{}), NotDirectory)
		ro, err := d.Open("f", OpenFlags{Read: true})
		want(t, "open", err)
		defer ro.Close()
		_, err = ro.WriteAt([]byte("x"), 0)
		want(t, "write to a file open for reading", err, BadDescriptor)
		wo, err := d.Open("f", OpenFlags{Write: true, Truncate: true})
		want(t, "open", err)
		defer wo.Close()
		_, err = wo.ReadAt(make([]byte, 1), 0)
		want(t, "read a file open for writing", err, BadDescriptor)
		if st, _ := wo.Stat(); st.Size != 0 {
			t.Error("not truncated")
		}
	})
}

func TestReadOnly(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root+"/dir/file", "x")
			d, err := openDir(root, true, way)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			sub, err := d.Open("dir", OpenFlags{})
			want(t, "open", err)
			defer sub.Close()
			f, err := sub.Open("file", OpenFlags{Read: true})
			want(t, "open", err)
			defer f.Close()
			for what, err := range map[string]error{
				"create":     open(sub, "new", OpenFlags{Create: true}),
				"truncate":   open(sub, "file", OpenFlags{Truncate: true}),
				"write":      open(sub, "file", OpenFlags{Write: true}),
				"mkdir":      sub.Mkdir("new"),
				"rmdir":      d.Rmdir("dir"),
				"unlink":     sub.Unlink("file"),
				"symlink":    sub.Symlink("a", "b"),
				"link":       sub.Link("file", sub, "b"),
				"rename":     sub.Rename("file", sub, "b"),
				"times at":   sub.SetTimesAt("file", true, SetTime{Now: true}, SetTime{}),
				"times":      f.SetTimes(SetTime{Now: true}, SetTime{}),
				"write file": func() error { _, err := f.WriteAt([]byte("x"), 0); return err }(),
				"append":     func() error { _, err := f.Append([]byte("x")); return err }(),
				"size":       f.SetSize(0),
				"allocate":   f.Allocate(0, 1),
			} {
				want(t, what, err, NotPermitted)
			}
		})
	}
}
