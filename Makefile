# Vigie. `make help` lists the targets; the README explains the first two.

BUILD   ?= build
CC      := gcc
VERSION := 0.1.0
JOBS    := -j$(shell nproc)

# Packages: `make deps` installs what is missing; see tests/deps.sh for what each is for.
PKGS    := libuv rdkafka libpq openssl inih jansson libxxhash libsystemd
CFLAGS_PKGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhttp_parser -lpthread -lm

# Every warning says what it catches.
WARNINGS :=
WARNINGS += -Wall -Wextra           # the usual mistakes
WARNINGS += -Wshadow                # a name that hides another
WARNINGS += -Wstrict-prototypes     # f() that takes anything
WARNINGS += -Wmissing-prototypes    # a function that should be static or in a header
WARNINGS += -Wwrite-strings         # writing into literals
WARNINGS += -Wvla                   # stack use chosen by data
WARNINGS += -Wpointer-arith         # arithmetic on void
WARNINGS += -Wcast-qual             # casting const away
WARNINGS += -Wformat=2              # format strings that are not literals
WARNINGS += -Wundef                 # misspelt macros in \#if
WARNINGS += -Wno-unused-parameter   # callbacks of libraries take what they are given
HARDEN  := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fno-strict-aliasing
OPT     ?= -O2 -g
SANITIZE ?=
CFLAGS  := -std=c17 -D_GNU_SOURCE -DVIGIE_VERSION='"$(VERSION)"' -I. $(OPT) $(WARNINGS) $(HARDEN) $(SANITIZE) $(CFLAGS_PKGS)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(SANITIZE)

LIB_SRC  := $(wildcard daemon/base/*.c daemon/model/*.c config/*.c storage/*.c alerting/*.c \
            daemon/history/*.c daemon/registry/*.c daemon/ingest/*.c daemon/ingest/*/*.c daemon/admin/*.c) $(filter-out daemon/main.c,$(wildcard daemon/*.c))
CTL_SRC  := $(wildcard daemon/ctl/*.c)
BENCH_SRC := $(wildcard bench/*.c)
UNIT_SRC := $(wildcard tests/unit/*.c)

# One short line a step; V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),@true,@printf '  %-3s %s\n' $(1) $(2))

OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB := $(BUILD)/libvigie.a
PROGRAMS := $(BUILD)/vigied $(BUILD)/vigiectl $(BUILD)/vigie-bench

.PHONY: all
all: $(PROGRAMS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(dir $@)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

# What an assembler directive embeds is not seen by -MMD.
$(BUILD)/obj/storage/migrations.o: $(wildcard storage/migrations/*.sql)

$(LIB): $(call OBJ,$(LIB_SRC))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/vigied: $(call OBJ,daemon/main.c) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/vigiectl: $(call OBJ,$(CTL_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/vigie-bench: $(call OBJ,$(BENCH_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/unit: $(call OBJ,$(UNIT_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lcunit $(LIBS)

# ---- what a person types ----

.PHONY: help deps deps-test demo check test asan tsan cover bench install format clean
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the Debian packages that building and the demo need
	@sh tests/deps.sh build
deps-test: ## install the Debian packages that the tests need
	@sh tests/deps.sh test

# The packages' flags are known to pkg-config only after `deps`: a second make reads them.
demo: ## a whole Vigie on this machine: servers of its own, a cohort, readings, alerts (SECONDS=30, KAFKA=real)
	@sh tests/deps.sh $(if $(filter real,$(KAFKA)),kafka,build)
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/mock-broker
	@/usr/bin/python3 bench/demo.py

check: ## unit tests and lints, under a minute, no servers
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/unit
	@/usr/bin/python3 tests/run.py lint unit

test: ## everything: installs what is missing, builds, runs every test against real servers
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/unit $(BUILD)/mock-broker $(BUILD)/crash-states $(BUILD)/malloc-trap.so $(BUILD)/sandbox $(BUILD)/agree
	@/usr/bin/python3 tests/run.py

install: all ## DESTDIR install of programs, example configuration, presets, examples, unit, user and directories
	install -D -m 0755 -t $(DESTDIR)/usr/bin $(PROGRAMS)
	install -D -m 0644 -t $(DESTDIR)/usr/share/vigie/presets config/presets/*.json
	install -D -m 0644 -t $(DESTDIR)/usr/share/vigie/examples config/examples/*.ndjson
	install -D -m 0644 config/vigie.conf.example $(DESTDIR)/etc/vigie/vigie.conf.example
	install -D -m 0644 systemd/vigied.service $(DESTDIR)/lib/systemd/system/vigied.service
	install -D -m 0644 systemd/vigie.sysusers $(DESTDIR)/usr/lib/sysusers.d/vigie.conf
	install -D -m 0644 systemd/vigie.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/vigie.conf
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/vigie README.md LICENSE config/PARAMETERS.md config/PRESETS.md config/RULES.md

bench: ## load a Vigie with servers of its own and print the figures of bench/RESULTS.md
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/mock-broker
	@/usr/bin/python3 bench/measure.py

format: ## apply .clang-format
	clang-format -i $(shell git ls-files '*.c' '*.h')

clean: ## remove what was built
	rm -rf $(BUILD)

include tests/tests.mk

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
