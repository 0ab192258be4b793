// The guest of the tests of HTTP.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	wasihttp "github.com/ashlar-wasm/ashlar/guest/http"
	_ "github.com/ashlar-wasm/ashlar/guest/http/client"
)

func main() {}

func init() {
	http.HandleFunc("/request", request)
	http.HandleFunc("/echo", echo)
	http.HandleFunc("/conversation", conversation)
	http.HandleFunc("/trailer", trailer)
	http.HandleFunc("/status", status)
	http.HandleFunc("/abort", abort)
	http.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("in the handler") })
	http.HandleFunc("/after", after)
	http.HandleFunc("/fetch", fetch)
	http.HandleFunc("/upload", upload)
	http.HandleFunc("/together", together)
	http.HandleFunc("/timeout", timeout)
	http.HandleFunc("/refused", refused)
	http.HandleFunc("/many", many)
	wasihttp.Handle(nil)
}

func request(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, r.Method, r.URL.Path, r.URL.Query(), r.Host, r.Header["X-Many"], r.ContentLength, r.RequestURI)
	slog.Info("a request", "path", r.URL.Path)
}

func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == "stream" {
		io.Copy(w, r.Body)
		return
	}
	w.Header().Set("Trailer", "X-Count")
	b, err := io.ReadAll(r.Body)
	w.Write(b)
	w.Header().Set("X-Count", fmt.Sprint(len(b), err, r.Trailer["X-Sum"]))
}

// conversation answers each line before it reads the next.
func conversation(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusAccepted)
	w.(http.Flusher).Flush()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		fmt.Fprintln(w, strings.ToUpper(lines.Text()))
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
	}
}

func trailer(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "short")
	w.(http.Flusher).Flush()
	time.Sleep(50 * time.Millisecond) // the host sends it meanwhile
	w.Header().Set(http.TrailerPrefix+"X-Late", "late")
}

func status(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	w.Header().Set("X-Status", "no content")
	w.WriteHeader(http.StatusNoContent)
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
		panic(err)
	}
}

func abort(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, strings.Repeat("x", 10000))
	panic(http.ErrAbortHandler)
}

// after leaves a goroutine behind that reads the body.
func after(w http.ResponseWriter, r *http.Request) {
	reading := make(chan struct{})
	go func() {
		close(reading)
		io.Copy(io.Discard, r.Body)
	}()
	<-reading
	time.Sleep(time.Millisecond)
	io.WriteString(w, "done")
}

func fetch(w http.ResponseWriter, r *http.Request) {
	resp, err := http.Get(r.URL.Query().Get("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("X-From", resp.Header.Get("X-From"))
	w.Header().Set("Trailer", "X-Error")
	w.WriteHeader(resp.StatusCode)
	w.(http.Flusher).Flush()
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		w.Write(buffer[:n])
		w.(http.Flusher).Flush()
		if err != nil {
			w.Header().Set("X-Error", fmt.Sprint(err, resp.Trailer["X-Late"]))
			return
		}
	}
}

// upload sends the body on as it comes.
func upload(w http.ResponseWriter, r *http.Request) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPut, r.URL.Query().Get("url"), r.Body)
	if err != nil {
		panic(err)
	}
	req.Trailer = http.Header{"X-End": {"end"}}
	resp, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	io.Copy(w, resp.Body)
}

// together fetches ten times at the same time.
func together(w http.ResponseWriter, r *http.Request) {
	var wait sync.WaitGroup
	results := make([]string, 10)
	for i := range results {
		wait.Go(func() {
			resp, err := http.Get(fmt.Sprint(r.URL.Query().Get("url"), "?", i))
			if err != nil {
				results[i] = err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			results[i] = fmt.Sprint(string(b), err)
		})
	}
	wait.Wait()
	fmt.Fprintln(w, results)
}

func timeout(w http.ResponseWriter, r *http.Request) {
	url := r.URL.Query().Get("url")
	client := http.Client{Timeout: 50 * time.Millisecond}
	_, err := client.Get(url)
	failure, ok := errors.AsType[net.Error](err)
	fmt.Fprintln(w, ok && failure.Timeout())

	ctx, cancel := context.WithCancel(r.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	_, err = http.DefaultClient.Do(req)
	fmt.Fprintln(w, errors.Is(err, context.Canceled))

	// In the middle of a body.
	ctx, cancel = context.WithCancel(r.Context())
	defer cancel()
	req, _ = http.NewRequestWithContext(ctx, http.MethodGet, url+"?begin", nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	resp.Body.Read(make([]byte, 1))
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = io.ReadAll(resp.Body)
	fmt.Fprintln(w, errors.Is(err, context.Canceled))
	resp.Body.Close()

	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 20 * time.Millisecond
	_, err = (&http.Client{Transport: transport}).Get(url)
	failure, ok = errors.AsType[net.Error](err)
	fmt.Fprintln(w, ok && failure.Timeout())
}

func refused(w http.ResponseWriter, r *http.Request) {
	_, err := http.Get(r.URL.Query().Get("url"))
	fmt.Fprintln(w, errors.Is(err, syscall.ECONNREFUSED), err)
	_, err = http.Get("http://forbidden.example/")
	fmt.Fprintln(w, errors.Is(err, syscall.EACCES), err)
}

// many reuses connections.
func many(w http.ResponseWriter, r *http.Request) {
	total := 0
	for i := range 200 {
		resp, err := http.Post(r.URL.Query().Get("url"), "text/plain", strings.NewReader(strings.Repeat("x", i)))
		if err != nil {
			panic(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			panic(err)
		}
		total += len(b)
	}
	fmt.Fprintln(w, total)
}
