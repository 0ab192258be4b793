#include "file.h"
#include "guest.h"
#include "memory.h"

enum { MAX_KEPT = 256 };

// A reading is where a guest is in a directory. A cookie is the number of the
// entry to give next: "." is 0, ".." is 1. The entry that did not fit into the
// guest's buffer is kept, since the guest comes back for it; going further back
// starts over.
struct reading {
	struct reading *next_unused;
	handle_t entries;
	bool open, ended;
	bool kept; // the entry before next, in type and name
	u8 type;
	u32 n;
	u64 next; // number of the entry that the host gives next
	u8 name[MAX_KEPT];
};

static struct reading *unused;

static struct reading *reading_new(void)
{
	struct reading *r = unused;
	if (r == NULL)
		return keep(sizeof(struct reading));
	unused = r->next_unused;
	return r;
}

static void reading_end(struct reading *r)
{
	if (r->open)
		entries_drop(r->entries);
	r->open = false;
}

void reading_close(struct descriptor *d)
{
	struct reading *r = d->reading;
	if (r == NULL)
		return;
	reading_end(r);
	r->next_unused = unused;
	unused = r;
	d->reading = NULL;
}

// reading_next takes the next entry from the host; some is false at the end.
static errno_t reading_next(struct reading *r, struct entry_result *e)
{
	e->some = false;
	if (r->ended)
		return SUCCESS;
	for (;;) {
		entries_read(r->entries, e);
		if (!e->failed)
			break;
		// A name that no guest could use is left out.
		if (e->code != CODE_ILLEGAL_BYTE_SEQUENCE)
			return errno_of(e->code);
	}
	r->kept = false;
	if (e->some)
		r->next++;
	else
		r->ended = true;
	return SUCCESS;
}

// reading_seek makes the entry of a number the next, or the one that is kept.
static errno_t reading_seek(struct descriptor *d, u64 cookie)
{
	struct reading *r = d->reading;
	bool back = cookie < r->next && !(r->kept && cookie == r->next - 1);
	if (cookie == 0 || !r->open || back) {
		reading_end(r);
		struct handle_result h;
		descriptor_read_directory(d->handle, &h);
		if (h.failed)
			return errno_of(h.code);
		r->entries = h.handle;
		r->open = true;
		r->ended = r->kept = false;
		r->next = 2;
	}
	while (cookie > r->next && !r->ended) {
		scratch_free();
		struct entry_result e;
		errno_t err = reading_next(r, &e);
		if (err != SUCCESS)
			return err;
	}
	return SUCCESS;
}

// fill copies to a buffer as far as there is room.
static u32 fill(u32 to, u32 room, const void *from, u32 n)
{
	if (n > room)
		n = room;
	guest_write(to, from, n);
	return n;
}

WASI(fd_readdir)(u32 fd, u32 buffer, u32 room, u64 cookie, u32 result)
{
	scratch_free();
	struct descriptor *d;
	errno_t err = get_directory(fd, FD_READDIR, &d);
	if (err != SUCCESS)
		return err;
	if (!guest_has(buffer, room) || !guest_has(result, 4))
		return EFAULT;
	if (d->reading == NULL)
		d->reading = reading_new();
	struct reading *r = d->reading;
	if (r == NULL)
		return ENOMEM;
	err = reading_seek(d, cookie);
	if (err != SUCCESS)
		return err;
	u32 used = 0;
	while (used < room) {
		scratch_free();
		struct entry e = {.type = DESCRIPTOR_DIRECTORY};
		struct hash_result h;
		if (cookie < 2) {
			e.name = (struct list){"..", cookie + 1};
			descriptor_metadata_hash(d->handle, &h);
		} else {
			if (r->kept && cookie == r->next - 1) {
				e.type = r->type;
				e.name = (struct list){r->name, r->n};
			} else {
				struct entry_result next;
				err = reading_next(r, &next);
				if (err != SUCCESS)
					return err;
				if (!next.some)
					break;
				e = next.entry;
			}
			descriptor_metadata_hash_at(d->handle, 0, e.name.at, e.name.count, &h);
		}
		cookie++;
		struct {
			u64 next, inode;
			u32 n;
			u32 type;
		} head = {cookie, inode_of(&h), e.name.count, type_of(e.type)};
		used += fill(buffer + used, room - used, &head, sizeof(head));
		u32 n = fill(buffer + used, room - used, e.name.at, e.name.count);
		used += n;
		if (cookie <= 2)
			continue;
		r->kept = n < e.name.count && e.name.count <= MAX_KEPT;
		if (r->kept && e.name.at != r->name) {
			r->type = e.type;
			r->n = e.name.count;
			__builtin_memcpy(r->name, e.name.at, r->n);
		}
	}
	return guest_put32(result, used);
}
