#!/bin/sh
# A part of `make asan` that fits into a run of everything: unit tests, and the doors under AddressSanitizer.
cd "$(dirname "$0")/../.."
exec env -u BUILD make --no-print-directory asan \
    SANITIZED_TESTS="unit tests/system/test_ingest_errors.py tests/system/test_fhir_samples.py tests/system/test_alert_topic.py"
