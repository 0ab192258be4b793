#include "guest.h"
#include "memory.h"
#include "stream.h"

enum { CLOCK_REALTIME, CLOCK_MONOTONIC };
enum { EVENT_CLOCK, EVENT_READ, EVENT_WRITE };
enum { ABSOLUTE = 1 };
enum { HANGUP = 1 };
enum { SUBSCRIPTION_SIZE = 48, EVENT_SIZE = 32, MAX_SUBSCRIPTIONS = 4096 };

struct subscription {
	u64 userdata;
	u16 error; // known at once
	u8 kind;
	bool ready;
	bool ours;	 // whether the pollable is to be dropped
	handle_t waits;	 // pollable, or 0 if it is ready at once
	struct descriptor *file;
};

static errno_t subscribe_clock(u32 at, struct subscription *s)
{
	u32 clock = guest_load32(at + 16);
	u64 timeout = guest_load64(at + 24);
	bool absolute = guest_load16(at + 40) & ABSOLUTE;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	if (absolute && clock == CLOCK_MONOTONIC) {
		s->waits = monotonic_subscribe_instant(timeout);
	} else {
		if (absolute) {
			struct datetime now;
			wall_now(&now);
			u64 passed = nanoseconds(&now);
			timeout = timeout > passed ? timeout - passed : 0;
		}
		if (timeout == 0)
			return SUCCESS;
		s->waits = monotonic_subscribe_duration(timeout);
	}
	s->ours = true;
	return SUCCESS;
}

static errno_t subscribe_descriptor(u32 at, struct subscription *s)
{
	struct descriptor *d = descriptor_find(guest_load32(at + 16));
	if (d == NULL || d->kind == DIRECTORY)
		return EBADF;
	if ((d->base & POLL_FD_READWRITE) == 0)
		return ENOTCAPABLE;
	switch (d->kind) {
	case FILE:
		s->file = d;
		return SUCCESS;
	case STDIN:
		if (s->kind != EVENT_READ)
			return EBADF;
		s->waits = input_subscribe(stream_input(d));
		s->ours = true;
		return SUCCESS;
	case STDOUT:
	case STDERR:
		if (s->kind != EVENT_WRITE)
			return EBADF;
		s->waits = output_subscribe(stream_output(d));
		s->ours = true;
		return SUCCESS;
	case POLLABLE:
		if (s->kind != EVENT_READ)
			return EBADF;
		s->waits = d->handle;
		return SUCCESS;
	}
	return EBADF;
}

// put_event writes what became of a subscription.
static void put_event(const struct subscription *s, u32 at)
{
	u32 error = s->error;
	u64 bytes = 0, flags = 0;
	if (error == SUCCESS && s->kind != EVENT_CLOCK) {
		bytes = 1;
		if (s->file != NULL && s->kind == EVENT_READ) {
			u64 size;
			error = file_size(s->file, &size);
			bytes = error == SUCCESS && size > s->file->position ? size - s->file->position : 0;
			flags = error == SUCCESS && bytes == 0 ? HANGUP : 0;
		}
	}
	guest_store64(at, s->userdata);
	guest_store64(at + 8, error | (u32)s->kind << 16);
	guest_store64(at + 16, bytes);
	guest_store64(at + 24, flags);
}

WASI(poll_oneoff)(u32 in, u32 out, u32 count, u32 result)
{
	if (count == 0 || count > MAX_SUBSCRIPTIONS)
		return EINVAL;
	if (!guest_has(in, (u64)count * SUBSCRIPTION_SIZE) || !guest_has(out, (u64)count * EVENT_SIZE) ||
	    !guest_has(result, 4))
		return EFAULT;
	descriptor_find(-1); // what it may allocate is to stay
	scratch_free();
	struct subscription *subs = scratch(count * sizeof(struct subscription));
	handle_t *waits = scratch(count * sizeof(handle_t));
	u32 waiting = 0;
	for (u32 i = 0; i < count; i++, in += SUBSCRIPTION_SIZE) {
		struct subscription *s = &subs[i];
		*s = (struct subscription){.userdata = guest_load64(in), .kind = guest_load8(in + 8)};
		switch (s->kind) {
		case EVENT_CLOCK:
			s->error = subscribe_clock(in, s);
			break;
		case EVENT_READ:
		case EVENT_WRITE:
			s->error = subscribe_descriptor(in, s);
			break;
		default:
			s->error = EINVAL;
		}
		if (s->waits != 0)
			waits[waiting++] = s->waits;
	}
	if (waiting == count) {
		struct list list;
		poll_poll(waits, waiting, &list);
		const u32 *ready = list.at;
		for (u32 i = 0; i < list.count; i++)
			if (ready[i] < count)
				subs[ready[i]].ready = true;
	} else {
		for (u32 i = 0; i < count; i++)
			subs[i].ready = subs[i].waits == 0 || pollable_ready(subs[i].waits);
	}
	u32 events = 0;
	for (u32 i = 0; i < count; i++) {
		if (subs[i].ready)
			put_event(&subs[i], out + events++ * EVENT_SIZE);
		if (subs[i].ours)
			pollable_drop(subs[i].waits);
	}
	return guest_put32(result, events);
}

// pollable_fd takes over a wasi:io pollable and returns a descriptor that does not
// block, which can be read a byte from whenever the pollable is ready; -1 if there
// is no room.
__attribute__((export_name("pollable_fd"))) u32 pollable_fd(handle_t pollable)
{
	scratch_free();
	u32 fd;
	if (!descriptor_free(&fd))
		return -1;
	*descriptor_at(fd) = (struct descriptor){
		.kind = POLLABLE,
		.handle = pollable,
		.flags = FLAG_NONBLOCK,
		.base = FD_READ | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE,
	};
	return fd;
}

errno_t pollable_read(struct descriptor *d, struct buffers b, u32 result)
{
	if (b.count == 0)
		return guest_put32(result, 0);
	if (!pollable_ready(d->handle))
		return EAGAIN;
	guest_store8(b.first->at, 0);
	return guest_put32(result, 1);
}

void pollable_close(struct descriptor *d)
{
	pollable_drop(d->handle);
}
