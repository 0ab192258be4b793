package wasm

// shellBody declares no locals; its code is unreachable.
var shellBody = []byte{0x00, byte(opUnreachable), byte(opEnd)}

// Shell writes the module like [Module.Encode] but with every function body replaced by
// unreachable. What can be told from a module without running it is the same.
func (m *Module) Shell() []byte {
	shell := *m
	shell.Code = make([]Body, len(m.Code))
	for i := range shell.Code {
		shell.Code[i].Code = shellBody
	}
	return shell.Encode()
}
