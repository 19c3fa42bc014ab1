# What each program is made of, one file a line.

COMMON_SRCS = \
	common/alloc.c \
	common/base64.c \
	common/buf.c \
	common/conf.c \
	common/conf_expand.c \
	common/conf_scan.c \
	common/conf_serial.c \
	common/conf_value.c \
	common/conn.c \
	common/conn_io.c \
	common/conn_plain.c \
	common/crc32.c \
	common/crypto.c \
	common/eventstream.c \
	common/failpoint.c \
	common/h2link.c \
	common/h2link_send.c \
	common/h2stream.c \
	common/http1_body.c \
	common/http1_field.c \
	common/http1_head.c \
	common/http1_write.c \
	common/httpdate.c \
	common/ids.c \
	common/jscan.c \
	common/jscan_chars.c \
	common/json.c \
	common/json_write.c \
	common/log.c \
	common/logfile.c \
	common/logline.c \
	common/loop.c \
	common/multipart.c \
	common/notify.c \
	common/sse.c \
	common/ws.c \

# of those that serve TLS: besides these only tests link libssl
TLS_SRCS = \
	common/conn_tls.c \
	common/tls_context.c \

SHM_SRCS = \
	shm/bucket.c \
	shm/call.c \
	shm/cells.c \
	shm/counters.c \
	shm/layout.c \
	shm/object.c \
	shm/objtab.c \
	shm/older.c \
	shm/pricetab.c \
	shm/process.c \
	shm/pubtab.c \
	shm/registry.c \
	shm/shm.c \
	shm/usage.c \

# hubd's rooms of decisions: no loop, no sockets, no fork
API_SRCS = \
	hubd/api/amazon.c \
	hubd/api/anthropic.c \
	hubd/api/anthropic_inspect.c \
	hubd/api/anthropic_usage.c \
	hubd/api/api.c \
	hubd/api/azure.c \
	hubd/api/bedrock.c \
	hubd/api/bedrock_inspect.c \
	hubd/api/bedrock_usage.c \
	hubd/api/counts.c \
	hubd/api/endpoints.c \
	hubd/api/errors.c \
	hubd/api/estimate.c \
	hubd/api/gemini.c \
	hubd/api/gemini_inspect.c \
	hubd/api/gemini_usage.c \
	hubd/api/inspect.c \
	hubd/api/key.c \
	hubd/api/kind.c \
	hubd/api/kind_audio.c \
	hubd/api/kind_bedrock.c \
	hubd/api/kind_chat.c \
	hubd/api/kind_free.c \
	hubd/api/kind_gemini.c \
	hubd/api/kind_image.c \
	hubd/api/kind_message.c \
	hubd/api/kind_object.c \
	hubd/api/kind_response.c \
	hubd/api/meter.c \
	hubd/api/meter_hold.c \
	hubd/api/openai.c \
	hubd/api/openai_form.c \
	hubd/api/openai_inspect.c \
	hubd/api/openai_object.c \
	hubd/api/openai_prepare.c \
	hubd/api/openai_usage.c \
	hubd/api/path.c \
	hubd/api/reader.c \
	hubd/api/scrub.c \
	hubd/api/scrub_doc.c \
	hubd/api/scrub_json.c \
	hubd/api/target.c \

ROUTE_SRCS = \
	hubd/route/cooldown.c \
	hubd/route/explain.c \
	hubd/route/match.c \
	hubd/route/pick.c \
	hubd/route/plan.c \
	hubd/route/route.c \

AUTH_SRCS = \
	hubd/auth/auth.c \

LIMIT_SRCS = \
	hubd/limit/limit_cells.c \
	hubd/limit/limit_fields.c \
	hubd/limit/limit_local.c \
	hubd/limit/limit_redis.c \
	hubd/limit/redis_lease.c \
	hubd/limit/redis_script.c \
	hubd/limit/redis_tell.c \
	hubd/limit/redis_url.c \

PRICE_SRCS = \
	hubd/price/amount.c \
	hubd/price/cost.c \
	hubd/price/price_check.c \
	hubd/price/price_diff.c \
	hubd/price/price_draft.c \
	hubd/price/price_field.c \
	hubd/price/price_file.c \
	hubd/price/price_find.c \
	hubd/price/price_pack.c \
	hubd/price/price_show.c \

LEDGER_SRCS = \
	hubd/ledger/ledger.c \
	hubd/ledger/ledger_change.c \
	hubd/ledger/ledger_pg.c \
	hubd/ledger/ledger_row.c \
	hubd/ledger/ledger_sqlite.c \
	hubd/ledger/ledger_text.c \
	hubd/ledger/pg_accounts.c \
	hubd/ledger/move.c \
	hubd/ledger/pg_array.c \
	hubd/ledger/pg_audit.c \
	hubd/ledger/pg_batch.c \
	hubd/ledger/pg_book.c \
	hubd/ledger/pg_changes.c \
	hubd/ledger/pg_check.c \
	hubd/ledger/pg_keys.c \
	hubd/ledger/pg_months.c \
	hubd/ledger/pg_move.c \
	hubd/ledger/pg_objects.c \
	hubd/ledger/pg_prices.c \
	hubd/ledger/pg_rows.c \
	hubd/ledger/pg_sealed.c \
	hubd/ledger/pg_suspense.c \
	hubd/ledger/pgconn.c \
	hubd/ledger/pgconn_codes.c \
	hubd/ledger/pgconn_url.c \
	hubd/ledger/pgconn_values.c \
	hubd/ledger/recompute.c \
	hubd/ledger/schema_postgresql.c \
	hubd/ledger/schema_sqlite.c \
	hubd/ledger/spool.c \
	hubd/ledger/spool_copy.c \
	hubd/ledger/sqlite_accounts.c \
	hubd/ledger/sqlite_audit.c \
	hubd/ledger/sqlite_audit_months.c \
	hubd/ledger/sqlite_backup.c \
	hubd/ledger/sqlite_book.c \
	hubd/ledger/sqlite_check.c \
	hubd/ledger/sqlite_dump.c \
	hubd/ledger/sqlite_list.c \
	hubd/ledger/sqlite_log.c \
	hubd/ledger/sqlite_months.c \
	hubd/ledger/sqlite_objects.c \
	hubd/ledger/sqlite_open.c \
	hubd/ledger/sqlite_prices.c \
	hubd/ledger/sqlite_rows.c \
	hubd/ledger/sqlite_seal.c \
	hubd/ledger/sqlite_seal_copy.c \
	hubd/ledger/sqlite_seal_remove.c \
	hubd/ledger/sqlite_stmt.c \
	hubd/ledger/sqlite_suspense.c \

# what hubd's processes share
HUB_SRCS = \
	hubd/address.c \
	hubd/birth.c \
	hubd/channel.c \
	hubd/child.c \
	hubd/confine.c \
	hubd/hub_conf.c \
	hubd/ctlproto.c \
	hubd/gauges.c \
	hubd/health.c \
	hubd/tls_pack.c \

# hubd's processes
MASTER_SRCS = \
	hubd/main.c \
	hubd/master/check.c \
	hubd/master/daemon.c \
	hubd/master/drain.c \
	hubd/master/handover.c \
	hubd/master/identity.c \
	hubd/master/limits.c \
	hubd/master/listen.c \
	hubd/master/master.c \
	hubd/master/message.c \
	hubd/master/move.c \
	hubd/master/reap.c \
	hubd/master/reload.c \
	hubd/master/setup.c \
	hubd/master/spawn.c \
	hubd/master/takeover.c \
	hubd/master/tls.c \
	hubd/master/upgrade.c \

WORKER_SRCS = \
	hubd/worker/accept.c \
	hubd/worker/access.c \
	hubd/worker/announce.c \
	hubd/worker/answer.c \
	hubd/worker/attempt.c \
	hubd/worker/client.c \
	hubd/worker/client_head.c \
	hubd/worker/deliver.c \
	hubd/worker/finish.c \
	hubd/worker/handshake.c \
	hubd/worker/learn.c \
	hubd/worker/link.c \
	hubd/worker/link_announce.c \
	hubd/worker/local.c \
	hubd/worker/objects.c \
	hubd/worker/pace.c \
	hubd/worker/pipe.c \
	hubd/worker/redis.c \
	hubd/worker/redis_flight.c \
	hubd/worker/redis_io.c \
	hubd/worker/relay.c \
	hubd/worker/reply.c \
	hubd/worker/request.c \
	hubd/worker/retry.c \
	hubd/worker/upstream.c \
	hubd/worker/worker.c \

BILLING_SRCS = \
	hubd/billing/asker.c \
	hubd/billing/billing.c \
	hubd/billing/book.c \
	hubd/billing/checkpoint.c \
	hubd/billing/cmd_account.c \
	hubd/billing/cmd_agent.c \
	hubd/billing/cmd_export.c \
	hubd/billing/cmd_hub.c \
	hubd/billing/cmd_key.c \
	hubd/billing/cmd_route.c \
	hubd/billing/cmd_prices.c \
	hubd/billing/cmd_show.c \
	hubd/billing/cmd_suspense.c \
	hubd/billing/cmd_usage.c \
	hubd/billing/commands.c \
	hubd/billing/control.c \
	hubd/billing/courier.c \
	hubd/billing/courier_balances.c \
	hubd/billing/courier_rows.c \
	hubd/billing/directory.c \
	hubd/billing/due.c \
	hubd/billing/identity.c \
	hubd/billing/groups.c \
	hubd/billing/errand.c \
	hubd/billing/errand_main.c \
	hubd/billing/intake.c \
	hubd/billing/mirror.c \
	hubd/billing/mirror_apply.c \
	hubd/billing/objects.c \
	hubd/billing/offspring.c \
	hubd/billing/oldrows.c \
	hubd/billing/prices.c \
	hubd/billing/publish.c \
	hubd/billing/reply.c \
	hubd/billing/seal.c \
	hubd/billing/settle.c \
	hubd/billing/shared.c \
	hubd/billing/shared_prices.c \
	hubd/billing/state.c \
	hubd/billing/store.c \
	hubd/billing/tidy.c \
	hubd/billing/tidy_main.c \
	hubd/billing/versions.c \

ADMIN_SRCS = \
	hubd/admin/admin.c \
	hubd/admin/answer.c \
	hubd/admin/http.c \
	hubd/admin/metrics.c \

CTL_SRCS = \
	hubd/ctl/client.c \
	hubd/ctl/decimal.c \
	hubd/ctl/hubctl.c \
	hubd/ctl/out_json.c \
	hubd/ctl/out_text.c \
	hubd/ctl/parse.c \
	hubd/ctl/price_lines.c \
	hubd/ctl/rundir.c \
	hubd/ctl/show.c \
	hubd/ctl/show_agents.c \
	hubd/ctl/show_limits.c \
	hubd/ctl/show_models.c \
	hubd/ctl/stream.c \
	hubd/ctl/table.c \
	hubd/ctl/top.c \
	hubd/ctl/when.c \
	hubd/ctlproto.c \
	hubd/gauges.c \

HUBD_SRCS = $(COMMON_SRCS) $(TLS_SRCS) $(SHM_SRCS) $(HUB_SRCS) $(API_SRCS) \
	$(ROUTE_SRCS) $(AUTH_SRCS) $(LIMIT_SRCS) $(PRICE_SRCS) $(LEDGER_SRCS) \
	$(MASTER_SRCS) $(WORKER_SRCS) $(BILLING_SRCS) $(ADMIN_SRCS)

HUBCTL_SRCS = $(COMMON_SRCS) $(SHM_SRCS) $(AUTH_SRCS) $(PRICE_SRCS) \
	$(CTL_SRCS) hubd/route/match.c

AGENTD_SRCS = $(COMMON_SRCS) \
	common/rsa.c \
	agentd/agent_conf.c \
	agentd/agent_options.c \
	agentd/announce.c \
	agentd/answer.c \
	agentd/answer_head.c \
	agentd/aws_exception.c \
	agentd/aws_keys.c \
	agentd/aws_metadata.c \
	agentd/aws_url.c \
	agentd/azure_url.c \
	agentd/base_url.c \
	agentd/call.c \
	agentd/call_answer.c \
	agentd/call_want.c \
	agentd/curl_loop.c \
	agentd/dial.c \
	agentd/google_key.c \
	agentd/google_url.c \
	agentd/link.c \
	agentd/lookup.c \
	agentd/main.c \
	agentd/origin.c \
	agentd/oauth.c \
	agentd/provider.c \
	agentd/provider_anthropic.c \
	agentd/provider_aws.c \
	agentd/provider_azure.c \
	agentd/provider_google.c \
	agentd/provider_openai.c \
	agentd/reqhead.c \
	agentd/trust.c \
	agentd/tunnel.c \
	agentd/sigv4.c \
	agentd/skew.c \
	agentd/token.c \
	agentd/ui.c \
	agentd/uplink.c \
	agentd/uplinks.c \
	agentd/upstream.c \

PROVSIM_SRCS = \
	common/alloc.c \
	common/buf.c \
	common/crc32.c \
	common/http1_body.c \
	common/http1_field.c \
	common/http1_head.c \
	common/http1_write.c \
	common/jscan.c \
	common/jscan_chars.c \
	common/json.c \
	common/json_write.c \
	common/log.c \
	tests/sim/answer.c \
	tests/sim/catalog.c \
	tests/sim/clock.c \
	tests/sim/control.c \
	tests/sim/frame.c \
	tests/sim/issued.c \
	tests/sim/issuer_aws.c \
	tests/sim/issuer_entra.c \
	tests/sim/issuer_google.c \
	tests/sim/journal.c \
	tests/sim/jwt.c \
	tests/sim/main.c \
	tests/sim/objects.c \
	tests/sim/peer.c \
	tests/sim/play.c \
	tests/sim/provider_anthropic.c \
	tests/sim/provider_aws.c \
	tests/sim/provider_azure.c \
	tests/sim/provider_google.c \
	tests/sim/provider_openai.c \
	tests/sim/providers.c \
	tests/sim/request.c \
	tests/sim/rules.c \
	tests/sim/sigv4.c \
	tests/sim/sigv4_canon.c \
	tests/sim/synth.c \
	tests/sim/timers.c \
	tests/sim/voice_anthropic.c \
	tests/sim/voice_bedrock.c \
	tests/sim/voice_gemini.c \
	tests/sim/voice_openai.c \

# tools of `make bench`
LOAD_SRCS = \
	tests/bench/dialect.c \
	tests/bench/load.c \

# the users of the torture run
PRESS_SRCS = \
	tests/torture/press.c \

PROGRAMS = $(O)/hubd $(O)/provsim
PROGRAMS += $(O)/hubctl
PROGRAMS += $(O)/agentd
