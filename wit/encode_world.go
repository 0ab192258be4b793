package wit

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// EncodeWorld returns a component that has the world as its only export, as
// [Encode] writes the worlds of a package. It is what core modules carry, in
// custom sections, to say what they want to become.
func EncodeWorld(w *World) ([]byte, error) {
	data, err := Encode(&Package{Name: w.Package.Name, Worlds: []*World{w}})
	if err != nil {
		return nil, err
	}
	c, err := binary.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("encode world %s: %w", w.ID(), err)
	}
	c.Customs = nil
	return binary.Encode(c), nil
}
