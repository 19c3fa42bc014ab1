/* Prices as members of a JSON document. */
#include "common/json.h"
#include "hubd/price/price.h"

void
price_show(struct jout *j, const char *key, struct unit_price price)
{
	char text[AMOUNT_TEXT_MAX];

	unit_price_format(price, text);
	jout_kstr(j, key, text);
}

void
price_show_rate(struct jout *j, const char *key, const struct price_entry *e,
    enum usage_kind kind)
{
	struct unit_price price;

	if (e != NULL && price_rate_of(e, kind, TIER_DEFAULT, 0, &price))
		price_show(j, key, price);
}
