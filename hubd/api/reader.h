/*
 * What is being read from one document of an answer (a whole JSON body or
 * the data of one event). The meter owns it; a dialect's reader, which is a
 * jscan handler, fills it.
 */
#ifndef HUBD_API_READER_H
#define HUBD_API_READER_H

#include "common/jscan.h"
#include "hubd/api/api.h"

/* Counts as the provider named them, before they are made disjoint. */
enum raw_count {
	RAW_PROMPT,
	RAW_COMPLETION,
	RAW_TOTAL,
	RAW_CACHED,
	RAW_CACHE_HIT,	/* DeepSeek's name of the same */
	RAW_NUM_CACHED, /* Mistral's */
	RAW_CACHE_WRITE,
	RAW_AUDIO_IN,
	RAW_IMAGE_IN,
	RAW_REASONING,
	RAW_AUDIO_OUT,
	RAW_IMAGE_OUT,
	RAW_COUNT
};

struct raw_usage {
	uint64_t n[RAW_COUNT];
	uint32_t seen; /* bit i: n[i] was there */
	bool bad;      /* one was no count */
};

struct reader {
	struct meter_report *report;

	/* of the whole answer */
	bool has_own_usage; /* at the top level, not only a vendor's place */
	uint64_t seen[2], done[2]; /* choices, by index */
	bool many_choices;	   /* an index beyond those bits */

	/* of the document under way */
	uint8_t node[JSCAN_DEPTH + 1]; /* what is open, by depth */
	uint8_t next;		       /* what the next value is */
	struct raw_usage raw;
	uint64_t text_before;
	uint64_t choice;
	bool choice_done;
	bool empty_choices, has_usage, has_error;
	struct api_place null_usage; /* a "usage":null member */
	uint64_t key_begin;
};

/* A new answer; report is kept and filled. */
void reader_init(struct reader *, struct meter_report *report);
/* A new document of it. */
void reader_start(struct reader *);
/* Have all choices that were seen given a finish reason? */
bool reader_finished(const struct reader *);

/* Makes counts disjoint (openai_usage.c). False: they cannot be true. */
bool openai_usage(const struct raw_usage *, struct usage *);

#endif
