package sandbox

import (
	"errors"
	"syscall"
)

// Numbers of Windows' system errors that package syscall does not name.
const (
	errorSharingViolation   = syscall.Errno(32)
	errorNotSupported       = syscall.Errno(50)
	errorInvalidParameter   = syscall.Errno(87)
	errorDiskFull           = syscall.Errno(112)
	errorInvalidName        = syscall.Errno(123)
	errorBusy               = syscall.Errno(170)
	errorDirectory          = syscall.Errno(267)
	errorNotAReparsePoint   = syscall.Errno(4390)
	errorDirectoryNotEmpty  = syscall.Errno(145)
	errorPrivilegeNotHeld   = syscall.Errno(1314)
	errorFileTooLarge       = syscall.Errno(223)
	errorNotSameDevice      = syscall.Errno(17)
	errorCantResolveName    = syscall.Errno(1921)
	errorNegativeSeek       = syscall.Errno(131)
	errorNotEnoughMemory    = syscall.Errno(8)
	errorInvalidHandle      = syscall.Errno(6)
	errorFilenameExceedsMax = syscall.Errno(206)
)

func codeOfErrno(e syscall.Errno) (Code, bool) {
	switch e {
	case errorSharingViolation:
		return Access, true
	case errorNotSupported:
		return Unsupported, true
	case errorInvalidParameter, errorNotAReparsePoint, errorNegativeSeek:
		return Invalid, true
	case errorDiskFull:
		return InsufficientSpace, true
	case errorInvalidName:
		return NoEntry, true
	case errorBusy:
		return Busy, true
	case errorDirectory:
		return NotDirectory, true
	case errorDirectoryNotEmpty:
		return NotEmpty, true
	case errorPrivilegeNotHeld:
		return NotPermitted, true
	case errorFileTooLarge:
		return FileTooLarge, true
	case errorNotSameDevice:
		return CrossDevice, true
	case errorCantResolveName:
		return Loop, true
	case errorNotEnoughMemory:
		return InsufficientMemory, true
	case errorInvalidHandle:
		return BadDescriptor, true
	case errorFilenameExceedsMax:
		return NameTooLong, true
	case syscall.ENOTDIR:
		return NotDirectory, true
	case syscall.EISDIR:
		return IsDirectory, true
	case syscall.ELOOP:
		return Loop, true
	case syscall.EINVAL:
		return Invalid, true
	case syscall.ERROR_ACCESS_DENIED:
		return Access, true
	}
	if errors.Is(e, errors.ErrUnsupported) {
		return Unsupported, true
	}
	return 0, false
}
