module github.com/ashlar-wasm/ashlar/examples/hello

go 1.26.0

require github.com/ashlar-wasm/ashlar/guest v0.0.0

replace github.com/ashlar-wasm/ashlar/guest => ../../guest
