package sandbox

import "testing"

// BenchmarkOpen opens and closes a file three directories down.
func BenchmarkOpen(b *testing.B) {
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			root := b.TempDir()
			d, err := openDir(root, false, way)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			for _, dir := range []string{"a", "a/b", "a/b/c"} {
				if err := d.Mkdir(dir); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				f, err := d.Open("a/b/c/f", OpenFlags{Read: true, Write: true, Create: true})
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
