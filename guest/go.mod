module github.com/ashlar-wasm/ashlar/guest

go 1.26.0
