/*
 * What the steps of a seal share. sqlite_seal.c says where it begins and which
 * is next, sqlite_seal_copy.c writes the month's file and reads it again, and
 * sqlite_seal_remove.c takes out of the store what is in it.
 */
#ifndef HUBD_LEDGER_SQLITE_SEAL_PRIVATE_H
#define HUBD_LEDGER_SQLITE_SEAL_PRIVATE_H

#include "hubd/ledger/sqlite_months.h"
#include "hubd/ledger/sqlite_seal.h"

enum seal_phase { SEAL_COPY, SEAL_CHECK, SEAL_NOTE, SEAL_REMOVE };

/* How far a walk through the month has come. */
struct place {
	int64_t ms;
	char id[REQ_ID_TEXT];
};

struct seal {
	enum seal_phase phase;
	struct month month;
	struct ledger *file;
	int fd; /* of the same, to see it to the disk; -1: it is there */
	struct place at;
	uint64_t rows; /* copied, or found good */
	amount_t *scratch, *charge;
};

/* A row with the change of the balance that it made. */
struct charged {
	struct ledger_row row;
	struct row_texts texts;
	char charge[AMOUNT_TEXT_MAX];
};

/* ---- sqlite_seal.c ------------------------------------------------------- */

void seal_enter(struct seal *, enum seal_phase);
/* The month is not sealed; id, of the row that it is about, may be NULL.
 * LEDGER_REFUSED. */
enum ledger_result seal_refuse(
    const struct seal *, const char *id, const char *why);

/* ---- sqlite_seal_copy.c -------------------------------------------------- */

/* One step each; what is not OK or DOWN was said by seal_refuse(). */
enum ledger_result seal_step_copy(struct ledger *, struct seal *);
enum ledger_result seal_step_check(struct ledger *, struct seal *);

/* A row of the file; its amount is in scratch. */
typedef enum ledger_result seal_row_fn(
    struct ledger *, struct seal *, struct charged *);
/* Calls fn for the file's next rows, most of them at the most, while it says
 * OK, and moves on behind each; *n is how many were read. */
enum ledger_result seal_each_copy(
    struct ledger *, struct seal *, int most, seal_row_fn *fn, int *n);

/* ---- sqlite_seal_remove.c ------------------------------------------------ */

/* One step. When all has gone, it frees the seal. */
enum ledger_result seal_step_remove(struct ledger *, struct seal *);

#endif
