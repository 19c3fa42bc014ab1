/* Who tidies up the store, as it sees itself: once, and it is gone. */
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/billing/offspring.h"

int
tidier_main(struct offspring_self *self)
{
	const struct ledger_ops *ops = billing_store(self->conf);

	(void)FAILPOINT("tidier.ready");
	switch (ops->tidy(self->conf->state_dir)) {
	case LEDGER_OK:
		return (write(self->socket, "", 1) == 1 ? 0 : 1);
	case LEDGER_CONFLICT:
		return (0);
	case LEDGER_MISSING:
	case LEDGER_REFUSED:
	case LEDGER_DOWN:
		break;
	}
	log_warnx("the store's log cannot be copied into its file");
	return (0);
}
