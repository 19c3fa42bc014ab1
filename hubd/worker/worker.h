/*
 * The worker: users' and agents' connections, and the calls between them.
 * This header is the room's own; hub.h has its entry function. Reading
 * order: worker.c, client.c, client_head.c, request.c, attempt.c, answer.c,
 * deliver.c, finish.c; then upstream.c, pipe.c (pipe.h), link.c, relay.c below
 * them, access.c (access.h) and redis.c (redis.h) beside.
 *
 *	handshake a connection before its TLS is done
 *	client	  a user's connection: heads, bodies, one request at a time
 *	request	  one user's request from its head to its ledger row
 *	upstream  one stream towards an agent: an attempt of a request, a
 *		  forward for another worker, or a link's announcement
 *	pipe	  an HTTP/2 session over a connection (link or relay)
 *	link	  a pipe that an agent dialled
 *	relay	  pipes between workers
 */
#ifndef HUBD_WORKER_WORKER_H
#define HUBD_WORKER_WORKER_H

#include <sys/queue.h>

#include "common/conn.h"
#include "common/h2link.h"
#include "common/http1.h"
#include "common/log.h"
#include "common/ids.h"
#include "common/linkproto.h"
#include "common/loop.h"
#include "common/tls.h"
#include "hubd/api/api.h"
#include "hubd/auth/auth.h"
#include "hubd/hub.h"
#include "hubd/limit/limit.h"
#include "hubd/limit/limit_fields.h"
#include "hubd/price/price.h"
#include "hubd/route/route.h"
#include "shm/counters.h"
#include "shm/pubtab.h"
#include "shm/registry.h"

struct acceptor;
struct access;
struct access_log;
struct agent_links;
struct client;
struct finals;
struct handshakes;
struct learn;
struct link;
struct pipe;
struct redis;
struct relay;
struct request;
struct upstream;

LIST_HEAD(client_list, client);
LIST_HEAD(request_list, request);

struct worker {
	struct hub_child *child;
	struct loop *loop;
	const struct shm *shm;
	const struct hub_conf *conf;
	struct counter_row *count;
	struct process_row *row;
	struct id_source *ids;
	struct router *router;
	struct limiter *limiter;
	struct redis *redis; /* NULL: limits are local */
	struct acceptor *acceptor;
	struct handshakes *handshakes; /* NULL: plain text */
	struct agent_links *agents;    /* by agent row */
	struct relay *relay;
	struct finals *finals;
	struct learn *learn;
	struct access_log *access; /* NULL: not wanted */
	struct client_list clients;
	struct request_list requests;
	uint32_t nclients, max_clients, nrequests;
	uint32_t call_hint;
	struct loop_io *wake_io;
	uint64_t keys_version; /* that links and requests were checked at */
	struct loop_work look; /* it is another by now */
	uint64_t buffered;     /* bytes of answers waiting for users */
	uint64_t bodies;       /* bytes of requests in memory */
	uint64_t retry_bytes;  /* of those, kept for another attempt */
	amount_t *sum;	       /* scratch for costs */
	struct buf scratch;
	char date[40]; /* for the head of replies, of date_s */
	int64_t date_s;
	struct loop_timer *drain_timer;
	bool draining;		/* the hub goes down */
	bool retiring;		/* a successor has the slot; see on_retire() */
	monotime_t links_until; /* agents have moved to it, or should have */
	int quiet_polls;	/* of drain_timer, without a request */
};

/* ---- accept.c: listeners ------------------------------------------------- */

struct acceptor *acceptor_new(struct worker *);
/* Listeners of another slot, whose worker is away (descriptors are taken). */
void acceptor_add(struct acceptor *, uint32_t slot, const int *fds, size_t n);
void acceptor_remove(struct acceptor *, uint32_t slot);
/* For good: a successor has the same listeners. */
void acceptor_stop(struct acceptor *);
void acceptor_free(struct acceptor *);

/* ---- handshake.c: TLS before there is a client --------------------------- */

/* NULL: the hub has no TLS. */
struct handshakes *handshakes_new(struct worker *);
/* The master sent other certificates or ticket keys; fd stays its own. */
void handshakes_renew(struct handshakes *, int fd);
/* Takes the descriptor: it becomes a client, or is closed in time. */
void handshake_new(struct handshakes *, int fd);
/* There is no room for another now; one that is slow is cut for it. */
bool handshakes_full(struct handshakes *);
/* NULL has none. */
uint32_t handshakes_count(const struct handshakes *);
void handshakes_free(struct handshakes *);

/* ---- client.c: a user's connection --------------------------------------- */

/* Takes the descriptor and what lies over it, NULL if that is nothing; it
 * ends by itself. */
void client_new(struct worker *, int fd, struct tls *);
/* The request's reply is written: keeps the connection or ends it. */
void client_done(struct client *, bool keep);
/* Ends the connection and tells its request that the user is gone. */
void client_kill(struct client *, const char *why);
/* No further request on it: closes if idle. */
void client_drain(struct client *);
struct conn *client_conn(struct client *);
struct worker *client_worker(struct client *);
/* The next of w->clients, or NULL. */
struct client *client_next(struct client *);
/* Has the user asked us, or do we want, to close after this reply? */
bool client_will_close(const struct client *);
/* false: HEAD, whose replies end with their head. */
bool client_wants_body(const struct client *);
/* What the access log will say of the present request; NULL: nothing. */
struct access *client_access(struct client *);
/* Further fields of the reply to the present request, each line ended; the
 * client empties it when that is over. */
struct buf *client_fields(struct client *);
/* Gives up the connection (it has become a link); the client ends. */
struct conn *client_detach(struct client *);

/* ---- reply.c: heads and small replies ------------------------------------ */

/* The value of Date now (RFC 9110 6.6.1), as long as nothing returns to the
 * loop. */
const char *reply_date(struct worker *);
/* Status line, date, request id, also where the dialect's clients look for
 * it. More fields and an empty line follow. */
void reply_head(
    struct worker *, struct buf *, enum dialect, int status, const char *id);
/* A whole reply of a small body. close adds "connection: close". */
void reply_whole(struct worker *, struct client *, enum dialect, int status,
    const char *id, struct span type, struct span body, bool close);
/* An error in the dialect's shape. retry_ms >= 0 adds retry-after. */
void reply_error(struct worker *, struct client *, enum dialect, enum api_error,
    const char *detail, const char *id, int64_t retry_ms, bool close);

/* ---- request.c: from a head to admission --------------------------------- */

#define REQUEST_TYPE_MAX 160 /* of a form's content-type */

enum request_state {
	REQUEST_BODY,	 /* its body is being read */
	REQUEST_ADMIT,	 /* the limiter is asked */
	REQUEST_SENT,	 /* an attempt is under way, no head yet */
	REQUEST_WAIT,	 /* all have failed; another round later */
	REQUEST_STREAM,	 /* 2xx, the head has gone to the user */
	REQUEST_HOLD,	 /* 2xx, plain: held back to know its cost */
	REQUEST_REFUSAL, /* the provider's refusal is being read */
	REQUEST_BOOKING, /* FINAL; the rest of the reply waits for BOOKED */
	REQUEST_DONE,	 /* FINAL or never opened; free after the turn */
};

/* An attempt, or whatever else wants a stream to an agent: upstream.c */
struct upstream_ops {
	void (*on_head)(struct upstream *, const struct h2_field *, size_t);
	void (*on_data)(struct upstream *, struct span);
	void (*on_end)(struct upstream *);
	void (*on_close)(struct upstream *, uint32_t code); /* the last */
	void (*on_writable)(struct upstream *);
};

struct upstream {
	const struct upstream_ops *ops;
	void *owner;
	struct h2stream *stream; /* NULL: not open */
	struct pipe *pipe;
	struct registry_row *load; /* counted there, or NULL */
	bool heard_end, said_end;  /* END_STREAM has come, was sent */
	monotime_t opened;
	LIST_ENTRY(upstream) entry;
};

/* Who keeps the objects that a request names; agent 0: it names none. */
struct request_holder {
	uint32_t agent;
	char provider[32];
	bool billed; /* of a batch */
};

struct request {
	struct worker *w;
	struct client *client; /* NULL: the user is gone */
	struct access *access; /* NULL: no access log */
	LIST_ENTRY(request) entry;
	enum request_state state;
	const struct endpoint *endpoint;
	enum dialect dialect; /* whose the answers and errors are */
	struct buf forwards;  /* user's fields for the provider: name, NUL,
				 value, NUL, and so on */
	size_t nforwards;
	struct buf carried; /* the provider's for the user, each line ended */
	req_id_t id;
	char id_text[REQ_ID_TEXT];
	uint32_t key_number;

	char type[REQUEST_TYPE_MAX]; /* content-type of the body */
	struct buf body;	     /* original bytes */
	size_t body_counted, retry_counted;
	struct api_request api;
	struct route *route;
	struct admission admission;
	call_ref_t call;
	struct call_row *row; /* NULL: not taken */
	bool opened;	      /* the row is OPEN */
	uint32_t account_id;
	uint64_t price_version;

	struct request_holder holder;
	struct api_list list;	    /* which part of one is asked for */
	bool object_event;	    /* the row says what became of an object */
	char cost[AMOUNT_TEXT_MAX]; /* for a reply that waits for BOOKED */

	uint32_t barred;   /* candidates, a mask: never */
	uint32_t tried;	   /* ... not again */
	uint32_t refused;  /* of those, by a stream that came too late */
	unsigned nrefused; /* times that they were asked again */
	const struct candidate *candidate; /* of this attempt */
	uint32_t attempts;
	struct upstream up;
	struct buf prepared;		/* the spliced body of this attempt */
	size_t body_sent;		/* of it */
	bool splice;			/* prepared is used, not body */
	bool ask_usage;			/* we added include_usage */
	const struct candidate *no_ask; /* that must not be asked for it */
	enum api_error last_error;	/* of the attempts so far */
	int64_t retry_ms; /* that the last one asked for; -1: it did not */
	uint32_t rounds;  /* of waiting */
	uint8_t spent[ROUTE_STAGES]; /* attempts in each of the route's */

	struct meter *meter;
	struct buf held;	/* a held answer or a refusal */
	int status;		/* that the provider answered */
	int user_status;	/* that the user got; 0: none yet */
	enum meter_frame frame; /* of the answer */
	bool head_sent, user_left;
	bool sniffed;	/* the first bytes of the answer were looked at */
	size_t owed;	/* bytes received whose credit is not returned */
	size_t counted; /* of w->buffered */
	char retry_after[16];
	char content_type[96];
	int64_t upstream_us;

	monotime_t t_body;  /* the body was whole */
	monotime_t t_sent;  /* this attempt was sent */
	monotime_t t_chunk; /* last read of a stream; 0: none */
	monotime_t t_last;  /* last byte of the answer */
	monotime_t t_total; /* deadline of everything */
	monotime_t t_wait;  /* end of waiting for another round */
	monotime_t t_retry; /* when the next round begins */
	monotime_t t_grace; /* deadline after the user left; 0 none */
	struct loop_timer *timer;
	struct loop_work credit;
	struct api_target target; /* the last: copied whole, never zeroed */
};

/* A request whose head was accepted; its body will follow. */
struct request *request_new(struct client *, const struct api_target *,
    const struct identity *, req_id_t, struct access *);
/* Takes the user's fields that go on to the provider; false: too many. */
bool request_take_fields(struct request *, const struct http1_head *);
/* Its body is whole. It answers by itself from here on. */
void request_start(struct request *);
/* Counts body bytes against the sum of all; false: too many. */
bool request_count_body(struct request *);
void request_drop_body(struct request *);
/* Frees everything; from any state. The row has been dealt with. */
void request_free(struct request *);
/* Keys or accounts changed: cuts requests of keys revoked with cut. */
void requests_recheck(struct worker *);

/* ---- attempt.c: one attempt after the other ------------------------------ */

/* A round of attempts, from the first candidate. */
void request_round(struct request *);
/* An attempt failed before the user got a byte: the next, or the end. */
void request_retry(struct request *, enum api_error why);
/* The same candidate once more, without asking for usage. */
void request_retry_same(struct request *);
/* It refused the stream, and has done nothing: the next, or it again. */
void request_retry_refused(struct request *);
/* Is what another attempt needs still here? */
bool request_has_body(const struct request *);
/* There will be no further attempt: the body is not kept for one. */
void request_body_done(struct request *);
/* The session has room for more of the body. */
void request_feed(struct request *);

/* ---- retry.c: how attempts went, and when to make another ---------------- */

/* May the request cost another attempt; at that candidate? */
bool retry_is_open(const struct request *);
bool retry_may_ask(const struct request *, const struct candidate *);
/* Is there one that has not been tried in this round? */
bool retry_has_next(const struct request *);
/* The head of an answer has come; for a refusal with its retry-after. */
void retry_note_head(struct request *, int status, struct span agent_error,
    struct span retry_after);
/* There was none, in time or at all. */
void retry_note_failure(struct request *);
/* Nobody is left untried: may there be another round, and begins the wait
 * for it. */
bool retry_may_wait(const struct request *);
void retry_wait(struct request *);

/* ---- answer.c: the provider's answer, as the agent tells it -------------- */

extern const struct upstream_ops request_upstream_ops;

/* ---- deliver.c: on its way to the user (deliver.h has the rest) ---------- */

/* The answer is cut here; the user is told as well as can be. */
void request_break(struct request *, enum api_error, enum call_outcome);

/* The row is BOOKED, or that takes too long: the rest of the reply. */
void request_booked(struct request *);

/* ---- pace.c: deadlines, credit, and the user who leaves ------------------ */

/* Arms the timer for the next of the request's deadlines. */
void request_arm(struct request *);
void request_on_timer(void *arg);
/* Returns credit for what the user's socket has taken. */
void request_on_credit(void *arg);
void request_drained(struct request *);
/* The user is gone, at whatever point. */
void request_user_gone(struct request *);
/* The budget for slow readers is full: cuts the stream that holds most. */
void requests_cut_fattest(struct worker *);

/* ---- objects.c: what is kept at providers -------------------------------- */

/*
 * Checks that what the request names is the account's own, and routes it if
 * it asks for no model (r->route). *why may be set with an error.
 */
enum api_error objects_route(
    struct request *, const struct pub_key *, const char **why);
/* The route of a model leads to who keeps what the request names. */
enum api_error objects_narrow(struct request *);
/* The answer may have named what it made: into the row. */
void objects_note(struct request *);
/* The attempt failed: it has made nothing. */
void objects_forget(struct request *);
/* Has a stream said its last, but for the provider's end of it? Then that
 * waits until its id is good. */
bool objects_holds(const struct request *);
/*
 * The end of a call, before FINAL: what it did goes into the row and into
 * its progress. The entry by which that is priced, NULL: as everything.
 */
const struct price_entry *objects_finish(
    struct request *, enum call_outcome, struct call_progress *);
/* A list of the account's own. */
void objects_list(struct worker *, struct client *, const struct identity *,
    const struct api_target *, const struct api_list *, const char *id);

/* ---- finish.c: usage, cost, FINAL ---------------------------------------- */

/* Writes what has been seen so far into the row, for an orphan's bill. */
void request_note_progress(struct request *);
/*
 * The one end of an opened call: last usage, cost, FINAL, the message to
 * billing. Returns the cost as text in cost (AMOUNT_TEXT_MAX). The request
 * is still there; request_free() it.
 */
void request_finish(struct request *, enum call_outcome, char *cost);

struct finals *finals_new(struct worker *);
void finals_free(struct finals *);
/* Remembers a FINAL row until it is BOOKED, and tells billing. The lease is
 * the limiter's again then. */
void finals_add(
    struct finals *, call_ref_t, uint32_t cell, nanousd_t cost, struct lease *);
/* That request wants to hear when the row that was added last is BOOKED. */
void finals_watch(struct finals *, struct request *);
void finals_unwatch(struct finals *, const struct request *);
/* Frees what has been booked meanwhile. */
void finals_collect(struct finals *);
size_t finals_count(const struct finals *);

/* Learnt figures by model. Never NULL; the model is new at first. */
struct learn *learn_new(void);
void learn_free(struct learn *);
struct learnt *learn_of(struct learn *, const char *model);
/* Providers that refuse stream_options. */
bool learn_refuses_usage(const struct learn *, const struct candidate *);
void learn_set_refuses_usage(struct learn *, const struct candidate *);

/* ---- local.c: what the hub answers itself -------------------------------- */

/* A list of models, or one of them, for this key. */
void local_models(struct worker *, struct client *, const struct identity *,
    const struct api_target *, const char *id);
/* /healthz and /readyz; false: the path is another. */
bool local_health(struct worker *, struct client *, const struct http1_head *,
    const char *id);

/* ---- upstream.c: streams to agents (more in pipe.h) ---------------------- */

/*
 * Opens a stream to an agent: on a link of our own, else through a worker
 * that has one. -1: there is none with room.
 */
int upstream_open(struct worker *, struct upstream *, uint32_t agent_row,
    uint32_t agent_id, const struct h2_field *, size_t n, bool body_follows);
/* h2stream_write(), remembering the end. Bytes queued now. */
size_t upstream_write(struct upstream *, struct span, bool end);
/* Lets go of the stream, and resets it unless both sides have ended it;
 * on_close is not called. */
void upstream_cancel(struct upstream *, uint32_t code);

/* ---- link.c: connections that agents dialled ----------------------------- */

struct agent_links *links_new(struct worker *);
void links_free(struct worker *);
/* An upgrade on LINK_PATH: answers it; the client is gone if it succeeds. */
void link_accept(struct worker *, struct client *, const struct http1_head *,
    const char *id);
/* What an agent has to dial anew: longer than it backs off. */
#define LINK_MOVE_MS 40000
/* GOAWAY on all: they take no more calls. */
void links_drain(struct worker *);
/* GOAWAY on all, which serve until their agents have dialled anew. */
void links_retire(struct worker *);
/* Is there one that takes calls? */
bool links_serve(const struct worker *);
/* Agents changed: ends links of those that may no longer be here. */
void links_recheck(struct worker *);
uint32_t links_count(const struct worker *);

/* ---- relay.c: pipes between workers -------------------------------------- */

struct relay *relay_new(struct worker *);
/* Do requests of other workers pass through here? */
bool relay_serves(const struct relay *);
void relay_free(struct relay *);

#endif
