/* hubctl: asks and tells a running hub. Start here. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/monotime.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/out.h"
#include "hubd/ctl/table.h"
#include "hubd/gauges.h"

#define DEFAULT_CONF	"/etc/hubd/hubd.conf"
#define DEFAULT_RUN_DIR "/run/hubd"
#define CONF_MAX	(1024 * 1024)
#define DRAIN_SHOWS_MS	2000

static int
usage(void)
{
	size_t i;

	fprintf(stderr, "usage: hubctl [-jV] [-f hubd.conf] command\n");
	for (i = 0; i < CTL_COMMANDS; i++)
		fprintf(stderr, "       %s\n", ctl_commands[i].usage);
	return (CTL_EXIT_USAGE);
}

/* ---- where the hub is --------------------------------------------------- */

static bool
read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd == -1)
		return (false);
	while (buf_len(out) < CONF_MAX &&
	       (n = read(fd, buf_reserve(out, 8192), 8192)) > 0)
		buf_commit(out, (size_t)n);
	close(fd);
	return (n == 0);
}

/* The caller frees. NULL: the file cannot be read. A missing file is only
 * an error if it was named. */
static char *
find_run_dir(const char *conf)
{
	const char *path = conf == NULL ? DEFAULT_CONF : conf;
	struct buf text = {0};
	char *dir = NULL, unset[64] = "";

	if (read_file(path, &text))
		dir = ctl_find_run_dir(buf_cstr(&text), unset, sizeof(unset));
	else if (conf != NULL || errno != ENOENT) {
		warn("%s", path);
		return (NULL);
	}
	buf_fini(&text);
	if (unset[0] != '\0') {
		warnx("%s: run_dir: variable %s is not set", path, unset);
		free(dir);
		return (NULL);
	}
	return (dir == NULL ? xstrdup(DEFAULT_RUN_DIR) : dir);
}

/* ---- commands ----------------------------------------------------------- */

/* Writes the document of a command that is read from shared memory. */
static void
read_state(
    const struct shm *shm, const struct ctl_request *request, struct buf *out)
{
	struct jout j;

	jout_init(&j, out);
	switch ((int)request->command->id) {
	case CTL_CMD_show_status:
		show_status(shm, &j);
		break;
	case CTL_CMD_show_workers:
		show_workers(shm, &j);
		break;
	case CTL_CMD_show_agents:
		show_agents(shm, &j);
		break;
	case CTL_CMD_show_models:
		show_models(shm, &j);
		break;
	case CTL_CMD_show_calls:
		show_calls(shm, &j);
		break;
	case CTL_CMD_show_limits:
		show_limits(shm, &j);
		break;
	}
}

static struct json *
ask_memory(const struct shm *shm, const struct ctl_request *request,
    char *error, size_t cap)
{
	struct buf text = {0};
	struct json *data;

	read_state(shm, request, &text);
	data = json_parse(buf_span(&text), error, cap);
	buf_fini(&text);
	return (data);
}

static struct shm *
open_memory(const char *run_dir, char *error, size_t cap)
{
	struct shm *shm = shm_open_readonly(run_dir);

	if (shm == NULL)
		ctl_say_closed(error, cap, run_dir,
		    errno == ENOEXEC ? "this hub is of another version"
				     : strerror(errno));
	return (shm);
}

/* Who waits is told what for. */
static void
warn_of_silence(const char *run_dir)
{
	struct shm *shm = shm_open_readonly(run_dir);
	int64_t ms;

	if (shm == NULL)
		return; /* billing may be asked all the same, or says why not */
	if ((ms = hub_billing_silent_ms(shm)) > HUB_SILENT_MS)
		warnx("billing has not moved for %lld s: waiting for it",
		    (long long)ms / 1000);
	shm_detach(shm);
}

static struct json *
answer(const char *run_dir, const struct ctl_request *request, char *error,
    size_t cap)
{
	struct json *data;
	struct shm *shm;

	if (request->command->who != CTL_SHM) {
		warn_of_silence(run_dir);
		return (ctl_ask(run_dir, request, error, cap));
	}
	if ((shm = open_memory(run_dir, error, cap)) == NULL)
		return (NULL);
	data = ask_memory(shm, request, error, cap);
	shm_detach(shm);
	return (data);
}

static int
print(const struct output *o, const struct ctl_command *command,
    const struct json *data)
{
	struct buf out = {0};

	o->show(&out, command, data);
	if (buf_len(&out) > 0 &&
	    fwrite(buf_ptr(&out), buf_len(&out), 1, stdout) != 1) {
		warn("stdout");
		return (CTL_EXIT_REFUSED);
	}
	buf_fini(&out);
	if (fflush(stdout) != 0) {
		warn("stdout");
		return (CTL_EXIT_REFUSED);
	}
	return (CTL_EXIT_DONE);
}

static int
run_top(const char *run_dir, char *error, size_t cap)
{
	struct shm *shm = open_memory(run_dir, error, cap);
	int r;

	if (shm == NULL)
		return (CTL_EXIT_REFUSED);
	r = ctl_top(shm);
	shm_detach(shm);
	return (r);
}

/*
 * The drain was asked for: waits until it shows, so that who looks at readyz
 * next sees it. Shared memory has no event for a reader, hence the looking.
 */
static void
await_drain(const char *run_dir)
{
	struct shm *shm = shm_open_readonly(run_dir);
	monotime_t until = monotime_add_ms(monotime_now(), DRAIN_SHOWS_MS);

	if (shm == NULL)
		return; /* it has ended already */
	while (atomic_load(&shm_run_state(shm)->draining) == 0 &&
	       !monotime_reached(until, monotime_now()))
		poll(NULL, 0, 1);
	shm_detach(shm);
}

/* Why it was refused: the hub quotes names, which may be anybody's. */
static int
refuse(const char *why)
{
	struct buf text = {0};

	table_text(&text, why);
	warnx("%s", buf_cstr(&text));
	buf_fini(&text);
	return (CTL_EXIT_REFUSED);
}

static int
ask(const char *run_dir, const struct ctl_request *request,
    const struct output *o, char *error, size_t cap)
{
	struct json *data = answer(run_dir, request, error, cap);
	int r = CTL_EXIT_DONE;

	if (data != NULL && request->command->id == CTL_CMD_drain)
		await_drain(run_dir);
	if (data != NULL)
		r = print(o, request->command, data);
	json_free(data);
	return (r);
}

static int
run(const char *run_dir, const struct ctl_request *request,
    const struct output *o)
{
	char error[1024] = "";
	int r;

	switch (ctl_hub_state(run_dir, error, sizeof(error))) {
	case CTL_HUB_NONE:
		warnx("no hub runs in %s", run_dir);
		return (CTL_EXIT_NO_HUB);
	case CTL_HUB_UNKNOWN:
		warnx("%s", error);
		return (CTL_EXIT_REFUSED);
	case CTL_HUB_RUNS:
		break;
	}
	if (request->command->id == CTL_CMD_top)
		r = run_top(run_dir, error, sizeof(error));
	else
		r = ask(run_dir, request, o, error, sizeof(error));
	return (error[0] == '\0' ? r : refuse(error));
}

int
main(int argc, char **argv)
{
	const struct output *o = &out_text;
	struct ctl_request request;
	const char *conf = NULL;
	char error[4096], *run_dir;
	int c, r;

	/* "+": a "-5" behind the command is an amount, not an option */
	while ((c = getopt(argc, argv, "+f:jV")) != -1) {
		switch (c) {
		case 'f':
			conf = optarg;
			break;
		case 'j':
			o = &out_json;
			break;
		case 'V':
			printf("hubctl %s\n", VERSION);
			return (CTL_EXIT_DONE);
		default:
			return (usage());
		}
	}
	if (optind == argc)
		return (usage());
	if (!ctl_parse(argc - optind, argv + optind, walltime_ms(), &request,
		error, sizeof(error))) {
		warnx("%s", error);
		return (CTL_EXIT_USAGE);
	}
	if (request.command->id == CTL_CMD_top && o == &out_json) {
		warnx("top draws a screen; -j goes with show status");
		return (CTL_EXIT_USAGE);
	}
	if ((run_dir = find_run_dir(conf)) == NULL)
		return (CTL_EXIT_REFUSED);
	r = run(run_dir, &request, o);
	buf_fini(&request.args);
	free(run_dir);
	return (r);
}
