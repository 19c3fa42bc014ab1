/* What a role may open by path: Landlock, where the kernel has it. */
#include "hubd/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/alloc.h"

/* All that the first version of Landlock knows: no kernel that has it lacks
 * any of these. */
#define ALL_RIGHTS                                                           \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |        \
	    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |     \
	    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |     \
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |     \
	    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |   \
	    LANDLOCK_ACCESS_FS_MAKE_SYM)
#define LOG_RIGHTS (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
/* Test builds look for failpoints, and take them away. */
#define FAILPOINT_RIGHTS                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE)

static bool
allow(int ruleset, const char *folder, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights};
	long r;

	rule.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd == -1)
		return (errno == ENOENT);
	r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
	    &rule, 0);
	close(rule.parent_fd);
	return (r == 0);
}

static bool
allow_logs(int ruleset, const char *const *paths, size_t n)
{
	bool ok = true;
	char *copy;

	for (size_t i = 0; ok && i < n; i++) {
		if (paths[i] == NULL)
			continue;
		copy = xstrdup(paths[i]);
		ok = allow(ruleset, dirname(copy), LOG_RIGHTS);
		free(copy);
	}
	return (ok);
}

static bool
allow_failpoints(int ruleset)
{
#ifdef FAILPOINTS
	const char *dir = getenv("FAILPOINT_DIR");

	return (dir == NULL || allow(ruleset, dir, FAILPOINT_RIGHTS));
#else
	(void)ruleset;
	return (true);
#endif
}

bool
confine_to(const char *const *paths, size_t n)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = ALL_RIGHTS};
	bool ok;
	int fd;

	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd == -1)
		return (false);
	ok = allow_logs(fd, paths, n) && allow_failpoints(fd) &&
	     prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	     syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	close(fd);
	return (ok);
}
