#!/usr/bin/env bash
# The unit tests under valgrind, a part of them on each processor: no invalid access, no leak.
set -u
cd "$(dirname "$0")/.."
n=$(nproc)
make --no-print-directory -s -j"$n" VARIANT=valgrind build/valgrind/unit || exit 1
logs=$(mktemp -d)
pids=
trap 'for p in $pids; do kill "$p" 2>/dev/null; done; rm -rf "$logs"' EXIT
for ((i = 0; i < n; i++)); do
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
        --suppressions=tests/valgrind.supp build/valgrind/unit -p "$i" "$n" >"$logs/$i" 2>&1 &
    pids="$pids $!"
done
i=0 rc=0
for p in $pids; do
    wait "$p" || { cat "$logs/$i"; rc=1; }
    i=$((i + 1))
done
pids=
if [ "$rc" = 0 ]; then
    awk '/^unit:/ { p += $2; f += $4 } END { printf "valgrind: %d passed, %d failed\n", p, f }' "$logs"/*
else
    echo "valgrind: 0 passed, 1 failed"
fi
exit $rc
