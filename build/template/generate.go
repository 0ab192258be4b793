//go:build ignore

// Generate packs the guest packages, which are a module of their own and so can't be
// embedded as they are.
package main

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"log"
	"os"
	"path"
	"strings"
)

func main() {
	log.SetFlags(0)
	guest := os.DirFS("../../guest")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	err := fs.WalkDir(guest, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if ext := path.Ext(name); ext != ".go" && ext != ".s" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		content, err := fs.ReadFile(guest, name)
		if err != nil || bytes.HasPrefix(content, []byte("//go:build ignore\n")) {
			return err
		}
		// Compressed the bytes would depend on the release of Go.
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = os.WriteFile("guest.zip", b.Bytes(), 0o666)
	}
	if err != nil {
		log.Fatalf("build/template: %v", err)
	}
}
