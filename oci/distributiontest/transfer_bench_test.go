package distributiontest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
)

// serveVariable has the folder of the registry that this program is to be.
const serveVariable = "ASHLAR_TEST_REGISTRY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is a registry until its standard input ends.
func serve(dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	app := newApp(context.Background(), dir, nil)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	_ = http.Serve(l, app)
	return app.Shutdown()
}

// process starts a registry in another process, and returns its host.
func process(b *testing.B) string {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serveVariable+"="+b.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	host, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(host)
}

// tool pushes files to a registry and pulls from it into files.
type tool interface {
	push(ctx context.Context, ref string, file string) error
	pull(ctx context.Context, ref string, file string) error
}

// ashlar is this project, with a cache or without.
type ashlar struct{ client *oci.Client }

func (a ashlar) push(ctx context.Context, ref, file string) error {
	r, err := oci.ParseReference(ref)
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	artifact, err := oci.New(wasm, oci.BuildOptions{})
	if err != nil {
		return err
	}
	_, err = a.client.Push(ctx, r, artifact)
	return err
}

func (a ashlar) pull(ctx context.Context, ref, file string) error {
	r, err := oci.ParseReference(ref)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = a.client.PullTo(ctx, r, f)
	return err
}

// crane is what the command of that name does, by the library that it is made of.
type crane struct{}

func (crane) push(ctx context.Context, ref, file string) error {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(wasm, oci.MediaTypeLayer))
	if err != nil {
		return err
	}
	return remote.Write(r, image, remote.WithContext(ctx))
}

func (crane) pull(ctx context.Context, ref, file string) error {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	image, err := remote.Image(r, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	body, err := layers[0].Compressed()
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, body)
	return err
}

// BenchmarkTransfer compares Ashlar with crane: pushes of files that the registry does
// not have, and pulls into files, in one process after the other.
//
//	go test -run '^$' -bench Transfer -benchtime 5x -count 5 . | benchstat -col /tool -
func BenchmarkTransfer(b *testing.B) {
	host := process(b)
	plain, err := oci.NewClient(oci.Options{})
	if err != nil {
		b.Fatal(err)
	}
	tools := []struct {
		name string
		tool
	}{{"ashlar", ashlar{plain}}, {"crane", crane{}}}
	serial := 0
	files := func(size, n int) []string {
		dir := b.TempDir()
		wasm := module(size)
		names := make([]string, n)
		for i := range names {
			serial++
			copy(wasm[16:], fmt.Sprintf("%08d", serial))
			names[i] = filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(names[i], wasm, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		return names
	}
	for _, size := range []int{1 << 20, 10 << 20, 100 << 20} {
		for _, t := range tools {
			b.Run(fmt.Sprintf("push/size=%dMB/tool=%s", size>>20, t.name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					b.StopTimer()
					file := files(size, 1)[0]
					b.StartTimer()
					if err := t.push(b.Context(), fmt.Sprintf("%s/bench/x%d:1", host, serial), file); err != nil {
						b.Fatal(err)
					}
					_ = os.Remove(file)
				}
			})
		}
		file := files(size, 1)[0]
		ref := fmt.Sprintf("%s/bench/pulled%d:1", host, size)
		if err := tools[0].push(b.Context(), ref, file); err != nil {
			b.Fatal(err)
		}
		for _, t := range tools {
			b.Run(fmt.Sprintf("pull/size=%dMB/tool=%s", size>>20, t.name), func(b *testing.B) {
				b.SetBytes(int64(size))
				out := filepath.Join(b.TempDir(), "out.wasm")
				for b.Loop() {
					if err := t.pull(b.Context(), ref, out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("pull/size=%dMB/tool=ashlar-cache", size>>20), func(b *testing.B) {
			b.SetBytes(int64(size))
			out := filepath.Join(b.TempDir(), "out.wasm")
			for b.Loop() {
				b.StopTimer()
				kept, err := cache.Open(cache.Options{Dir: filepath.Join(b.TempDir(), "cache")})
				if err != nil {
					b.Fatal(err)
				}
				_, _ = kept.Prune(cache.Pruning{All: true})
				c, err := oci.NewClient(oci.Options{Cache: kept})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := (ashlar{c}).pull(b.Context(), ref, out); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = kept.Close()
				b.StartTimer()
			}
		})
	}
	const many, together = 1000, 16
	for _, t := range tools {
		all := files(8<<10, many)
		for _, way := range []string{"push", "pull"} {
			b.Run(fmt.Sprintf("%s/size=%dx8KB/tool=%s", way, many, t.name), func(b *testing.B) {
				for n := 0; b.Loop(); n++ {
					var group sync.WaitGroup
					turns := make(chan struct{}, together)
					for i, file := range all {
						turns <- struct{}{}
						group.Go(func() {
							defer func() { <-turns }()
							// Pushed again, a blob is there already; so each has its place.
							ref := fmt.Sprintf("%s/many/%s%d:v%d", host, t.name, n, i)
							do, out := t.push, file
							if way == "pull" {
								ref = fmt.Sprintf("%s/many/%s0:v%d", host, t.name, i)
								do, out = t.pull, file+".pulled"
							}
							if err := do(b.Context(), ref, out); err != nil {
								b.Error(err)
							}
						})
					}
					group.Wait()
				}
			})
		}
	}
}
