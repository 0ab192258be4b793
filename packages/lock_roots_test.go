package packages

import (
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

const lockOfTwo = `version = 1

[[root]]
path = "a/wit"
dependencies = [
    { name = "acme:log", requirement = "=1.2.0", version = "1.2.0" },
]

[[root]]
path = "b/wit"
dependencies = [
    { name = "acme:near", requirement = "*" },
    { name = "acme:time", requirement = "=0.2.0", version = "0.2.0" },
]

[[package]]
name = "acme:log"
version = "1.2.0"
registry = "r"
digest = "` + digestA + `"
dependencies = [
    { name = "acme:time", requirement = "=0.1.0", version = "0.1.0" },
]

[[package]]
name = "acme:near"
path = "near"
dependencies = [
    { name = "acme:far", requirement = "=1.0.0", version = "1.0.0" },
]

[[package]]
name = "acme:far"
version = "1.0.0"
registry = "r"
digest = "` + digestA + `"

[[package]]
name = "acme:time"
version = "0.1.0"
embedded = true

[[package]]
name = "acme:time"
version = "0.2.0"
registry = "r"
digest = "` + digestA + `"
`

func mustLock(t *testing.T, text string) *Lock {
	t.Helper()
	l, err := ParseLock([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func lockNames(l *Lock) string {
	var names []string
	for _, r := range l.Roots {
		names = append(names, r.Path)
	}
	for _, p := range l.Packages {
		names = append(names, p.Name.String())
	}
	return strings.Join(names, " ")
}

func TestLockKeeps(t *testing.T) {
	old := mustLock(t, lockOfTwo)
	// A fetch for a/wit, whose package has other content now.
	fetched := func() *Lock {
		return mustLock(t, "version = 1\n[[root]]\npath = 'a/wit'\ndependencies = [{ name = 'acme:time', requirement = '=0.2.0', version = '0.2.0' }]\n"+
			"[[package]]\nname = 'acme:time'\nversion = '0.2.0'\nregistry = 'r'\ndigest = '"+digestB+"'\n")
	}
	for _, test := range []struct {
		exists bool
		want   string
	}{
		{true, "a/wit b/wit acme:far@1.0.0 acme:near acme:time@0.2.0"},
		{false, "a/wit acme:time@0.2.0"},
	} {
		l := fetched()
		l.keep(old, func(string) bool { return test.exists })
		l.sort()
		if err := l.check(); err != nil || lockNames(l) != test.want {
			t.Errorf("keeps %s (%v), expected %s", lockNames(l), err, test.want)
		}
		if p := l.Package(wit.PackageName{Namespace: "acme", Name: "time", Version: "0.2.0"}); p.Digest != digestB {
			t.Errorf("acme:time is that of the lock before: %+v", p)
		}
	}
	l := fetched()
	l.keep(nil, nil)
	if lockNames(l) != "a/wit acme:time@0.2.0" {
		t.Errorf("keeps %s of nothing", lockNames(l))
	}
}

// wkg.lock keeps what other roots require themselves, or through folders.
func TestWkgLockKeeps(t *testing.T) {
	one, two := mustVersion(t, "1.0.0"), mustVersion(t, "0.2.0")
	old := &WkgLock{}
	old.Add(mustRef(t, "acme:log"), "r", WkgVersion{Exactly(mustVersion(t, "1.2.0")), mustVersion(t, "1.2.0"), digestA})
	old.Add(mustRef(t, "acme:far"), "r", WkgVersion{Exactly(one), one, digestA})
	old.Add(mustRef(t, "acme:time"), "r", WkgVersion{Exactly(two), two, digestA})
	old.Add(mustRef(t, "acme:gone"), "r", WkgVersion{AnyVersion, one, digestA})
	now := &WkgLock{}
	now.Add(mustRef(t, "acme:time"), "r", WkgVersion{Exactly(two), two, digestB})
	now.keep(old, mustLock(t, lockOfTwo), "a/wit")
	want := &WkgLock{}
	want.Add(mustRef(t, "acme:far"), "r", WkgVersion{Exactly(one), one, digestA})
	want.Add(mustRef(t, "acme:time"), "r", WkgVersion{Exactly(two), two, digestB})
	if string(now.Encode()) != string(want.Encode()) {
		t.Errorf("keeps\n%s, expected\n%s", now.Encode(), want.Encode())
	}
}

// What another root has fetched is not this one's to remove.
func TestManagedEntries(t *testing.T) {
	lock := mustLock(t, lockOfTwo)
	wkg := &WkgLock{}
	wkg.Add(mustRef(t, "acme:log"), "r", WkgVersion{AnyVersion, mustVersion(t, "1.2.0"), digestA})
	wkg.Add(mustRef(t, "acme:old"), "r", WkgVersion{AnyVersion, mustVersion(t, "1.0.0"), digestA})
	for root, want := range map[string]string{
		"a/wit": "acme-log-1.2.0 acme-old-1.0.0 acme-time-0.1.0",
		"b/wit": "acme-far-1.0.0 acme-near acme-old-1.0.0 acme-time-0.2.0",
		"c/wit": "acme-old-1.0.0",
	} {
		var got []string
		for _, name := range sortedKeys(managedEntries(&Resolver{Lock: lock, Wkg: wkg}, root)) {
			if !strings.HasSuffix(name, ".wasm") {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has %s, expected %s", root, got, want)
		}
	}
}

func TestWhy(t *testing.T) {
	l := mustLock(t, lockOfTwo)
	for name, want := range map[string]string{
		"acme:time": "a/wit acme:log@1.2.0 acme:time@0.1.0; b/wit acme:time@0.2.0",
		"acme:far":  "b/wit acme:near acme:far@1.0.0",
		"acme:none": "",
	} {
		var got []string
		for _, w := range l.Why(func(n wit.PackageName) bool { return refOf(n) == mustRef(t, name) }) {
			s := w.Root
			for _, p := range w.Packages {
				s += " " + p.String()
			}
			got = append(got, s)
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %s, expected %s", name, got, want)
		}
	}
}
