// The guest's memory. It is another one than that of the adapter: addresses of
// the guest are u32, those of the adapter pointers.
#pragma once

#include "wasi1.h"

#define MAIN_MEMORY(name) \
	__attribute__((import_module("__main_memory__"), import_name(#name)))

// Accessors of the guest's memory, which the componentizer provides. They trap
// out of bounds.
MAIN_MEMORY(load8) u32 guest_load8(u32 at);
MAIN_MEMORY(load16) u32 guest_load16(u32 at);
MAIN_MEMORY(load32) u32 guest_load32(u32 at);
MAIN_MEMORY(load64) u64 guest_load64(u32 at);
MAIN_MEMORY(store8) void guest_store8(u32 at, u32 value);
MAIN_MEMORY(store32) void guest_store32(u32 at, u32 value);
MAIN_MEMORY(store64) void guest_store64(u32 at, u64 value);
MAIN_MEMORY(size) u32 guest_size_raw(void);

// guest_has tells whether n bytes at an address are within the guest's memory.
bool guest_has(u64 at, u64 n);

// guest_read and guest_write copy between the memories; the range must be there.
void guest_read(void *to, u32 from, u32 n);
void guest_write(u32 to, const void *from, u32 n);
void guest_clear(u32 at, u32 n); // n is a multiple of 8

// guest_put32 and guest_put64 store a result.
errno_t guest_put32(u32 at, u32 value);
errno_t guest_put64(u32 at, u64 value);

// A transfer is a call that reads or writes a buffer of the guest in place. Where
// its result goes must be in the same memory: 16 bytes at an address that is
// aligned to 16 are borrowed, clear of the buffer, and put back afterwards.
struct transfer {
	u32 buffer, length; // what the call is to read or write
	u32 result;	    // where its result goes
	u64 saved[2];
};

// transfer_begin prepares a transfer of at most n bytes, which are in the guest's
// memory; n is not 0. near is an address that the guest expects to be written, or
// the buffer. The length may be less than n if the buffer leaves no room beside
// it. Lists that the call returns are put into the buffer.
void transfer_begin(struct transfer *t, u32 buffer, u32 n, u32 near);

// transfer_end puts back what was borrowed. The result must have been read.
void transfer_end(struct transfer *t);

// A buffers is a list of buffers in the guest's memory, without the empty ones.
struct buffers {
	const struct buffer {
		u32 at, n;
	} * first;
	u32 count;
};

// buffers_load reads a list of (pointer, length) pairs, all of which must be within
// the guest's memory, to scratch memory, which it frees before: what is read into
// one of the buffers may change the list.
errno_t buffers_load(u32 list, u32 count, struct buffers *);
