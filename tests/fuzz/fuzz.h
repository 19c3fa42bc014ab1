/* What the fuzz targets share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* An input that makes this false is a finding. */
#define MUST(holds)              \
	do {                     \
		if (!(holds))    \
			abort(); \
	} while (0)

#endif
