// Command ashlar builds, runs and ships WebAssembly components.
package main

import "github.com/ashlar-wasm/ashlar/internal/cli"

func main() { cli.Main() }
