package p2http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

// codeOf finds the code of an error that a source may have translated already.
func codeOf(err error, translate func(error) bind.HTTPErrorCode) bind.HTTPErrorCode {
	if c, ok := errors.AsType[codedError](err); ok {
		return c.code
	}
	return translate(err)
}

// requestBodyCode translates an error of reading the body of a request that is
// served.
func requestBodyCode(err error) bind.HTTPErrorCode {
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		n := uint64(tooBig.Limit)
		return bind.HTTPErrorCodeHTTPRequestBodySize{Value: &n}
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, http.ErrBodyReadAfterClose):
		return bind.HTTPErrorCodeConnectionTerminated{}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return bind.HTTPErrorCodeConnectionReadTimeout{}
	}
	return bind.HTTPErrorCodeHTTPProtocolError{}
}

// responseBodyCode translates an error of reading the body of a response.
func responseBodyCode(err error) bind.HTTPErrorCode {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return bind.HTTPErrorCodeHTTPResponseIncomplete{}
	}
	return clientCode(err)
}

// clientCode translates an error of sending a request.
func clientCode(err error) bind.HTTPErrorCode {
	if c, ok := errors.AsType[codedError](err); ok {
		return c.code
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsTimeout:
			return bind.HTTPErrorCodeDNSTimeout{}
		case dns.IsNotFound:
			rcode := "NXDOMAIN"
			return bind.HTTPErrorCodeDNSError{Value: bind.DNSErrorPayload{Rcode: &rcode}}
		}
		return bind.HTTPErrorCodeDNSError{}
	}
	if code := tlsCode(err); code != nil {
		return code
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return bind.HTTPErrorCodeConnectionRefused{}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return bind.HTTPErrorCodeDestinationIPUnroutable{}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return bind.HTTPErrorCodeConnectionLimitReached{}
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return bind.HTTPErrorCodeConnectionTimeout{}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return bind.HTTPErrorCodeConnectionTerminated{}
	}
	// These have no types.
	text := err.Error()
	switch {
	case strings.Contains(text, "server response headers exceeded"):
		return bind.HTTPErrorCodeHTTPResponseHeaderSectionSize{}
	case strings.Contains(text, "no such host"):
		return bind.HTTPErrorCodeDNSError{}
	case strings.Contains(text, "unsupported transfer encoding"):
		return bind.HTTPErrorCodeHTTPResponseTransferCoding{}
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "http2:"):
		return bind.HTTPErrorCodeHTTPProtocolError{}
	}
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "")
	}
	return bind.HTTPErrorCodeInternalError{Value: &text}
}

// maxErrorText bounds what is said of an error, of which a peer may have written
// most.
const maxErrorText = 512

func tlsCode(err error) bind.HTTPErrorCode {
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		id, text := uint8(alert), alert.Error()
		return bind.HTTPErrorCodeTLSAlertReceived{Value: bind.TLSAlertReceivedPayload{AlertID: &id, AlertMessage: &text}}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return bind.HTTPErrorCodeTLSCertificateError{}
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return bind.HTTPErrorCodeTLSCertificateError{}
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return bind.HTTPErrorCodeTLSCertificateError{}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return bind.HTTPErrorCodeTLSProtocolError{}
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") ||
		strings.Contains(err.Error(), "tls: ") {
		return bind.HTTPErrorCodeTLSProtocolError{}
	}
	return nil
}
