/*
 * Fuzz target of prices: the input is read as a price file and as a packed
 * version. What is accepted must be valid, priced without surprise, and come
 * out of a look-up by its own name.
 */
#include <sys/mman.h>

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/price/price.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
price_everything(const struct price_blob *b)
{
	const struct price_entry *e = NULL;
	amount_t *sum = amount_new();
	char text[AMOUNT_TEXT_MAX];
	struct usage u;
	unsigned i;

	for (i = 0; i < USAGE_KINDS; i++)
		u.n[i] = USAGE_MAX_COUNT;
	while ((e = price_blob_next(b, e)) != NULL) {
		assert(price_blob_find(b, span_str(e->name)) == e);
		amount_zero(sum);
		for (i = 0; i < TIER_COUNT; i++)
			price_cost(e, &u, i, sum);
		assert(amount_sign(sum) >= 0);
		assert(amount_format(sum, text) == 0);
		assert(price_hold(e, TIER_DEFAULT, &u).n >= 0);
	}
	amount_free(sum);
}

static void
read_as_file(const uint8_t *data, size_t n)
{
	struct price_blob *b = NULL;
	char error[300] = "", path[40];
	const char *paths[1] = {path};
	int fd = memfd_create("prices", MFD_CLOEXEC);

	if (fd == -1 || write(fd, data, n) != (ssize_t)n)
		abort();
	lseek(fd, 0, SEEK_SET);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (price_load(paths, 1, &b, error, sizeof(error)) == 0) {
		assert(price_blob_valid(b, b->size));
		assert(price_check_jump(b, b, error, sizeof(error)) == 0);
		price_everything(b);
		free(b);
	} else {
		assert(error[0] != '\0');
	}
	close(fd);
}

static void
read_as_version(const uint8_t *data, size_t n)
{
	struct price_blob *b = malloc(n < sizeof(*b) ? sizeof(*b) : n);

	if (b == NULL)
		abort();
	memcpy(b, data, n);
	/* A fuzzer does not guess a CRC. */
	if (n >= sizeof(*b) && b->size <= n && b->size >= sizeof(*b))
		price_blob_seal(b);
	if (price_blob_valid(b, n))
		price_everything(b);
	free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > PRICE_BLOB_MAX)
		return (0);
	read_as_file(data, n);
	read_as_version(data, n);
	return (0);
}
