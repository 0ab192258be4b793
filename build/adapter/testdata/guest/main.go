// Guest uses what WASI 0.1 offers and tells what it finds, in words that do not
// depend on where it runs.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Println("no command")
		os.Exit(2)
	}
	commands := map[string]func([]string) error{
		"args": args, "env": env, "cat": cat, "lines": lines, "files": files, "tree": tree,
		"errors": failures, "times": times, "clock": clock, "wait": wait, "random": random,
		"heap": heap, "exit": exit, "panic": func([]string) error { panic("as asked") },
		"stderr": func([]string) error { _, err := fmt.Fprintln(os.Stderr, "to stderr"); return err },
		"large":  large, "many": many,
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func args(rest []string) error {
	sum := 0
	for _, a := range rest {
		sum += len(a)
	}
	fmt.Printf("%d arguments of %d bytes\n", len(os.Args), sum)
	if sum < 1000 {
		fmt.Printf("%q\n", os.Args)
	}
	return nil
}

func env([]string) error {
	fmt.Printf("%d variables\n", len(os.Environ()))
	for _, kv := range os.Environ() {
		if len(kv) < 100 {
			fmt.Println(kv)
		} else {
			fmt.Println(len(kv), kv[:20])
		}
	}
	return nil
}

func cat([]string) error {
	n, err := io.Copy(os.Stdout, os.Stdin)
	fmt.Fprintln(os.Stderr, n, "bytes")
	return err
}

func lines([]string) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(strings.ToUpper(in.Text()))
	}
	return in.Err()
}

func large([]string) error {
	block := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	for range 4 {
		if n, err := os.Stdout.Write(block); err != nil || n != len(block) {
			return fmt.Errorf("wrote %d: %w", n, err)
		}
	}
	return nil
}

func files(rest []string) error {
	root := rest[0]
	name := filepath.Join(root, "file")
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	got, err := os.ReadFile(name)
	fmt.Println(bytes.Equal(got, data), err)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 10)
	n, err := f.ReadAt(buf, 299_995)
	fmt.Println(n, err, buf[:n])
	_, err = f.WriteAt([]byte("hello"), 299_998)
	fmt.Println(err)
	pos, err := f.Seek(-5, io.SeekEnd)
	fmt.Println(pos, err)
	n, err = f.Read(buf)
	fmt.Println(n, err, string(buf[:n]))
	n, err = f.Read(buf)
	fmt.Println(n, err)
	fmt.Println(f.Truncate(7))
	st, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Println(st.Size(), st.Mode().Type(), st.Name())
	_, err = f.Seek(-1, io.SeekStart)
	fmt.Println(err)
	a, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, s := range []string{"one", "two", strings.Repeat("x", 10_000), "end"} {
		n, err := a.WriteString(s)
		fmt.Println(n, err)
	}
	fmt.Println(a.Sync(), a.Close())
	got, err = os.ReadFile(name)
	fmt.Println(len(got), err, string(got[7:16]), string(got[len(got)-4:]))
	_, err = a.Write([]byte("closed"))
	fmt.Println(err)
	r, err := os.Open(name)
	if err != nil {
		return err
	}
	_, err = r.Write([]byte("read only"))
	fmt.Println(err)
	r.Close()
	if err := os.Rename(name, name+"2"); err != nil {
		return err
	}
	_, err = os.Stat(name)
	fmt.Println(errors.Is(err, fs.ErrNotExist), err)
	fmt.Println(os.Link(name+"2", name+"3"), os.Symlink("file2", name+"4"))
	target, err := os.Readlink(name + "4")
	fmt.Println(target, err)
	one, err1 := os.Stat(name + "2")
	two, err2 := os.Stat(name + "4")
	link, err3 := os.Lstat(name + "4")
	fmt.Println(err1, err2, err3, os.SameFile(one, two), os.SameFile(one, link), link.Mode().Type())
	for i := 2; i <= 4; i++ {
		fmt.Println(os.Remove(name + strconv.Itoa(i)))
	}
	return nil
}

func tree(rest []string) error {
	root := filepath.Join(rest[0], "tree")
	for i := range 3 {
		for j := range 40 {
			dir := filepath.Join(root, fmt.Sprintf("dir%d", i), strings.Repeat("d", 3*j+1))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%c-ü-%d", 'a'+j%26, j)), []byte("x"), 0o644); err != nil {
				return err
			}
		}
	}
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		names = append(names, fmt.Sprint(path, d.Type(), info.Size() == 1 || d.IsDir()))
		return nil
	})
	if err != nil {
		return err
	}
	sort.Strings(names)
	fmt.Println(len(names))
	fmt.Println(strings.Join(names, "\n"))
	// Two readers of one directory, a few entries at a time.
	a, err := os.Open(filepath.Join(root, "dir0"))
	if err != nil {
		return err
	}
	b, err := os.Open(filepath.Join(root, "dir0"))
	if err != nil {
		return err
	}
	var seen [2][]string
	for range 100 {
		for i, f := range []*os.File{a, b} {
			part, err := f.Readdirnames(3)
			if err != nil && err != io.EOF {
				return err
			}
			seen[i] = append(seen[i], part...)
		}
	}
	sort.Strings(seen[0])
	sort.Strings(seen[1])
	fmt.Println(len(seen[0]), len(seen[1]), seen[0][0], seen[1][39] == seen[0][39])
	a.Close()
	b.Close()
	err = os.Remove(root)
	fmt.Println(err)
	fmt.Println(os.RemoveAll(root))
	_, err = os.Stat(root)
	fmt.Println(err)
	return nil
}

func failures(rest []string) error {
	root := rest[0]
	try := func(what string, err error) { fmt.Println(what, err) }
	_, err := os.Open(filepath.Join(root, "missing"))
	try("open", err)
	_, err = os.Open("/nowhere/else")
	try("open outside", err)
	_, err = os.Open(filepath.Join(root, "../../etc/passwd"))
	try("open above", err)
	try("mkdir", os.Mkdir(filepath.Join(root, "a/b"), 0o755))
	try("mkdir", os.Mkdir(filepath.Join(root, "a"), 0o755))
	try("mkdir again", os.Mkdir(filepath.Join(root, "a"), 0o755))
	try("write", os.WriteFile(filepath.Join(root, "a"), nil, 0o644))
	_, err = os.OpenFile(filepath.Join(root, "a/f"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	try("create", err)
	_, err = os.OpenFile(filepath.Join(root, "a/f"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	try("create again", err)
	_, err = os.ReadDir(filepath.Join(root, "a/f"))
	try("readdir", err)
	_, err = os.ReadFile(filepath.Join(root, "a"))
	try("read directory", err)
	try("remove", os.Remove(filepath.Join(root, "a")))
	_, err = os.Readlink(filepath.Join(root, "a/f"))
	try("readlink", err)
	_, err = os.Open(filepath.Join(root, strings.Repeat("n", 300)))
	try("long", err)
	_, err = os.Open(filepath.Join(root, strings.Repeat("n/", 3000)))
	try("very long", err)
	_, err = os.Open(filepath.Join(root, "not\xffutf8"))
	try("name", err)
	try("symlink", os.Symlink("loop", filepath.Join(root, "loop")))
	_, err = os.Open(filepath.Join(root, "loop"))
	try("loop", err)
	try("remove", os.RemoveAll(filepath.Join(root, "a")))
	return nil
}

func times(rest []string) error {
	name := filepath.Join(rest[0], "times")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		return err
	}
	at := time.Date(2001, 2, 3, 4, 5, 6, 789_000, time.UTC)
	if err := os.Chtimes(name, at, at.Add(time.Hour)); err != nil {
		return err
	}
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	fmt.Println(st.ModTime().UTC())
	if err := os.Chtimes(name, time.Time{}, at); err != nil {
		return err
	}
	st, err = os.Stat(name)
	if err != nil {
		return err
	}
	fmt.Println(st.ModTime().UTC())
	return nil
}

func clock([]string) error {
	start := time.Now()
	fmt.Println(start.UTC().Year() >= 2024)
	time.Sleep(30 * time.Millisecond)
	d := time.Since(start)
	fmt.Println(d >= 30*time.Millisecond, d < 20*time.Second)
	return nil
}

func wait([]string) error {
	start := time.Now()
	var group sync.WaitGroup
	for i := range 20 {
		group.Add(1)
		go func() {
			defer group.Done()
			time.Sleep(time.Duration(200+i) * time.Millisecond)
		}()
	}
	group.Wait()
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("later")
	case <-time.After(time.Hour):
		fmt.Println("much later")
	}
	d := time.Since(start)
	fmt.Println(d >= 220*time.Millisecond, d < 3*time.Second)
	return nil
}

func random([]string) error {
	for _, n := range []int{0, 1, 16, 1000, 1 << 20} {
		a, b := make([]byte, n+16), make([]byte, n+16)
		if _, err := rand.Read(a[8 : n+8]); err != nil {
			return err
		}
		if _, err := rand.Read(b[8 : n+8]); err != nil {
			return err
		}
		clean := bytes.Equal(a[:8], make([]byte, 8)) && bytes.Equal(a[n+8:], make([]byte, 8))
		fmt.Println(n, clean, n < 16 || !bytes.Equal(a, b))
	}
	return nil
}

// heap keeps 200 MB, while everything else goes on.
func heap(rest []string) error {
	var kept [][]byte
	name := filepath.Join(rest[0], "heap")
	for i := range 200 {
		block := make([]byte, 1<<20)
		for j := 0; j < len(block); j += 64 {
			block[j] = byte(i ^ j/64)
		}
		kept = append(kept, block)
		if i%20 == 0 {
			if err := os.WriteFile(name, block, 0o644); err != nil {
				return err
			}
			got, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Println(i, bytes.Equal(got, block))
		}
	}
	for i, block := range kept {
		for j := 0; j < len(block); j += 64 {
			if block[j] != byte(i^j/64) {
				return fmt.Errorf("block %d changed", i)
			}
		}
	}
	fmt.Println(len(kept), "MiB are as they were")
	return os.Remove(name)
}

// many opens more files than one group of descriptors holds.
func many(rest []string) error {
	var open []*os.File
	for i := range 200 {
		f, err := os.Create(filepath.Join(rest[0], fmt.Sprint("many", i)))
		if err != nil {
			return err
		}
		open = append(open, f)
		fmt.Fprint(f, i)
	}
	for i := 0; i < len(open); i += 2 {
		if err := open[i].Close(); err != nil {
			return err
		}
	}
	f, err := os.Open(filepath.Join(rest[0], "many10"))
	if err != nil {
		return err
	}
	fmt.Println(open[11].Fd() > f.Fd())
	for i, f := range open {
		if i%2 == 1 {
			b := make([]byte, 5)
			n, err := f.ReadAt(b, 0)
			fmt.Println(string(b[:n]), err)
		}
		if err := os.Remove(filepath.Join(rest[0], fmt.Sprint("many", i))); err != nil {
			return err
		}
	}
	return nil
}

func exit(rest []string) error {
	code, err := strconv.Atoi(rest[0])
	if err != nil {
		return err
	}
	fmt.Println("exit", code)
	os.Exit(code)
	return nil
}
