package message

import (
	"syscall"

	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/types"
)

// Error is an error code of wasi:http. It is a net.Error, and wraps the error
// of package syscall that stands for the same, if there is one.
type Error struct{ Code types.ErrorCode }

// Error returns the code.
func (e Error) Error() string { return "wasi:http: " + e.Code.Error() }

// Timeout implements net.Error.
func (e Error) Timeout() bool {
	switch e.Code.(type) {
	case types.ErrorCodeDNSTimeout, types.ErrorCodeConnectionTimeout, types.ErrorCodeConnectionReadTimeout,
		types.ErrorCodeConnectionWriteTimeout, types.ErrorCodeHTTPResponseTimeout:
		return true
	}
	return false
}

// Temporary implements net.Error.
func (e Error) Temporary() bool { return e.Timeout() }

// Unwrap returns the error of package syscall.
func (e Error) Unwrap() error {
	switch e.Code.(type) {
	case types.ErrorCodeConnectionRefused:
		return syscall.ECONNREFUSED
	case types.ErrorCodeConnectionTerminated:
		return syscall.ECONNRESET
	case types.ErrorCodeConnectionTimeout, types.ErrorCodeConnectionReadTimeout, types.ErrorCodeConnectionWriteTimeout:
		return syscall.ETIMEDOUT
	case types.ErrorCodeDestinationUnavailable, types.ErrorCodeDestinationNotFound, types.ErrorCodeDestinationIPUnroutable:
		return syscall.EHOSTUNREACH
	case types.ErrorCodeHTTPRequestDenied, types.ErrorCodeDestinationIPProhibited:
		return syscall.EACCES
	}
	return nil
}
