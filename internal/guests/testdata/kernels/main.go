// Command kernels does fixed amounts of work, to measure what metering costs. It
// is built as a reactor of WASI 0.1; each export works n times and returns a
// checksum.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
)

func main() {}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:wasmexport fib
func runFib(n uint32) (sum uint32) {
	for range n {
		sum += uint32(fib(22))
	}
	return sum
}

const order = 64

var a, b, c [order][order]float64

//go:wasmexport matmul
func runMatmul(n uint32) uint32 {
	for i := range order {
		for j := range order {
			a[i][j], b[i][j] = float64(i+j), float64(i-j)
		}
	}
	for range n {
		for i := range order {
			for j := range order {
				s := 0.0
				for k := range order {
					s += a[i][k] * b[k][j]
				}
				c[i][j] = s
			}
		}
	}
	return uint32(int64(c[3][5]))
}

//go:wasmexport sort
func runSort(n uint32) (sum uint32) {
	items := make([]uint32, 2048)
	seed := uint32(1)
	for range n {
		for i := range items {
			seed = seed*1664525 + 1013904223
			items[i] = seed
		}
		slices.Sort(items)
		sum += items[17]
	}
	return sum
}

type body struct {
	p, v [3]float64
	m    float64
}

//go:wasmexport nbody
func runNbody(n uint32) uint32 {
	var sky [5]body
	for i := range sky {
		for k := range 3 {
			sky[i].p[k], sky[i].v[k] = float64(i*3+k), float64(i-2)*0.01*float64(k)
		}
		sky[i].m = float64(1 + i)
	}
	for range n * 500 {
		for i := range sky {
			x := &sky[i]
			for j := i + 1; j < len(sky); j++ {
				y := &sky[j]
				var d [3]float64
				q := 0.0
				for k := range d {
					d[k] = x.p[k] - y.p[k]
					q += d[k] * d[k]
				}
				f := 0.001 / (q * math.Sqrt(q))
				for k := range d {
					x.v[k] -= d[k] * y.m * f
					y.v[k] += d[k] * x.m * f
				}
			}
		}
		for i := range sky {
			for k := range 3 {
				sky[i].p[k] += 0.001 * sky[i].v[k]
			}
		}
	}
	return uint32(int64(sky[0].p[0] * 1e6))
}

//go:wasmexport sha256
func runSHA256(n uint32) uint32 {
	data := make([]byte, 4096)
	var sum [32]byte
	for range n {
		sum = sha256.Sum256(data)
		copy(data, sum[:])
	}
	return binary.LittleEndian.Uint32(sum[:])
}

type document struct {
	ID     int            `json:"id"`
	Name   string         `json:"name"`
	Tags   []string       `json:"tags"`
	Points [][]int        `json:"points"`
	Nested map[string]any `json:"nested"`
}

//go:wasmexport json
func runJSON(n uint32) (sum uint32) {
	d := document{17, "a \"quoted\" name", []string{"x", "yy", "zzz"}, [][]int{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}},
		map[string]any{"a": map[string]any{"b": []any{1.5, nil, true, "text"}}}}
	for range n * 10 {
		text, err := json.Marshal(d)
		if err != nil {
			panic(err)
		}
		var back document
		if err := json.Unmarshal(text, &back); err != nil {
			panic(err)
		}
		sum += uint32(len(text) + back.ID)
	}
	return sum
}
