package cli

import (
	"os"
	"strings"
	"testing"
)

func readText(t *testing.T, name string) string { return string(read(t, name)) }

func TestPackageWorkspace(t *testing.T) {
	packageProject(t, map[string]string{
		"wkg.toml":         "[workspace]\nmembers = [\"*/wit\"]\n[workspace.metadata]\nlicense = \"MIT\"\n",
		"app/wit/app.wit":  "package acme:app@1.0.0;\ninterface api { use acme:log/logger@1.0.0.{level}; run: func(l: level); }",
		"log/wit/log.wit":  "package acme:log@1.0.0;\ninterface logger { use acme:base/types@1.0.0.{t}; use folder:time/clock@0.1.0.{instant}; enum level { low, high } log: func(at: instant, t: t); }\nworld w { }",
		"near/n.wit":       "package acme:near;\ninterface n { f: func(); }",
		"zed/wit/base.wit": "package acme:base@1.0.0;\ninterface types { type t = u8; }",
		"time/t.wit":       "package folder:time@0.1.0;\ninterface clock { type instant = u64; }",
	})
	runOK(t, "pkg", "publish", "time")
	order := []string{"acme:base@1.0.0", "acme:log@1.0.0", "acme:app@1.0.0"}
	check := func(what, out string, want []string) {
		t.Helper()
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		for i, w := range want {
			if i >= len(lines) || !strings.HasPrefix(lines[i], w+" ") {
				t.Errorf("%s prints\n%s, expected %s", what, out, want)
				return
			}
		}
	}
	before := readText(t, "ashlar.lock") + readText(t, "wkg.lock")
	check("dry run", runOK(t, "pkg", "publish", "--workspace", "--dry-run"), order)
	if _, err := os.Stat("app/wit/deps"); err == nil || readText(t, "ashlar.lock")+readText(t, "wkg.lock") != before {
		t.Error("a dry run wrote something")
	}
	if errs := runFails(t, "pkg", "list", "acme:base"); !strings.Contains(errs, "not found") {
		t.Errorf("after a dry run: %s", errs)
	}
	out := runOK(t, "wit", "fetch")
	for _, want := range []string{"acme:base@1.0.0 (zed/wit)", "folder:time@0.1.0 (folder.example)"} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("fetch prints %s, expected %s", out, want)
		}
	}
	for _, file := range []string{"app/wit/deps/acme-log-1.0.0/log.wit", "app/wit/deps/acme-base-1.0.0/base.wit", "log/wit/deps/folder-time-0.1.0/package.wit"} {
		readText(t, file)
	}
	// One lock has all members, and a fetch for one keeps the rest.
	lock := readText(t, "ashlar.lock")
	for _, root := range []string{"app/wit", "log/wit", "zed/wit"} {
		if !strings.Contains(lock, "path = \""+root+"\"") {
			t.Errorf("the lock has no %s: %s", root, lock)
		}
	}
	wkg := readText(t, "wkg.lock")
	if !strings.Contains(wkg, "folder:time") || strings.Contains(wkg, "acme:base") {
		t.Errorf("wkg.lock is %s", wkg)
	}
	runOK(t, "wit", "fetch", "zed/wit")
	runOK(t, "wit", "fetch", "--locked")
	if readText(t, "ashlar.lock") != lock || readText(t, "wkg.lock") != wkg {
		t.Errorf("the locks changed: %s\n%s", readText(t, "ashlar.lock"), readText(t, "wkg.lock"))
	}
	// In the folder of a member it is the same workspace.
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("log")
	runOK(t, "wit", "fetch", "--locked")
	if got, want := runOK(t, "pkg", "why", "acme:base"), "app/wit -> acme:log@1.0.0 -> acme:base@1.0.0\nlog/wit -> acme:base@1.0.0\n"; got != want {
		t.Errorf("why prints %s, expected %s", got, want)
	}
	runOK(t, "wit", "add", "--path", "../near", "acme:near", "--world", "w")
	if got := readText(t, "wkg.toml"); got != "[overrides]\n\"acme:near\" = { path = \"../near\" }\n" {
		t.Errorf("wkg.toml is %s", got)
	}
	readText(t, "wit/deps/acme-near/n.wit")
	runOK(t, "wit", "remove", "acme:near")
	if got := runOK(t, "wit", "add", "acme:base"); got != "log/wit: import acme:base/types@1.0.0;\n" {
		t.Errorf("add prints %s", got)
	}
	if errs := runFails(t, "wit", "remove", "acme:base"); !strings.Contains(errs, "uses types of acme:base") {
		t.Errorf("remove: %s", errs)
	}
	write(t, "wit/log.wit", strings.Replace(readText(t, "wit/log.wit"), " import acme:base/types@1.0.0;", "", 1))
	if _, err := os.Stat("ashlar.lock"); err == nil {
		t.Error("the member has a lock")
	}
	t.Chdir(root)
	if got := readText(t, "ashlar.lock"); got != lock {
		t.Errorf("the lock is %s, expected %s", got, lock)
	}
	if errs := runFails(t, "pkg", "publish", "log/wit"); !strings.Contains(errs, "acme:log@1.0.0 depends on acme:base@1.0.0 in zed/wit, which is not in") {
		t.Errorf("one alone: %s", errs)
	}
	check("publish", runOK(t, "pkg", "publish", "--workspace"), order)
	if got := runOK(t, "pkg", "list", "acme:app"); got != "1.0.0\n" {
		t.Errorf("list: %s", got)
	}
	// What is published is left out, and a change without a new version refused.
	if got := runOK(t, "wit", "publish"); got != "" {
		t.Errorf("published again: %s", got)
	}
	write(t, "app/wit/app.wit", "package acme:app@1.1.0;\ninterface api { use acme:log/logger@1.0.0.{level}; run: func(l: level); more: func(); }")
	check("publish one", runOK(t, "wit", "publish"), []string{"acme:app@1.1.0"})
	write(t, "app/wit/app.wit", "package acme:app@1.2.0;\ninterface api { use acme:log/logger@1.0.0.{level}; run: func(l: level); more: func(); }")
	write(t, "zed/wit/base.wit", "package acme:base@1.0.0;\ninterface types { type t = u16; }")
	if errs := runFails(t, "wit", "publish"); !strings.Contains(errs, "acme:base@1.0.0 is published already with other content") {
		t.Errorf("changed: %s", errs)
	}
	if got := runOK(t, "pkg", "list", "acme:app"); got != "1.1.0\n1.0.0\n" {
		t.Errorf("something was published: %s", got)
	}
	write(t, "zed/wit/base.wit", "package acme:base@1.0.0;\ninterface types { use acme:app/api@1.2.0.{x}; }")
	if errs := runFails(t, "wit", "publish"); !strings.Contains(errs, "acme:app@1.2.0 needs acme:log@1.0.0 needs acme:base@1.0.0 needs acme:app@1.2.0") {
		t.Errorf("a cycle: %s", errs)
	}
	write(t, "wkg.toml", "")
	if errs := runFails(t, "pkg", "publish", "--workspace"); !strings.Contains(errs, "is no workspace") {
		t.Errorf("no workspace: %s", errs)
	}
}
