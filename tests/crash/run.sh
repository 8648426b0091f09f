#!/bin/sh
# Every disk that a power cut may leave, STATES of them; then the same with a program that lies about its syncs, which
# must be caught: a check that cannot fail is a defect.
set -u
cd "$(dirname "$0")/../.."
program=${BUILD:-build}/crash-states
"$program" --states "${STATES:-60000}" --seed "${SEED:-1}" || { echo "0 passed, 1 failed"; exit 1; }
if "$program" --states 500 --seed 1 --lie >/dev/null 2>&1; then
    echo "crash-states does not notice lost syncs"
    echo "1 passed, 1 failed"
    exit 1
fi
echo "2 passed, 0 failed"
