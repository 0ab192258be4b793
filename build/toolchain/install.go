package toolchain

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// packaged is a tool that package managers have: what they are to be called for it, and
// what to do where there is none of them or they have no release that is new enough.
type packaged struct{ apt, brew, windows, other string }

// install is the command for this machine.
func (p packaged) install(string) string {
	command := ""
	switch runtime.GOOS {
	case "darwin":
		command = p.brew
	case "windows":
		command = p.windows
	default:
		if p.apt != "" && onPath("apt-get") {
			command = "apt install " + p.apt
		}
	}
	return cmp.Or(command, p.other)
}

func onPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func installGo(string) string {
	return packaged{
		brew: "brew install go", windows: "winget install GoLang.Go",
		// Distributions have older releases.
		other: "curl -sL https://go.dev/dl/$(curl -s 'https://go.dev/VERSION?m=text' | head -1)." + runtime.GOOS + "-" + runtime.GOARCH +
			".tar.gz | tar -C /usr/local -xz, with /usr/local/go/bin added to the PATH",
	}.install("")
}

var (
	tinygoPackage = packaged{
		brew: "brew tap tinygo-org/tools && brew install tinygo", windows: "scoop install tinygo",
		other: "see https://tinygo.org/getting-started/install",
	}
	nodePackage = packaged{apt: "nodejs npm", brew: "brew install node", windows: "winget install OpenJS.NodeJS.LTS", other: "see https://nodejs.org/en/download"}
	rustPackage = packaged{windows: "winget install Rustlang.Rustup", other: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"}
)

// installRustTarget needs rustup, which a Rust of a distribution comes without.
func installRustTarget(dir string) string {
	command := "rustup target add wasm32-wasip2"
	if onPath("rustc") && !onPath("rustup") {
		command = rustPackage.install(dir) + ", then " + command
	}
	return command
}

// installComponentizePy keeps out of the system's Python where that is not pip's to change.
func installComponentizePy(string) string {
	const name = "componentize-py"
	switch {
	case os.Getenv("VIRTUAL_ENV") != "":
		return "pip install " + name
	case onPath("pipx"):
		return "pipx install " + name
	}
	return packaged{
		apt: "pipx && pipx install " + name, brew: "brew install pipx && pipx install " + name, other: "pip install " + name,
	}.install("")
}

// installNpm installs packages into a project: those that its package.json lists, with
// the versions that it wants, or else these.
func installNpm(packages ...string) func(dir string) string {
	return func(dir string) string {
		manifest, err := os.ReadFile(filepath.Join(dir, "package.json"))
		for _, p := range packages {
			if err == nil && !strings.Contains(string(manifest), `"`+p+`"`) {
				return "npm install --save-dev " + strings.Join(packages, " ")
			}
		}
		return "npm install, in the project's folder"
	}
}
