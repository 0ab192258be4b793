#include "guest.h"
#include "memory.h"

bool guest_has(u64 at, u64 n)
{
	u64 size = guest_size_raw();
	if (size == 0xffffffff)
		size++; // all of 4 GiB, which does not fit
	return at + n <= size;
}

void guest_read(void *to, u32 from, u32 n)
{
	u8 *p = to;
	for (; n >= 8; n -= 8, p += 8, from += 8) {
		u64 v = guest_load64(from);
		__builtin_memcpy(p, &v, 8);
	}
	for (; n > 0; n--)
		*p++ = guest_load8(from++);
}

void guest_write(u32 to, const void *from, u32 n)
{
	const u8 *p = from;
	for (; n >= 8; n -= 8, p += 8, to += 8) {
		u64 v;
		__builtin_memcpy(&v, p, 8);
		guest_store64(to, v);
	}
	for (; n > 0; n--)
		guest_store8(to++, *p++);
}

void guest_clear(u32 at, u32 n)
{
	for (; n > 0; n -= 8, at += 8)
		guest_store64(at, 0);
}

errno_t guest_put32(u32 at, u32 value)
{
	if (!guest_has(at, 4))
		return EFAULT;
	guest_store32(at, value);
	return SUCCESS;
}

errno_t guest_put64(u32 at, u64 value)
{
	if (!guest_has(at, 8))
		return EFAULT;
	guest_store64(at, value);
	return SUCCESS;
}

enum { BORROWED = 16 };

// The buffer of the transfer that is under way: cabi_main_realloc gives it once.
static u32 offered, room;

static u64 align_up(u64 n) { return (n + BORROWED - 1) & -(u64)BORROWED; }

void transfer_begin(struct transfer *t, u32 buffer, u32 n, u32 near)
{
	u64 end = (u64)buffer + n;
	u64 block = near & -BORROWED;
	if (block < end && block + BORROWED > buffer) {
		block = align_up(end);
		if (!guest_has(block, BORROWED)) {
			if (buffer >= BORROWED) {
				block = (buffer - BORROWED) & -BORROWED;
			} else {
				// The buffer is nearly all of the memory, which is
				// a page at least.
				n -= 2 * BORROWED;
				block = align_up((u64)buffer + n);
			}
		}
	}
	t->buffer = buffer;
	t->length = n;
	t->result = block;
	t->saved[0] = guest_load64(block);
	t->saved[1] = guest_load64(block + 8);
	offered = buffer;
	room = n;
}

void transfer_end(struct transfer *t)
{
	guest_store64(t->result, t->saved[0]);
	guest_store64(t->result + 8, t->saved[1]);
	room = 0;
}

// cabi_main_realloc is what calls that are lowered with the guest's memory
// allocate with: all that they ever need is the buffer of the transfer. A host
// that asks for more, or for something else, is stopped.
__attribute__((export_name("cabi_main_realloc"))) u32 cabi_main_realloc(u32 old, u32 old_size,
									 u32 align, u32 size)
{
	if (size > room || (old_size > 0 && old != offered) || (offered & (align - 1)) != 0)
		__builtin_trap();
	return offered;
}

enum { MAX_BUFFERS = 1024 };

errno_t buffers_load(u32 list, u32 count, struct buffers *b)
{
	if (count > MAX_BUFFERS)
		return EINVAL;
	if (!guest_has(list, (u64)count * sizeof(struct buffer)))
		return EFAULT;
	scratch_free();
	struct buffer *next = scratch(count * sizeof(struct buffer));
	*b = (struct buffers){.first = next};
	for (; count > 0; count--, list += sizeof(struct buffer)) {
		u64 pair = guest_load64(list);
		*next = (struct buffer){pair, pair >> 32};
		if (!guest_has(next->at, next->n))
			return EFAULT;
		if (next->n > 0) {
			next++;
			b->count++;
		}
	}
	return SUCCESS;
}
