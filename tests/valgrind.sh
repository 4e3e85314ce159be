#!/usr/bin/env bash
# The unit tests under valgrind: no invalid access, no leak.
set -u
cd "$(dirname "$0")/.."
make --no-print-directory -s -j"$(nproc)" VARIANT=valgrind build/valgrind/unit || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
    --suppressions=tests/valgrind.supp build/valgrind/unit >"$log" 2>&1; then
    sed -n 's/^unit:/valgrind:/p' "$log"
    exit 0
fi
cat "$log"
echo "valgrind: 0 passed, 1 failed"
exit 1
