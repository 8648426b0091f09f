#!/bin/sh
# Each header compiles alone, guarded, with the warnings of the build as errors.
set -u
cd "${LINT_ROOT:-$(dirname "$0")/../..}"
flags=$(pkg-config --cflags libuv rdkafka libpq openssl inih jansson libxxhash libsystemd)
faults=0
count=0
for header in $(find daemon alerting storage config bench tests -name '*.h' | sort); do
    count=$((count + 1))
    # Twice: a header without a guard fails on the second.
    # shellcheck disable=SC2086
    if ! printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        gcc -std=c17 -D_GNU_SOURCE -I. $flags -Wall -Wextra -Wstrict-prototypes -Wundef -Wno-unused-parameter \
            -Werror -fsyntax-only -x c -; then
        echo "$header: does not compile alone"
        faults=$((faults + 1))
    fi
done
echo "headers: $count looked at, $faults faults"
[ "$faults" -eq 0 ] && [ "$count" -gt 0 ]
