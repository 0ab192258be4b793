package sandbox

import "testing"

func TestWindowsNames(t *testing.T) {
	for _, p := range []string{"a", "a/b.txt", "./a/../b", "a//b/", "console", "com", "com10", "lpt.x", "nul_", "con-1/x", "ünïcode", "a b", ".hidden", "a..b"} {
		if err := checkWindows(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for p, want := range map[string]Code{
		`a\b`: Invalid, `..\x`: Invalid, `a/..\..\x`: Invalid, "C:": Invalid, "C:x": Invalid, "C:/x": Invalid, "a/C:/x": Invalid,
		"file:stream": Invalid, "file::$DATA": Invalid, "a?": Invalid, "a*": Invalid, `a"`: Invalid, "a<": Invalid, "a>": Invalid, "a|": Invalid,
		"a\n": Invalid, "a\x01b": Invalid, "a.": Invalid, "a ": Invalid, "...": Invalid, "a./b": Invalid, "dir /b": Invalid, ".. /x": Invalid,
		"CON": NotPermitted, "con": NotPermitted, "a/nul": NotPermitted, "NUL.txt": NotPermitted, "nul.tar.gz": NotPermitted, "AUX/x": NotPermitted,
		"prn.x": NotPermitted, "COM1": NotPermitted, "com0": NotPermitted, "lpt9.log": NotPermitted, "COM¹": NotPermitted, "con .txt": NotPermitted,
		"CONIN$": NotPermitted, "conout$": NotPermitted,
	} {
		if err := checkWindows(p); err != want {
			t.Errorf("%q: %v, want %v", p, err, want)
		}
	}
}
