#!/usr/bin/env bash
# What a program sees of build/<variant>/libmtcp.a: the names that include/ declares and no others, so
# that a name of the program's own never meets one of the library's.
#
#   tests/tier_symbols.sh             VARIANT=debug: of another build than release
set -u
cd "$(dirname "$0")/.."
export VARIANT=${VARIANT:-release}
B=build/$VARIANT
make --no-print-directory -s -j"$(nproc)" "$B/libmtcp.a" "$B/libmtcp-inside.a" || exit 1
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAIL symbols: $*"
}

globals() { nm -g --defined-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u; }
globals "$B/libmtcp.a" >"$tmp/seen"
globals "$B/libmtcp-inside.a" >"$tmp/inside"
grep -ohE '\b(mtcp|mos)_[a-z0-9_]+ *\(' include/*.h | tr -d ' (' | sort -u >"$tmp/public"

for name in $(comm -23 "$tmp/seen" "$tmp/public"); do
    fail "libmtcp.a shows $name, which no header of include/ declares"
done
for name in $(comm -12 "$tmp/inside" "$tmp/public"); do
    if grep -qx "$name" "$tmp/seen"; then ok; else fail "libmtcp.a hides $name"; fi
done

# A program that has every other name of the library for itself.
{
    echo '#include <mtcp_api.h>'
    comm -23 "$tmp/inside" "$tmp/public" | sed 's/.*/int &(void); int &(void) { return 1; }/'
    echo 'int main(void) { return mtcp_socket(0, 0, 0, 0) == -1 ? 0 : 1; }'
} >"$tmp/clash.c"
if ${CC:-gcc} -w -fno-builtin -Iinclude "$tmp/clash.c" "$B/libmtcp.a" \
    $(pkg-config --libs libdpdk) -lpcap -lconfuse -ljemalloc -lm -o "$tmp/clash" 2>"$tmp/err" &&
    "$tmp/clash" 2>>"$tmp/err"; then
    ok
else
    fail "a program with the library's inner names: $(head -n 3 "$tmp/err")"
fi

echo "symbols: $passed passed, $failed failed"
[ "$failed" = 0 ]
