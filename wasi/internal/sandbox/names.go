package sandbox

import "strings"

// checkWindows refuses paths that Windows takes for something else than names
// with slashes between: other separators, drives, streams of files, devices, and
// names that it would change.
func checkWindows(path string) error {
	for name := range strings.SplitSeq(path, "/") {
		if name == "." || name == ".." || name == "" {
			continue
		}
		for _, c := range []byte(name) {
			if c < ' ' || strings.IndexByte(`\:*?"<>|`, c) >= 0 {
				return Invalid
			}
		}
		if last := name[len(name)-1]; last == '.' || last == ' ' {
			return Invalid
		}
		if windowsDevice(name) {
			return NotPermitted
		}
	}
	return nil
}

// windowsDevice reports whether a name is that of a device, whatever extension
// it has.
func windowsDevice(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, device := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(base, device); ok {
			switch n {
			case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
				return true
			}
		}
	}
	return false
}
