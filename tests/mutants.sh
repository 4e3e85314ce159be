#!/usr/bin/env bash
# Planted bugs: each must turn a test red. A mutant is a line of tests/mutants.list:
#     name | file | sed expression that plants it
# MUTANT=... plants those whose names begin so: MUTANT='RFC 9293 MUST-6' tests/mutants.sh
# Each is planted in a copy of the tree, which is built and run: the unit tests first, then the
# simulation over some seeds. A mutant that survives, or does not apply, is a failure.
set -u
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$work" 2>/dev/null
cd "$work" || exit 1
mk() { make --no-print-directory -s -j"$(nproc)" VARIANT=debug CFLAGS=-Wno-error "$@" >build.log 2>&1; }
mk build/debug/unit build/debug/sim || { tail -n 20 build.log; echo "mutants: 0 passed, 1 failed"; exit 1; }

red() { # does some test fail?
    timeout 300 build/debug/unit >unit.log 2>&1 || return 0
    timeout 600 build/debug/sim 1 80 >sim.log 2>&1 || return 0
    return 1
}

found=0 survived=0
while IFS='|' read -r name file expr; do
    name=$(sed 's/^ *//;s/ *$//' <<<"$name")
    file=$(tr -d ' ' <<<"$file")
    expr=$(sed 's/^ *//' <<<"$expr")
    [ -n "$name" ] && [ "${name#\#}" = "$name" ] || continue
    [[ $name == "${MUTANT:-}"* ]] || continue
    cp "$file" original
    sed -i -E "$expr" "$file"
    if cmp -s original "$file"; then
        echo "mutant '$name' does not apply to $file"
        survived=$((survived + 1))
    elif ! mk build/debug/unit build/debug/sim; then
        echo "mutant '$name' does not build"
        survived=$((survived + 1))
    elif red; then
        found=$((found + 1))
    else
        echo "mutant '$name' survived"
        survived=$((survived + 1))
    fi
    cp original "$file"
done <tests/mutants.list
echo "mutants: $found passed, $survived failed"
[ "$survived" = 0 ] && [ "$found" -gt 0 ]
