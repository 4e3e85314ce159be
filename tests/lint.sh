#!/usr/bin/env bash
# Static analysis of the library and the programs: clang-tidy (.clang-tidy) and cppcheck
# (tests/cppcheck.suppress). A finding is mended or suppressed where it stands with its reason.
set -u
cd "$(dirname "$0")/.."
failed=0
files=$(git ls-files 'mtcp/*.c' 'mos/*.c' 'apps/*.c' 'bench/*.c')
dpdk=$(pkg-config --cflags-only-I libdpdk | sed 's/-I/-isystem /g')
n=$(wc -w <<<"$files")

tidy() {
    clang-tidy --quiet "$1" -- -std=gnu11 -D_GNU_SOURCE -I. -Iinclude $dpdk -march=x86-64-v3 2>/dev/null
}
export -f tidy
export dpdk
out=$(printf '%s\n' $files | xargs -P"$(nproc)" -I{} bash -c 'tidy {}')
if [ -n "$out" ]; then
    printf '%s\n' "$out"
    failed=$((failed + $(grep -cE '(warning|error):' <<<"$out")))
fi
out=$(cppcheck --quiet --std=c11 --language=c --enable=warning,portability,performance -j"$(nproc)" \
    --inline-suppr --suppressions-list=tests/cppcheck.suppress --error-exitcode=0 \
    -D_GNU_SOURCE -I. -Iinclude $files 2>&1)
if [ -n "$out" ]; then
    printf '%s\n' "$out"
    failed=$((failed + $(grep -cE ': (error|warning|portability|performance):' <<<"$out")))
fi
echo "lint: $((n > failed ? n - failed : 0)) passed, $failed failed"
[ "$failed" = 0 ]
