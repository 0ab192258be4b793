// The types, errors and rights of WASI 0.1 that cross its functions.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

typedef u32 errno_t;

enum {
	SUCCESS = 0,
	EACCES = 2,
	EAGAIN = 6,
	EALREADY = 7,
	EBADF = 8,
	EBUSY = 10,
	EDEADLK = 16,
	EDQUOT = 19,
	EEXIST = 20,
	EFAULT = 21,
	EFBIG = 22,
	EILSEQ = 25,
	EINPROGRESS = 26,
	EINTR = 27,
	EINVAL = 28,
	EIO = 29,
	EISDIR = 31,
	ELOOP = 32,
	EMLINK = 34,
	EMSGSIZE = 35,
	ENAMETOOLONG = 37,
	ENFILE = 41,
	ENODEV = 43,
	ENOENT = 44,
	ENOLCK = 46,
	ENOMEM = 48,
	ENOSPC = 51,
	ENOTDIR = 54,
	ENOTEMPTY = 55,
	ENOTRECOVERABLE = 56,
	ENOTSOCK = 57,
	ENOTSUP = 58,
	ENOTTY = 59,
	ENXIO = 60,
	EOVERFLOW = 61,
	EPERM = 63,
	EPIPE = 64,
	EROFS = 69,
	ESPIPE = 70,
	ETXTBSY = 74,
	EXDEV = 75,
	ENOTCAPABLE = 76,
};

enum {
	TYPE_UNKNOWN = 0,
	TYPE_BLOCK_DEVICE = 1,
	TYPE_CHARACTER_DEVICE = 2,
	TYPE_DIRECTORY = 3,
	TYPE_REGULAR_FILE = 4,
	TYPE_SOCKET_STREAM = 6,
	TYPE_SYMBOLIC_LINK = 7,
};

enum {
	FLAG_APPEND = 1,
	FLAG_DSYNC = 2,
	FLAG_NONBLOCK = 4,
	FLAG_RSYNC = 8,
	FLAG_SYNC = 16,
};

typedef u64 rights_t;

#define RIGHT(n) ((rights_t)1 << (n))
#define FD_DATASYNC RIGHT(0)
#define FD_READ RIGHT(1)
#define FD_SEEK RIGHT(2)
#define FD_FDSTAT_SET_FLAGS RIGHT(3)
#define FD_SYNC RIGHT(4)
#define FD_TELL RIGHT(5)
#define FD_WRITE RIGHT(6)
#define FD_ADVISE RIGHT(7)
#define FD_ALLOCATE RIGHT(8)
#define PATH_CREATE_DIRECTORY RIGHT(9)
#define PATH_CREATE_FILE RIGHT(10)
#define PATH_LINK_SOURCE RIGHT(11)
#define PATH_LINK_TARGET RIGHT(12)
#define PATH_OPEN RIGHT(13)
#define FD_READDIR RIGHT(14)
#define PATH_READLINK RIGHT(15)
#define PATH_RENAME_SOURCE RIGHT(16)
#define PATH_RENAME_TARGET RIGHT(17)
#define PATH_FILESTAT_GET RIGHT(18)
#define PATH_FILESTAT_SET_SIZE RIGHT(19)
#define PATH_FILESTAT_SET_TIMES RIGHT(20)
#define FD_FILESTAT_GET RIGHT(21)
#define FD_FILESTAT_SET_SIZE RIGHT(22)
#define FD_FILESTAT_SET_TIMES RIGHT(23)
#define PATH_SYMLINK RIGHT(24)
#define PATH_REMOVE_DIRECTORY RIGHT(25)
#define PATH_UNLINK_FILE RIGHT(26)
#define POLL_FD_READWRITE RIGHT(27)

#define RIGHTS_STDIN (FD_READ | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE)
#define RIGHTS_STDOUT \
	(FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE | FD_DATASYNC | FD_SYNC)
#define RIGHTS_FILE                                                                              \
	(FD_DATASYNC | FD_READ | FD_SEEK | FD_FDSTAT_SET_FLAGS | FD_SYNC | FD_TELL | FD_WRITE |  \
	 FD_ADVISE | FD_ALLOCATE | FD_FILESTAT_GET | FD_FILESTAT_SET_SIZE |                      \
	 FD_FILESTAT_SET_TIMES | POLL_FD_READWRITE)
#define RIGHTS_DIRECTORY                                                                         \
	(FD_FDSTAT_SET_FLAGS | FD_DATASYNC | FD_SYNC | PATH_CREATE_DIRECTORY |                   \
	 PATH_CREATE_FILE | PATH_LINK_SOURCE | PATH_LINK_TARGET | PATH_OPEN | FD_READDIR |       \
	 PATH_READLINK | PATH_RENAME_SOURCE | PATH_RENAME_TARGET | PATH_FILESTAT_GET |           \
	 PATH_FILESTAT_SET_SIZE | PATH_FILESTAT_SET_TIMES | FD_FILESTAT_GET |                    \
	 FD_FILESTAT_SET_TIMES | PATH_SYMLINK | PATH_REMOVE_DIRECTORY | PATH_UNLINK_FILE)

// WASI(name) is a function of WASI 0.1 that the adapter exports.
#define WASI(name) __attribute__((export_name(#name))) errno_t name

// FEATURE(feature, name) is a function that only programs of some kinds can
// reach. It is marked by an export feature:name, by which package adapter finds
// it: in an adapter for any other program it does nothing but return zero, and
// what it alone needs is not there.
#define FEATURE(feature, name) __attribute__((noinline, export_name(#feature ":" #name)))
