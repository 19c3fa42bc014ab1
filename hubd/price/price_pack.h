/* Gathers entries and packs them into the form of a price version. */
#ifndef HUBD_PRICE_PRICE_PACK_H
#define HUBD_PRICE_PRICE_PACK_H

#include "shm/pricetab.h"

struct price_pack;

struct price_pack *price_pack_new(void);
void price_pack_free(struct price_pack *);
/* Takes the entry over; it replaces an earlier one of its name. */
void price_pack_add(struct price_pack *, struct price_entry *);
/* A sealed version on the heap, or NULL if it exceeds PRICE_BLOB_MAX. */
struct price_blob *price_pack_make(const struct price_pack *);

#endif
