package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// WITEdit is a change to the files of a folder of WIT.
type WITEdit struct{ before, after map[string][]byte }

// ReplaceVersions writes other versions where the files of a folder of WIT refer to
// packages. Nothing is written yet.
func ReplaceVersions(dir string, refs []Reference) (*WITEdit, error) {
	return editWIT(dir, func(files map[string][]byte) error {
		for _, ref := range refs {
			// What follows a version can't be part of one: use a:b/c@1.0.0.{d}; has a
			// dot behind it.
			pattern, err := regexp.Compile(`((?:^|[^0-9A-Za-z-])` + regexp.QuoteMeta(refOf(ref.Package).String()) + `/%?[a-zA-Z0-9-]+@)` + regexp.QuoteMeta(ref.Package.Version) + `(\.?[^0-9A-Za-z.+-]|$)`)
			if err != nil {
				return err
			}
			for name, b := range files {
				files[name] = pattern.ReplaceAll(b, []byte("${1}"+ref.To.String()+"${2}"))
			}
		}
		return nil
	}, func(before []wit.PackageName) []wit.PackageName {
		after := slices.Clone(before)
		for i, name := range after {
			for _, ref := range refs {
				if name == ref.Package {
					after[i].Version = ref.To.String()
				}
			}
		}
		return after
	})
}

// editWIT edits the files of a folder of WIT, and checks that this changes the packages
// that they refer to as is expected.
func editWIT(dir string, edit func(files map[string][]byte) error, expect func([]wit.PackageName) []wit.PackageName) (*WITEdit, error) {
	files, err := readWITFiles(dir)
	if err != nil {
		return nil, err
	}
	refs, err := references(&overlay{files: files})
	if err != nil {
		return nil, err
	}
	e := &WITEdit{map[string][]byte{}, map[string][]byte{}}
	edited := map[string][]byte{}
	for name, b := range files {
		edited[name] = slices.Clone(b)
	}
	if err := edit(edited); err != nil {
		return nil, err
	}
	got, err := references(&overlay{files: edited})
	if err != nil {
		return nil, fmt.Errorf("%s: after the change: %w", dir, err)
	}
	want := slices.Clone(expect(refs))
	slices.SortFunc(want, comparePackages)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		return nil, fmt.Errorf("%s: can't be edited so that it refers to %s; it would refer to %s: edit it by hand", dir, want, got)
	}
	for name, b := range files {
		if string(edited[name]) != string(b) {
			e.before[filepath.Join(dir, name)], e.after[filepath.Join(dir, name)] = b, edited[name]
		}
	}
	return e, nil
}

// Files are those that change, sorted.
func (e *WITEdit) Files() []string { return sortedKeys(e.after) }

// Apply writes the files.
func (e *WITEdit) Apply() error { return writeAll(e.after) }

// Undo writes them as they were.
func (e *WITEdit) Undo() error { return writeAll(e.before) }

func writeAll(files map[string][]byte) error {
	for _, name := range sortedKeys(files) {
		if err := rewriteFile(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// rewriteFile replaces the content of a file that somebody wrote: it keeps its mode, and
// what is a link stays one.
func rewriteFile(name string, content []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		return replaceFile(name, content)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	temporary, err := writeTemporary(target, content)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Chmod(temporary, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(temporary, target)
}

// Statement is an import, export or include in a world.
type Statement struct {
	Verb string // "import", "export" or "include"
	Of   string // as acme:log/logger@1.2.0
}

// String returns the statement as WIT has it.
func (s Statement) String() string { return s.Verb + " " + s.Of + ";" }

// AddStatements adds statements to a world of a folder of WIT: behind the last ones that
// begin the same. Those that it has are left out. The world may be empty if there is only
// one. Nothing is written yet.
func AddStatements(dir, world string, all []Statement) (*WITEdit, error) {
	var added []wit.PackageName
	for _, s := range all {
		name, err := packageOf(s.Of)
		if err != nil {
			return nil, err
		}
		added = append(added, name)
	}
	return editWIT(dir, func(files map[string][]byte) error {
		file, w, err := findWorld(files, world)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		text := string(files[file])
		for _, s := range all {
			text = addStatement(text, w.name, s)
		}
		files[file] = []byte(text)
		return nil
	}, func(before []wit.PackageName) []wit.PackageName { return append(before, added...) })
}

// packageOf returns the package of an item of it.
func packageOf(item string) (wit.PackageName, error) {
	name, version, _ := strings.Cut(item, "@")
	pkg, _, _ := strings.Cut(name, "/")
	ref, err := ParseRef(pkg)
	return wit.PackageName{Namespace: ref.Namespace, Name: ref.Name, Version: version}, err
}

// RemoveStatements removes the imports, exports and includes of a package, in any version,
// from the worlds of a folder of WIT. What else refers to the package is an error. Nothing
// is written yet.
func RemoveStatements(dir string, ref Ref) (*WITEdit, error) {
	item := regexp.QuoteMeta(ref.String()) + `/%?[a-zA-Z0-9-]+(@[0-9A-Za-z.+-]+)?`
	statement := regexp.MustCompile(`\b(import|export|include)\s+(%?[a-zA-Z][a-zA-Z0-9-]*\s*:\s*)?` + item + `\s*(with\s*\{[^}]*\}|;)`)
	use := regexp.MustCompile(`\buse\s+` + item)
	return editWIT(dir, func(files map[string][]byte) error {
		for name, b := range files {
			text := string(b)
			for {
				at := statement.FindStringIndex(blankComments(text))
				if at == nil {
					break
				}
				text = cutStatement(text, at[0], at[1])
			}
			if at := use.FindStringIndex(blankComments(text)); at != nil {
				return fmt.Errorf("%s:%d: uses types of %s: %s", filepath.Join(dir, name), 1+strings.Count(text[:at[0]], "\n"), ref, text[at[0]:at[1]])
			}
			files[name] = []byte(text)
		}
		return nil
	}, func(before []wit.PackageName) []wit.PackageName {
		return slices.DeleteFunc(slices.Clone(before), func(n wit.PackageName) bool { return refOf(n) == ref })
	})
}

// cutStatement cuts a part of a text, and its lines if there is nothing else on them.
func cutStatement(text string, start, end int) string {
	lineStart := strings.LastIndex(text[:start], "\n") + 1
	lineEnd := len(text)
	if i := strings.Index(text[end:], "\n"); i >= 0 {
		lineEnd = end + i + 1
	}
	if strings.TrimSpace(text[lineStart:start]) == "" && strings.TrimSpace(blankComments(text)[end:lineEnd]) == "" {
		return text[:lineStart] + text[lineEnd:]
	}
	return text[:start] + strings.TrimLeft(text[end:], " \t")
}

// worldText is where a world is in a text: begin is behind its opening brace, end at the
// closing one.
type worldText struct {
	name       string
	begin, end int
}

var worldPattern = regexp.MustCompile(`\bworld\s+%?([a-zA-Z][a-zA-Z0-9-]*)\s*\{`)

// worldsIn finds the worlds of a text.
func worldsIn(text string) []worldText {
	var all []worldText
	code := blankComments(text)
	for _, at := range worldPattern.FindAllStringSubmatchIndex(code, -1) {
		w := worldText{name: code[at[2]:at[3]], begin: at[1], end: len(code)}
		depth := 1
		for i := at[1]; i < len(code); i++ {
			switch code[i] {
			case '{':
				depth++
			case '}':
				depth--
			}
			if depth == 0 {
				w.end = i
				break
			}
		}
		all = append(all, w)
	}
	return all
}

// findWorld finds a world in files.
func findWorld(files map[string][]byte, name string) (file string, w worldText, err error) {
	names := map[string]bool{}
	for _, f := range sortedKeys(files) {
		for _, found := range worldsIn(string(files[f])) {
			if name == "" || found.name == name {
				file, w = f, found
			}
			names[found.name] = true
		}
	}
	switch {
	case len(names) == 0:
		return "", w, errors.New("there is no world to add to")
	case name == "" && len(names) > 1:
		return "", w, fmt.Errorf("there are several worlds: say which, of %s", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	case file == "":
		return "", w, fmt.Errorf("there is no world %s; there are %s", name, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	return file, w, nil
}

// addStatement adds a statement to a world of a text.
func addStatement(text, world string, s Statement) string {
	worlds := worldsIn(text)
	w := worlds[slices.IndexFunc(worlds, func(w worldText) bool { return w.name == world })]
	code := blankComments(text)[:w.end]
	same := regexp.MustCompile(`\b` + s.Verb + `\s+` + regexp.QuoteMeta(s.Of) + `\s*;`)
	if same.MatchString(code[w.begin:]) {
		return text
	}
	at := w.begin
	if all := regexp.MustCompile(`\b`+s.Verb+`\s+[^;{}]*;`).FindAllStringIndex(code[w.begin:], -1); all != nil {
		at += all[len(all)-1][1]
	}
	lineEnd := len(text)
	if i := strings.Index(text[at:], "\n"); i >= 0 {
		lineEnd = at + i
	}
	if lineEnd > w.end || strings.TrimSpace(code[at:min(lineEnd, len(code))]) != "" {
		return text[:at] + " " + s.String() + text[at:] // all is on one line
	}
	newline := "\n"
	if strings.HasSuffix(text[:lineEnd], "\r") {
		newline, lineEnd = "\r\n", lineEnd-1
	}
	return text[:lineEnd] + newline + indentation(text, w, at) + s.String() + text[lineEnd:]
}

// indentation is that of a statement in a world behind a place.
func indentation(text string, w worldText, at int) string {
	line := func(i int) string { return text[strings.LastIndex(text[:i], "\n")+1:] }
	blank := func(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " \t"))] }
	if at != w.begin {
		return blank(line(at))
	}
	for l := range strings.Lines(text[w.begin:w.end]) {
		if strings.TrimSpace(l) != "" {
			return blank(l)
		}
	}
	return blank(line(w.begin)) + "  "
}

// blankComments writes blanks in place of comments, which keeps positions.
func blankComments(text string) string {
	b := []byte(text)
	for i := 0; i < len(b); i++ {
		switch {
		case strings.HasPrefix(text[i:], "//"):
			for ; i < len(b) && b[i] != '\n'; i++ {
				b[i] = ' '
			}
		case strings.HasPrefix(text[i:], "/*"):
			depth := 0
			for ; i < len(b); i++ {
				switch {
				case strings.HasPrefix(text[i:], "/*"):
					depth++
					b[i] = ' '
					i++
				case strings.HasPrefix(text[i:], "*/"):
					depth--
					b[i] = ' '
					i++
				}
				if i < len(b) && b[i] != '\n' {
					b[i] = ' '
				}
				if depth == 0 {
					break
				}
			}
		}
	}
	return string(b)
}
