/* Prices of many models as lines of a table. */
#ifndef HUBD_CTL_PRICE_LINES_H
#define HUBD_CTL_PRICE_LINES_H

#include "common/json.h"

/*
 * From the array of `show prices`, where each model has a list of rates,
 * makes {"prices":[{"model","provider","input","cache_read","output"}]}
 * with the base rates. The caller frees it.
 */
struct json *price_lines(const struct json *prices);
/*
 * From the array of its changes makes {"changes":[{"model","kind","tier",
 * "above","old","new"}]}, where kind says "added" or "removed" of an entry that
 * came or went. The caller frees it.
 */
struct json *price_change_lines(const struct json *changes);

#endif
