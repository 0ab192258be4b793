package toolchain

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestInstall(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what is expected here is for Debian")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("WASI_SDK_PATH", "")
	script := func(name string) { write(t, filepath.Join(dir, name), "#!/bin/sh\n", 0o777) }
	check := func(language, tool, want string) {
		t.Helper()
		for _, found := range For(language).Tools {
			if found.Name == tool {
				if got := found.Install(dir); got != want {
					t.Errorf("%s: %q, want %q", tool, got, want)
				}
				return
			}
		}
		t.Errorf("%s needs no %s", language, tool)
	}
	const (
		rustup = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
		sdk    = "unpack https://github.com/WebAssembly/wasi-sdk/releases and set WASI_SDK_PATH to the folder"
		target = "rustup target add wasm32-wasip2"
	)
	check("rust", "cargo", rustup)
	check("rust", "target wasm32-wasip2", target)
	check("python", "componentize-py", "pip install componentize-py")
	check("javascript", "node", "see https://nodejs.org/en/download")
	check("typescript", "tsc", "npm install, in the project's folder")
	check("c", "clang", sdk)

	script("apt-get")
	check("python", "componentize-py", "apt install pipx && pipx install componentize-py")
	check("javascript", "npm", "apt install nodejs npm")
	check("c", "clang", "apt install clang")
	check("c", "wasm-ld", "apt install lld")
	check("c", "compiler-rt", "apt install libclang-rt-dev-wasm32")

	script("pipx")
	script("rustc")
	script("clang-19")
	check("python", "componentize-py", "pipx install componentize-py")
	check("rust", "target wasm32-wasip2", rustup+", then "+target)
	check("c", "wasm-ld", "apt install lld-19")
	check("cpp", "compiler-rt", "apt install libclang-rt-19-dev-wasm32")
	check("cpp", "libc++", "apt install libc++-19-dev-wasm32")

	script("rustup")
	check("rust", "target wasm32-wasip2", target)
	t.Setenv("WASI_SDK_PATH", dir)
	check("c", "wasi-libc", sdk)
	write(t, filepath.Join(dir, "package.json"), `{"devDependencies": {"@bytecodealliance/jco": "1", "@bytecodealliance/componentize-js": "1"}}`, 0o666)
	check("typescript", "jco", "npm install, in the project's folder")
	check("typescript", "tsc", "npm install --save-dev typescript")
}
