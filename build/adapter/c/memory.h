// The adapter's own memory.
#pragma once

#include "wasi1.h"

// keep allocates memory that is never freed. It must not be called while scratch
// memory is in use. The memory is zero. NULL means that there is no more.
void *keep(u32 n);

// scratch allocates memory that is there until scratch_free. The call into the
// guest's program ends with a trap if there is no more.
void *scratch(u32 n);

// scratch_free frees all scratch memory: each function that uses any calls it
// first.
void scratch_free(void);

// scratch_keep makes what is scratch memory now permanent.
void scratch_keep(void);
