/* Frames of AWS's binary event streams, as a provider writes them. */
#ifndef TESTS_SIM_FRAME_H
#define TESTS_SIM_FRAME_H

#include "common/buf.h"

/* Appends an event of that type with a JSON payload. */
void frame_put(struct buf *, const char *event_type, struct span payload);
/* Works out the checksums of a frame anew. */
void frame_seal(char *frame, size_t n);

#endif
