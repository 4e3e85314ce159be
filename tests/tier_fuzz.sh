#!/usr/bin/env bash
# The fuzz targets: each over its committed corpus, then fuzzed for a while from there. What is found
# on the way goes to a folder that is removed; a finding's input is printed so that it can be kept.
#
#   tests/tier_fuzz.sh [NAME...]      fuzz_<name>; none: all of them
#   FUZZ_SECONDS=5                    per target, from another start each time; MTCP_TEST_LONG=1: 600
#   B=dir                             what is built there, as it is
#
# Without either, the same inputs every time, about a minute per target: what fails here fails again,
# and what passed does not fail by chance in code that nobody touched.
set -u
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-$([ "${MTCP_TEST_LONG:-0}" = 1 ] && echo 600)}
declare -A runs=([config]=300000 [http]=1000000 [parse]=12000000 [stack]=6000 [wire]=6000)
# libFuzzer keeps addresses it saw compared: the same inputs need the same addresses.
fixed=$(setarch -R true 2>/dev/null && echo setarch -R)
is_built=${B:+1}
B=${B:-build/fuzz}

if ! command -v clang >/dev/null; then
    echo "SKIP fuzz: clang is not there"
    echo "fuzz: 0 passed, 0 failed, 1 skipped"
    exit 0
fi
[ -n "$is_built" ] || make --no-print-directory -s -j2 VARIANT=fuzz fuzz || exit 1

tmp=$(mktemp -d "${TMPDIR:-/tmp}/mtcp-fuzz.XXXXXX") || exit 1
pids=
cleanup() {
    [ -n "$pids" ] && kill $pids 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One input takes at most 20 s; memory that grows from input to input is a finding, too.
run() { # NAME, where it writes, arguments
    local name=$1 out=$2
    shift 2
    $fixed "$B/fuzz_$name" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$out/found-" "$@" \
        >"$out/log" 2>&1
}

# The committed corpus first, so that a failure names a committed file.
fuzz_one() {
    local name=$1 out="$tmp/$1" corpus="tests/fuzz/corpus/$1"
    mkdir -p "$out/new"
    [ -d "$corpus" ] || corpus=
    if [ -n "$corpus" ]; then
        run "$name" "$out" -runs=0 "$corpus" || return 1
    fi
    # libFuzzer's choice by entropy costs more than programs for the stack do.
    local length="-runs=${runs[$name]:-100000} -seed=1 -reload=0"
    [ -n "$seconds" ] && length="-max_total_time=$seconds"
    run "$name" "$out" $length -entropic=0 "$out/new" $corpus
}

report() { # NAME: what went wrong
    local f
    echo "---- fuzz_$1 ----"
    grep -E -A 25 'does not hold|runtime error|ERROR:|BUG|Assert' "$tmp/$1/log" | head -60
    for f in "$tmp/$1"/found-*; do
        [ -e "$f" ] || continue
        echo "input ${f##*/}, base64:"
        base64 "$f"
    done
}

names=${*:-$(ls tests/fuzz/fuzz_*.c | sed 's|.*/fuzz_||; s|\.c$||')}
passed=0 failed=0
settle() { # NAME PID
    if wait "$2"; then
        passed=$((passed + 1))
        sed -nE "s/^Done ([0-9]+) runs in ([0-9]+) .*/fuzz_$1: \1 runs in \2 s/p" "$tmp/$1/log"
    else
        failed=$((failed + 1))
        report "$1"
    fi
}

# Two at a time.
set -- $names
while [ $# -gt 0 ]; do
    first=$1 second=${2:-}
    fuzz_one "$first" &
    a=$!
    pids=$a
    if [ -n "$second" ]; then
        fuzz_one "$second" &
        b=$!
        pids="$a $b"
    fi
    settle "$first" "$a"
    [ -n "$second" ] && settle "$second" "$b"
    pids=
    shift
    [ $# -gt 0 ] && shift
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" = 0 ]
