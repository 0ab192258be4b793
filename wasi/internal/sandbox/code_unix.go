//go:build unix

package sandbox

import "golang.org/x/sys/unix"

func codeOfErrno(e unix.Errno) (Code, bool) {
	switch e {
	case unix.EACCES:
		return Access, true
	case unix.EAGAIN:
		return WouldBlock, true
	case unix.EALREADY:
		return Already, true
	case unix.EBADF:
		return BadDescriptor, true
	case unix.EBUSY:
		return Busy, true
	case unix.EDEADLK:
		return Deadlock, true
	case unix.EDQUOT:
		return Quota, true
	case unix.EEXIST:
		return Exist, true
	case unix.EFBIG:
		return FileTooLarge, true
	case unix.EILSEQ:
		return IllegalByteSequence, true
	case unix.EINPROGRESS:
		return InProgress, true
	case unix.EINTR:
		return Interrupted, true
	case unix.EINVAL:
		return Invalid, true
	case unix.EIO:
		return IO, true
	case unix.EISDIR:
		return IsDirectory, true
	case unix.ELOOP:
		return Loop, true
	case unix.EMLINK:
		return TooManyLinks, true
	case unix.EMSGSIZE:
		return MessageSize, true
	case unix.ENAMETOOLONG:
		return NameTooLong, true
	case unix.ENODEV:
		return NoDevice, true
	case unix.ENOENT:
		return NoEntry, true
	case unix.ENOLCK:
		return NoLock, true
	case unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return InsufficientMemory, true
	case unix.ENOSPC:
		return InsufficientSpace, true
	case unix.ENOTDIR:
		return NotDirectory, true
	case unix.ENOTEMPTY:
		return NotEmpty, true
	case unix.ENOTRECOVERABLE:
		return NotRecoverable, true
	case unix.ENOTSUP, unix.ENOSYS:
		return Unsupported, true
	case unix.ENOTTY:
		return NoTTY, true
	case unix.ENXIO:
		return NoSuchDevice, true
	case unix.EOVERFLOW:
		return Overflow, true
	case unix.EPERM:
		return NotPermitted, true
	case unix.EPIPE:
		return Pipe, true
	case unix.EROFS:
		return ReadOnly, true
	case unix.ESPIPE:
		return InvalidSeek, true
	case unix.ETXTBSY:
		return TextFileBusy, true
	case unix.EXDEV:
		return CrossDevice, true
	}
	return 0, false
}
