/*
 * A libcurl multi handle run by the loop: curl says which descriptors and
 * which time it waits for, the loop tells it when. Included, with curl's
 * own header, by tunnel.c alone.
 */
#ifndef AGENTD_CURL_LOOP_H
#define AGENTD_CURL_LOOP_H

#include <stdbool.h>

#include <curl/curl.h>

#include "common/loop.h"

struct curl_loop;

/* A transfer is over; the handle is still in the multi. Not called from
 * inside curl: the handle may be removed and freed. */
typedef void curl_done_fn(void *arg, CURL *easy, CURLcode);

struct curl_loop *curl_loop_new(struct loop *, curl_done_fn *, void *arg);
/* Every handle has been removed before. NULL is fine. */
void curl_loop_free(struct curl_loop *);

CURLM *curl_loop_multi(struct curl_loop *);

#endif
