#include "file.h"
#include "guest.h"
#include "memory.h"
#include "stream.h"

errno_t errno_of(u32 code)
{
	// In the order of the cases of error-code.
	static const u8 errnos[] = {
		EACCES,	  EAGAIN,  EALREADY, EBADF,	EBUSY,	      EDEADLK,	EDQUOT, EEXIST,
		EFBIG,	  EILSEQ,  EINPROGRESS, EINTR,	EINVAL,	      EIO,	EISDIR, ELOOP,
		EMLINK,	  EMSGSIZE, ENAMETOOLONG, ENODEV, ENOENT,     ENOLCK,	ENOMEM, ENOSPC,
		ENOTDIR,  ENOTEMPTY, ENOTRECOVERABLE, ENOTSUP, ENOTTY, ENXIO,	EOVERFLOW, EPERM,
		EPIPE,	  EROFS,   ESPIPE,   ETXTBSY,	EXDEV,
	};
	return code < sizeof(errnos) ? errnos[code] : EIO;
}

u8 type_of(u32 type)
{
	// In the order of the cases of descriptor-type. WASI 0.1 has no pipes.
	static const u8 types[] = {
		TYPE_UNKNOWN, TYPE_BLOCK_DEVICE,  TYPE_CHARACTER_DEVICE, TYPE_DIRECTORY,
		TYPE_UNKNOWN, TYPE_SYMBOLIC_LINK, TYPE_REGULAR_FILE,	 TYPE_SOCKET_STREAM,
	};
	return type < sizeof(types) ? types[type] : TYPE_UNKNOWN;
}

void preopens_open(void)
{
	scratch_free();
	struct list dirs;
	preopens_get_directories(&dirs);
	scratch_keep(); // the names
	const struct preopen *p = dirs.at;
	for (; dirs.count > 0; dirs.count--, p++) {
		u32 fd;
		if (!descriptor_free(&fd))
			__builtin_trap();
		*descriptor_at(fd) = (struct descriptor){
			.kind = DIRECTORY,
			.type = TYPE_DIRECTORY,
			.preopen = true,
			.handle = p->descriptor,
			.name = p->path,
			.base = RIGHTS_DIRECTORY,
			.inheriting = RIGHTS_DIRECTORY | RIGHTS_FILE,
		};
	}
}

WASI(fd_prestat_get)(u32 fd, u32 result)
{
	struct descriptor *d;
	errno_t e = get(fd, 0, &d);
	if (e != SUCCESS)
		return e;
	if (!d->preopen)
		return EBADF;
	if (!guest_has(result, 8))
		return EFAULT;
	guest_store64(result, (u64)d->name.count << 32); // tagged 0, a directory
	return SUCCESS;
}

WASI(fd_prestat_dir_name)(u32 fd, u32 at, u32 n)
{
	struct descriptor *d;
	errno_t e = get(fd, 0, &d);
	if (e != SUCCESS)
		return e;
	if (!d->preopen)
		return EBADF;
	if (n < d->name.count)
		return ENAMETOOLONG;
	if (!guest_has(at, d->name.count))
		return EFAULT;
	guest_write(at, d->name.at, d->name.count);
	return SUCCESS;
}

void file_close(struct descriptor *d)
{
	reading_close(d);
	if (d->appender != 0)
		output_drop(d->appender);
	descriptor_drop(d->handle);
}

errno_t file_sync(struct descriptor *d, bool data)
{
	struct code_result r;
	if (data)
		descriptor_sync_data(d->handle, &r);
	else
		descriptor_sync(d->handle, &r);
	return done(&r);
}

// What one call reads or writes at most: hosts return no more, and some allocate
// what is asked for.
enum { PIECE = 65536 };

// read_at fills buffers from an offset on.
static errno_t read_at(struct descriptor *d, struct buffers b, u64 offset, u32 near, u32 *total)
{
	*total = 0;
	for (; b.count > 0; b.count--, b.first++) {
		u32 buffer = b.first->at, n = b.first->n;
		while (n > 0) {
			struct transfer t;
			transfer_begin(&t, buffer, n < PIECE ? n : PIECE, near);
			descriptor_read(d->handle, t.length, offset, t.result);
			bool failed = guest_load8(t.result);
			u32 code = guest_load8(t.result + 4);
			u32 got = guest_load32(t.result + 8);
			transfer_end(&t);
			if (failed)
				return *total > 0 ? SUCCESS : errno_of(code);
			*total += got;
			offset += got;
			buffer += got;
			n -= got;
			if (got < t.length)
				return SUCCESS;
		}
	}
	return SUCCESS;
}

errno_t file_read(struct descriptor *d, struct buffers b, u32 result)
{
	u32 total;
	errno_t e = read_at(d, b, d->position, result, &total);
	if (e != SUCCESS)
		return e;
	d->position += total;
	return guest_put32(result, total);
}

WASI(fd_pread)(u32 fd, u32 list, u32 count, u64 offset, u32 result)
{
	struct descriptor *d;
	struct buffers b;
	errno_t e = get_seekable(fd, FD_READ, &d);
	if (e == SUCCESS)
		e = buffers_load(list, count, &b);
	if (e != SUCCESS)
		return e;
	if (!guest_has(result, 4))
		return EFAULT;
	u32 total;
	e = read_at(d, b, offset, result, &total);
	return e != SUCCESS ? e : guest_put32(result, total);
}

// append writes buffers to the end of a file.
static errno_t append(struct descriptor *d, struct buffers b, u32 near, u32 *total)
{
	if (d->appender == 0) {
		struct handle_result r;
		descriptor_append_via_stream(d->handle, &r);
		if (r.failed)
			return errno_of(r.code);
		d->appender = r.handle;
	}
	handle_t wrong;
	errno_t e = output_all(d->appender, b, false, near, total, &wrong);
	if (e == SUCCESS)
		return SUCCESS;
	if (wrong != 0) {
		struct code_result r;
		error_code(wrong, &r);
		if (r.failed)
			e = errno_of(r.code);
		error_drop(wrong);
	}
	// A stream that failed is closed.
	output_drop(d->appender);
	d->appender = 0;
	return e;
}

// write_at writes buffers at an offset, or at the end of the file.
static errno_t write_at(struct descriptor *d, struct buffers b, u64 offset, u32 near, u32 *total)
{
	*total = 0;
	if (d->flags & FLAG_APPEND)
		return append(d, b, near, total);
	for (; b.count > 0; b.count--, b.first++) {
		u32 buffer = b.first->at, n = b.first->n;
		while (n > 0) {
			struct transfer t;
			transfer_begin(&t, buffer, n < PIECE ? n : PIECE, near);
			descriptor_write(d->handle, t.buffer, t.length, offset, t.result);
			bool failed = guest_load8(t.result);
			u32 code = guest_load8(t.result + 8);
			u32 put = guest_load32(t.result + 8);
			transfer_end(&t);
			if (failed)
				return *total > 0 ? SUCCESS : errno_of(code);
			if (put > t.length)
				return EIO; // no host does that
			*total += put;
			offset += put;
			buffer += put;
			n -= put;
			if (put < t.length)
				return SUCCESS;
		}
	}
	return SUCCESS;
}

errno_t file_write(struct descriptor *d, struct buffers b, u32 result)
{
	u32 total;
	errno_t e = write_at(d, b, d->position, result, &total);
	if (e != SUCCESS)
		return e;
	d->position += total;
	u64 size;
	if (total > 0 && d->flags & FLAG_APPEND && file_size(d, &size) == SUCCESS)
		d->position = size;
	return guest_put32(result, total);
}

WASI(fd_pwrite)(u32 fd, u32 list, u32 count, u64 offset, u32 result)
{
	struct descriptor *d;
	struct buffers b;
	errno_t e = get_seekable(fd, FD_WRITE, &d);
	if (e == SUCCESS)
		e = buffers_load(list, count, &b);
	if (e != SUCCESS)
		return e;
	if (!guest_has(result, 4))
		return EFAULT;
	u32 total;
	e = write_at(d, b, offset, result, &total);
	return e != SUCCESS ? e : guest_put32(result, total);
}

WASI(fd_advise)(u32 fd, u64 offset, u64 n, u32 advice)
{
	struct descriptor *d;
	errno_t e = get_file(fd, FD_ADVISE, &d);
	if (e != SUCCESS)
		return e;
	if (advice > 5)
		return EINVAL;
	struct code_result r;
	descriptor_advise(d->handle, offset, n, advice, &r);
	return done(&r);
}

// fd_allocate makes the file as long as is asked for. That there is room for it
// on the disk can't be seen to.
WASI(fd_allocate)(u32 fd, u64 offset, u64 n)
{
	struct descriptor *d;
	errno_t e = get_file(fd, FD_ALLOCATE, &d);
	if (e != SUCCESS)
		return e;
	if ((d->base & FD_WRITE) == 0)
		return EBADF;
	if (n == 0 || (i64)offset < 0 || (i64)n < 0 || (i64)(offset + n) < 0)
		return EINVAL;
	u64 size;
	e = file_size(d, &size);
	if (e != SUCCESS || size >= offset + n)
		return e;
	struct code_result r;
	descriptor_set_size(d->handle, offset + n, &r);
	return done(&r);
}

WASI(fd_filestat_set_size)(u32 fd, u64 size)
{
	struct descriptor *d;
	errno_t e = get_file(fd, FD_FILESTAT_SET_SIZE, &d);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_set_size(d->handle, size, &r);
	return done(&r);
}

static u64 optional_nanoseconds(const struct optional_datetime *t)
{
	return t->some ? nanoseconds(&t->time) : 0;
}

void put_stat(u32 result, const struct descriptor_stat *s, u64 inode)
{
	// One device number for all: a hash tells objects of different devices
	// apart, too.
	guest_store64(result, 1);
	guest_store64(result + 8, inode);
	guest_store64(result + 16, type_of(s->type));
	guest_store64(result + 24, s->link_count);
	guest_store64(result + 32, s->size);
	guest_store64(result + 40, optional_nanoseconds(&s->access));
	guest_store64(result + 48, optional_nanoseconds(&s->modification));
	guest_store64(result + 56, optional_nanoseconds(&s->status_change));
}

u64 inode_of(const struct hash_result *h)
{
	return h->failed ? 0 : h->lower;
}

errno_t file_stat(struct descriptor *d, u32 result)
{
	struct stat_result s;
	descriptor_stat(d->handle, &s);
	if (s.failed)
		return errno_of(s.code);
	struct hash_result h;
	descriptor_metadata_hash(d->handle, &h);
	put_stat(result, &s.stat, inode_of(&h));
	return SUCCESS;
}

errno_t file_size(struct descriptor *d, u64 *size)
{
	struct stat_result s;
	descriptor_stat(d->handle, &s);
	if (s.failed)
		return errno_of(s.code);
	*size = s.stat.size;
	return SUCCESS;
}

static struct new_time new_time(u64 t, u32 flags)
{
	switch (flags & 3) {
	case 1:
		return (struct new_time){2, t / 1000000000, t % 1000000000};
	case 2:
		return (struct new_time){.tag = 1};
	}
	return (struct new_time){0};
}

errno_t new_times(u64 access, u64 modification, u32 flags, struct new_time *a, struct new_time *m)
{
	if ((flags & ~15u) != 0 || (flags & 3) == 3 || (flags & 12) == 12)
		return EINVAL;
	*a = new_time(access, flags);
	*m = new_time(modification, flags >> 2);
	return SUCCESS;
}

WASI(fd_filestat_set_times)(u32 fd, u64 access, u64 modification, u32 flags)
{
	struct descriptor *d;
	struct new_time a, m;
	errno_t e = get(fd, FD_FILESTAT_SET_TIMES, &d);
	if (e != SUCCESS)
		return e;
	if (!is_file(d))
		return EBADF;
	e = new_times(access, modification, flags, &a, &m);
	if (e != SUCCESS)
		return e;
	struct code_result r;
	descriptor_set_times(d->handle, a.tag, a.seconds, a.nanoseconds, m.tag, m.seconds, m.nanoseconds,
			     &r);
	return done(&r);
}
