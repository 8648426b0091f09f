# Programs and targets of tests, fuzzing and campaigns; included by the Makefile.

PYTHON ?= /usr/bin/python3

# The broker that librdkafka embeds, as a process: of the demo alone, it proves nothing.
$(BUILD)/mock-broker: tests/harness/mock_broker.c
	@mkdir -p $(dir $@)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $< -o $@ $(LIBS)

# Counts what the path of a reading takes from the system; loaded into vigied by LD_PRELOAD.
$(BUILD)/malloc-trap.so: tests/harness/malloc_trap.c
	@mkdir -p $(dir $@)
	$(call say,LD,$@)
	$(Q)$(CC) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared $< -o $@

# Runs the daemon of the tests as the unit would have systemd run it.
$(BUILD)/sandbox: tests/harness/sandbox.c
	@mkdir -p $(dir $@)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $< -o $@ -lseccomp

# Whether the engine agrees with a reading of RULES.md of its own.
REFERENCE_SRC := $(wildcard tests/reference/*.c)
$(BUILD)/agree: $(call OBJ,$(REFERENCE_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)

# What a power cut may leave, state by state: it overrides pwrite, fdatasync and rename, so it stands alone.
$(BUILD)/crash-states: $(call OBJ,tests/crash/crash_states.c) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)

# The same sources under other flags, in a folder of their own; unit and system tests on them.
SANITIZED_TESTS ?= unit system
.PHONY: asan tsan cover fuzz campaign-kill campaign-restart
asan: ## unit and system tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory $(JOBS) BUILD=build/asan OPT='-O1 -g' \
	    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' all build/asan/unit
	@BUILD=build/asan ASAN_OPTIONS=abort_on_error=1:detect_leaks=1 $(PYTHON) tests/run.py $(SANITIZED_TESTS)
# Without address randomisation: the shadow memory of gcc 12 does not fit where newer kernels map.
tsan: ## unit and system tests under ThreadSanitizer, without suppressions for our code
	@sh tests/deps.sh test
	@mkdir -p build/tsan
	@$(CC) -D_GNU_SOURCE -O1 -g -fPIE -c tests/harness/tsan_threads.c -o build/tsan/threads.o
	@$(MAKE) --no-print-directory $(JOBS) BUILD=build/tsan OPT='-O1 -g' SANITIZE=-fsanitize=thread \
	    LIBS='build/tsan/threads.o $(LIBS)' all build/tsan/unit
	@BUILD=build/tsan TSAN_OPTIONS='halt_on_error=1 exitcode=66 suppressions=$(CURDIR)/tests/tsan.supp' \
	    setarch $$(uname -m) -R $(PYTHON) tests/run.py $(SANITIZED_TESTS)
# What reaches alerting/: the units, the publisher against its brokers, the doors that lead to the engine.
COVER_UNDER ?= 95
COVER_TESTS ?= unit $(addprefix tests/,integration/test_publisher.py $(addprefix system/test_,alert_topic.py alert_commands.py backtest.py device_events.py explain.py peers.py presets.py \
    registry.py regulation.py rules_cases.py rules_check.py rules_random.py silence_clock.py snapshot.py vigiectl.py))
cover: ## lines and branches that tests reach: build/cover/summary.txt; fails under COVER_UNDER (95) % of branches of alerting/
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory $(JOBS) BUILD=build/cover OPT='-O0 -g' SANITIZE=--coverage all build/cover/unit
	@find build/cover/obj -name '*.gcda' -delete
	@BUILD=build/cover SANITIZE=--coverage $(PYTHON) tests/run.py $(COVER_TESTS)
	@$(PYTHON) tests/cover.py --fail-under $(COVER_UNDER) >build/cover/summary.txt; status=$$?; cat build/cover/summary.txt; exit $$status

# fuzz_<name>.c with the whole library under clang; the sanitizers see the library too.
FUZZ_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_LIBS_cbor := -lcbor
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(LIB_SRC)
	@$(MAKE) --no-print-directory $(JOBS) BUILD=build/fuzz CC=clang-19 OPT='-O1 -g' \
	    SANITIZE='$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link' build/fuzz/libvigie.a
	clang-19 $(CFLAGS) -O1 $(FUZZ_FLAGS) -fsanitize=fuzzer $< build/fuzz/libvigie.a -o $@ $(LIBS) $(FUZZ_LIBS_$*)
.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)
fuzz: ## each fuzz target for FUZZ_SECONDS (15)
	@sh tests/fuzz/run.sh

# The table is that of a commit: what is not committed is not run.
.PHONY: campaign-fuzz
campaign-fuzz: ## FUZZ_EXECUTIONS (106000000) of the decoders under fuzz; the table goes to tests/campaigns/fuzz.md
	@sh tests/deps.sh test
	@git diff --quiet HEAD -- '*.c' '*.h' '*.def' || { echo "campaign-fuzz: sources differ from the commit, commit first" >&2; exit 1; }
	@commit=$$(git rev-parse --short HEAD); tests/fuzz/campaign.sh >build/campaign-fuzz.txt; status=$$?; \
	   { sed '/^## Last run/q' tests/campaigns/fuzz.md; echo; \
	     echo "Commit $$commit, $$(date -u +%Y-%m-%d), $$(nproc) cores."; echo; \
	     cat build/campaign-fuzz.txt; } >build/campaign-fuzz.md && mv build/campaign-fuzz.md tests/campaigns/fuzz.md; exit $$status

.PHONY: bench-device
bench-device: ## MQTT beside HTTPS: CONNECTIONS (5000) devices, one reading a message, SECONDS (10) a load; prints a table
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all
	@CONNECTIONS=$(or $(CONNECTIONS),5000) SECONDS=$(or $(SECONDS),10) $(PYTHON) bench/device.py

.PHONY: campaign-registry
campaign-registry: ## a change among PATIENTS (100000) patients, CHANGES (60) times each way; prints a table
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all
	@PATIENTS=$(PATIENTS) CHANGES=$(CHANGES) $(PYTHON) bench/registry.py

KILLS ?= 1000
campaign-kill: ## kill -9 under load, KILLS (1000) times; the table goes to tests/campaigns/kill.md
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/system/test_kill.py $(KILLS) campaign >build/campaign-kill.txt
	@{ sed '/^## Last run$$/q' tests/campaigns/kill.md; echo; \
	   echo "Commit $$(git rev-parse --short HEAD), $$(date -u +%Y-%m-%d), $$(nproc) cores."; echo; \
	   cat build/campaign-kill.txt; } >build/campaign-kill.md && mv build/campaign-kill.md tests/campaigns/kill.md

DOOR_KILLS ?= 1000
.PHONY: campaign-kill-doors
campaign-kill-doors: ## kill -9 under MQTT and MLLP, DOOR_KILLS (1000) times; its own table in tests/campaigns/kill.md
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/system/test_kill_mqtt.py $(DOOR_KILLS) campaign >build/campaign-kill-doors.txt
	@{ sed '/^## Last run over MQTT and MLLP/q' tests/campaigns/kill.md; echo; \
	   echo "Commit $$(git rev-parse --short HEAD), $$(date -u +%Y-%m-%d), $$(nproc) cores."; echo; \
	   cat build/campaign-kill-doors.txt; echo; sed -n '/^## Last run$$/,$$p' tests/campaigns/kill.md; \
	   } >build/campaign-kill-doors.md && mv build/campaign-kill-doors.md tests/campaigns/kill.md

SILENCE_SEEDS ?= 10
.PHONY: campaign-silence
campaign-silence: ## SILENCE_SEEDS (10) random months of silence; the table goes to tests/campaigns/silence.md
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all
	@for seed in $$(seq 101 $$((100 + $(SILENCE_SEEDS)))); do \
	   $(PYTHON) tests/system/test_silence_days.py $$seed 30 36 || exit 1; done >build/campaign-silence.txt
	@{ sed '/^## Last run/q' tests/campaigns/silence.md; echo; \
	   echo "Commit $$(git rev-parse --short HEAD), $$(date -u +%Y-%m-%d), $$(nproc) cores."; echo; \
	   sed 's/^/    /' build/campaign-silence.txt; } >build/campaign-silence.md && mv build/campaign-silence.md tests/campaigns/silence.md

REFERENCE_SCENARIOS ?= 114000
.PHONY: campaign-reference
campaign-reference: ## engine and reference evaluator on 10^8 readings: REFERENCE_SCENARIOS (114000) seeds; the table goes to tests/campaigns/reference.md
	@$(MAKE) --no-print-directory $(BUILD)/agree
	@half=$$(($(REFERENCE_SCENARIOS) / 2)); for first in 1000000 5000000; do \
	   $(BUILD)/agree --seed $$first --count $$half --checks 1 --go-on --quiet >build/campaign-reference.$$first & done; wait
	@{ sed '/^## Last run/q' tests/campaigns/reference.md; echo; \
	   echo "Commit $$(git rev-parse --short HEAD), $$(date -u +%Y-%m-%d), $$(nproc) cores, $(REFERENCE_SCENARIOS) seeds: half from 1000000 on, half from 5000000 on."; echo; \
	   cat build/campaign-reference.1000000 build/campaign-reference.5000000 | tr -s ';' '\n' | sed 's/^ */    /'; } \
	   >build/campaign-reference.md && mv build/campaign-reference.md tests/campaigns/reference.md
	@! grep -q FAILED tests/campaigns/reference.md

CLAIMS ?= 10000000
.PHONY: campaign-claims
campaign-claims: ## random claims on patients, CLAIMS (10000000) by admission alone and 5 x 100,000 through the listeners; the table goes to tests/campaigns/claims.md
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all $(BUILD)/unit $(BUILD)/sandbox
	@VIGIE_CLAIMS=$(CLAIMS) VIGIE_CLAIMS_SEED=100000 $(BUILD)/unit claims 2>/dev/null >build/campaign-claims.unit; grep ' claims,' build/campaign-claims.unit >build/campaign-claims.txt
	@for seed in 11 12 13 14 15; do echo "seed $$seed"; VIGIE_CLAIMS=100000 VIGIE_CLAIMS_SEED=$$seed $(PYTHON) tests/run.py tests/system/test_claims.py \
	   | grep -E '^[0-9]+ claims|failed'; done >>build/campaign-claims.txt
	@{ sed '/^## Last run/q' tests/campaigns/claims.md; echo; \
	   echo "Commit $$(git rev-parse --short HEAD), $$(date -u +%Y-%m-%d), $$(nproc) cores."; echo; \
	   sed 's/^/    /; s/ *$$//' build/campaign-claims.txt; } >build/campaign-claims.md && mv build/campaign-claims.md tests/campaigns/claims.md
	@! grep -q 'failed: ' tests/campaigns/claims.md

.PHONY: campaign-slow
campaign-slow: ## 5,000 dribbling connections and a flood of handshakes; the table goes to tests/campaigns/slow.md
	@sh tests/deps.sh test
	@$(MAKE) --no-print-directory all $(BUILD)/sandbox
	@$(PYTHON) tests/system/test_slow.py campaign >build/campaign-slow.txt
	@{ sed '/^## Last run/q' tests/campaigns/slow.md; echo; \
	   echo "Commit $$(git rev-parse --short HEAD), $$(date -u +%Y-%m-%d), $$(nproc) cores."; echo; \
	   cat build/campaign-slow.txt; } >build/campaign-slow.md && mv build/campaign-slow.md tests/campaigns/slow.md

RESTART_PATIENTS ?= 200000
campaign-restart: ## a start by journal and by snapshot, RESTART_PATIENTS (200000) x 4 x 16 readings; 3 GB of disk and memory
	@$(MAKE) --no-print-directory all
	@rm -rf build/restart && mkdir -p build/restart
	@$(BUILD)/vigie-bench restart --directory build/restart --patients $(RESTART_PATIENTS) | grep -v level=
	@rm -rf build/restart
