// Files and directories of the filesystem.
#pragma once

#include "descriptor.h"

// errno_of translates an error-code.
errno_t errno_of(u32 code);

// type_of translates a descriptor-type.
u8 type_of(u32 type);

// done translates the result of a function that returns nothing.
static inline errno_t done(const struct code_result *r)
{
	return r->failed ? errno_of(r->code) : SUCCESS;
}

// put_stat stores what is known of a file at an address that was checked.
void put_stat(u32 result, const struct descriptor_stat *, u64 inode);

// inode_of is the number of an object that was described by its hash.
u64 inode_of(const struct hash_result *);

// A new_time is a new-timestamp.
struct new_time {
	u32 tag;
	u64 seconds;
	u32 nanoseconds;
};

// new_times reads the timestamps and flags of a set_times function.
errno_t new_times(u64 access, u64 modification, u32 flags, struct new_time *a, struct new_time *m);

// reading_close ends the reading of a directory.
void reading_close(struct descriptor *);
