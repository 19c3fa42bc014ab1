/*
 * What hubctl and the hub say to each other: commands.def as a table, and
 * the protocol of the control socket, which billing answers.
 *
 * One request a connection: hubctl sends one line of JSON,
 *	{"cmd":"account add","args":{"name":"acme","credit":"5"}}\n
 * and gets one line of JSON, after which the connection is closed:
 *	{"status":0,"data":{...}}\n		data is what -j prints
 *	{"status":1,"error":"text"}\n	refused; text is for people
 * A long answer goes out while it is made and has its end last:
 *	{"data":{...},"status":0}\n
 *	{"data":{...},"status":1,"error":"text"}\n	data lacks the rest
 * What is no document (an export) comes as a stream: pieces of at most
 * CTL_PIECE_MAX bytes, each behind a line with its length, up to one of
 * length 0; then how it ended:
 *	{"status":0,"stream":true}\n
 *	6\n
 *	id,usd5\n
 *	,test0\n
 *	{"status":0}\n		or {"status":1,"error":"text"}\n
 * Whatever ends before its end is not to be trusted.
 *
 * Arguments carry the names of commands.def. Texts and money are strings,
 * counts are integers, times are integer milliseconds since 1970, spans of
 * time are integer milliseconds, flags are true.
 */
#ifndef HUBD_CTLPROTO_H
#define HUBD_CTLPROTO_H

#include <stdbool.h>
#include <stddef.h>

#define CTL_SOCKET	"hubd.ctl"  /* in run_dir; 0660, admin_group */
#define CTL_REQUEST_MAX (64 * 1024) /* bytes, newline included */
#define CTL_DEADLINE_MS 10000	    /* for the request to arrive */
#define CTL_ANSWER_MAX	(64 * 1024 * 1024)
#define CTL_STREAM_HEAD "{\"status\":0,\"stream\":true}\n"
#define CTL_PIECE_MAX	(1024 * 1024)
/* How long hubctl waits: an audit or a backup takes its time. */
#define CTL_PATIENCE_MS 600000
/* How long an answer waits for who does not read it. */
#define CTL_STALL_MS 60000

#define CTL_LEDGER_LIMIT     100   /* rows of show ledger by default */
#define CTL_LEDGER_LIMIT_MAX 50000 /* ... and at most */

#define CTL_ARGS_MAX 10

enum ctl_type {
	CTL_TEXT,  /* as it is; lists are texts with commas */
	CTL_MONEY, /* decimal text; "unlimited" where the command takes it */
	CTL_COUNT, /* 0 to 2^53 */
	CTL_TIME,  /* a moment: typed as TIME, sent as ms since 1970 */
	CTL_AHEAD, /* as TIME, but 24h is in 24 hours; "never" is sent as 0 */
	CTL_SPAN,  /* a length: typed as 15m, 24h, 7d; sent as ms */
	CTL_FLAG,  /* the bare word */
	CTL_WORD,  /* one of words */
};

enum ctl_place {
	CTL_POSITION, /* must be there, by its place */
	CTL_MAYBE,    /* may be there, by its place */
	CTL_KEYWORD,  /* optional: the keyword, then its value */
	CTL_NEEDED,   /* as KEYWORD, but must be there */
};

struct ctl_arg {
	enum ctl_place place;
	const char *keyword; /* as typed */
	const char *name;    /* in "args" */
	enum ctl_type type;
	const char *words; /* of CTL_WORD: "csv|jsonl" */
};

enum ctl_who {
	CTL_SHM,     /* hubctl, which reads shared memory */
	CTL_BILLING, /* billing: it is small and local */
	CTL_QUERY,   /* an errand: it may be long */
	CTL_CHANGE,  /* billing, if the store is its own, else an errand */
};

enum ctl_command_id {
#define COMMAND(id, words, who, usage, ...) CTL_CMD_##id,
#include "hubd/commands.def"
#undef COMMAND
	CTL_COMMANDS
};

struct ctl_command {
	enum ctl_command_id id;
	const char *words; /* "account add" */
	enum ctl_who who;
	const char *usage;
	struct ctl_arg args[CTL_ARGS_MAX]; /* keyword NULL ends them */
};

/* In the order of commands.def; CTL_COMMANDS of them. */
extern const struct ctl_command ctl_commands[];

/* The command of exactly these words, or NULL. */
const struct ctl_command *ctl_command_find(const char *words);

#endif
