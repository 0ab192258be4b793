// The functions of WASI 0.2 as the canonical ABI lowers them, and their results
// in memory.
#pragma once

#include "wasi1.h"

#define IMPORT(interface, name) \
	__attribute__((import_module(#interface "@0.2.0"), import_name(name)))
// Of a function lowered with the guest's memory all addresses are of the guest.
#define IMPORT_MAIN(interface, name) \
	__attribute__((import_module("__main_memory__|" #interface "@0.2.0"), import_name(name)))

// A handle is the index of a resource; 0 is never one.
typedef u32 handle_t;

struct list {
	void *at;
	u32 count;
};

struct datetime {
	u64 seconds;
	u32 nanoseconds;
};

// nanoseconds is a time as WASI 0.1 has it; what it can't say becomes the nearest.
static inline u64 nanoseconds(const struct datetime *t)
{
	const u64 second = 1000000000;
	if (t->seconds > INT64_MAX / second - 1)
		return INT64_MAX;
	return t->seconds * second + t->nanoseconds;
}

struct optional_datetime {
	u8 some;
	struct datetime time;
};

// wasi:cli

struct pair {
	struct list key, value;
};

IMPORT(wasi:cli/environment, "get-arguments") void cli_get_arguments(struct list *);
IMPORT(wasi:cli/environment, "get-environment") void cli_get_environment(struct list *);
IMPORT(wasi:cli/exit, "exit") void cli_exit(u32 failed);
__attribute__((import_module("wasi:cli/exit@0.2.12"), import_name("exit-with-code"))) void
cli_exit_with_code(u32 code);
IMPORT(wasi:cli/stdin, "get-stdin") handle_t cli_get_stdin(void);
IMPORT(wasi:cli/stdout, "get-stdout") handle_t cli_get_stdout(void);
IMPORT(wasi:cli/stderr, "get-stderr") handle_t cli_get_stderr(void);

struct optional_handle {
	u8 some;
	handle_t handle;
};

IMPORT(wasi:cli/terminal-stdin, "get-terminal-stdin") void cli_get_terminal_stdin(struct optional_handle *);
IMPORT(wasi:cli/terminal-stdout, "get-terminal-stdout") void cli_get_terminal_stdout(struct optional_handle *);
IMPORT(wasi:cli/terminal-stderr, "get-terminal-stderr") void cli_get_terminal_stderr(struct optional_handle *);
IMPORT(wasi:cli/terminal-input, "[resource-drop]terminal-input") void cli_drop_terminal_input(handle_t);
IMPORT(wasi:cli/terminal-output, "[resource-drop]terminal-output") void cli_drop_terminal_output(handle_t);

// wasi:clocks

IMPORT(wasi:clocks/monotonic-clock, "now") u64 monotonic_now(void);
IMPORT(wasi:clocks/monotonic-clock, "resolution") u64 monotonic_resolution(void);
IMPORT(wasi:clocks/monotonic-clock, "subscribe-instant") handle_t monotonic_subscribe_instant(u64);
IMPORT(wasi:clocks/monotonic-clock, "subscribe-duration") handle_t monotonic_subscribe_duration(u64);
IMPORT(wasi:clocks/wall-clock, "now") void wall_now(struct datetime *);
IMPORT(wasi:clocks/wall-clock, "resolution") void wall_resolution(struct datetime *);

// wasi:random

// The result is a list: the address at 0, the length at 4.
IMPORT_MAIN(wasi:random/random, "get-random-bytes") void random_get_bytes(u64 n, u32 result);

// wasi:io

IMPORT(wasi:io/error, "[resource-drop]error") void error_drop(handle_t);
IMPORT(wasi:io/poll, "poll") void poll_poll(const handle_t *, u32 count, struct list *);
IMPORT(wasi:io/poll, "[method]pollable.ready") u32 pollable_ready(handle_t);
IMPORT(wasi:io/poll, "[resource-drop]pollable") void pollable_drop(handle_t);

// The result of a transfer of a stream is
//   0: 1 if it is an error
//   4: the list read (address, length), or the error: 1 if the stream is closed
//   8: the handle of the error if it is not
enum { RESULT_FAILED = 0, RESULT_LIST_LENGTH = 8, RESULT_CLOSED = 4, RESULT_ERROR = 8 };

IMPORT_MAIN(wasi:io/streams, "[method]input-stream.read") void input_read(handle_t, u64 n, u32 result);
IMPORT_MAIN(wasi:io/streams, "[method]input-stream.blocking-read")
void input_blocking_read(handle_t, u64 n, u32 result);
IMPORT(wasi:io/streams, "[method]input-stream.subscribe") handle_t input_subscribe(handle_t);
IMPORT(wasi:io/streams, "[resource-drop]input-stream") void input_drop(handle_t);
IMPORT_MAIN(wasi:io/streams, "[method]output-stream.write")
void output_write(handle_t, u32 at, u32 n, u32 result);
IMPORT_MAIN(wasi:io/streams, "[method]output-stream.blocking-write-and-flush")
void output_blocking_write_and_flush(handle_t, u32 at, u32 n, u32 result);

struct stream_error {
	u8 closed;
	handle_t error;
};

struct stream_size_result {
	u8 failed;
	union {
		u64 size;
		struct stream_error error;
	};
};

struct stream_result {
	u8 failed;
	struct stream_error error;
};

IMPORT(wasi:io/streams, "[method]output-stream.check-write")
void output_check_write(handle_t, struct stream_size_result *);
IMPORT(wasi:io/streams, "[method]output-stream.blocking-flush")
void output_blocking_flush(handle_t, struct stream_result *);
IMPORT(wasi:io/streams, "[method]output-stream.subscribe") handle_t output_subscribe(handle_t);
IMPORT(wasi:io/streams, "[resource-drop]output-stream") void output_drop(handle_t);

// wasi:filesystem

enum { DESCRIPTOR_DIRECTORY = 3, DESCRIPTOR_REGULAR_FILE = 6 };

enum {
	OPEN_READ = 1,
	OPEN_WRITE = 2,
	OPEN_FILE_INTEGRITY_SYNC = 4,
	OPEN_DATA_INTEGRITY_SYNC = 8,
	OPEN_REQUESTED_WRITE_SYNC = 16,
};

enum { CODE_ILLEGAL_BYTE_SEQUENCE = 9 };

struct code_result {
	u8 failed;
	u8 code;
};

struct handle_result {
	u8 failed;
	union {
		handle_t handle;
		u8 code;
	};
};

struct type_result {
	u8 failed;
	union {
		u8 type;
		u8 code;
	};
};

struct descriptor_stat {
	u8 type;
	u64 link_count;
	u64 size;
	struct optional_datetime access, modification, status_change;
};

struct stat_result {
	u8 failed;
	union {
		struct descriptor_stat stat;
		u8 code;
	};
};

struct string_result {
	u8 failed;
	union {
		struct list string;
		u8 code;
	};
};

struct hash_result {
	u8 failed;
	union {
		struct {
			u64 lower, upper;
		};
		u8 code;
	};
};

struct entry_result {
	u8 failed;
	union {
		struct {
			u8 some;
			struct entry {
				u8 type;
				struct list name;
			} entry;
		};
		u8 code;
	};
};

_Static_assert(sizeof(struct stat_result) == 104, "layout of result<descriptor-stat, error-code>");

struct preopen {
	handle_t descriptor;
	struct list path;
};

#define TYPES(name) IMPORT(wasi:filesystem/types, "[method]descriptor." name)
#define TYPES_MAIN(name) IMPORT_MAIN(wasi:filesystem/types, "[method]descriptor." name)

IMPORT(wasi:filesystem/preopens, "get-directories") void preopens_get_directories(struct list *);

// The result is 0: 1 if it failed; 4: the address or the error code; 8: the length.
TYPES_MAIN("read") void descriptor_read(handle_t, u64 n, u64 offset, u32 result);
// The result is 0: 1 if it failed; 8: the length, 64 bits, or the error code.
TYPES_MAIN("write") void descriptor_write(handle_t, u32 at, u32 n, u64 offset, u32 result);
TYPES("append-via-stream") void descriptor_append_via_stream(handle_t, struct handle_result *);
TYPES("advise") void descriptor_advise(handle_t, u64, u64, u32, struct code_result *);
TYPES("sync-data") void descriptor_sync_data(handle_t, struct code_result *);
TYPES("sync") void descriptor_sync(handle_t, struct code_result *);
TYPES("get-type") void descriptor_get_type(handle_t, struct type_result *);
TYPES("set-size") void descriptor_set_size(handle_t, u64, struct code_result *);
TYPES("set-times")
void descriptor_set_times(handle_t, u32, u64, u32, u32, u64, u32, struct code_result *);
TYPES("read-directory") void descriptor_read_directory(handle_t, struct handle_result *);
TYPES("create-directory-at")
void descriptor_create_directory_at(handle_t, const u8 *, u32, struct code_result *);
TYPES("stat") void descriptor_stat(handle_t, struct stat_result *);
TYPES("stat-at") void descriptor_stat_at(handle_t, u32, const u8 *, u32, struct stat_result *);
TYPES("set-times-at")
void descriptor_set_times_at(handle_t, u32, const u8 *, u32, u32, u64, u32, u32, u64, u32,
			     struct code_result *);
TYPES("link-at")
void descriptor_link_at(handle_t, u32, const u8 *, u32, handle_t, const u8 *, u32,
			struct code_result *);
TYPES("open-at")
void descriptor_open_at(handle_t, u32, const u8 *, u32, u32, u32, struct handle_result *);
TYPES("readlink-at") void descriptor_readlink_at(handle_t, const u8 *, u32, struct string_result *);
TYPES("remove-directory-at")
void descriptor_remove_directory_at(handle_t, const u8 *, u32, struct code_result *);
TYPES("rename-at")
void descriptor_rename_at(handle_t, const u8 *, u32, handle_t, const u8 *, u32, struct code_result *);
TYPES("symlink-at")
void descriptor_symlink_at(handle_t, const u8 *, u32, const u8 *, u32, struct code_result *);
TYPES("unlink-file-at")
void descriptor_unlink_file_at(handle_t, const u8 *, u32, struct code_result *);
TYPES("metadata-hash") void descriptor_metadata_hash(handle_t, struct hash_result *);
TYPES("metadata-hash-at")
void descriptor_metadata_hash_at(handle_t, u32, const u8 *, u32, struct hash_result *);
IMPORT(wasi:filesystem/types, "[resource-drop]descriptor") void descriptor_drop(handle_t);
IMPORT(wasi:filesystem/types, "[method]directory-entry-stream.read-directory-entry")
void entries_read(handle_t, struct entry_result *);
IMPORT(wasi:filesystem/types, "[resource-drop]directory-entry-stream") void entries_drop(handle_t);
IMPORT(wasi:filesystem/types, "filesystem-error-code") void error_code(handle_t, struct code_result *);
