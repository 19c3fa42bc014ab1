/*
 * Two copies and a sequence: the copy in force is seq & 1. The one writer
 * fills the other copy and then adds one; if it dies on the way, the last
 * whole copy stays in force and nobody waits.
 */
#ifndef SHM_TWOCOPY_H
#define SHM_TWOCOPY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Copies what is in force of copies[2], each of size bytes, to out.
 * Returns the sequence it belongs to; 0: never written, out is undefined. */
static inline uint32_t
twocopy_read(
    const _Atomic uint32_t *seq, const void *copies, size_t size, void *out)
{
	const char *base = copies;
	uint32_t s;

	for (;;) {
		s = atomic_load_explicit(seq, memory_order_acquire);
		if (s == 0)
			return (0);
		memcpy(out, base + (s & 1) * size, size);
		atomic_thread_fence(memory_order_acquire);
		/* The same number means that only the other copy changed. */
		if (atomic_load_explicit(seq, memory_order_relaxed) == s)
			return (s);
	}
}

/* The one writer. */
static inline void
twocopy_write(_Atomic uint32_t *seq, void *copies, size_t size, const void *in)
{
	char *base = copies;
	uint32_t s = atomic_load_explicit(seq, memory_order_relaxed) + 1;

	if (s == 0) /* it means "never"; 2 has the parity that follows */
		s = 2;
	/* The last turn's sequence is out before its other copy changes. */
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(base + (s & 1) * size, in, size);
	atomic_store_explicit(seq, s, memory_order_release);
}

#endif
