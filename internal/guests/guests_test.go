package guests

import (
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

func TestGuestsAreValid(t *testing.T) {
	for name, b := range map[string][]byte{
		"calc": Calc(), "hello": Hello(), "exit": ExitFailure(), "trap": TrapAfterOutput(),
		"spin": SpinAfterOutput(), "grow": GrowAfterOutput(1000), "http": HelloHTTP(),
		"echo": Echo(binary.OptUTF16, binary.OptLatin1UTF16), "nodes": Nodes().Bytes(), "node user": NodeUser().Bytes(),
		"family": Family(), "caller": Caller().Bytes(), "async": Async(), "module": ImportsModule(),
		"boundary": Boundary().Bytes(), "boundary pair": BoundaryPair(),
	} {
		c, err := binary.Decode(b)
		if err == nil {
			err = binary.Validate(c)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
