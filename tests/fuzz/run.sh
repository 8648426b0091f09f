#!/bin/sh
# Builds each fuzz target and runs it for FUZZ_SECONDS (15) from the seeds of tests/fuzz/corpus/<name>; what it finds
# beyond them is kept in build/fuzz/corpus/<name>. A crash leaves its input there and fails.
set -u
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-15}
passed=0
failed=0
env -u BUILD make --no-print-directory -s fuzz-programs || exit 1
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    found=build/fuzz/corpus/$name
    mkdir -p "$found"
    seeds=
    [ ! -d "tests/fuzz/corpus/$name" ] || seeds=tests/fuzz/corpus/$name
    # shellcheck disable=SC2086
    if "build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$found/" "$found" $seeds >"build/fuzz/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "$name: $(sed -n 's/stat::number_of_executed_units: *//p' "build/fuzz/$name.log") runs"
    else
        failed=$((failed + 1))
        echo "$name: failed"
        tail -n 40 "build/fuzz/$name.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
