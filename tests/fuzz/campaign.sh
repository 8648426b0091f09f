#!/bin/sh
# The long run of the fuzz targets: FUZZ_EXECUTIONS (106000000) of the decoders, shared out so that each has about its
# time, and the others for FUZZ_SECONDS (120); one a core and at idle priority, from the seeds of tests/fuzz/corpus/<name>
# and from what earlier runs kept in build/. FUZZ_SEED (1) is libFuzzer's. Prints a table; a crash leaves its input in
# build/fuzz/crashes and fails.
set -u
cd "$(dirname "$0")/../.."
executions=${FUZZ_EXECUTIONS:-106000000}
seconds=${FUZZ_SECONDS:-120}
seed=${FUZZ_SEED:-1}
crashes=build/fuzz/crashes

# Of 106 executions, how many; none: a handshake or an engine an execution, so it runs by the clock.
share_of()
{
    case $1 in
    fuzz_json) echo 32 ;;
    fuzz_http) echo 24 ;;
    fuzz_mqtt) echo 16 ;;
    fuzz_fhir) echo 6 ;;
    fuzz_hl7) echo 4 ;;
    fuzz_snapshot | fuzz_tls) ;;
    *) echo 12 ;;
    esac
}

run_one()
{
    found=build/fuzz/corpus/$1
    share=$(share_of "$1")
    limit="-max_total_time=$seconds -max_len=16384"
    [ -z "$share" ] || limit="-runs=$((executions / 106 * share)) -max_len=1024"
    seeds=
    [ ! -d "tests/fuzz/corpus/$1" ] || seeds=tests/fuzz/corpus/$1
    mkdir -p "$found"
    # shellcheck disable=SC2086
    chrt --idle 0 "build/fuzz/$1" $limit -seed="$seed" -timeout=20 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$crashes/$1-" "$found" $seeds >"build/fuzz/$1.campaign" 2>&1
}

stat_of() { sed -n "s/^stat::$2: *//p" "build/fuzz/$1.campaign" | tail -n 1; }

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit
fi
env -u BUILD make --no-print-directory -s fuzz-programs >&2 || exit 1
rm -rf "$crashes"
mkdir -p "$crashes"
targets=$(basename -s .c tests/fuzz/fuzz_*.c)
echo "$targets" | xargs -P "$(nproc)" -n 1 "tests/fuzz/$(basename "$0")" --one
status=$?

total=0
echo "| target | seed | executions | a second | inputs kept | crashes |"
echo "|---|---|---|---|---|---|"
for name in $targets; do
    count=$(stat_of "$name" number_of_executed_units)
    [ -z "$(share_of "$name")" ] || total=$((total + ${count:-0}))
    echo "| $name | $seed | ${count:-none} | $(stat_of "$name" average_exec_per_sec) |" \
        "$(find "build/fuzz/corpus/$name" -type f | wc -l) | $(find "$crashes" -name "$name-*" | wc -l) |"
done
echo "| all decoders | $seed | $total | | | $(find "$crashes" -type f | wc -l) |"
exit $status
