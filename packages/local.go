package packages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ashlar-wasm/ashlar/signature"
)

// Local is a folder as a registry, laid out as wkg does: a version of a package is
// the file <namespace>/<name>/<version>.wasm in it. A file <version>.yanked beside it
// says that the version is yanked: it is empty, or has signed records ([Yank]) as
// sigstore bundles, one a line. Its value is the path of the folder.
type Local string

const (
	contentSuffix = ".wasm"
	yankedSuffix  = ".yanked"
)

var (
	_ Source   = Local("")
	_ Attester = Local("")
)

func (l Local) folder(p Ref) string { return filepath.Join(string(l), p.Namespace, p.Name) }

func (l Local) file(p Ref, v Version) string {
	return filepath.Join(l.folder(p), v.String()+contentSuffix)
}

// Versions lists the files of a package. Others than those of versions are ignored.
func (l Local) Versions(_ context.Context, p Ref) ([]VersionInfo, error) {
	entries, err := os.ReadDir(l.folder(p))
	if err != nil {
		return nil, notFound(p.String(), err)
	}
	yanked := map[string]bool{}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), yankedSuffix); ok {
			info, err := e.Info()
			yanked[name] = err == nil && info.Size() == 0
		}
	}
	var all []VersionInfo
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), contentSuffix)
		if !ok {
			continue
		}
		if v, err := ParseVersion(name); err == nil {
			all = append(all, VersionInfo{v, yanked[name]})
		}
	}
	return all, nil
}

func notFound(what string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: %w", what, ErrNotFound, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Release reads the file of a version.
func (l Local) Release(_ context.Context, p Ref, v Version) (Release, error) {
	b, err := readFile(l.file(p, v), MaxContent)
	if err != nil {
		return Release{}, notFound(p.String()+"@"+v.String(), err)
	}
	return Release{Version: v, Digest: DigestOf(b)}, nil
}

// Content reads the file of a version.
func (l Local) Content(_ context.Context, p Ref, r Release) ([]byte, error) {
	b, err := readFile(l.file(p, r.Version), MaxContent)
	if err != nil {
		return nil, notFound(p.String()+"@"+r.Version.String(), err)
	}
	if d := DigestOf(b); d != r.Digest {
		return nil, fmt.Errorf("%s: %w", l.file(p, r.Version), &DigestError{p, r.Version, d, r.Digest})
	}
	return b, nil
}

// Publish writes the file of a version. Nobody sees it before it is whole.
func (l Local) Publish(_ context.Context, p Ref, v Version, content []byte) (Release, error) {
	name := p.String() + "@" + v.String()
	if len(content) > MaxContent {
		return Release{}, fmt.Errorf("%s: has %d bytes, more than %d", name, len(content), MaxContent)
	}
	if err := os.MkdirAll(l.folder(p), 0o777); err != nil {
		return Release{}, fmt.Errorf("%s: %w", name, err)
	}
	err := createFile(l.file(p, v), content)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err != nil {
		return Release{}, fmt.Errorf("%s: %w", name, err)
	}
	return Release{Version: v, Digest: DigestOf(content)}, nil
}

// maxYanked bounds the bytes of a file of records.
const maxYanked = 1 << 20

func (l Local) yankedFile(p Ref, v Version) string {
	return filepath.Join(l.folder(p), v.String()+yankedSuffix)
}

// Manifest is the content.
func (l Local) Manifest(ctx context.Context, p Ref, r Release) ([]byte, error) {
	return l.Content(ctx, p, r)
}

// Bundles reads the file of records.
func (l Local) Bundles(_ context.Context, p Ref, r Release, predicateType string) ([]*signature.Bundle, error) {
	if predicateType != "" && predicateType != signature.PredicateYank {
		return nil, nil
	}
	file := l.yankedFile(p, r.Version)
	b, err := readFile(file, maxYanked)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := parseBundles(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// parseBundles reads bundles, one a line, or one alone. In a folder, unlike a registry,
// what can't be read is damage.
func parseBundles(b []byte) ([]*signature.Bundle, error) {
	if one, err := signature.ParseBundle(b); err == nil {
		return []*signature.Bundle{one}, nil
	}
	var all []*signature.Bundle
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		bundle, err := signature.ParseBundle(line)
		if err != nil {
			return nil, err
		}
		all = append(all, bundle)
	}
	return all, nil
}

// Attach adds a record to the file of records. Several may do so at once.
func (l Local) Attach(_ context.Context, p Ref, r Release, b *signature.Bundle) error {
	if st := b.Unverified(); st == nil || st.PredicateType != signature.PredicateYank {
		return errors.New("a folder keeps records of what is yanked, and no other bundles")
	}
	file := l.yankedFile(p, r.Version)
	old, err := readFile(file, maxYanked)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := parseBundles(old)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	added, err := encodeBundles(b)
	if err != nil {
		return err
	}
	if len(old)+len(added) > maxYanked {
		return fmt.Errorf("%s would have more than %d bytes", file, maxYanked)
	}
	if lines := bytes.Count(old, []byte("\n")); len(old) == 0 || lines == len(all) && bytes.HasSuffix(old, []byte("\n")) {
		return appendFile(file, added)
	}
	// It was written by hand, perhaps on several lines.
	if added, err = encodeBundles(append(all, b)...); err != nil {
		return err
	}
	return replaceFile(file, added)
}

// encodeBundles writes bundles, one a line.
func encodeBundles(all ...*signature.Bundle) ([]byte, error) {
	var lines bytes.Buffer
	for _, b := range all {
		if err := json.Compact(&lines, b.Encode()); err != nil {
			return nil, err
		}
		lines.WriteByte('\n')
	}
	return lines.Bytes(), nil
}

// appendFile adds to a file, which is made if it is not there. What others add at the same
// time stays.
func appendFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// createFile creates a file, which is whole as soon as it is there.
func createFile(path string, content []byte) error {
	temporary, err := writeTemporary(path, content)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	err = os.Link(temporary, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// Not all file systems have hard links.
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return os.Rename(temporary, path)
}

// replaceFile writes a file, of which there is the old or the new content at any time.
func replaceFile(path string, content []byte) error {
	temporary, err := writeTemporary(path, content)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	return os.Rename(temporary, path)
}

// writeTemporary writes a file beside another one.
func writeTemporary(path string, content []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	// CreateTemp lets nobody else read it.
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}
