/* The hub as hubctl meets it: its lock, and billing's control socket. */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/monotime.h"
#include "hubd/ctl/ctl.h"

#define ANSWER_MS  10000 /* a running hub that is silent for longer is sick */
#define CHANGE_MS  30000 /* a shared store may take its time */
#define CONNECT_MS 100	 /* between attempts while billing starts anew */
#define SILENT	   "a hub runs, but its control socket does not answer"

static bool
path_in(char *out, size_t cap, const char *dir, const char *name)
{
	int n = snprintf(out, cap, "%s/%s", dir, name);

	return (n > 0 && (size_t)n < cap);
}

void
ctl_say_closed(char *error, size_t cap, const char *path, const char *why)
{
	snprintf(error, cap, "%s: %s%s", path, why,
	    errno == EACCES
		? ": hubctl is for root, the hub's user and its admin_group"
		: "");
}

enum ctl_hub
ctl_hub_state(const char *run_dir, char *error, size_t cap)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	int fd, r, e;

	if (!path_in(path, sizeof(path), run_dir, "hubd.lock")) {
		snprintf(error, cap, "%s: path too long", run_dir);
		return (CTL_HUB_UNKNOWN);
	}
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return (CTL_HUB_NONE);
		ctl_say_closed(error, cap, path, strerror(errno));
		return (CTL_HUB_UNKNOWN);
	}
	r = fcntl(fd, F_OFD_GETLK, &lock);
	e = errno;
	close(fd);
	if (r == -1) {
		snprintf(error, cap, "%s: %s", path, strerror(e));
		return (CTL_HUB_UNKNOWN);
	}
	return (lock.l_type == F_UNLCK ? CTL_HUB_NONE : CTL_HUB_RUNS);
}

/* ---- one question ------------------------------------------------------- */

/* Waits until fd is ready. false: the deadline has passed. */
static bool
await(int fd, short events, monotime_t deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = monotime_diff_ms(deadline, monotime_now());
	int r;

	if (left <= 0)
		return (false);
	r = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
	return (r > 0 || (r == -1 && errno == EINTR));
}

static int
connect_once(const struct sockaddr_un *sa)
{
	int e,
	    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return (-1);
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
		return (fd);
	e = errno;
	close(fd);
	errno = e;
	return (-1);
}

/* Billing may be starting anew: nobody listens, or nobody accepts. */
static bool
may_come_back(int e)
{
	return (e == ECONNREFUSED || e == ENOENT || e == EAGAIN || e == EINTR);
}

static int
dial(const char *path, monotime_t deadline, char *error, size_t cap)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		snprintf(error, cap, "%s: path too long", path);
		return (-1);
	}
	memcpy(sa.sun_path, path, strlen(path));
	while ((fd = connect_once(&sa)) == -1 && may_come_back(errno) &&
	       !monotime_reached(deadline, monotime_now()))
		poll(NULL, 0, CONNECT_MS);
	if (fd == -1 && may_come_back(errno))
		snprintf(error, cap, SILENT ": %s: %s", path, strerror(errno));
	else if (fd == -1)
		ctl_say_closed(error, cap, path, strerror(errno));
	return (fd);
}

static bool
send_all(int fd, struct buf *out, monotime_t deadline)
{
	ssize_t n;

	while (buf_len(out) > 0) {
		n = send(fd, buf_ptr(out), buf_len(out), MSG_NOSIGNAL);
		if (n > 0)
			buf_consume(out, (size_t)n);
		else if (n == -1 && errno != EAGAIN && errno != EINTR)
			return (false);
		else if (!await(fd, POLLOUT, deadline))
			return (false);
	}
	return (true);
}

/* Reads up to the end, or the beginning of a stream. NULL, or why not. */
static const char *
receive(int fd, struct buf *in, monotime_t deadline)
{
	ssize_t n;

	for (;;) {
		n = read(fd, buf_reserve(in, 65536), 65536);
		if (n == 0)
			break;
		if (n > 0)
			buf_commit(in, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			return (SILENT);
		else if (!await(fd, POLLIN, deadline))
			return (SILENT);
		if (ctl_is_stream(in))
			return (NULL);
		if (buf_len(in) > CTL_ANSWER_MAX)
			return ("the answer is larger than 64 MiB: ask for "
				"less at once");
	}
	if (buf_len(in) == 0)
		return (SILENT);
	return (buf_ptr(in)[buf_len(in) - 1] == '\n' ? NULL : CTL_CUT_OFF);
}

/* Takes the member "data" out of an answer; NULL if it has none. */
static struct json *
take_data(struct json *answer)
{
	struct json **link, *data;

	for (link = &answer->first; *link != NULL; link = &(*link)->next) {
		if (strcmp((*link)->key, "data") != 0)
			continue;
		data = *link;
		*link = data->next;
		data->next = NULL;
		return (data);
	}
	return (NULL);
}

/* A refusal may have data, too: what an audit has found. */
static struct json *
open_answer(struct buf *in, char *error, size_t cap)
{
	struct json *answer, *data = NULL;
	const char *why = NULL;

	answer = json_parse(buf_span(in), NULL, 0);
	if (answer != NULL && answer->type == JSON_OBJECT) {
		why = json_get_str(answer, "error");
		data = take_data(answer);
	}
	if (why != NULL)
		snprintf(error, cap, "%s", why);
	else if (data == NULL || json_get_int(answer, "status", 1) != 0)
		snprintf(error, cap, "the hub's answer is broken");
	json_free(answer);
	return (data);
}

/* Long work is given its time. */
static int64_t
patience_ms(const struct ctl_command *c)
{
	if (c->who == CTL_QUERY || c->id == CTL_CMD_reload)
		return (CTL_PATIENCE_MS);
	return (c->who == CTL_CHANGE ? CHANGE_MS : ANSWER_MS);
}

/* Sends the request and takes what comes; data as ctl_ask(). */
static struct json *
converse(int fd, const struct ctl_request *request, char *error, size_t cap)
{
	monotime_t deadline =
	    monotime_add_ms(monotime_now(), patience_ms(request->command));
	struct buf out = {0}, in = {0};
	struct json *data = NULL;
	const char *why = NULL;

	buf_addf(&out, "{\"cmd\":\"%s\",\"args\":", request->command->words);
	buf_addspan(&out, buf_span(&request->args));
	buf_addstr(&out, "}\n");
	if (buf_len(&out) > CTL_REQUEST_MAX)
		why = "the command is too long";
	else if (!send_all(fd, &out, deadline))
		why = SILENT;
	else if ((why = receive(fd, &in, deadline)) == NULL) {
		if (ctl_is_stream(&in))
			ctl_copy_stream(fd, &in, stdout, error, cap);
		else
			data = open_answer(&in, error, cap);
	}
	if (why != NULL)
		snprintf(error, cap, "%s", why);
	buf_fini(&out);
	buf_fini(&in);
	return (data);
}

struct json *
ctl_ask(const char *run_dir, const struct ctl_request *request, char *error,
    size_t cap)
{
	char path[PATH_MAX];
	struct json *data;
	int fd;

	if (!path_in(path, sizeof(path), run_dir, CTL_SOCKET)) {
		snprintf(error, cap, "%s: path too long", run_dir);
		return (NULL);
	}
	if ((fd = dial(path, monotime_add_ms(monotime_now(), ANSWER_MS), error,
		 cap)) == -1)
		return (NULL);
	data = converse(fd, request, error, cap);
	close(fd);
	return (data);
}
