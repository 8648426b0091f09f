#!/bin/sh
# The long run of the fuzz targets: each decoder for FUZZ_EXECUTIONS (16000000), the others for FUZZ_SECONDS (120), two at
# a time and at idle priority, from the seeds of tests/fuzz/corpus/<name> and from what earlier runs kept in build/.
# FUZZ_SEED (1) is libFuzzer's. Prints a table; a crash leaves its input in build/fuzz/crashes and fails.
set -u
cd "$(dirname "$0")/../.."
executions=${FUZZ_EXECUTIONS:-16000000}
seconds=${FUZZ_SECONDS:-120}
seed=${FUZZ_SEED:-1}
slow=" fuzz_snapshot fuzz_tls " # no decoders: a handshake or a state machine an execution
crashes=build/fuzz/crashes
env -u BUILD make --no-print-directory -s fuzz-programs >&2 || exit 1
rm -rf "$crashes"
mkdir -p "$crashes"

run_one()
{
    found=build/fuzz/corpus/$1
    limit="-runs=$executions -max_len=4096"
    case "$slow" in *" $1 "*) limit="-max_total_time=$seconds -max_len=16384" ;; esac
    seeds=
    [ ! -d "tests/fuzz/corpus/$1" ] || seeds=tests/fuzz/corpus/$1
    mkdir -p "$found"
    # shellcheck disable=SC2086
    chrt --idle 0 "build/fuzz/$1" $limit -seed="$seed" -timeout=20 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$crashes/$1-" "$found" $seeds >"build/fuzz/$1.campaign" 2>&1
    echo $? >>"build/fuzz/$1.campaign"
}

stat_of() { sed -n "s/^stat::$2: *//p" "build/fuzz/$1.campaign" | tail -n 1; }

# The targets in two lanes, a core each.
targets=$(basename -s .c tests/fuzz/fuzz_*.c)
for parity in 0 1; do
    (
        number=0
        for name in $targets; do
            [ $((number % 2)) -ne $parity ] || run_one "$name"
            number=$((number + 1))
        done
    ) &
done
wait

total=0
bad=0
echo "| target | seed | executions | a second | inputs kept | crashes |"
echo "|---|---|---|---|---|---|"
for name in $targets; do
    count=$(stat_of "$name" number_of_executed_units)
    failed=$(find "$crashes" -name "$name-*" | wc -l)
    [ "$(tail -n 1 "build/fuzz/$name.campaign")" = 0 ] || bad=$((bad + 1))
    case "$slow" in *" $name "*) ;; *) total=$((total + ${count:-0})) ;; esac
    echo "| $name | $seed | ${count:-none} | $(stat_of "$name" average_exec_per_sec) | $(find "build/fuzz/corpus/$name" -type f | wc -l) | $failed |"
done
echo "| all decoders | $seed | $total | | | $(find "$crashes" -type f | wc -l) |"
[ "$bad" -eq 0 ]
