package wasm

import (
	"errors"
	"testing"
)

// TestValidateEngineFaults shows that modules which the engine would misread, or
// which would make it write beyond its memory, are reported as not supported.
func TestValidateEngineFaults(t *testing.T) {
	tag := func(params ...byte) []byte {
		return binaryModule(
			section(1, append(append([]byte{1, 0x60, byte(len(params))}, params...), 0)...),
			section(13, 1, 0, 0),
		)
	}
	for name, c := range map[string]struct {
		module []byte
		want   Feature
	}{
		"tag of a vector":          {tag(0x7b), VectorExceptions},
		"tag of a vector at last":  {tag(0x7f, 0x7b), VectorExceptions},
		"tag of numbers":           {tag(0x7f, 0x7e, 0x7d, 0x7c), 0},
		"imported tag of a vector": {binaryModule(section(1, 1, 0x60, 1, 0x7b, 0), section(2, 1, 1, 'm', 1, 't', 4, 0, 0)), VectorExceptions},
		"select funcref":           {funcModule(0xd0, 0x70, 0xd0, 0x70, 0x41, 0, 0x1c, 1, 0x70, 0xd1), 0},
		"select a long funcref":    {funcModule(0xd0, 0x70, 0xd0, 0x70, 0x41, 0, 0x1c, 1, 0x63, 0x70, 0xd1), SelectReferences},
		"select a function type":   {funcModule(0xd0, 0, 0xd0, 0, 0x41, 0, 0x1c, 1, 0x63, 0, 0xd1), SelectReferences},
		"select exnref":            {funcModule(0xd0, 0x69, 0xd0, 0x69, 0x41, 0, 0x1c, 1, 0x69, 0xd1), SelectReferences},
	} {
		err := validateBytes(c.module)
		var unsupported *UnsupportedError
		switch {
		case c.want == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != 0 && (!errors.As(err, &unsupported) || unsupported.Feature != c.want):
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
