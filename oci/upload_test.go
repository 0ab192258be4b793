package oci_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// uploads is where a registry takes the blob of one artifact: it breaks off the first
// request with bytes after some of them, and keeps these.
type uploads struct {
	t        *testing.T
	content  []byte
	keep     int64  // how many bytes it takes of the first request
	says     string // what it says of them: its Range
	status   int    // of that answer
	mu       sync.Mutex
	sessions int
	got      []byte
	ranges   []string // of requests with bytes
}

func (u *uploads) serve(w http.ResponseWriter, r *http.Request) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/uploads/"):
		u.sessions++
		u.got = nil
		w.Header().Set("Location", fmt.Sprintf("/big/%d", u.sessions))
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(r.URL.Path, "/big/") && r.Method == http.MethodGet:
		w.Header().Set("Range", u.says)
		w.WriteHeader(u.status)
	case strings.HasPrefix(r.URL.Path, "/big/") && r.Method == http.MethodPut:
		u.ranges = append(u.ranges, r.Header.Get("Content-Range"))
		if len(u.ranges) == 1 {
			b, err := io.ReadAll(io.LimitReader(r.Body, u.keep))
			if err != nil {
				u.t.Error(err)
			}
			u.got = b
			panic(http.ErrAbortHandler)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			u.t.Error(err)
		}
		u.got = append(u.got, b...)
		if !bytes.Equal(u.got, u.content) {
			u.t.Errorf("%d bytes came, and they are others", len(u.got))
		}
		w.WriteHeader(http.StatusCreated)
	default:
		return false
	}
	return true
}

// TestUploadResumes goes on where the registry says that an upload broke off, and begins
// anew where it does not say it, or says what can't be.
func TestUploadResumes(t *testing.T) {
	wasm := bigModule(4 << 20)
	size := int64(len(wasm))
	const keep = 100_000
	for _, c := range []struct {
		name, says string
		status     int
		want       string // the range of the second request
		sessions   int
	}{
		{"it says", fmt.Sprintf("0-%d", keep-1), http.StatusNoContent, fmt.Sprintf("%d-%d", keep, size-1), 1},
		{"in bytes", fmt.Sprintf("bytes=0-%d", keep-1), http.StatusNoContent, fmt.Sprintf("%d-%d", keep, size-1), 1},
		{"nothing, or one byte", "0-0", http.StatusNoContent, "", 2},
		{"all", fmt.Sprintf("0-%d", size-1), http.StatusNoContent, "", 2},
		{"more than all", fmt.Sprintf("0-%d", size+5), http.StatusNoContent, "", 2},
		{"less than nothing", "0--7", http.StatusNoContent, "", 2},
		{"the end", "5-9", http.StatusNoContent, "", 2},
		{"no number", "0-x", http.StatusNoContent, "", 2},
		{"it is gone", "0-99", http.StatusNotFound, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := artifact(t, wasm)
			u := &uploads{t: t, content: wasm, keep: keep, says: c.says, status: c.status}
			reg := ocitest.Start(t, ocitest.Options{Fault: u.serve})
			putBlob(t, reg, a.ConfigBytes)
			if _, err := client(t, oci.Options{RetryWait: time.Millisecond}).Push(t.Context(), ref(t, reg.Host+"/ns/app:1"), a); err != nil {
				t.Fatal(err)
			}
			if len(u.ranges) != 2 || u.ranges[0] != "" || u.ranges[1] != c.want || u.sessions != c.sessions {
				t.Errorf("sent %q in %d sessions, expected %q in %d", u.ranges, u.sessions, c.want, c.sessions)
			}
		})
	}
}

// putBlob puts a blob into a registry, past its faults.
func putBlob(t *testing.T, reg *ocitest.Registry, b []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	reg.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v2/ns/app/blobs/uploads/?digest="+sum(string(b)), bytes.NewReader(b)))
	if w.Code != http.StatusCreated {
		t.Fatal(w.Code, w.Body)
	}
}

// TestUploadElsewhere uploads to another host, which gets no credential.
func TestUploadElsewhere(t *testing.T) {
	var leaked atomic.Pointer[string]
	var came atomic.Int32
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked.Store(&a)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		came.Add(1)
		w.WriteHeader(http.StatusCreated)
	}))
	defer storage.Close()
	for _, auth := range []ocitest.Auth{ocitest.Basic, ocitest.Token} {
		p := publish(t, bigModule(1000), ocitest.Options{Auth: auth})
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			// The registry knows who asks before it tells where to.
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/uploads/") || r.Header.Get("Authorization") == "" {
				return false
			}
			w.Header().Set("Location", storage.URL+"/session")
			w.WriteHeader(http.StatusAccepted)
			return true
		})
		came.Store(0)
		// The registry then misses the blobs, of which the storage says nothing.
		_, _ = client(t, oci.Options{Credential: as(ocitest.User, ocitest.Password), RetryWait: 1}).Push(t.Context(), ref(t, p.reg.Host+"/ns/other:1"), artifact(t, bigModule(5000)))
		if came.Load() == 0 {
			t.Error("nothing came to the storage")
		}
		if s := leaked.Load(); s != nil {
			t.Errorf("storage got %q", *s)
		}
	}
}
