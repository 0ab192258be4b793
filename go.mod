module github.com/ashlar-wasm/ashlar

go 1.26

require github.com/tetratelabs/wazero v1.12.0

require (
	github.com/Masterminds/semver/v3 v3.5.0 // indirect
	golang.org/x/sys v0.44.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)
