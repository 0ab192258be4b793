// The standard streams, and writing to any stream.
#pragma once

#include "descriptor.h"
#include "guest.h"

// output_all writes buffers that were checked, and waits until they are written,
// or with now writes only what fits at once. near is as in transfer_begin. The
// error is EPIPE for a stream that is closed; where it is EIO, wrong is the handle
// of what the host says about it. Else that is 0.
errno_t output_all(handle_t out, struct buffers, bool now, u32 near, u32 *written, handle_t *wrong);

// Of standard streams.
errno_t stream_read(struct descriptor *, struct buffers, u32 result);
errno_t stream_write(struct descriptor *, struct buffers, u32 result);
errno_t stream_flush(struct descriptor *);
void stream_close(struct descriptor *);
handle_t stream_input(struct descriptor *);
handle_t stream_output(struct descriptor *);
void stream_type(struct descriptor *); // finds out its type
