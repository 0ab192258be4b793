#include "descriptor.h"
#include "guest.h"
#include "memory.h"
#include "stream.h"

enum { FIRST_FREE = 3, GROUP = 32, GROUPS = 256 };

static struct descriptor first[GROUP] = {
	[0] = {.kind = STDIN, .base = RIGHTS_STDIN},
	[1] = {.kind = STDOUT, .base = RIGHTS_STDOUT},
	[2] = {.kind = STDERR, .base = RIGHTS_STDOUT},
};
static struct descriptor *groups[GROUPS] = {first};

// The lowest number that may be free.
static u32 low = FIRST_FREE;

struct descriptor *descriptor_at(u32 fd)
{
	return &groups[fd / GROUP][fd % GROUP];
}

static struct descriptor *lookup(u32 fd)
{
	if (fd >= GROUP * GROUPS || groups[fd / GROUP] == NULL)
		return NULL;
	struct descriptor *d = descriptor_at(fd);
	return d->kind == CLOSED ? NULL : d;
}

static void ready(void)
{
	static bool done;
	if (!done) {
		done = true; // descriptor_free is called for preopened directories
		preopens_open();
	}
}

struct descriptor *descriptor_find(u32 fd)
{
	if (fd >= FIRST_FREE)
		ready();
	return lookup(fd);
}

bool descriptor_free(u32 *fd)
{
	ready();
	for (; low < GROUP * GROUPS; low++) {
		if (groups[low / GROUP] == NULL) {
			struct descriptor *group = keep(GROUP * sizeof(struct descriptor));
			if (group == NULL)
				return false;
			groups[low / GROUP] = group;
		}
		if (descriptor_at(low)->kind == CLOSED) {
			*fd = low;
			return true;
		}
	}
	return false;
}

errno_t get(u32 fd, rights_t need, struct descriptor **d)
{
	*d = descriptor_find(fd);
	if (*d == NULL)
		return EBADF;
	return ((*d)->base & need) == need ? SUCCESS : ENOTCAPABLE;
}

errno_t get_file(u32 fd, rights_t need, struct descriptor **d)
{
	errno_t e = get(fd, 0, d);
	if (e != SUCCESS)
		return e;
	if ((*d)->kind != FILE)
		return EBADF;
	if (((*d)->base & need) == need)
		return SUCCESS;
	// Reading and writing are what a file was opened for, so that the error is
	// that of POSIX.
	return need & (FD_READ | FD_WRITE) ? EBADF : ENOTCAPABLE;
}

errno_t get_seekable(u32 fd, rights_t need, struct descriptor **d)
{
	errno_t e = get(fd, 0, d);
	if (e == SUCCESS && !is_file(*d))
		return ESPIPE;
	return get_file(fd, need, d);
}

errno_t get_directory(u32 fd, rights_t need, struct descriptor **d)
{
	errno_t e = get(fd, 0, d);
	if (e != SUCCESS)
		return e;
	if ((*d)->kind != DIRECTORY)
		return ENOTDIR;
	return ((*d)->base & need) == need ? SUCCESS : ENOTCAPABLE;
}

static void close_at(u32 fd)
{
	struct descriptor *d = descriptor_at(fd);
	switch (d->kind) {
	case STDIN:
	case STDOUT:
	case STDERR:
		stream_close(d);
		break;
	case FILE:
	case DIRECTORY:
		file_close(d);
		break;
	case POLLABLE:
		pollable_close(d);
		break;
	}
	*d = (struct descriptor){0};
	if (fd >= FIRST_FREE && fd < low)
		low = fd;
}

WASI(fd_close)(u32 fd)
{
	struct descriptor *d;
	errno_t e = get(fd, 0, &d);
	if (e == SUCCESS)
		close_at(fd);
	return e;
}

WASI(fd_renumber)(u32 from, u32 to)
{
	struct descriptor *d;
	errno_t e = get(from, 0, &d);
	if (e != SUCCESS)
		return e;
	if (descriptor_find(to) == NULL)
		return EBADF;
	if (from == to)
		return SUCCESS;
	close_at(to);
	*descriptor_at(to) = *d;
	*d = (struct descriptor){0};
	if (from >= FIRST_FREE && from < low)
		low = from;
	return SUCCESS;
}

WASI(fd_read)(u32 fd, u32 list, u32 count, u32 result)
{
	struct descriptor *d;
	struct buffers b;
	errno_t e = get(fd, 0, &d);
	if (e == SUCCESS)
		e = buffers_load(list, count, &b);
	if (e != SUCCESS)
		return e;
	if (d->kind == STDOUT || d->kind == STDERR || (d->base & FD_READ) == 0)
		return EBADF;
	if (!guest_has(result, 4))
		return EFAULT;
	switch (d->kind) {
	case STDIN:
		return stream_read(d, b, result);
	case FILE:
		return file_read(d, b, result);
	case POLLABLE:
		return pollable_read(d, b, result);
	}
	return EBADF;
}

WASI(fd_write)(u32 fd, u32 list, u32 count, u32 result)
{
	struct descriptor *d;
	struct buffers b;
	errno_t e = get(fd, 0, &d);
	if (e == SUCCESS)
		e = buffers_load(list, count, &b);
	if (e != SUCCESS)
		return e;
	if ((d->base & FD_WRITE) == 0)
		return EBADF;
	if (!guest_has(result, 4))
		return EFAULT;
	switch (d->kind) {
	case STDOUT:
	case STDERR:
		return stream_write(d, b, result);
	case FILE:
		return file_write(d, b, result);
	}
	return EBADF;
}

static errno_t sync(u32 fd, rights_t need, bool data)
{
	struct descriptor *d;
	errno_t e = get(fd, need, &d);
	if (e != SUCCESS)
		return e;
	if (is_file(d))
		return file_sync(d, data);
	return d->kind == STDOUT || d->kind == STDERR ? stream_flush(d) : EINVAL;
}

WASI(fd_datasync)(u32 fd)
{
	return sync(fd, FD_DATASYNC, true);
}

WASI(fd_sync)(u32 fd)
{
	return sync(fd, FD_SYNC, false);
}

WASI(fd_fdstat_get)(u32 fd, u32 result)
{
	struct descriptor *d;
	errno_t e = get(fd, 0, &d);
	if (e != SUCCESS)
		return e;
	if (!guest_has(result, 24))
		return EFAULT;
	if (d->kind == STDIN || d->kind == STDOUT || d->kind == STDERR)
		stream_type(d);
	guest_store64(result, d->type | (u32)d->flags << 16);
	guest_store64(result + 8, d->base);
	guest_store64(result + 16, d->inheriting);
	return SUCCESS;
}

WASI(fd_fdstat_set_flags)(u32 fd, u32 flags)
{
	struct descriptor *d;
	errno_t e = get(fd, FD_FDSTAT_SET_FLAGS, &d);
	if (e != SUCCESS)
		return e;
	// The host decides on these when it opens the file.
	const u32 fixed = FLAG_DSYNC | FLAG_RSYNC | FLAG_SYNC;
	if ((flags & ~(fixed | FLAG_APPEND | FLAG_NONBLOCK)) != 0)
		return EINVAL;
	if ((flags & fixed) != 0 && (flags & fixed) != (d->flags & fixed))
		return ENOTSUP;
	d->flags = (flags & ~fixed) | (d->flags & fixed);
	return SUCCESS;
}

WASI(fd_fdstat_set_rights)(u32 fd, rights_t base, rights_t inheriting)
{
	struct descriptor *d;
	errno_t e = get(fd, 0, &d);
	if (e != SUCCESS)
		return e;
	if ((base & ~d->base) != 0 || (inheriting & ~d->inheriting) != 0)
		return ENOTCAPABLE;
	d->base = base;
	d->inheriting = inheriting;
	return SUCCESS;
}

WASI(fd_filestat_get)(u32 fd, u32 result)
{
	struct descriptor *d;
	errno_t e = get(fd, FD_FILESTAT_GET, &d);
	if (e != SUCCESS)
		return e;
	if (!guest_has(result, 64))
		return EFAULT;
	if (is_file(d))
		return file_stat(d, result);
	if (d->kind == STDIN || d->kind == STDOUT || d->kind == STDERR)
		stream_type(d);
	guest_clear(result, 64);
	guest_store8(result + 16, d->type);
	return SUCCESS;
}

WASI(fd_seek)(u32 fd, i64 offset, u32 whence, u32 result)
{
	struct descriptor *d;
	errno_t e = get_seekable(fd, 0, &d);
	if (e != SUCCESS)
		return e;
	u64 from = 0;
	rights_t need = FD_SEEK | FD_TELL;
	switch (whence) {
	case 0:
		break;
	case 1:
		from = d->position;
		if (offset == 0)
			need = FD_TELL;
		break;
	case 2:
		e = file_size(d, &from);
		if (e != SUCCESS)
			return e;
		break;
	default:
		return EINVAL;
	}
	if ((d->base & need) != need)
		return ENOTCAPABLE;
	if ((i64)from < 0 || (i64)(from + (u64)offset) < 0)
		return EINVAL;
	d->position = from + (u64)offset;
	return guest_put64(result, d->position);
}

WASI(fd_tell)(u32 fd, u32 result)
{
	struct descriptor *d;
	errno_t e = get_seekable(fd, FD_TELL, &d);
	return e != SUCCESS ? e : guest_put64(result, d->position);
}

// No socket can be open: those of WASI 0.2 have no place in WASI 0.1.
static errno_t no_socket(u32 fd)
{
	return descriptor_find(fd) == NULL ? EBADF : ENOTSOCK;
}

WASI(sock_accept)(u32 fd, u32 flags, u32 result)
{
	return no_socket(fd);
}

WASI(sock_recv)(u32 fd, u32 list, u32 count, u32 flags, u32 result, u32 result_flags)
{
	return no_socket(fd);
}

WASI(sock_send)(u32 fd, u32 list, u32 count, u32 flags, u32 result)
{
	return no_socket(fd);
}

WASI(sock_shutdown)(u32 fd, u32 how)
{
	return no_socket(fd);
}
