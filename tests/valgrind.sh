#!/usr/bin/env bash
# The unit tests under valgrind: no invalid access, no leak.
set -u
cd "$(dirname "$0")/.."
make --no-print-directory -s -j"$(nproc)" VARIANT=valgrind build/valgrind/unit || exit 1
valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
    --suppressions=tests/valgrind.supp build/valgrind/unit >"${TMPDIR:-/tmp}/valgrind.$$" 2>&1
rc=$?
cat "${TMPDIR:-/tmp}/valgrind.$$"
rm -f "${TMPDIR:-/tmp}/valgrind.$$"
[ "$rc" = 0 ] && echo "valgrind: 1 passed, 0 failed" || echo "valgrind: 0 passed, 1 failed"
exit "$rc"
