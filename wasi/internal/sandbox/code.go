package sandbox

import (
	"errors"
	"io/fs"
	"syscall"
)

// Code is why a filesystem operation did not happen. Its values are numbered
// like the cases of error-code in wasi:filesystem/types@0.2.
type Code uint8

// The codes, in the order of the interface.
const (
	Access Code = iota
	WouldBlock
	Already
	BadDescriptor
	Busy
	Deadlock
	Quota
	Exist
	FileTooLarge
	IllegalByteSequence
	InProgress
	Interrupted
	Invalid
	IO
	IsDirectory
	Loop
	TooManyLinks
	MessageSize
	NameTooLong
	NoDevice
	NoEntry
	NoLock
	InsufficientMemory
	InsufficientSpace
	NotDirectory
	NotEmpty
	NotRecoverable
	Unsupported
	NoTTY
	NoSuchDevice
	Overflow
	NotPermitted
	Pipe
	ReadOnly
	InvalidSeek
	TextFileBusy
	CrossDevice
)

var codeNames = [...]string{
	"access", "would-block", "already", "bad-descriptor", "busy", "deadlock",
	"quota", "exist", "file-too-large", "illegal-byte-sequence", "in-progress",
	"interrupted", "invalid", "io", "is-directory", "loop", "too-many-links",
	"message-size", "name-too-long", "no-device", "no-entry", "no-lock",
	"insufficient-memory", "insufficient-space", "not-directory", "not-empty",
	"not-recoverable", "unsupported", "no-tty", "no-such-device", "overflow",
	"not-permitted", "pipe", "read-only", "invalid-seek", "text-file-busy",
	"cross-device",
}

func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "unknown"
}

func (c Code) Error() string { return "filesystem: " + c.String() }

// CodeOf finds the code of an error of the operating system or of this package;
// what it does not know is IO. It must not be called with nil.
func CodeOf(err error) Code {
	if code, ok := errors.AsType[Code](err); ok {
		return code
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if c, ok := codeOfErrno(errno); ok {
			return c
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NoEntry
	case errors.Is(err, fs.ErrExist):
		return Exist
	case errors.Is(err, fs.ErrPermission):
		return NotPermitted
	case errors.Is(err, fs.ErrInvalid):
		return Invalid
	case errors.Is(err, fs.ErrClosed):
		return BadDescriptor
	}
	return IO
}

// coded turns any error into its Code, and leaves nil alone.
func coded(err error) error {
	if err == nil {
		return nil
	}
	return CodeOf(err)
}
