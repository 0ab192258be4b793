package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

var clangTools = []Tool{
	{"clang", func(ctx context.Context, dir string) (string, error) {
		path, err := clang("clang")
		if err != nil {
			return "", err
		}
		return ask(ctx, dir, path, "--version")
	}, installClang("clang")},
	{"wasm-ld", func(ctx context.Context, dir string) (string, error) {
		return fromClang(ctx, dir, "-print-prog-name=wasm-ld")
	}, installClang("lld")},
	{"wasi-libc", func(context.Context, string) (string, error) {
		s, err := findSysroot()
		return filepath.Join(s.root, "include", s.target), err
	}, installClang("wasi-libc")},
	{"compiler-rt", func(ctx context.Context, dir string) (string, error) {
		return fromClang(ctx, dir, "--rtlib=compiler-rt", "-print-libgcc-file-name")
	}, installClang("libclang-rt-dev-wasm32")},
}

var clangppTools = append(clangTools[:len(clangTools):len(clangTools)], Tool{"libc++", func(ctx context.Context, dir string) (string, error) {
	return fromClang(ctx, dir, "-print-file-name=libc++.a")
}, installClang("libc++-dev-wasm32")})

// installClang is for parts of it, of which each release of Debian has packages for
// several versions of the compiler: those named as such are for the one that is its own.
func installClang(name string) func(dir string) string {
	return func(dir string) string {
		if path, err := clang("clang"); err == nil {
			if _, version, versioned := strings.Cut(filepath.Base(path), "-"); versioned {
				switch name {
				case "lld":
					name = "lld-" + version
				case "libclang-rt-dev-wasm32", "libc++-dev-wasm32":
					name = strings.Replace(name, "-dev", "-"+version+"-dev", 1)
				}
			}
		}
		p := packaged{apt: name, other: "unpack https://github.com/WebAssembly/wasi-sdk/releases and set WASI_SDK_PATH to the folder"}
		if os.Getenv("WASI_SDK_PATH") != "" {
			p.apt = ""
		}
		return p.install(dir)
	}
}

// fromClang asks the compiler for a file that it needs, which it names in any case.
func fromClang(ctx context.Context, dir string, args ...string) (string, error) {
	path, err := clang("clang")
	if err != nil {
		return "", err
	}
	target := []string{"--target=" + defaultTarget}
	if s, err := findSysroot(); err == nil {
		target = s.flags()
	}
	file, err := ask(ctx, dir, path, append(target, args...)...)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(file) { // it did not find it
		return "", fmt.Errorf("there is no %s", file)
	}
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("there is no %s", file)
	}
	return file, nil
}

// clang returns the path of the compiler: of WASI SDK where that is set, else the one
// on the PATH, which Debian names by its version.
func clang(name string) (string, error) {
	if sdk := os.Getenv("WASI_SDK_PATH"); sdk != "" {
		path := filepath.Join(sdk, "bin", name)
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("WASI_SDK_PATH is set, but there is no %s", path)
		}
		return path, nil
	}
	for version := 30; version >= 16; version-- {
		if path, err := exec.LookPath(name + "-" + strconv.Itoa(version)); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s is not on the PATH", name)
}

// sysroot is the folder that has wasi-libc, and the name of the target that it is for.
type sysroot struct{ root, target string }

func (s sysroot) flags() []string { return []string{"--target=" + s.target, "--sysroot=" + s.root} }

// defaultTarget is WASI 0.1 by the name that all versions of clang know. Later ones
// prefer wasm32-wasip1, and have nothing else in WASI SDK.
const defaultTarget = "wasm32-wasi"

func findSysroot() (sysroot, error) {
	root := "/usr"
	if sdk := os.Getenv("WASI_SDK_PATH"); sdk != "" {
		root = filepath.Join(sdk, "share", "wasi-sysroot")
	}
	for _, target := range []string{"wasm32-wasip1", defaultTarget} {
		if _, err := os.Stat(filepath.Join(root, "include", target, "stdio.h")); err == nil {
			return sysroot{root, target}, nil
		}
	}
	return sysroot{}, fmt.Errorf("there is no %s", filepath.Join(root, "include", defaultTarget, "stdio.h"))
}

func clangPlan(name string, extensions ...string) func(Job) (Plan, error) {
	return func(j Job) (Plan, error) {
		path, err := clang(name)
		if err != nil {
			return Plan{}, err
		}
		libc, err := findSysroot()
		if err != nil {
			return Plan{}, err
		}
		files, err := sources(j.Dir, extensions...)
		if err != nil {
			return Plan{}, err
		}
		args := append([]string{path}, libc.flags()...)
		args = append(args, "-Os", "-Wall", "-Isrc", "-ffile-prefix-map="+j.Dir+"=.")
		if name == "clang++" {
			// There is nothing to link that would throw or catch any.
			args = append(args, "-fno-exceptions")
		}
		if !j.Runs {
			args = append(args, "-mexec-model=reactor")
		}
		args = append(args, "-Wl,--strip-all", "-o", j.Output)
		return j.plan(Command{Args: append(args, files...)})
	}
}
