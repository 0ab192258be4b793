// The table of what the guest has open.
#pragma once

#include "guest.h"
#include "wasi2.h"

enum kind {
	CLOSED,
	STDIN,
	STDOUT,
	STDERR,
	FILE,	   // of the filesystem
	DIRECTORY, // of the filesystem
	POLLABLE,
};

struct descriptor {
	u8 kind;
	u8 type;      // file type; of a standard stream if typed
	bool typed;   // of a standard stream: whether it is a terminal was found out
	bool preopen; // was open from the start, as name
	bool opened;  // whether handle is one; those of standard streams are got late
	u16 flags;
	handle_t handle;   // stream, descriptor or pollable
	handle_t appender; // stream that writes at the end of the file, or 0
	rights_t base, inheriting;
	u64 position;	  // of a file
	struct list name; // of a preopened directory
	struct reading *reading;
};

// descriptor_find returns what is open as fd, or NULL.
struct descriptor *descriptor_find(u32 fd);

// descriptor_free finds the lowest number above 2 that is not in use, and room for
// it: false if there is none. Nothing is open there yet. It must not be called
// while scratch memory is in use.
bool descriptor_free(u32 *fd);

// descriptor_at returns the place of a number that was found free.
struct descriptor *descriptor_at(u32 fd);

// get returns what is open as fd and has the rights.
errno_t get(u32 fd, rights_t need, struct descriptor **);

// get_file returns an open file that has the rights.
errno_t get_file(u32 fd, rights_t need, struct descriptor **);

// get_seekable is get_file, with the error for a stream that POSIX has.
errno_t get_seekable(u32 fd, rights_t need, struct descriptor **);

// get_directory returns an open directory that has the rights.
errno_t get_directory(u32 fd, rights_t need, struct descriptor **);

// is_file tells a file or directory of the filesystem.
static inline bool is_file(const struct descriptor *d)
{
	return d->kind == FILE || d->kind == DIRECTORY;
}

// What is implemented for files and directories elsewhere. Only programs that can
// name a path reach it.
FEATURE(files, preopens_open) void preopens_open(void);
FEATURE(files, file_read) errno_t file_read(struct descriptor *, struct buffers, u32 result);
FEATURE(files, file_write) errno_t file_write(struct descriptor *, struct buffers, u32 result);
FEATURE(files, file_close) void file_close(struct descriptor *);
FEATURE(files, file_sync) errno_t file_sync(struct descriptor *, bool data);
FEATURE(files, file_size) errno_t file_size(struct descriptor *, u64 *size);
FEATURE(files, file_stat) errno_t file_stat(struct descriptor *, u32 result);

// What is implemented for pollables elsewhere.
FEATURE(pollables, pollable_read) errno_t pollable_read(struct descriptor *, struct buffers, u32 result);
FEATURE(pollables, pollable_close) void pollable_close(struct descriptor *);
