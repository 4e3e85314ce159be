#!/usr/bin/env bash
# How much of the input side the committed corpora of fuzz_parse and fuzz_stack reach: clang's line
# coverage of replaying them. Fails when one of the files that only a peer drives is under 90 %.
#
#   tests/fuzz/coverage.sh [-v FILE]      -v shows the lines of a file that are not reached
set -u
cd "$(dirname "$0")/../.."
show=
[ "${1:-}" = -v ] && show=${2:-}
least=90
must="mtcp/tcp/input.c mtcp/tcp/text.c mtcp/base/stream.c mtcp/wire/parse.c"
also="mtcp/tcp/half_open.c mtcp/tcp/handshake.c mtcp/tcp/time_wait.c mtcp/tcp/recovery.c
      mtcp/tcp/flight.c mtcp/tcp/rtt.c mtcp/tcp/timers.c mtcp/tcp/state.c mtcp/tcp/reset.c
      mtcp/tcp/user.c mtcp/tcp/output.c mtcp/tcp/view.c"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/mtcp-cov.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
B=build/fuzz-cov
flags="-fprofile-instr-generate -fcoverage-mapping"
make --no-print-directory -s -j2 VARIANT=fuzz B=$B CFLAGS="$flags" LDFLAGS="$flags" \
    $B/fuzz_parse $B/fuzz_stack || exit 1
for name in parse stack; do
    LLVM_PROFILE_FILE="$tmp/$name.raw" $B/fuzz_$name -runs=0 "tests/fuzz/corpus/$name" \
        >"$tmp/log" 2>&1 || { tail -n 30 "$tmp/log"; exit 1; }
done
llvm-profdata merge -o "$tmp/all" "$tmp"/*.raw || exit 1
cov="$B/fuzz_stack -object $B/fuzz_parse -instr-profile=$tmp/all"
if [ -n "$show" ]; then
    llvm-cov show $cov "$show" | grep -E '^ +[0-9]+\| +0\|'
    exit 0
fi

percent() { # FILE: lines reached, of 100
    llvm-cov report $cov "$1" 2>/dev/null | awk '/^TOTAL/ {print $10}' | tr -d '%'
}
low=0
for f in $must $also; do
    [ -e "$f" ] || continue
    p=$(percent "$f")
    note=
    case " $must " in
    *" $f "*) awk "BEGIN {exit !(${p:-0} < $least)}" && { note="  under $least %"; low=$((low + 1)); } ;;
    esac
    printf '%-28s %6s %%%s\n' "$f" "${p:-?}" "$note"
done
[ $low = 0 ]
