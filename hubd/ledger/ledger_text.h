/* How stores write what is no text of its own. */
#ifndef HUBD_LEDGER_LEDGER_TEXT_H
#define HUBD_LEDGER_LEDGER_TEXT_H

#include <stdbool.h>

#include "hubd/ledger/ledger.h"

#define USAGE_TEXT_MAX 768 /* of a usage as JSON */

/* {"input":12,"output":3}; false if a count has no place in a store, which is
 * one above 2^63 - 1. */
bool usage_write(const struct usage *, char out[USAGE_TEXT_MAX]);
/* What is no count of a known kind is read as none; audit then finds it. */
void usage_read(const char *text, struct usage *);

/* "unlimited" as it is, a decimal of 0 or more in its plain form; -1: it is
 * neither. */
int overdraft_write(const char *in, char out[AMOUNT_TEXT_MAX]);

/* '', "retried", "dropped" */
const char *suspense_how_str(enum suspense_how);
/* What is none of these waits. */
enum suspense_how suspense_how_parse(const char *);

#endif
