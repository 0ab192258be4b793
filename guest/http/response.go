package wasihttp

import (
	"maps"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/guest/abi"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/types"
	"github.com/ashlar-wasm/ashlar/guest/internal/message"
)

// holdBack is how much of a response is held back.
const holdBack = 2 << 10

// response is an http.ResponseWriter.
type response struct {
	out     *types.ResponseOutparam
	request *http.Request
	header  http.Header // what the handler sees

	status  int         // 0 until WriteHeader
	sending http.Header // the header as it was then
	held    []byte
	body    *message.Writer // nil until the header is sent, and for a response without body
	sent    bool
	length  int64 // that the header promises, or -1
	written int64
	err     error
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Informational responses are not
// sent.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	w.sending = w.header.Clone()
	w.length = -1
	if s := w.sending.Get("Content-Length"); s != "" {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
			w.length = n
		} else {
			delete(w.sending, "Content-Length")
		}
	}
}

// hasBody reports whether the response may have a body.
func (w *response) hasBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

func (w *response) isHead() bool { return w.request != nil && w.request.Method == http.MethodHead }

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.written+int64(len(b)) > w.length {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(b))
	if !w.sent && len(w.held)+len(b) <= holdBack {
		w.held = append(w.held, b...)
		return len(b), nil
	}
	if !w.sent {
		w.sniff(b)
	}
	if err := w.send(); err != nil || w.body == nil {
		return len(b), err
	}
	return w.body.Write(b)
}

// WriteString implements io.StringWriter.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if err := w.send(); err != nil || w.body == nil {
		return err
	}
	return w.body.Flush()
}

// sniff finds out the type of the content as net/http does.
func (w *response) sniff(more []byte) {
	_, has := w.sending["Content-Type"]
	if has || w.sending.Get("Content-Encoding") != "" || !w.hasBody() {
		return
	}
	if data := append(w.held, more[:min(len(more), 512)]...); len(data) > 0 {
		w.sending.Set("Content-Type", http.DetectContentType(data))
	}
}

// send sends the header, if that is not done, and what was held back.
func (w *response) send() error {
	if w.sent {
		return w.err
	}
	w.sent = true
	w.sniff(nil)
	out := types.NewOutgoingResponse(message.Fields(w.sending))
	if err := out.SetStatusCode(uint16(w.status)); err != nil {
		_ = out.SetStatusCode(http.StatusInternalServerError)
	}
	body, err := out.Body()
	types.ResponseOutparamSet(w.out, abi.Result[*types.OutgoingResponse, types.ErrorCode]{Ok: out})
	if err != nil {
		w.err = err
		return err
	}
	writer, err := message.NewWriter(body)
	if err != nil {
		w.err = err
		return err
	}
	w.body = writer
	if w.isHead() || !w.hasBody() {
		w.held = nil
		return nil
	}
	_, w.err = w.body.Write(w.held)
	w.held = nil
	return w.err
}

// finish ends the response after the handler.
func (w *response) finish() {
	w.WriteHeader(http.StatusOK)
	trailer := w.trailer()
	if !w.sent && w.length < 0 && w.hasBody() && trailer == nil && (!w.isHead() || len(w.held) > 0) {
		w.sending.Set("Content-Length", strconv.Itoa(len(w.held)))
	}
	err := w.send()
	if w.body == nil {
		return
	}
	if err != nil || w.length > w.written && w.hasBody() && !w.isHead() {
		w.body.Abort()
		return
	}
	_ = w.body.Finish(trailer) // the host knows what is wrong with it
}

// trailer returns the trailers, or nil: what was announced in the field
// Trailer, and what has http.TrailerPrefix.
func (w *response) trailer() http.Header {
	var trailer http.Header
	add := func(name string, values []string) {
		if trailer == nil {
			trailer = http.Header{}
		}
		trailer[name] = values
	}
	for _, list := range w.sending["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			if values, ok := w.header[name]; ok && name != "" {
				add(name, values)
			}
		}
	}
	for name, values := range maps.All(w.header) {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(textproto.CanonicalMIMEHeaderKey(rest), values)
		}
	}
	return trailer
}

// abort ends the response where it is.
func (w *response) abort() {
	if !w.sent {
		w.sent = true
		text := "handler aborted"
		types.ResponseOutparamSet(w.out, abi.Result[*types.OutgoingResponse, types.ErrorCode]{
			IsErr: true, Err: types.ErrorCodeInternalError{Value: &text},
		})
	}
	w.dropBody()
}

func (w *response) dropBody() {
	if w.body != nil {
		w.body.Abort()
	}
}
