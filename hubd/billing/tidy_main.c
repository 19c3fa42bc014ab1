/* Who tidies up the store, as it sees itself: once, and it is gone. */
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/billing/offspring.h"

static int
say(const struct offspring_self *self, char word)
{
	return (write(self->socket, &word, sizeof(word)) == 1 ? 0 : 1);
}

int
tidier_main(struct offspring_self *self)
{
	const struct ledger_ops *ops = billing_store(self->conf);

	(void)FAILPOINT("tidier.ready");
	switch (ops->tidy(self->conf->state_dir)) {
	case LEDGER_OK:
		return (say(self, TIDY_DONE));
	case LEDGER_CONFLICT:
		return (say(self, TIDY_LATER));
	case LEDGER_MISSING:
	case LEDGER_REFUSED:
	case LEDGER_DOWN:
		break;
	}
	log_warnx("the store's log cannot be copied into its file");
	return (0);
}
