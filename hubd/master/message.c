/* What children say to the master. */
#include "common/log.h"
#include "hubd/master/master.h"

static void
on_ready(struct seat *s)
{
	struct master *m = s->m;

	if (s->told_retire)
		return; /* its place is not its own any more */
	s->ready = true;
	if (s->role == ROLE_WORKER)
		watch_worker_ready(s);
	if (s->role == ROLE_BILLING)
		reload_prices_again(m);
	/* admin has its memory read-only and cannot say so itself */
	if (s->role == ROLE_ADMIN)
		process_set_phase(&process_rows(m->shm)[s->row], PHASE_SERVING);
	if (m->stage == STAGE_STARTING && master_all_ready(m)) {
		m->stage = STAGE_SERVING;
		log_info("serving: %u workers", m->conf->workers);
		daemon_ready(m);
	}
	takeover_step(m);
	drain_step(m);
}

static void
on_reload_done(struct master *m, const struct channel_message *msg)
{
	reload_prices_done(m);
	if (msg->head.size > 0)
		log_errx("prices: %s", msg->payload);
}

void
message_received(struct seat *s, const struct channel_message *msg)
{
	bool billing = s->role == ROLE_BILLING;
	char name[32];

	if (msg->head.type == HUBMSG_READY)
		on_ready(s);
	else if (billing && msg->head.type == HUBMSG_RELOAD_ASK)
		reload(s->m, s, msg->head.cookie, msg->head.flags);
	else if (billing && msg->head.type == HUBMSG_RELOAD_DONE)
		on_reload_done(s->m, msg);
	else if (billing && msg->head.type == HUBMSG_DRAIN_ASK)
		drain_begin(s->m, "hubctl drain");
	else
		log_warnx("%s sends a message that is not its to send (%u)",
		    seat_name(s, name), msg->head.type);
}
