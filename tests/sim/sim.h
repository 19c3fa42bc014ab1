/*
 * The provider simulator: one epoll thread that answers as the providers of
 * models would, from recordings or from built-in synthetic models, with
 * chosen cuts, delays and faults. Only tests and benchmarks start it.
 *
 *	main.c		options, listener, the loop
 *	peer.c		one connection: read a request, write an answer
 *	timers.c	a heap of peers that wait for a time
 *	clock.c		the time as it sees it
 *	request.c	what a request asks for: endpoint, model, stream
 *	catalog.c	recordings and which of them answers
 *	rules.c		answers bound to a model or queued by a test
 *	answer.c	which answer a request gets
 *	play.c		the pieces of an answer, one write each
 *	synth.c		the synthetic models sim-*; voice_*.c their dialects
 *	objects.c	files, batches and stored responses
 *	control.c	the control channel under /_sim/
 *	journal.c	what was received lately
 *	providers.c	whose request it is; provider_*.c one each: whether
 *			its credentials are good, and how it words errors
 *	issuer_*.c	where agents get credentials from
 *	issued.c	the credentials given out
 *	jwt.c, sigv4.c	signatures of agents
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/json.h"
#include "common/monotime.h"
#include "common/span.h"

#define SIM_NAME_MAX 128 /* bytes kept of a model's name */

enum sim_fault {
	FAULT_NONE,
	FAULT_REFUSE, /* close before the answer */
	FAULT_RESET,  /* RST in the middle of the body */
	FAULT_STALL,  /* stop in the middle of the body, for ever */
	FAULT_CLOSE,  /* close in the middle of a chunk */
	FAULT_STATUS, /* refused with sim_manner.status */
	FAULT_SLOW,   /* 50 ms between pieces unless delay_ms says else */
	FAULT_HANG,   /* never answer */
};

#define CUT_EVENTS 0 /* an SSE event a piece; other bodies whole */
#define CUT_WHOLE  INT64_MAX

/* How an answer is written. */
struct sim_manner {
	int64_t cut;	  /* bytes a piece, or CUT_ */
	int64_t first_ns; /* before the first byte */
	int64_t delay_ns; /* between pieces */
	enum sim_fault fault;
	int status; /* of FAULT_STATUS */
	int64_t at; /* body bytes before the fault; -1: half of them */
};

struct sim_provider; /* provider.h */

/* What a request asks for, as far as answers depend on it. */
struct sim_request {
	const struct http1_head *head; /* valid while it is handled */
	struct span body;
	const struct sim_provider *provider;
	const char *endpoint; /* as in the manifest, static; NULL: unknown */
	char model[SIM_NAME_MAX + 1];
	bool stream, include_usage;
	bool options; /* has stream_options */
};

void request_inspect(
    struct sim_request *, const struct http1_head *, struct span body);

/* ---- the clock ---- */

/* This machine's time and so many seconds more. */
void sim_set_skew(int64_t seconds);
/* Seconds since 1970. */
int64_t sim_now(void);
/* Now, as a Date field has it (RFC 9110 5.6.7). */
struct span sim_http_date(void);
/* A time in UTC by strftime(3). */
void sim_format_time(int64_t when, const char *format, char *out, size_t cap);

/* ---- recordings ---- */

struct recording {
	const struct sim_provider *provider;
	char *file, *endpoint, *content_type; /* endpoint NULL: by name only */
	char *model;			      /* NULL: none named */
	char *req_path;	 /* file with the request's body, or NULL */
	struct buf head; /* recorded header fields worth sending */
	struct buf body, req;
	bool streaming, body_loaded, req_loaded;
	int status;
	char *dir;
	struct recording *next;
};

/*
 * Adds a folder with a manifest.json and, if there, a folder quoted/ in it
 * with one. Ends the process if one is broken.
 */
void catalog_add(const char *dir);
struct recording *catalog_by_file(const char *file);
/*
 * Of that provider, model and endpoint; of several the one with the same
 * request body, else with the same wish to stream.
 */
struct recording *catalog_match(const struct sim_request *);
/* The answer's bytes, read at first use. */
struct span recording_body(struct recording *);

/* ---- rules ---- */

struct rule {
	char *model;		  /* of a binding */
	char *endpoint;		  /* of a queued one; NULL: any */
	int64_t times;		  /* of a queued one: answers left */
	struct recording *answer; /* NULL: whatever else would answer */
	struct sim_manner manner;
	struct rule *next;
};

/* From the body of /_sim/bind or /_sim/next; NULL, and why in error. */
struct rule *rule_parse(const struct json *, const char **error);
void rules_bind(struct rule *);
void rules_queue(struct rule *);
void rules_reset(void);
/*
 * The rule for a request, or NULL. A queued one is the caller's to free
 * with rule_free() (*owned), a binding stays.
 */
struct rule *rules_find(const struct sim_request *, bool *owned);
void rule_free(struct rule *);

/* ---- answers ---- */

struct synth; /* a synthetic stream under way */

/* What an event is, where answers are cut between events. */
enum sim_events {
	EVENTS_NONE,
	EVENTS_SSE,
	EVENTS_FRAMES, /* of AWS: each begins with its length */
};

/* An answer being written. */
struct play {
	struct buf head;  /* sent with the first piece */
	struct buf extra; /* header fields to go into it */
	struct buf owned; /* body, if it is not a recording's */
	struct span body;
	size_t off;
	bool active, chunked, head_sent;
	enum sim_events events;
	struct sim_manner manner;
	struct synth *synth; /* pieces come from here instead of body */
	monotime_t due;	     /* of the next piece */
};

struct peer;

/* Fills the play of a request. Never fails: errors are answers, too. */
void answer_request(const struct sim_request *, struct play *);
void play_json(struct play *, int status, struct buf *body);
/* A body of that type, which is taken over, in one piece. */
void play_whole(
    struct play *, int status, const char *content_type, struct buf *body);
/* An error's body as JSON; 429 and 503 say when to come again. */
void play_refusal(struct play *, int status, struct buf *body);
/* A status line with date, type, framing and extra fields; no empty line. */
void play_head(struct play *, int status, const char *content_type);
void play_fini(struct play *);

enum play_result {
	PLAY_AGAIN, /* more; at play->due if it lies ahead */
	PLAY_DONE,
	PLAY_CLOSE, /* close the connection now */
	PLAY_RESET, /* reset it */
	PLAY_STALL, /* say nothing more */
};
/* Writes the next piece with peer_send(). */
enum play_result play_step(struct play *, struct peer *);

/* ---- synthetic models ---- */

bool synth_knows(const char *model);
/* Sets up play: a JSON answer or a stream. */
void synth_answer(const struct sim_request *, struct play *);
enum play_result synth_step(struct play *, struct peer *);
/* Is it at the chunk where the answer's fault is due? */
bool synth_breaks(const struct play *);
void synth_free(struct synth *);
void synth_models(struct buf *json);

/* ---- objects ---- */

/* false: the request is not about any. */
bool objects_answer(const struct sim_request *, struct play *);

/* ---- peers ---- */

struct peer *peer_new(int epfd, int fd);
void peer_on_event(struct peer *, uint32_t events);
/* Goes on writing its answer. */
void peer_step(struct peer *);
/* Bytes out, now if the socket takes them, else when it does. */
void peer_send(struct peer *, const void *, size_t);
/* Peers that can go on at once; steps each once. */
bool peers_ready(void);
void peers_run_ready(void);
void peers_free_dead(void);

/* ---- timers ---- */

void timers_set(struct peer *, monotime_t);
void timers_clear(struct peer *);
/* The earliest time, or false. */
bool timers_next(monotime_t *);
struct peer *timers_pop_due(monotime_t now);

/* ---- control and journal ---- */

struct sim_stats {
	uint64_t requests, answered, aborted, open, accepted;
};
extern struct sim_stats sim_stats;

/* Requests under /_sim/. */
void control_request(const struct sim_request *, struct play *);

/* Returns the entry's number. */
uint64_t journal_request(const struct sim_request *);
/* How the answer to that entry ended. */
void journal_end(
    uint64_t number, bool aborted, monotime_t last_write, uint64_t sent);
/* JSON lines of the entries from that number on. */
void journal_print(struct buf *, uint64_t since);
void journal_reset(void);

#endif
