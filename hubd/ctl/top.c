/* hubctl top: the hub at a glance, redrawn every second. */
#include <sys/ioctl.h>

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/monotime.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/out.h"
#include "shm/counters.h"

#define PERIOD_MS 1000

static volatile sig_atomic_t interrupted;

static void
on_signal(int sig)
{
	interrupted = 1;
}

/* ---- a frame ------------------------------------------------------------ */

struct sample {
	monotime_t at;
	uint64_t requests, admitted, refused, bytes_out, cost_nano;
};

static void
sample_take(struct sample *s, const struct shm *shm)
{
	s->at = monotime_now();
	s->requests = counter_sum(shm, COUNT_requests);
	s->admitted = counter_sum(shm, COUNT_admitted);
	s->refused = counter_sum(shm, COUNT_refused);
	s->bytes_out = counter_sum(shm, COUNT_bytes_out);
	s->cost_nano = counter_sum(shm, COUNT_cost_nano);
}

/* Per second, rounded down. */
static uint64_t
rate(uint64_t now, uint64_t before, int64_t ms)
{
	return ((now - before) * 1000 / (uint64_t)(ms > 0 ? ms : 1));
}

static void
put_rates(
    struct buf *out, const struct sample *now, const struct sample *before)
{
	int64_t ms = monotime_diff_ms(now->at, before->at);
	uint64_t nano = rate(now->cost_nano, before->cost_nano, ms);

	buf_addf(out,
	    "per second: %" PRIu64 " requests, %" PRIu64 " admitted, "
	    "%" PRIu64 " refused, %" PRIu64 " KiB out, "
	    "USD %" PRIu64 ".%09" PRIu64 "\n",
	    rate(now->requests, before->requests, ms),
	    rate(now->admitted, before->admitted, ms),
	    rate(now->refused, before->refused, ms),
	    rate(now->bytes_out, before->bytes_out, ms) / 1024,
	    nano / 1000000000, nano % 1000000000);
}

static void
put_document(struct buf *out, const struct shm *shm,
    void (*show)(const struct shm *, struct jout *), const char *words)
{
	const struct ctl_command *command = ctl_command_find(words);
	struct buf text = {0}, part = {0};
	struct json *data;
	struct jout j;

	jout_init(&j, &text);
	show(shm, &j);
	if ((data = json_parse(buf_span(&text), NULL, 0)) != NULL)
		out_text.show(&part, command, data);
	json_free(data);
	buf_addstr(out, "\n");
	buf_addspan(out, buf_span(&part));
	buf_fini(&text);
	buf_fini(&part);
}

static void
put_frame(struct buf *out, const struct shm *shm, struct sample *last)
{
	struct sample now;

	sample_take(&now, shm);
	put_rates(out, &now, last);
	put_document(out, shm, show_status, "show status");
	put_document(out, shm, show_agents, "show agents");
	put_document(out, shm, show_calls, "show calls");
	*last = now;
}

/* ---- the terminal ------------------------------------------------------- */

static int
screen_lines(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == -1 || w.ws_row < 2)
		return (24);
	return (w.ws_row);
}

/* As many lines as the screen has, each clearing what was behind it. */
static void
draw(struct buf *frame)
{
	int lines = screen_lines() - 1;
	char *line, *rest = buf_cstr(frame);

	fputs("\033[H", stdout);
	while (lines-- > 0 && (line = strsep(&rest, "\n")) != NULL)
		printf("%s\033[K\n", line);
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* Waits a period. false: q was typed, or stdin has ended. */
static bool
wait_period(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;

	if (poll(&p, 1, PERIOD_MS) <= 0)
		return (true);
	return (read(STDIN_FILENO, &c, 1) == 1 && c != 'q' && c != 'Q');
}

static void
redraw_until_quit(const struct shm *shm, struct sample *last)
{
	struct buf frame = {0};

	fputs("\033[2J", stdout);
	do {
		buf_reset(&frame, 65536);
		put_frame(&frame, shm, last);
		draw(&frame);
	} while (wait_period() && !interrupted);
	buf_fini(&frame);
}

static int
one_frame(const struct shm *shm, struct sample *last)
{
	struct buf frame = {0};
	bool ok;

	put_frame(&frame, shm, last);
	ok = fwrite(buf_ptr(&frame), buf_len(&frame), 1, stdout) == 1 &&
	     fflush(stdout) == 0;
	buf_fini(&frame);
	return (ok ? CTL_EXIT_DONE : CTL_EXIT_REFUSED);
}

int
ctl_top(const struct shm *shm)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct termios before, raw;
	struct sample last;

	sample_take(&last, shm);
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) == -1)
		return (one_frame(shm, &last));
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	redraw_until_quit(shm, &last);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fputs("\n", stdout);
	return (CTL_EXIT_DONE);
}
