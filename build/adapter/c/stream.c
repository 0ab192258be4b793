#include "stream.h"
#include "guest.h"

handle_t stream_input(struct descriptor *d)
{
	if (!d->opened) {
		d->handle = cli_get_stdin();
		d->opened = true;
	}
	return d->handle;
}

handle_t stream_output(struct descriptor *d)
{
	if (!d->opened) {
		d->handle = d->kind == STDOUT ? cli_get_stdout() : cli_get_stderr();
		d->opened = true;
	}
	return d->handle;
}

void stream_close(struct descriptor *d)
{
	if (!d->opened)
		return;
	if (d->kind == STDIN)
		input_drop(d->handle);
	else
		output_drop(d->handle);
}

// terminal tells whether a standard stream is one.
FEATURE(terminals, terminal) bool terminal(u32 kind)
{
	struct optional_handle t;
	switch (kind) {
	case STDIN:
		cli_get_terminal_stdin(&t);
		if (t.some)
			cli_drop_terminal_input(t.handle);
		return t.some;
	case STDOUT:
		cli_get_terminal_stdout(&t);
		break;
	default:
		cli_get_terminal_stderr(&t);
		break;
	}
	if (t.some)
		cli_drop_terminal_output(t.handle);
	return t.some;
}

void stream_type(struct descriptor *d)
{
	if (!d->typed && terminal(d->kind))
		d->type = TYPE_CHARACTER_DEVICE;
	d->typed = true;
}

errno_t stream_read(struct descriptor *d, struct buffers b, u32 result)
{
	u32 total = 0;
	for (; b.count > 0; b.count--, b.first++) {
		struct transfer t;
		transfer_begin(&t, b.first->at, b.first->n, result);
		if (total > 0 || d->flags & FLAG_NONBLOCK)
			input_read(stream_input(d), t.length, t.result);
		else
			input_blocking_read(stream_input(d), t.length, t.result);
		bool failed = guest_load8(t.result + RESULT_FAILED);
		bool closed = guest_load8(t.result + RESULT_CLOSED);
		// Of a failure it is the error.
		u32 got = guest_load32(t.result + RESULT_LIST_LENGTH);
		transfer_end(&t);
		if (failed) {
			if (!closed)
				error_drop(got);
			if (!closed && total == 0)
				return EIO;
			break;
		}
		total += got;
		if (total == 0)
			return EAGAIN;
		if (got < b.first->n)
			break;
	}
	return guest_put32(result, total);
}

// The interface lets blocking writes take so much.
enum { MAX_BLOCKING_WRITE = 4096 };

// output_some writes some of a buffer: without waiting as much as the stream has
// room for, else at least a byte. With last everything is flushed afterwards.
static errno_t output_some(handle_t out, u32 buffer, u32 n, bool now, bool last, u32 near, u32 *written,
			   bool *flushed, handle_t *wrong)
{
	bool small = n <= MAX_BLOCKING_WRITE;
	if (now || !small || !last) {
		struct stream_size_result room;
		output_check_write(out, &room);
		if (room.failed) {
			*wrong = room.error.closed ? 0 : room.error.error;
			return room.error.closed ? EPIPE : EIO;
		}
		if (now && room.size == 0)
			return EAGAIN;
		if (room.size < n && (now || room.size > MAX_BLOCKING_WRITE))
			n = room.size;
		small = room.size < n;
	}
	if (small && n > MAX_BLOCKING_WRITE)
		n = MAX_BLOCKING_WRITE;
	struct transfer t;
	transfer_begin(&t, buffer, n, near);
	if (small)
		output_blocking_write_and_flush(out, t.buffer, t.length, t.result);
	else
		output_write(out, t.buffer, t.length, t.result);
	bool failed = guest_load8(t.result + RESULT_FAILED);
	bool closed = guest_load8(t.result + RESULT_CLOSED);
	handle_t error = guest_load32(t.result + RESULT_ERROR);
	transfer_end(&t);
	if (failed) {
		*wrong = closed ? 0 : error;
		return closed ? EPIPE : EIO;
	}
	*flushed = small;
	*written = t.length;
	return SUCCESS;
}

errno_t output_all(handle_t out, struct buffers b, bool now, u32 near, u32 *written, handle_t *wrong)
{
	u32 total = 0;
	bool flushed = true;
	errno_t e = SUCCESS;
	*wrong = 0;
	for (; e == SUCCESS && b.count > 0; b.count--, b.first++) {
		u32 buffer = b.first->at, n = b.first->n;
		while (e == SUCCESS && n > 0) {
			u32 some = 0;
			e = output_some(out, buffer, n, now, b.count == 1, near, &some, &flushed, wrong);
			buffer += some;
			n -= some;
			total += some;
		}
	}
	if (!flushed && (e == SUCCESS || e == EAGAIN)) {
		struct stream_result r;
		output_blocking_flush(out, &r);
		if (r.failed) {
			*wrong = r.error.closed ? 0 : r.error.error;
			e = r.error.closed ? EPIPE : EIO;
			total = 0; // nobody knows how much of it was written
		}
	}
	*written = total;
	return total > 0 && e == EAGAIN ? SUCCESS : e;
}

errno_t stream_write(struct descriptor *d, struct buffers b, u32 result)
{
	u32 written;
	handle_t wrong;
	errno_t e = output_all(stream_output(d), b, d->flags & FLAG_NONBLOCK, result, &written, &wrong);
	if (wrong != 0)
		error_drop(wrong);
	return e != SUCCESS ? e : guest_put32(result, written);
}

errno_t stream_flush(struct descriptor *d)
{
	struct stream_result r;
	output_blocking_flush(stream_output(d), &r);
	if (!r.failed)
		return SUCCESS;
	if (r.error.closed)
		return EPIPE;
	error_drop(r.error.error);
	return EIO;
}
