#!/bin/sh
# Every source is as .clang-format lays it out: `make format` mends it.
cd "$(dirname "$0")/../.." || exit 1
faults=0
looked=0
for file in $(git ls-files '*.c' '*.h'); do
    looked=$((looked + 1))
    clang-format "$file" | cmp -s - "$file" && continue
    faults=$((faults + 1))
    echo "$file: not as .clang-format lays it out, hint: make format"
done
echo "format: $looked looked at, $faults faults"
[ "$faults" -eq 0 ] && [ "$looked" -gt 0 ]
