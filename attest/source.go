package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Source is where the sources of a project are from.
type Source struct {
	// URI is the repository as SLSA writes it, git+https://HOST/PATH, or empty if it
	// has none but this machine's.
	URI string
	// Path is the folder of the project in it, with '/'; empty if it is the root.
	Path string
	// Commit is that of the sources, and Modified says that they differ from it.
	Commit   string
	Modified bool
}

// FindSource asks git about the folder of a project whose file is named. It is nil if
// the file is in no repository.
func FindSource(ctx context.Context, dir, name string) (*Source, error) {
	if !inRepository(dir) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tracked, err := git(ctx, dir, "ls-files", "--", name)
	if err != nil {
		return nil, err
	}
	if tracked == "" {
		return nil, nil
	}
	s := &Source{}
	if s.Commit, err = git(ctx, dir, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
		return nil, err
	}
	if s.Path, err = git(ctx, dir, "rev-parse", "--show-prefix"); err != nil {
		return nil, err
	}
	s.Path = strings.TrimSuffix(s.Path, "/")
	// What a build writes is no source.
	status, err := git(ctx, dir, "status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none", "--", ".", ":(exclude)build")
	if err != nil {
		return nil, err
	}
	s.Modified = status != ""
	if remote, err := git(ctx, dir, "config", "--get", "remote.origin.url"); err == nil {
		s.URI = repositoryURI(remote)
	}
	return s, nil
}

// inRepository reports whether a folder or one above it has a repository.
func inRepository(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// git runs a command that only reads.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.fsmonitor=false", "-c", "core.quotepath=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && errs.Len() > 0 {
		line, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		err = errors.New(line)
	}
	if err != nil {
		return "", fmt.Errorf("where the sources are from: git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// scpPattern is the short form of ssh: user@host:path.
var scpPattern = regexp.MustCompile(`^(?:[^/@:]+@)?([^/:@]+):([^/].*|/[^/].*)$`)

// repositoryURI returns the address of a repository without credentials. It is empty
// for one of this machine.
func repositoryURI(remote string) string {
	if strings.Contains(remote, "::") {
		return "" // a program that fetches
	}
	u, err := url.Parse(remote)
	if err == nil && u.Host != "" {
		switch u.Scheme {
		case "https", "http", "ssh", "git":
			u.User, u.RawQuery, u.Fragment = nil, "", ""
			return "git+" + u.String()
		}
		return ""
	}
	if m := scpPattern.FindStringSubmatch(remote); m != nil && len(m[1]) > 1 && !strings.Contains(remote, "://") {
		return "git+ssh://" + m[1] + "/" + strings.TrimPrefix(m[2], "/")
	}
	return ""
}

// withoutUser removes credentials from a URL.
func withoutUser(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	u.User = nil
	return u.String()
}
