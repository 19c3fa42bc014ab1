/*
 * hubd.conf of any bytes: it is refused with a reason, or what is taken goes
 * to each role and back whole.
 */
#include <sys/mman.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "hubd/hub_conf.h"
#include "tests/fuzz/fuzz.h"

static void
check_role(const struct hub_conf *c, enum process_role role)
{
	struct buf text = {0}, again = {0};
	struct hub_conf *back;

	hub_conf_serialise(c, role, &text);
	back = hub_conf_deserialise(buf_cstr(&text), buf_len(&text));
	MUST(back != NULL);
	hub_conf_serialise(back, role, &again);
	MUST(span_eq(buf_span(&text), buf_span(&again)));
	hub_conf_free(back);
	buf_fini(&text);
	buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum process_role roles[] = {
	    ROLE_WORKER, ROLE_BILLING, ROLE_ADMIN};
	char error[300] = "", path[40];
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct hub_conf *c;

	log_init("fuzz", LOG_LEVEL_ERR);
	MUST(fd != -1 && write(fd, data, n) == (ssize_t)n);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	c = hub_conf_read(path, error, sizeof(error));
	close(fd);
	if (c == NULL) {
		MUST(error[0] != '\0');
		return (0);
	}
	MUST(c->workers > 0 && c->listen.n > 0 && c->max_calls > 0);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		check_role(c, roles[i]);
	hub_conf_free(c);
	return (0);
}
