#!/bin/sh
# `make tsan`, whole: unit and system tests under ThreadSanitizer.
cd "$(dirname "$0")/../.."
exec env -u BUILD make --no-print-directory tsan
