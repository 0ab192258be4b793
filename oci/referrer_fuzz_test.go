package oci

import "testing"

func FuzzReferrer(f *testing.F) {
	const digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b",` +
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` + digest + `","size":2},` +
		`"layers":[{"mediaType":"a/b","digest":"` + digest + `","size":2}],` +
		`"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + digest + `","size":2},"annotations":{"a":"b"}}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseReferrer(b)
		if err != nil {
			return
		}
		if m.ArtifactType == "" || len(m.blobs) == 0 || len(m.blobs) > 101 || checkDigest(m.subject.Digest) != nil {
			t.Errorf("took %+v of %s", m, b)
		}
		for _, d := range m.blobs {
			if checkDigest(d.Digest) != nil || d.Size < 0 || d.Size > maxSize {
				t.Errorf("took %+v", d)
			}
		}
	})
}
