// Package engine executes core WebAssembly. It is the only importer of wazero.
package engine

import _ "github.com/tetratelabs/wazero"
