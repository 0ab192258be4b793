package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

var clangTools = []Tool{
	{Name: "clang", Install: "apt install clang lld, or " + wasiSDK, find: func(ctx context.Context, _ string) (string, error) {
		path, err := clang("clang")
		if err != nil {
			return "", err
		}
		return ask(ctx, path, "--version")
	}},
	{Name: "wasi-libc", Install: "apt install wasi-libc, or " + wasiSDK, find: func(context.Context, string) (string, error) {
		return sysroot()
	}},
	{Name: "compiler-rt", Install: "apt install libclang-rt-dev-wasm32, or " + wasiSDK, find: func(ctx context.Context, _ string) (string, error) {
		path, err := clang("clang")
		if err != nil {
			return "", err
		}
		library, err := ask(ctx, path, "--target=wasm32-wasi", "--rtlib=compiler-rt", "-print-libgcc-file-name")
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(library); err != nil {
			return "", fmt.Errorf("there is no %s", library)
		}
		return library, nil
	}},
}

const wasiSDK = "https://github.com/WebAssembly/wasi-sdk with WASI_SDK_PATH set"

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

// sysroot returns the folder that has wasi-libc.
func sysroot() (string, error) {
	root := "/usr"
	if sdk := os.Getenv("WASI_SDK_PATH"); sdk != "" {
		root = filepath.Join(sdk, "share", "wasi-sysroot")
	}
	header := filepath.Join(root, "include", "wasm32-wasi", "stdio.h")
	if _, err := os.Stat(header); err != nil {
		return "", fmt.Errorf("there is no %s", header)
	}
	return root, nil
}

func clangPlan(name string, extensions ...string) func(Job) (Plan, error) {
	return func(j Job) (Plan, error) {
		path, err := clang(name)
		if err != nil {
			return Plan{}, err
		}
		root, err := sysroot()
		if err != nil {
			return Plan{}, err
		}
		files, err := sources(j.Dir, extensions...)
		if err != nil {
			return Plan{}, err
		}
		args := []string{path, "--target=wasm32-wasi", "--sysroot=" + root, "-Os", "-Wall", "-Isrc", "-ffile-prefix-map=" + j.Dir + "=."}
		if !j.Runs {
			args = append(args, "-mexec-model=reactor")
		}
		args = append(args, "-Wl,--strip-all", "-o", j.Output)
		return j.plan(Command{Args: append(args, files...)})
	}
}
