#include "file.h"
#include "guest.h"
#include "memory.h"

struct path {
	u8 *at;
	u32 n;
};

enum { MAX_PATH = 4096 };

// is_utf8 tells whether text is what a string can hold: a host would not take
// anything else.
static bool is_utf8(const u8 *p, u32 n)
{
	while (n > 0) {
		u32 c = *p, more = 0, low = 0x80, high = 0xbf;
		if (c >= 0x80) {
			if (c < 0xc2 || c > 0xf4)
				return false;
			more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
			if (c == 0xe0)
				low = 0xa0; // overlong
			else if (c == 0xed)
				high = 0x9f; // surrogates
			else if (c == 0xf0)
				low = 0x90; // overlong
			else if (c == 0xf4)
				high = 0x8f; // above U+10FFFF
		}
		if (n <= more)
			return false;
		for (u32 i = 1; i <= more; i++, low = 0x80, high = 0xbf)
			if (p[i] < low || p[i] > high)
				return false;
		p += more + 1;
		n -= more + 1;
	}
	return true;
}

// read_path copies a path to scratch memory.
static errno_t read_path(u32 at, u32 n, struct path *p)
{
	if (!guest_has(at, n))
		return EFAULT;
	if (n > MAX_PATH)
		return ENAMETOOLONG;
	p->at = scratch(n);
	p->n = n;
	guest_read(p->at, at, n);
	return is_utf8(p->at, n) ? SUCCESS : EILSEQ;
}

// place reads a descriptor of a directory and a path relative to it.
static errno_t place(u32 fd, rights_t need, u32 at, u32 n, struct descriptor **d, struct path *p)
{
	errno_t e = get_directory(fd, need, d);
	return e != SUCCESS ? e : read_path(at, n, p);
}

enum { LOOKUP_FOLLOW = 1 };

WASI(path_create_directory)(u32 fd, u32 at, u32 n)
{
	scratch_free();
	struct descriptor *d;
	struct path p;
	errno_t e = place(fd, PATH_CREATE_DIRECTORY, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_create_directory_at(d->handle, p.at, p.n, &r);
	return done(&r);
}

WASI(path_filestat_get)(u32 fd, u32 lookup, u32 at, u32 n, u32 result)
{
	scratch_free();
	struct descriptor *d;
	struct path p;
	errno_t e = place(fd, PATH_FILESTAT_GET, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	struct stat_result s;
	descriptor_stat_at(d->handle, lookup & LOOKUP_FOLLOW, p.at, p.n, &s);
	if (s.failed)
		return errno_of(s.code);
	if (!guest_has(result, 64))
		return EFAULT;
	struct hash_result h;
	descriptor_metadata_hash_at(d->handle, lookup & LOOKUP_FOLLOW, p.at, p.n, &h);
	put_stat(result, &s.stat, inode_of(&h));
	return SUCCESS;
}

WASI(path_filestat_set_times)(u32 fd, u32 lookup, u32 at, u32 n, u64 access, u64 modification, u32 flags)
{
	scratch_free();
	struct descriptor *d;
	struct path p;
	struct new_time a, m;
	errno_t e = place(fd, PATH_FILESTAT_SET_TIMES, at, n, &d, &p);
	if (e == SUCCESS)
		e = new_times(access, modification, flags, &a, &m);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_set_times_at(d->handle, lookup & LOOKUP_FOLLOW, p.at, p.n, a.tag, a.seconds, a.nanoseconds,
				m.tag, m.seconds, m.nanoseconds, &r);
	return done(&r);
}

WASI(path_link)(u32 fd, u32 lookup, u32 at, u32 n, u32 to_fd, u32 to_at, u32 to_n)
{
	scratch_free();
	struct descriptor *d, *to;
	struct path p, new;
	errno_t e = place(fd, PATH_LINK_SOURCE, at, n, &d, &p);
	if (e == SUCCESS)
		e = place(to_fd, PATH_LINK_TARGET, to_at, to_n, &to, &new);
	if (e != SUCCESS)
		return e;
	if (lookup & LOOKUP_FOLLOW)
		return EINVAL;
	struct code_result r;
	descriptor_link_at(d->handle, 0, p.at, p.n, to->handle, new.at, new.n, &r);
	return done(&r);
}

enum { OPEN_CREATE = 1, OPEN_DIRECTORY = 2, OPEN_TRUNCATE = 8 };

WASI(path_open)(u32 fd, u32 lookup, u32 at, u32 n, u32 how, rights_t base, rights_t inheriting, u32 flags,
		u32 result)
{
	scratch_free();
	u32 new;
	bool room = descriptor_free(&new);
	rights_t need = PATH_OPEN;
	if (how & OPEN_CREATE)
		need |= PATH_CREATE_FILE;
	if (how & OPEN_TRUNCATE)
		need |= PATH_FILESTAT_SET_SIZE;
	struct descriptor *d;
	struct path p;
	errno_t e = place(fd, need, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	if (!guest_has(result, 4))
		return EFAULT;
	if (!room)
		return ENFILE;
	u32 mode = 0;
	if (base & FD_WRITE)
		mode |= OPEN_WRITE;
	if (base & (FD_READ | FD_READDIR) || !(base & FD_WRITE))
		mode |= OPEN_READ;
	if (flags & FLAG_SYNC)
		mode |= OPEN_FILE_INTEGRITY_SYNC;
	if (flags & FLAG_DSYNC)
		mode |= OPEN_DATA_INTEGRITY_SYNC;
	if (flags & FLAG_RSYNC)
		mode |= OPEN_REQUESTED_WRITE_SYNC;
	struct handle_result r;
	descriptor_open_at(d->handle, lookup & LOOKUP_FOLLOW, p.at, p.n, how & 15, mode, &r);
	if (r.failed)
		return errno_of(r.code);
	u8 type = TYPE_DIRECTORY;
	if (!(how & OPEN_DIRECTORY)) {
		struct type_result t;
		descriptor_get_type(r.handle, &t);
		if (t.failed) {
			descriptor_drop(r.handle);
			return errno_of(t.code);
		}
		type = type_of(t.type);
	}
	struct descriptor *opened = descriptor_at(new);
	opened->handle = r.handle;
	opened->type = type;
	if (type == TYPE_DIRECTORY) {
		opened->kind = DIRECTORY;
		opened->base = d->inheriting & RIGHTS_DIRECTORY;
		opened->inheriting = d->inheriting;
	} else {
		const rights_t asked = FD_READ | FD_WRITE;
		opened->kind = FILE;
		opened->flags = flags;
		opened->base = d->inheriting & RIGHTS_FILE & (base | ~asked);
	}
	guest_store32(result, new);
	return SUCCESS;
}

WASI(path_readlink)(u32 fd, u32 at, u32 n, u32 buffer, u32 room, u32 result)
{
	scratch_free();
	struct descriptor *d;
	struct path p;
	errno_t e = place(fd, PATH_READLINK, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	struct string_result s;
	descriptor_readlink_at(d->handle, p.at, p.n, &s);
	if (s.failed)
		return errno_of(s.code);
	if (!guest_has(buffer, room))
		return EFAULT;
	if (s.string.count < room)
		room = s.string.count;
	guest_write(buffer, s.string.at, room);
	return guest_put32(result, room);
}

WASI(path_remove_directory)(u32 fd, u32 at, u32 n)
{
	scratch_free();
	struct descriptor *d;
	struct path p;
	errno_t e = place(fd, PATH_REMOVE_DIRECTORY, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_remove_directory_at(d->handle, p.at, p.n, &r);
	return done(&r);
}

WASI(path_rename)(u32 fd, u32 at, u32 n, u32 to_fd, u32 to_at, u32 to_n)
{
	scratch_free();
	struct descriptor *d, *to;
	struct path p, new;
	errno_t e = place(fd, PATH_RENAME_SOURCE, at, n, &d, &p);
	if (e == SUCCESS)
		e = place(to_fd, PATH_RENAME_TARGET, to_at, to_n, &to, &new);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_rename_at(d->handle, p.at, p.n, to->handle, new.at, new.n, &r);
	return done(&r);
}

WASI(path_symlink)(u32 target_at, u32 target_n, u32 fd, u32 at, u32 n)
{
	scratch_free();
	struct descriptor *d;
	struct path target, p;
	descriptor_find(fd); // which may use scratch memory
	errno_t e = read_path(target_at, target_n, &target);
	if (e == SUCCESS)
		e = place(fd, PATH_SYMLINK, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_symlink_at(d->handle, target.at, target.n, p.at, p.n, &r);
	return done(&r);
}

WASI(path_unlink_file)(u32 fd, u32 at, u32 n)
{
	scratch_free();
	struct descriptor *d;
	struct path p;
	errno_t e = place(fd, PATH_UNLINK_FILE, at, n, &d, &p);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_unlink_file_at(d->handle, p.at, p.n, &r);
	return done(&r);
}
