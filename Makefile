# Vigie. `make help` lists the targets; the README explains the first two.

BUILD   ?= build
CC      := gcc
VERSION := 0.1.0

# Packages: `make deps` installs what is missing; see tests/deps.sh for what each is for.
PKGS    := libuv rdkafka libpq openssl inih jansson libxxhash libsystemd
CFLAGS_PKGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhttp_parser -lpthread -lm

# Every warning says what it catches.
WARNINGS := \
  -Wall -Wextra        `# the usual mistakes` \
  -Wshadow             `# a name that hides another` \
  -Wstrict-prototypes  `# f() that takes anything` \
  -Wmissing-prototypes `# a function that should be static or in a header` \
  -Wwrite-strings      `# writing into literals` \
  -Wvla                `# stack use chosen by data` \
  -Wpointer-arith      `# arithmetic on void` \
  -Wcast-qual          `# casting const away` \
  -Wformat=2           `# format strings that are not literals` \
  -Wundef              `# misspelt macros in #if` \
  -Wno-unused-parameter `# callbacks of libraries take what they are given`
WARNINGS := $(shell echo $(WARNINGS))
HARDEN  := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fno-strict-aliasing
OPT     ?= -O2 -g
SANITIZE ?=
CFLAGS  := -std=c17 -D_GNU_SOURCE -DVIGIE_VERSION='"$(VERSION)"' -I. $(OPT) $(WARNINGS) $(HARDEN) $(SANITIZE) $(CFLAGS_PKGS)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(SANITIZE)

LIB_SRC  := $(wildcard daemon/base/*.c daemon/model/*.c config/*.c storage/*.c alerting/*.c \
            daemon/registry/*.c daemon/ingest/*.c daemon/admin/*.c) $(filter-out daemon/main.c,$(wildcard daemon/*.c))
CTL_SRC  := $(wildcard daemon/ctl/*.c)
BENCH_SRC := $(wildcard bench/*.c)
UNIT_SRC := $(wildcard tests/unit/*.c)

OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB := $(BUILD)/libvigie.a
PROGRAMS := $(BUILD)/vigied $(BUILD)/vigiectl $(BUILD)/vigie-bench

.PHONY: all
all: $(PROGRAMS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(call OBJ,$(LIB_SRC))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/vigied: $(call OBJ,daemon/main.c) $(LIB)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/vigiectl: $(call OBJ,$(CTL_SRC)) $(LIB)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/vigie-bench: $(call OBJ,$(BENCH_SRC)) $(LIB)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/unit: $(call OBJ,$(UNIT_SRC)) $(LIB)
	$(CC) $(LDFLAGS) $^ -o $@ -lcunit $(LIBS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
