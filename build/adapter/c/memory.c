#include "memory.h"

extern u8 __heap_base[];

enum { PAGE = 65536, ALIGN = 8 };

// Permanent memory is below kept, scratch memory between kept and top. What is at
// fresh and above was never used and is zero.
static uintptr_t kept, top, fresh;

static void start(void)
{
	if (kept == 0)
		kept = top = fresh = ((uintptr_t)__heap_base + ALIGN - 1) & -ALIGN;
}

static void *allocate(u32 n)
{
	start();
	uintptr_t size = __builtin_wasm_memory_size(0) * PAGE;
	u64 end = ((u64)top + n + ALIGN - 1) & -(u64)ALIGN;
	if (end > size) {
		if (end > 0xffff0000 || __builtin_wasm_memory_grow(0, (end - size + PAGE - 1) / PAGE) == (u32)-1)
			return NULL;
	}
	void *p = (void *)top;
	top = end;
	return p;
}

void *keep(u32 n)
{
	start();
	if (top != kept)
		__builtin_trap();
	u8 *p = allocate(n);
	if (p == NULL)
		return NULL;
	if (kept < fresh)
		__builtin_memset(p, 0, (fresh < top ? fresh : top) - kept);
	kept = top;
	if (fresh < top)
		fresh = top;
	return p;
}

void *scratch(u32 n)
{
	void *p = allocate(n);
	if (p == NULL)
		__builtin_trap();
	if (fresh < top)
		fresh = top;
	return p;
}

void scratch_free(void)
{
	top = kept;
}

void scratch_keep(void)
{
	kept = top;
}

// cabi_import_realloc is what calls that are lowered with the adapter's memory
// allocate their results with.
__attribute__((export_name("cabi_import_realloc"))) void *cabi_import_realloc(void *old, u32 old_size,
									       u32 align, u32 size)
{
	if (align > ALIGN)
		__builtin_trap();
	if (size <= old_size)
		return old;
	void *p = scratch(size);
	if (old_size > 0)
		__builtin_memcpy(p, old, old_size);
	return p;
}
