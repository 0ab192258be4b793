#include "guest.h"
#include "memory.h"
#include "wasi2.h"

static u32 text_size(const struct list *s, u32 count)
{
	u32 n = 0;
	for (; count > 0; count--, s++)
		n += s->count;
	return n;
}

// put_text writes a text and a byte, which must fit, and returns what is behind.
static u32 put_text(u32 at, const struct list *s, char end)
{
	guest_write(at, s->at, s->count);
	guest_store8(at + s->count, end);
	return at + s->count + 1;
}

static errno_t put_sizes(u32 count, u32 size, u32 count_result, u32 size_result)
{
	errno_t e = guest_put32(count_result, count);
	return e != SUCCESS ? e : guest_put32(size_result, size);
}

// Hosts that are not for commands have neither arguments nor variables.
FEATURE(environment, arguments) void arguments(struct list *l)
{
	cli_get_arguments(l);
}

FEATURE(environment, variables) void variables(struct list *l)
{
	cli_get_environment(l);
}

WASI(args_sizes_get)(u32 count, u32 size)
{
	scratch_free();
	struct list args = {0};
	arguments(&args);
	return put_sizes(args.count, text_size(args.at, args.count) + args.count, count, size);
}

WASI(args_get)(u32 list, u32 text)
{
	scratch_free();
	struct list args = {0};
	arguments(&args);
	const struct list *arg = args.at;
	for (; args.count > 0; args.count--, arg++, list += 4) {
		if (!guest_has(text, (u64)arg->count + 1))
			return EFAULT;
		u32 next = put_text(text, arg, 0);
		errno_t e = guest_put32(list, text);
		if (e != SUCCESS)
			return e;
		text = next;
	}
	return SUCCESS;
}

WASI(environ_sizes_get)(u32 count, u32 size)
{
	scratch_free();
	struct list vars = {0};
	variables(&vars);
	return put_sizes(vars.count, text_size(vars.at, 2 * vars.count) + 2 * vars.count, count, size);
}

WASI(environ_get)(u32 list, u32 text)
{
	scratch_free();
	struct list vars = {0};
	variables(&vars);
	const struct pair *var = vars.at;
	for (; vars.count > 0; vars.count--, var++, list += 4) {
		if (!guest_has(text, (u64)var->key.count + var->value.count + 2))
			return EFAULT;
		u32 next = put_text(put_text(text, &var->key, '='), &var->value, 0);
		errno_t e = guest_put32(list, text);
		if (e != SUCCESS)
			return e;
		text = next;
	}
	return SUCCESS;
}

enum { CLOCK_REALTIME, CLOCK_MONOTONIC };

static bool clocks_held;
static u64 last_time[2];

// clocks_hold stops the clocks, or lets them go on. A module that is asked for memory
// by the component model may import nothing meanwhile, and Go's allocator may ask for
// the time.
__attribute__((export_name("clocks_hold"))) void clocks_hold(u32 hold) { clocks_held = hold; }

WASI(clock_time_get)(u32 clock, u64 precision, u32 result)
{
	if (clock > CLOCK_MONOTONIC)
		return EINVAL;
	if (!clocks_held) {
		if (clock == CLOCK_REALTIME) {
			struct datetime t;
			wall_now(&t);
			last_time[clock] = nanoseconds(&t);
		} else {
			last_time[clock] = monotonic_now();
		}
	}
	return guest_put64(result, last_time[clock]);
}

WASI(clock_res_get)(u32 clock, u32 result)
{
	struct datetime t;
	switch (clock) {
	case CLOCK_REALTIME:
		wall_resolution(&t);
		return guest_put64(result, nanoseconds(&t));
	case CLOCK_MONOTONIC:
		return guest_put64(result, monotonic_resolution());
	}
	return EINVAL;
}

// What one call asks for at most: hosts bound it.
enum { MAX_RANDOM = 65536 };

WASI(random_get)(u32 buffer, u32 n)
{
	if (!guest_has(buffer, n))
		return EFAULT;
	while (n > 0) {
		struct transfer t;
		transfer_begin(&t, buffer, n < MAX_RANDOM ? n : MAX_RANDOM, buffer);
		random_get_bytes(t.length, t.result);
		u32 got = guest_load32(t.result + 4);
		transfer_end(&t);
		if (got != t.length)
			return EIO;
		buffer += got;
		n -= got;
	}
	return SUCCESS;
}

WASI(sched_yield)(void)
{
	return SUCCESS;
}

WASI(proc_raise)(u32 signal)
{
	return ENOTSUP;
}

// exit_with_code is for hosts that can be told more than success and failure.
FEATURE(codes, exit_with_code) void exit_with_code(u32 code)
{
	// Of what does not fit into a byte the lowest is told, as on Unix, but never
	// that all is well.
	cli_exit_with_code(code != 0 && code % 256 == 0 ? 1 : code % 256);
}

FEATURE(exit, exit_with_status) void exit_with_status(bool failed)
{
	cli_exit(failed);
}

__attribute__((export_name("proc_exit"))) void proc_exit(u32 code)
{
	if (code > 1)
		exit_with_code(code);
	exit_with_status(code != 0);
	__builtin_trap();
}
