#!/usr/bin/env bash
# The simulation: 2,000 seeds (100,000 with MTCP_TEST_LONG=1) in the release build, 500 (10,000) of
# them again under ASan and UBSan; 200 (5,000) twice, with monitors that are told little and with such
# that are told all, who must hear and see the same; 100 MB (1 GB) each way over one bad link; a million spoofed SYNs
# for a server that serves; and the table of goodput, compared with tests/sim/goodput.txt
# (`sim goodput` makes another). SIM_FIRST chooses another range of seeds. A failing seed is run again
# by `build/release/sim -v SEED`.
set -u -o pipefail
cd "$(dirname "$0")/.."
first=${SIM_FIRST:-1}
count=2000 asan=500 bulk=100 spared=200
[ "${MTCP_TEST_LONG:-0}" = 1 ] && count=100000 asan=10000 bulk=1000 spared=5000
jobs=$(nproc)
out=$(mktemp -d)
pids=
trap 'for p in $pids; do kill "$p" 2>/dev/null; done; rm -rf "$out"' EXIT

# sims VARIANT FIRST COUNT: in as many processes as there are processors; adds up their last lines.
sims() {
    make --no-print-directory -s -j"$jobs" VARIANT="$1" "build/$1/sim" || return 1
    local each=$((($3 + jobs - 1) / jobs)) i rc=0
    pids=
    for ((i = 0; i < jobs; i++)); do
        "build/$1/sim" $(($2 + i * each)) "$each" >"$out/$1.$i" 2>&1 &
        pids="$pids $!"
    done
    for i in $pids; do wait "$i" || rc=1; done
    pids=
    grep -hv '^sim: .* passed' "$out/$1".* | head -n 60
    awk -v name="$4" '/^sim: [0-9]+ passed/ {p += $2; f += $4} END {
        printf "%s: %d passed, %d failed\n", name, p, f}' "$out/$1".*
    return $rc
}

rc=0
sims release "$first" "$count" sim || rc=1
build/release/sim spared "$first" "$spared" | sed 's/^sim:/sim-spared:/' || rc=1
build/release/sim goodput tests/sim/goodput.txt || rc=1
build/release/sim flood 1000000 || rc=1
build/release/sim bulk "$bulk" | sed 's/^sim:/sim-bulk:/' || rc=1
sims asan "$first" "$asan" sim-asan || rc=1
exit $rc
