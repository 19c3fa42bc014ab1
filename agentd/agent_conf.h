/*
 * agentd.conf as one constant structure. A reload makes a new one; calls
 * hold on to the one they began with.
 */
#ifndef AGENTD_AGENT_CONF_H
#define AGENTD_AGENT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

struct credential;
struct provider_type;

struct provider_conf {
	char *name;    /* of the section */
	unsigned line; /* where it begins in the file */
	const struct provider_type *type;
	char *base_url;
	char *api_key; /* NULL: none */
	char *type_name;
	/* Of one type each, NULL: not given; agentd.conf(5) says which. */
	char *api_version, *authority;		    /* azure */
	char *tenant, *client_id, *client_secret;   /* azure */
	char *project, *location, *service_account; /* google */
	char *region, *access_key, *secret_key;	    /* aws */
	char *session_token, *bearer;		    /* aws */
	bool metadata;				    /* google */
	struct conf_list models;		    /* fnmatch globs */
	uint32_t weight;
	uint32_t capacity; /* calls at once; 0: only the agent's own limit */
	char *proxy;	   /* NULL: none */
	char *ca_file;	   /* NULL: the system's */
	void *state;	   /* the type's own, see agentd/provider.h */
	/* What calls wait for; NULL: nothing, or not started. */
	struct credential *credential;
	uint32_t calls; /* now; this and what state holds change */
};

struct agent_conf {
	unsigned refs;
	char *name;
	struct conf_list hubs; /* URLs; see agent_conf_hub_url() */
	unsigned hubs_line;    /* in the file */
	char *token;
	uint32_t links;	   /* per hub */
	uint32_t capacity; /* calls at once */
	char *ui;	   /* "127.0.0.1:8090", or NULL */
	char *ca_file, *proxy;
	char *log; /* NULL: stderr */
	bool plaintext;
	int64_t link_max_age_ms;
	int64_t drain_ms;
	struct provider_conf *providers;
	size_t nproviders;
};

/* The options (agent_options.c), which alone do not make a whole. */
extern const struct conf_schema agent_schema;
/* Of an agent or a section: what is wrong with it, or NULL. */
const char *agent_conf_check_name(const char *);

/*
 * Reads and checks the file. The caller holds one reference. NULL: error
 * says why, with the file and where it can with the line.
 */
struct agent_conf *agent_conf_load(const char *path, char *error, size_t cap);
/* The same from memory; name stands for the file in messages. */
struct agent_conf *agent_conf_parse(
    const char *name, struct span text, char *error, size_t cap);
struct agent_conf *agent_conf_ref(struct agent_conf *);
/* Wipes keys with the last reference. NULL is fine. */
void agent_conf_unref(struct agent_conf *);

/* NULL if there is no such section. */
struct provider_conf *agent_conf_provider(
    struct agent_conf *, const char *name);

/*
 * Checks a hub's URL and completes it with the path of links:
 * "wss://hub.example.com" -> "wss://hub.example.com/agent/link". NULL if it
 * is none, or not encrypted beyond loopback without plaintext; then *why.
 */
char *agent_conf_hub_url(const char *url, bool plaintext, const char **why);
/* Is it a colon and a number from 1 to 65535? */
bool agent_conf_is_port(const char *, size_t n);

#endif
