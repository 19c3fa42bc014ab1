# One line a test: test_X links exactly these files of the project.
UNIT_amount = hubd/price/amount.c common/alloc.c common/log.c
LEDGER_PG_LINKS = hubd/ledger/ledger_pg.c hubd/ledger/pg_accounts.c \
	hubd/ledger/pg_array.c hubd/ledger/pg_audit.c hubd/ledger/pg_batch.c hubd/ledger/pg_book.c hubd/ledger/pg_changes.c \
	hubd/ledger/pg_check.c hubd/ledger/pg_keys.c hubd/ledger/pg_months.c \
	hubd/ledger/pg_objects.c hubd/ledger/pg_prices.c \
	hubd/ledger/pg_rows.c hubd/ledger/pg_sealed.c \
	hubd/ledger/pg_suspense.c hubd/ledger/pgconn.c \
	hubd/ledger/pgconn_codes.c hubd/ledger/pgconn_url.c hubd/ledger/pgconn_values.c \
	hubd/ledger/schema_postgresql.c
UNIT_ledger = hubd/ledger/ledger.c hubd/ledger/ledger_change.c hubd/ledger/ledger_row.c \
	hubd/ledger/ledger_text.c hubd/ledger/recompute.c $(LEDGER_PG_LINKS) \
	hubd/ledger/ledger_sqlite.c hubd/ledger/sqlite_objects.c shm/object.c \
	hubd/ledger/schema_sqlite.c hubd/ledger/spool.c hubd/ledger/spool_copy.c \
	hubd/ledger/sqlite_accounts.c hubd/ledger/sqlite_audit.c \
	hubd/ledger/sqlite_audit_months.c hubd/ledger/sqlite_backup.c \
	hubd/ledger/sqlite_check.c hubd/ledger/sqlite_log.c \
	hubd/ledger/sqlite_open.c hubd/ledger/sqlite_stmt.c \
	hubd/ledger/sqlite_book.c \
	hubd/ledger/sqlite_prices.c hubd/ledger/sqlite_rows.c \
	hubd/ledger/sqlite_list.c hubd/ledger/sqlite_months.c \
	hubd/ledger/sqlite_seal_copy.c hubd/ledger/sqlite_seal_remove.c \
	hubd/ledger/sqlite_seal.c hubd/ledger/sqlite_suspense.c hubd/price/amount.c \
	hubd/price/cost.c hubd/price/price_draft.c hubd/price/price_field.c \
	hubd/price/price_file.c hubd/price/price_pack.c shm/pricetab.c shm/usage.c \
	common/ids.c common/json.c common/jscan.c \
	common/jscan_chars.c common/crc32.c common/buf.c \
	common/alloc.c common/log.c
UNIT_ledger_objects = $(UNIT_ledger)
UNIT_spool = $(UNIT_ledger)
UNIT_ledger_pg = $(UNIT_ledger)
UNIT_pg_hubs = $(UNIT_ledger)
UNIT_move = hubd/ledger/move.c hubd/ledger/pg_move.c \
	hubd/ledger/sqlite_dump.c $(UNIT_ledger)
UNIT_ledger_books = $(UNIT_ledger)
UNIT_ledger_seal = $(UNIT_ledger)
UNIT_price = hubd/price/amount.c hubd/price/cost.c hubd/price/price_check.c hubd/price/price_diff.c \
	hubd/price/price_draft.c hubd/price/price_field.c hubd/price/price_file.c \
	hubd/price/price_find.c hubd/price/price_pack.c shm/pricetab.c \
	shm/usage.c common/json.c common/jscan.c \
	common/jscan_chars.c common/crc32.c common/buf.c \
	common/alloc.c common/log.c
UNIT_buf = common/buf.c common/alloc.c common/log.c
UNIT_jscan = common/jscan.c \
	common/jscan_chars.c common/buf.c common/alloc.c common/log.c
UNIT_json = common/json.c common/jscan.c \
	common/jscan_chars.c common/json_write.c common/buf.c common/alloc.c \
	common/log.c
UNIT_tls = common/conn_tls.c common/tls_context.c common/crypto.c common/ids.c \
	common/log.c common/alloc.c
UNIT_crypto = common/crypto.c common/ids.c common/log.c common/alloc.c
UNIT_h2link = common/h2link.c common/h2link_send.c common/h2stream.c \
	common/buf.c common/alloc.c common/log.c
UNIT_http1 = common/http1_field.c common/http1_head.c common/http1_body.c common/http1_write.c \
	common/buf.c common/alloc.c common/log.c
UNIT_http1_llhttp = $(UNIT_http1)
SHM_FOR_UNIT = shm/shm.c shm/layout.c shm/older.c shm/process.c common/alloc.c common/log.c
UNIT_shm = $(SHM_FOR_UNIT) shm/registry.c shm/pubtab.c shm/counters.c
UNIT_call = $(SHM_FOR_UNIT) shm/call.c shm/object.c shm/usage.c \
	common/crc32.c
UNIT_objtab = $(SHM_FOR_UNIT) shm/object.c shm/objtab.c
UNIT_cells = $(SHM_FOR_UNIT) shm/cells.c shm/bucket.c
UNIT_conn = common/conn.c common/conn_io.c common/conn_plain.c common/loop.c common/buf.c \
	common/alloc.c common/log.c
API_LINKS = hubd/api/amazon.c hubd/api/anthropic.c \
	hubd/api/anthropic_inspect.c hubd/api/anthropic_usage.c hubd/api/api.c \
	hubd/api/azure.c hubd/api/bedrock.c hubd/api/bedrock_inspect.c \
	hubd/api/bedrock_usage.c hubd/api/counts.c hubd/api/endpoints.c hubd/api/errors.c \
	hubd/api/estimate.c hubd/api/gemini.c hubd/api/gemini_inspect.c \
	hubd/api/gemini_usage.c hubd/api/inspect.c hubd/api/key.c hubd/api/kind.c \
	hubd/api/kind_audio.c hubd/api/kind_bedrock.c hubd/api/kind_chat.c \
	hubd/api/kind_free.c hubd/api/kind_gemini.c hubd/api/kind_image.c \
	hubd/api/kind_message.c hubd/api/kind_object.c hubd/api/kind_response.c \
	hubd/api/meter.c hubd/api/meter_hold.c hubd/api/openai.c hubd/api/openai_form.c \
	hubd/api/openai_inspect.c hubd/api/openai_object.c hubd/api/openai_prepare.c hubd/api/openai_usage.c \
	hubd/api/path.c hubd/api/reader.c hubd/api/scrub.c hubd/api/scrub_doc.c \
	hubd/api/scrub_json.c \
	hubd/api/target.c common/base64.c common/crc32.c common/eventstream.c \
	common/http1_field.c common/http1_head.c common/http1_write.c \
	common/multipart.c shm/usage.c common/jscan.c \
	common/jscan_chars.c common/json.c \
	common/json_write.c common/sse.c common/buf.c common/alloc.c common/log.c \
	shm/object.c
UNIT_meter = $(API_LINKS)
UNIT_openai = $(API_LINKS)
UNIT_target = $(API_LINKS)
UNIT_anthropic = $(API_LINKS)
UNIT_recordings = $(API_LINKS)
UNIT_gemini = $(API_LINKS)
UNIT_bedrock = $(API_LINKS)
UNIT_objects = $(API_LINKS)
UNIT_scrub = $(API_LINKS)
UNIT_estimate = $(API_LINKS)
UNIT_announce = hubd/worker/announce.c common/json.c common/jscan.c \
	common/jscan_chars.c \
	common/json_write.c common/buf.c common/alloc.c common/log.c
UNIT_ws = common/ws.c common/ids.c common/buf.c common/alloc.c common/log.c
UNIT_sse = common/sse.c common/buf.c common/alloc.c common/log.c
UNIT_eventstream = common/eventstream.c common/crc32.c common/json.c \
	common/jscan.c common/jscan_chars.c common/json_write.c \
	common/buf.c common/alloc.c \
	common/log.c
UNIT_sigv4 = agentd/base_url.c agentd/sigv4.c common/crypto.c common/ids.c common/json.c \
	common/jscan.c common/jscan_chars.c common/json_write.c \
	common/buf.c common/alloc.c \
	common/log.c
UNIT_skew = agentd/skew.c common/httpdate.c
UNIT_ids = common/ids.c common/alloc.c common/log.c
CONF_FOR_UNIT = common/conf.c common/conf_expand.c common/conf_scan.c \
	common/conf_serial.c common/conf_value.c common/buf.c common/alloc.c \
	common/log.c
UNIT_ctl = hubd/ctl/decimal.c hubd/ctl/parse.c hubd/ctl/rundir.c \
	hubd/ctl/when.c hubd/ctlproto.c common/json_write.c common/buf.c \
	common/alloc.c common/log.c
UNIT_out = hubd/ctl/decimal.c hubd/ctl/out_json.c hubd/ctl/out_text.c \
	hubd/ctl/price_lines.c hubd/ctl/table.c hubd/ctl/when.c hubd/ctlproto.c shm/usage.c \
	common/json.c common/jscan.c \
	common/jscan_chars.c common/json_write.c common/buf.c common/alloc.c \
	common/log.c
UNIT_health = $(SHM_FOR_UNIT) hubd/gauges.c hubd/health.c shm/call.c shm/object.c \
	shm/cells.c shm/pricetab.c shm/pubtab.c shm/registry.c shm/usage.c \
	common/crc32.c common/json_write.c common/buf.c
UNIT_show = $(SHM_FOR_UNIT) hubd/admin/metrics.c hubd/auth/auth.c \
	hubd/ctl/show.c hubd/route/match.c common/crypto.c \
	hubd/ctl/show_agents.c hubd/ctl/show_limits.c hubd/ctl/show_models.c \
	hubd/ctl/when.c hubd/gauges.c hubd/price/amount.c hubd/price/cost.c \
	hubd/price/price_draft.c hubd/price/price_field.c hubd/price/price_file.c \
	hubd/price/price_find.c hubd/price/price_pack.c \
	hubd/price/price_show.c shm/bucket.c \
	shm/call.c shm/cells.c shm/counters.c shm/object.c shm/pricetab.c shm/pubtab.c \
	shm/registry.c shm/usage.c common/crc32.c common/ids.c common/json.c common/jscan.c \
	common/jscan_chars.c \
	common/json_write.c common/buf.c
UNIT_conf = $(CONF_FOR_UNIT)
UNIT_hub_conf = hubd/hub_conf.c hubd/address.c \
	hubd/ledger/pgconn_url.c \
	hubd/limit/redis_url.c $(CONF_FOR_UNIT)
UNIT_limit = $(SHM_FOR_UNIT) hubd/limit/limit_cells.c \
	hubd/limit/limit_fields.c hubd/limit/limit_local.c hubd/auth/auth.c \
	shm/cells.c shm/bucket.c shm/pubtab.c common/crypto.c common/ids.c \
	common/failpoint.c common/buf.c
UNIT_limit_redis = $(SHM_FOR_UNIT) hubd/limit/limit_cells.c \
	hubd/limit/limit_redis.c hubd/limit/redis_lease.c \
	hubd/limit/redis_script.c hubd/limit/redis_tell.c \
	shm/bucket.c shm/cells.c shm/counters.c shm/pubtab.c \
	common/crypto.c common/failpoint.c common/ids.c common/buf.c
UNIT_redis_url = hubd/limit/redis_url.c common/alloc.c common/log.c
UNIT_route = $(SHM_FOR_UNIT) hubd/route/cooldown.c hubd/route/explain.c hubd/route/match.c hubd/route/pick.c \
	hubd/route/plan.c hubd/route/route.c hubd/auth/auth.c \
	hubd/price/amount.c hubd/price/cost.c hubd/price/price_draft.c hubd/price/price_field.c \
	hubd/price/price_file.c hubd/price/price_find.c \
	hubd/price/price_pack.c shm/pubtab.c shm/registry.c shm/pricetab.c \
	shm/usage.c common/crypto.c common/ids.c common/json.c \
	common/jscan.c common/jscan_chars.c common/crc32.c common/buf.c
BILLING_LINKS = hubd/billing/asker.c hubd/billing/book.c \
	hubd/billing/checkpoint.c \
	hubd/billing/cmd_account.c hubd/billing/cmd_agent.c \
	hubd/billing/cmd_hub.c hubd/billing/cmd_key.c \
	hubd/billing/cmd_prices.c hubd/billing/cmd_route.c \
	hubd/billing/cmd_export.c hubd/billing/cmd_show.c hubd/billing/cmd_suspense.c hubd/billing/cmd_usage.c \
	hubd/billing/groups.c \
	hubd/billing/commands.c hubd/billing/directory.c hubd/billing/due.c \
	hubd/billing/identity.c hubd/billing/intake.c hubd/billing/mirror.c \
	hubd/billing/mirror_apply.c hubd/billing/objects.c \
	hubd/billing/oldrows.c hubd/billing/prices.c \
	hubd/billing/publish.c hubd/billing/reply.c hubd/billing/settle.c \
	hubd/billing/shared.c hubd/billing/shared_prices.c \
	hubd/billing/state.c hubd/billing/store.c hubd/billing/tidy.c hubd/billing/versions.c \
	hubd/ctlproto.c hubd/ledger/ledger_change.c hubd/ledger/ledger_null.c hubd/ledger/ledger_row.c \
	hubd/ledger/null_objects.c hubd/ledger/null_suspense.c \
	hubd/ledger/null_tables.c $(UNIT_ledger) \
	hubd/price/amount.c hubd/price/cost.c \
	hubd/price/price_check.c hubd/price/price_diff.c hubd/price/price_draft.c hubd/price/price_field.c \
	hubd/price/price_file.c hubd/price/price_find.c \
	hubd/price/price_pack.c hubd/price/price_show.c shm/call.c shm/cells.c \
	shm/counters.c shm/layout.c shm/object.c shm/objtab.c shm/older.c \
	shm/pricetab.c shm/process.c \
	shm/pubtab.c shm/registry.c shm/shm.c shm/usage.c hubd/auth/auth.c \
	hubd/route/explain.c hubd/route/match.c hubd/route/plan.c hubd/route/route.c \
	common/alloc.c common/buf.c \
	common/crc32.c common/crypto.c common/failpoint.c common/ids.c \
	common/json.c common/json_write.c common/log.c common/loop.c
UNIT_settle = $(BILLING_LINKS) $(API_LINKS)
UNIT_commands = $(BILLING_LINKS) $(API_LINKS)
UNIT_mirror = $(BILLING_LINKS) $(API_LINKS)
UNIT_books = $(UNIT_commands)

# What each fuzz target links.
FUZZ_jscan = $(UNIT_json)
FUZZ_meter = $(API_LINKS)
FUZZ_request = $(API_LINKS)
FUZZ_base64 = common/base64.c common/buf.c common/alloc.c common/log.c
FUZZ_price = $(UNIT_price)
FUZZ_http1 = $(UNIT_http1)
FUZZ_ws = $(UNIT_ws)
FUZZ_sse = $(UNIT_sse)
FUZZ_eventstream = common/eventstream.c common/crc32.c common/buf.c \
	common/alloc.c common/log.c
FUZZ_conf = $(UNIT_hub_conf)
FUZZ_mirror = hubd/billing/mirror.c hubd/price/amount.c shm/object.c shm/pricetab.c shm/usage.c \
	common/ids.c common/crc32.c common/buf.c common/alloc.c common/log.c
FUZZ_ctl = $(BILLING_LINKS) $(API_LINKS)
FUZZ_h2link = $(UNIT_h2link)
FUZZ_announce = $(UNIT_announce)
FUZZ_multipart = $(UNIT_multipart)
UNIT_ctl_client = hubd/ctl/client.c hubd/ctl/stream.c hubd/ctlproto.c common/json.c \
	common/jscan.c common/jscan_chars.c common/json_write.c \
	common/buf.c common/alloc.c \
	common/log.c
# The provider types know each other through their table. Their tests bring
# an upstream of their own (tests/unit/upstream_fake.h).
PROVIDER_LINKS = agentd/aws_exception.c agentd/aws_keys.c agentd/aws_metadata.c \
	agentd/aws_url.c agentd/azure_url.c \
	agentd/base_url.c agentd/google_key.c agentd/google_url.c \
	agentd/oauth.c agentd/provider.c agentd/provider_anthropic.c \
	agentd/provider_aws.c agentd/provider_azure.c \
	agentd/provider_google.c agentd/provider_openai.c agentd/sigv4.c \
	agentd/skew.c agentd/token.c common/crypto.c common/httpdate.c \
	common/ids.c common/json.c common/json_write.c common/jscan.c \
	common/jscan_chars.c \
	common/loop.c common/rsa.c common/buf.c common/alloc.c common/log.c
UNIT_provider_anthropic = $(PROVIDER_LINKS)
UNIT_provider_google = $(PROVIDER_LINKS)
UNIT_google_key = $(PROVIDER_LINKS)
UNIT_google_url = agentd/google_url.c $(UNIT_base_url)
UNIT_aws_keys = agentd/aws_keys.c common/crypto.c common/ids.c common/json.c \
	common/jscan.c common/jscan_chars.c common/json_write.c \
	common/buf.c common/alloc.c \
	common/log.c
UNIT_provider_aws = $(PROVIDER_LINKS)
UNIT_provider_azure = $(PROVIDER_LINKS)
UNIT_base_url = agentd/base_url.c common/buf.c common/alloc.c common/log.c
UNIT_oauth = $(PROVIDER_LINKS)
UNIT_azure_url = agentd/azure_url.c $(UNIT_base_url)
FUZZ_azure_url = $(UNIT_azure_url)
UNIT_provider_openai = $(PROVIDER_LINKS)
UNIT_token = $(PROVIDER_LINKS)
UNIT_agent_conf = agentd/agent_conf.c agentd/agent_options.c agentd/trust.c \
	$(PROVIDER_LINKS) common/conf.c \
	common/conf_expand.c common/conf_scan.c common/conf_serial.c \
	common/conf_value.c
UNIT_agent_call = agentd/answer_head.c agentd/call.c \
	agentd/call_answer.c agentd/call_want.c \
	$(UNIT_agent_conf)
UNIT_call_want = agentd/call_want.c $(PROVIDER_LINKS)
UNIT_billing = hubd/billing/billing.c hubd/billing/control.c hubd/billing/seal.c \
	common/conn.c common/conn_io.c common/conn_plain.c \
	$(UNIT_ledger) $(BILLING_LINKS) $(API_LINKS)
UNIT_admin_http = $(UNIT_health) hubd/admin/answer.c hubd/admin/http.c \
	hubd/admin/metrics.c shm/counters.c common/conn.c common/conn_io.c \
	common/conn_plain.c common/http1_field.c common/http1_head.c \
	common/http1_write.c common/ids.c common/loop.c
UNIT_log = common/log.c
UNIT_confine = hubd/confine.c common/alloc.c common/log.c
UNIT_logline = common/logline.c common/json.c common/jscan.c \
	common/jscan_chars.c \
	common/json_write.c common/buf.c common/alloc.c common/log.c
UNIT_logfile = common/logfile.c common/loop.c common/buf.c common/alloc.c \
	common/log.c
UNIT_multipart = common/multipart.c
HTTP1_LINKS = common/http1_field.c common/http1_head.c common/http1_body.c \
	common/http1_write.c
UNIT_answer = agentd/answer.c $(HTTP1_LINKS) common/buf.c common/alloc.c \
	common/log.c
UNIT_reqhead = agentd/reqhead.c $(HTTP1_LINKS) common/buf.c common/alloc.c \
	common/log.c
UNIT_upstream = agentd/answer.c agentd/curl_loop.c agentd/origin.c \
	agentd/reqhead.c agentd/trust.c agentd/tunnel.c agentd/upstream.c \
	$(HTTP1_LINKS) common/conn.c common/conn_io.c common/conn_plain.c \
	common/loop.c common/buf.c common/alloc.c common/log.c
UNIT_LIBS_upstream = libcurl
UNIT_LIBS_agent_conf = libssl
UNIT_LIBS_agent_call = libssl
UNIT_origin = agentd/origin.c common/conn.c common/conn_io.c \
	common/conn_plain.c common/loop.c common/buf.c common/alloc.c \
	common/log.c
FUZZ_answer = $(UNIT_answer)
UNIT_reply = hubd/billing/reply.c hubd/ctl/stream.c common/json.c \
	common/jscan.c common/jscan_chars.c common/json_write.c \
	common/buf.c common/alloc.c \
	common/log.c
