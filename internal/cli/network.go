package cli

import "github.com/ashlar-wasm/ashlar/wasi"

// network turns the network flags into WASI options.
func (g *grants) network(o *wasi.Options) error {
	o.HTTP.Allow, o.Net = g.allowHTTP, g.allowNet
	return nil
}
