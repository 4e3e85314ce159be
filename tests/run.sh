#!/usr/bin/env bash
# Runs the tiers of tests, each of which ends with one line `name: N passed, N failed[, N skipped]`,
# and adds them up in the last line. Called by ./setup.sh test, which has installed the packages.
#
#   tests/run.sh [--long] [--mutants] [TIER...]      tests/run.sh --list
#       --mutants   also plants the bugs of tests/mutants.list, one by one (about 20 minutes)
set -u
cd "$(dirname "$0")/.."
export MTCP_TEST_LONG=0
JOBS=$(nproc)
logs=$(mktemp -d)
child=
cleanup() {
    [ -n "$child" ] && kill -TERM "$child" 2>/dev/null && wait "$child" 2>/dev/null
    rm -rf "$logs"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mk() { make --no-print-directory -s -j"$JOBS" "$@"; }

tier_layers()  { tests/layers.sh; }
tier_headers() { tests/headers.sh; }
tier_man()     { tests/man.sh; }
tier_rfc()     { tests/rfc.sh; }
tier_unit()    { mk VARIANT=debug build/debug/unit && build/debug/unit; }
tier_asan()    { mk VARIANT=asan build/asan/unit && SEGT_ISN=0x7ffffffe build/asan/unit | sed 's/^unit:/asan:/'; return "${PIPESTATUS[0]}"; }
tier_valgrind() { tests/valgrind.sh; }
tier_lint()    { tests/lint.sh; }
tier_mutants() { tests/mutants.sh; }

TIERS="layers headers man rfc unit asan valgrind lint"
for f in tests/tier_*.sh; do
    [ -e "$f" ] || continue
    n=$(basename "$f" .sh)
    TIERS="$TIERS ${n#tier_}"
done

wanted=
for a in "$@"; do
    case "$a" in
    --long) MTCP_TEST_LONG=1 ;;
    --mutants) TIERS="$TIERS mutants" ;;
    --list) echo $TIERS; exit 0 ;;
    *) wanted="$wanted $a" ;;
    esac
done
# The same random tests every time; a nightly run tries others.
if [ "$MTCP_TEST_LONG" = 0 ]; then export UNIT_SEED="${UNIT_SEED:-1}"; fi
for t in $wanted; do
    case " $TIERS " in *" $t "*) ;; *) echo "tests/run.sh: no tier '$t'; there are: $TIERS" >&2; exit 2 ;; esac
done

passed=0 failed=0 skipped=0
for t in ${wanted:-$TIERS}; do
    start=$(date +%s)
    if [ -e "tests/tier_$t.sh" ]; then
        "tests/tier_$t.sh" >"$logs/$t" 2>&1 &
    else
        "tier_$t" >"$logs/$t" 2>&1 &
    fi
    child=$!
    wait "$child"
    rc=$?
    child=
    # The tier's own line; a tier may print several (one per part): all count. A program's line of
    # progress may stand before it.
    line=$(tr '\r' '\n' <"$logs/$t" | grep -E '^[a-z0-9-]+: [0-9]+ passed, [0-9]+ failed')
    p=$(sed -nE 's/.*: ([0-9]+) passed.*/\1/p' <<<"$line" | awk "{n+=\$1} END{print n+0}")
    f=$(sed -nE 's/.*passed, ([0-9]+) failed.*/\1/p' <<<"$line" | awk "{n+=\$1} END{print n+0}")
    s=$(sed -nE 's/.*failed, ([0-9]+) skipped.*/\1/p' <<<"$line" | awk "{n+=\$1} END{print n+0}")
    p=${p:-0} f=${f:-0} s=${s:-0}
    if [ "$rc" != 0 ] && [ "$f" = 0 ]; then f=1; fi
    if [ -z "$line" ] && [ "$rc" = 0 ]; then f=1; echo "$t: no summary line" >>"$logs/$t"; fi
    [ "$f" = 0 ] || { echo "---- $t failed ----"; tail -n 150 "$logs/$t"; }
    grep -E '^(SKIP|skip)' "$logs/$t"
    [ -n "$line" ] && echo "$line ($(($(date +%s) - start)) s)" || echo "$t: $p passed, $f failed ($(($(date +%s) - start)) s)"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
