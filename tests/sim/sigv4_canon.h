/* The canonical form of a request, for AWS Signature Version 4. */
#ifndef TESTS_SIM_SIGV4_CANON_H
#define TESTS_SIM_SIGV4_CANON_H

#include "tests/sim/sim.h"

/*
 * Appends what is hashed: method, path encoded once more than it was sent,
 * sorted query, the signed fields ("a;b;c"), the body's hash in hex. false:
 * a signed field is missing.
 */
bool sigv4_canon(const struct sim_request *, struct span signed_fields,
    struct span body_hash, struct buf *out);

#endif
