/* One value of a configuration, private to conf*.c. */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include "common/conf.h"

/* Sets the field, or adds to it if it is a list. NULL, or what is wrong. */
const char *conf_value_set(
    const struct conf_option *, void *out, const char *text);
/* Zeroes the field, freeing what it holds. */
void conf_value_clear(const struct conf_option *, void *out);
void conf_values_default(const struct conf_option *, size_t n, void *out);

#endif
