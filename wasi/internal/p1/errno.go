package p1

import (
	"errors"
	"syscall"

	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// errno is the result of every function but proc_exit.
type errno uint16

// Those of the interface's errno that are given.
const (
	success     errno = 0
	tooBig      errno = 1
	acces       errno = 2
	again       errno = 6
	already     errno = 7
	badf        errno = 8
	busy        errno = 10
	deadlk      errno = 16
	dquot       errno = 19
	exist       errno = 20
	fault       errno = 21
	fbig        errno = 22
	ilseq       errno = 25
	inprogress  errno = 26
	intr        errno = 27
	inval       errno = 28
	eio         errno = 29
	isdir       errno = 31
	loop        errno = 32
	mlink       errno = 34
	msgsize     errno = 35
	nametoolong errno = 37
	nfile       errno = 41
	nodev       errno = 43
	noent       errno = 44
	nolck       errno = 46
	nomem       errno = 48
	nospc       errno = 51
	notdir      errno = 54
	notempty    errno = 55
	notrecover  errno = 56
	notsock     errno = 57
	notsup      errno = 58
	notty       errno = 59
	nxio        errno = 60
	overflow    errno = 61
	perm        errno = 63
	pipe        errno = 64
	rofs        errno = 69
	spipe       errno = 70
	txtbsy      errno = 74
	xdev        errno = 75
	notcapable  errno = 76
)

var errnoOfCode = [...]errno{
	sandbox.Access: acces, sandbox.WouldBlock: again, sandbox.Already: already,
	sandbox.BadDescriptor: badf, sandbox.Busy: busy, sandbox.Deadlock: deadlk,
	sandbox.Quota: dquot, sandbox.Exist: exist, sandbox.FileTooLarge: fbig,
	sandbox.IllegalByteSequence: ilseq, sandbox.InProgress: inprogress,
	sandbox.Interrupted: intr, sandbox.Invalid: inval, sandbox.IO: eio,
	sandbox.IsDirectory: isdir, sandbox.Loop: loop, sandbox.TooManyLinks: mlink,
	sandbox.MessageSize: msgsize, sandbox.NameTooLong: nametoolong,
	sandbox.NoDevice: nodev, sandbox.NoEntry: noent, sandbox.NoLock: nolck,
	sandbox.InsufficientMemory: nomem, sandbox.InsufficientSpace: nospc,
	sandbox.NotDirectory: notdir, sandbox.NotEmpty: notempty,
	sandbox.NotRecoverable: notrecover, sandbox.Unsupported: notsup,
	sandbox.NoTTY: notty, sandbox.NoSuchDevice: nxio, sandbox.Overflow: overflow,
	sandbox.NotPermitted: perm, sandbox.Pipe: pipe, sandbox.ReadOnly: rofs,
	sandbox.InvalidSeek: spipe, sandbox.TextFileBusy: txtbsy, sandbox.CrossDevice: xdev,
}

// errnoOf translates an error of a file or stream. The end of the call's context
// and misuse of a stream unwind the guest instead.
func errnoOf(err error) errno {
	if err == nil {
		return success
	}
	if i, ok := errors.AsType[stream.Interrupted](err); ok {
		panic(i.Err)
	}
	if errors.Is(err, stream.ErrClosed) || errors.Is(err, syscall.EPIPE) {
		return pipe
	}
	return errnoOfCode[sandbox.CodeOf(err)]
}
