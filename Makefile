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
PKGS_AGENT  = libcurl

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

# The schema is taken into the object as it is.
$(O)/obj/hubd/ledger/schema_sqlite.o $(O)/test/obj/hubd/ledger/schema_sqlite.o: \
	etc/ledger_sqlite.sql

obj	= $(patsubst %.c,$(O)/obj/%.o,$(1))
testobj	= $(patsubst %.c,$(O)/test/obj/%.o,$(1))

# ---- programs ------------------------------------------------------------

$(O)/hubd: $(call obj,$(HUBD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_HUB))

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
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(O)/test/hubd: $(call testobj,$(HUBD_SRCS))
	$(say) ' CC  ' $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_COMMON) $(PKGS_HUB))

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
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(call libs,check $(PKGS_COMMON) $(PKGS_HUB))
endef
$(foreach u,$(UNITS),$(eval $(call unit_rule,$(u))))

.PHONY: unit
unit: $(patsubst %,$(O)/unit/test_%,$(UNITS))
	@set -e; for t in $^; do $$t; done

# ---- system tests --------------------------------------------------------

VENV	= build/venv

$(VENV)/.done: tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -r $<
	@touch $@

.PHONY: venv
venv: $(VENV)/.done

.PHONY: system
system: all test-programs venv
	$(VENV)/bin/python -m pytest -q -p no:cacheprovider tests/system

# ---- the two commands ------------------------------------------------------

.PHONY: deps
deps:
	@tests/run/deps.sh

.PHONY: run
run: deps
	@$(MAKE) --no-print-directory all
	@ONCE=$(ONCE) BUILD=$(CURDIR)/$(O) $(PYTHON) tests/run/main_job.py

.PHONY: bench
bench: all $(O)/load
	@$(PYTHON) tests/bench/bench.py

# ---- reading the source ----------------------------------------------------

.PHONY: lint
lint:
	@CC="$(CC)" tests/lint/lint.sh

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

.PHONY: install
install: $(O)/hubd $(O)/agentd $(O)/hubctl
	install -d $(sbin) $(bin) $(share) \
	    $(foreach s,$(sort $(subst .,,$(suffix $(MAN)))),$(mandir)/man$(s))
	install $(O)/hubd $(O)/agentd $(sbin)
	install $(O)/hubctl $(bin)
	install -m 644 $(SAMPLES) $(share)
	for m in $(MAN); do \
	    install -m 644 $$m $(mandir)/man$${m##*.}/ || exit; done

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(O) -name '*.d' 2>/dev/null)
