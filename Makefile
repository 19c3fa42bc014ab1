# hubd. `make run` runs the main job, `make check` passes the tests.
#
# SAN=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer into
# build/san/.

CC	= gcc
PREFIX	= /usr/local
DESTDIR	=
PYTHON	= python3

ifdef SAN
O	:= build/san
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
else
O	:= build
SANFLAGS =
endif

VERSION	:= 0.1.0
PKGS_COMMON = libevent_core libnghttp2 libcrypto yajl libconfuse
PKGS_HUB    = sqlite3 gmp
PKGS_STORE  = libpq
PKGS_LIMITS = hiredis
PKGS_TLS    = libssl
PKGS_AGENT  = libcurl libssl

OPT	?= -O2 -g
WARN	= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wswitch-enum -Wvla \
	-Wno-unused-parameter -Werror
CFLAGS	= -std=gnu11 $(OPT) $(WARN) $(SANFLAGS) -fstack-protector-strong
CPPFLAGS = -I. -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DPREFIX='"$(PREFIX)"'
LDFLAGS	= $(SANFLAGS) -Wl,-z,relro,-z,now
libs	= $(shell pkg-config --libs $(1) 2>/dev/null)

ifdef V
Q	=
say	= @:
else
Q	= @
say	= @echo
endif

include build.mk
include tests/unit/unit.mk

.PHONY: all
all: $(PROGRAMS)

# ---- objects -------------------------------------------------------------

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) ' CC  ' $@
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/test/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) ' CC  ' $@
	$(Q)$(CC) $(CPPFLAGS) -DFAILPOINTS $(CFLAGS) -MMD -MP -c -o $@ $<

# Scripts and schemas are taken into the objects as they are.
$(O)/obj/hubd/limit/redis_script.o $(O)/test/obj/hubd/limit/redis_script.o: \
	hubd/limit/redis_common.lua hubd/limit/redis_admit.lua \
	hubd/limit/redis_keep.lua hubd/limit/redis_tell.lua

$(O)/obj/hubd/ledger/schema_sqlite.o $(O)/test/obj/hubd/ledger/schema_sqlite.o: \
	etc/ledger_spool.sql $(wildcard etc/ledger_sqlite*.sql)

$(O)/obj/hubd/ledger/schema_postgresql.o \
$(O)/test/obj/hubd/ledger/schema_postgresql.o: \
	$(wildcard etc/ledger_postgresql*.sql)

$(foreach d,$(O)/obj $(O)/test/obj,$(d)/hubd/ledger/pgconn.o \
    $(d)/hubd/ledger/pgconn_codes.o $(d)/hubd/ledger/pgconn_url.o \
    $(d)/hubd/ledger/pgconn_values.o): \
	CPPFLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)

obj	= $(patsubst %.c,$(O)/obj/%.o,$(1))
testobj	= $(patsubst %.c,$(O)/test/obj/%.o,$(1))

# ---- programs ------------------------------------------------------------

$(O)/hubd: $(call obj,$(HUBD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_HUB) $(PKGS_STORE) \
	    $(PKGS_LIMITS) $(PKGS_TLS))

$(O)/agentd: $(call obj,$(AGENTD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_AGENT))

$(O)/hubctl: $(call obj,$(HUBCTL_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_HUB))

$(O)/provsim: $(call obj,$(PROVSIM_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON))

$(O)/load: $(call obj,$(LOAD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_TLS))

$(O)/press: $(call obj,$(PRESS_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(O)/test/hubd: $(call testobj,$(HUBD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_HUB) $(PKGS_STORE) \
	    $(PKGS_LIMITS) $(PKGS_TLS))

$(O)/test/agentd: $(call testobj,$(AGENTD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_AGENT))

.PHONY: test-programs
test-programs: $(addprefix $(O)/test/,$(filter hubd agentd,$(notdir $(PROGRAMS))))

# ---- unit tests ----------------------------------------------------------

UNITS	= $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))

define unit_rule
$(O)/unit/test_$(1): $(call obj,tests/unit/test_$(1).c $(UNIT_$(1)))
	@mkdir -p $$(@D)
	$(say) ' CC  ' $$@
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(call libs,check $(PKGS_COMMON) $(PKGS_HUB) $(PKGS_STORE) $(PKGS_TLS) \
	    $(UNIT_LIBS_$(1)))
endef
$(foreach u,$(UNITS),$(eval $(call unit_rule,$(u))))

.PHONY: unit
unit: $(patsubst %,$(O)/unit/test_%,$(UNITS))
	@for t in $^; do $$t >$$t.log 2>&1 || { cat $$t.log; exit 1; }; \
	    grep -v '^20[0-9-]*T[0-9:.]*Z \|^Running' $$t.log | \
		sed "s,^,$${t##*/}: ,"; done

# ---- system tests --------------------------------------------------------

VENV	= build/venv

$(VENV)/.done: tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -r $<
	@touch $@

.PHONY: venv
venv: $(VENV)/.done

# The official clients of Node.js, as the lock file has them.
NODE	= build/node

$(NODE)/.done: tests/system/node/package-lock.json
	@mkdir -p $(NODE)
	cp tests/system/node/package.json $< tests/system/node/.npmrc $(NODE)
	cd $(NODE) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

# Which system tests: all, or under the sanitizers recordings and one storm.
ifdef SAN
SYSTEM	= tests/system/test_recordings.py \
	tests/system/test_recordings_dialects.py tests/system/test_storm.py
STORM_REQUESTS ?= 2000
else
SYSTEM	= tests/system
CLIENTS	= $(NODE)/.done
STORM_REQUESTS ?= 20000
endif
PYTEST	= BUILD=$(CURDIR)/$(O) STORM_REQUESTS=$(STORM_REQUESTS) \
	$(VENV)/bin/python -m pytest -q -p no:cacheprovider -ra

.PHONY: system
system: all test-programs venv $(CLIENTS)
	$(PYTEST) -n 2 --dist loadfile $(SYSTEM)

# On PostgreSQL and Redis: all of them by check-stores, and every day those
# whose hubs book, limit, recover or follow changes. The others are about
# heads, dialects, providers, TLS and links, which no store has a part in.
STORES	= admin admin_now chat crash d05 d14 d16 d18 health limits master \
	objects pressure routes storm

.PHONY: system-stores
system-stores:
	@STORE=postgresql LIMITS=redis $(MAKE) --no-print-directory system \
	    SYSTEM="$(STORES:%=tests/system/test_%.py)"

.PHONY: check-stores
check-stores: system
	@STORE=postgresql LIMITS=redis $(MAKE) --no-print-directory system

# What takes too long for every day.
.PHONY: check-long
check-long: all test-programs venv
	DRIPPERS=10000 $(PYTEST) tests/system/test_d06.py

# A bare Debian 12, from nothing to a served request: as root.
.PHONY: check-bare
check-bare:
	@tests/run/bare.sh

.PHONY: check-mutants
check-mutants: all test-programs venv
	@tests/mutants/run.sh

# A load, a chaos of kills, and the books afterwards: SEED, SECONDS.
.PHONY: torture
torture: all $(O)/press test-programs venv
	@BUILD=$(CURDIR)/$(O) SEED=$(SEED) SECONDS=$(SECONDS) \
	    $(VENV)/bin/python tests/torture/torture.py

# ---- fuzzing ---------------------------------------------------------------

# Seconds a target: a short run in `make check`, longer by hand.
T	= 5
HEADERS	= $(wildcard */*.h */*/*.h */*.def */*/*.def)
FUZZ	= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

define fuzz_rule
build/fuzz/fuzz_$(1): tests/fuzz/fuzz_$(1).c $$(FUZZ_$(1)) $$(HEADERS)
	@mkdir -p $$(@D)
	$(say) ' FUZZ' $$@
	$$(Q)clang $(CPPFLAGS) $$(shell pkg-config --cflags $(PKGS_STORE)) -std=gnu11 -O1 -g -w \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	    -o $$@ $$(sort $$(filter %.c,$$^)) \
	    $$(call libs,check $(PKGS_COMMON) $(PKGS_HUB) $(PKGS_STORE))
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz
fuzz: $(patsubst %,build/fuzz/fuzz_%,$(FUZZ))
	@tests/fuzz/run.sh $(T) $(FUZZ)

# ---- the two commands ------------------------------------------------------

.PHONY: deps
deps:
	@tests/run/deps.sh

.PHONY: run
run: deps
	@$(MAKE) --no-print-directory all
	@ONCE=$(ONCE) STORE=$(STORE) LIMITS=$(LIMITS) BUILD=$(CURDIR)/$(O) \
	    $(PYTHON) tests/run/main_job.py

.PHONY: check
ifdef SAN
check: deps
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory system
else
check: deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory check-docs
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory system
	@$(MAKE) --no-print-directory system-stores
	@$(MAKE) --no-print-directory torture SECONDS=60
	@grep '^estimates of' $(O)/unit/test_estimate.log || true
endif

.PHONY: bench
bench: all $(O)/load
	@$(PYTHON) tests/bench/bench.py

# ---- reading the source ----------------------------------------------------

.PHONY: lint
lint:
	@CC="$(CC)" tests/lint/lint.sh

.PHONY: format
format:
	find agentd common hubd shm tests -name '*.[ch]' | xargs clang-format -i

.PHONY: stats
stats:
	@tests/lint/stats.sh

.PHONY: check-docs
check-docs: $(O)/hubctl
	@BUILD=$(O) $(PYTHON) tests/docs/check.py

# ---- installing ------------------------------------------------------------

MAN	= $(wildcard man/*.[1-9])
SAMPLES	= $(wildcard etc/*.conf) etc/prices.json
sbin	= $(DESTDIR)$(PREFIX)/sbin
bin	= $(DESTDIR)$(PREFIX)/bin
mandir	= $(DESTDIR)$(PREFIX)/share/man
share	= $(DESTDIR)$(PREFIX)/share/hubd
lib	= $(DESTDIR)$(PREFIX)/lib
sysconfdir = /etc
etc	= $(DESTDIR)$(sysconfdir)
INITS	= $(wildcard etc/init.d/*)
UNITS_SYSTEMD = $(wildcard etc/systemd/*.service)

.PHONY: install
install: $(O)/hubd $(O)/agentd $(O)/hubctl
	install -d $(sbin) $(bin) $(share) \
	    $(foreach s,$(sort $(subst .,,$(suffix $(MAN)))),$(mandir)/man$(s))
	install $(O)/hubd $(O)/agentd $(sbin)
	install $(O)/hubctl $(bin)
	install -m 644 $(SAMPLES) $(share)
	install -d $(etc)/init.d $(etc)/logrotate.d $(lib)/systemd/system \
	    $(lib)/sysusers.d $(lib)/tmpfiles.d
	for f in $(INITS); do \
	    sed 's,/usr/sbin/,$(PREFIX)/sbin/,' $$f >$(etc)/init.d/$${f##*/} && \
	    chmod 755 $(etc)/init.d/$${f##*/} || exit; done
	for f in $(UNITS_SYSTEMD); do \
	    sed 's,/usr/sbin/,$(PREFIX)/sbin/,' $$f \
		>$(lib)/systemd/system/$${f##*/} || exit; done
	install -m 644 etc/logrotate.d/hubd $(etc)/logrotate.d
	install -m 644 etc/sysusers.d/hubd.conf $(lib)/sysusers.d
	install -m 644 etc/tmpfiles.d/hubd.conf $(lib)/tmpfiles.d
	for m in $(MAN); do \
	    install -m 644 $$m $(mandir)/man$${m##*.}/ || exit; done

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(O) -name '*.d' 2>/dev/null)
