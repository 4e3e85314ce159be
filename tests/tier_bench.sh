#!/usr/bin/env bash
# The harness of the benchmarks: one short round ends with a table, JSON and a plot; what can't be
# counted ends everything and says why.
set -u
cd "$(dirname "$0")/.."
passed=0 failed=0
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
ok() { # what, command...
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL bench: $what"
        tail -n 5 "$tmp/out"
    fi
}
run() { bench/run --quick --rounds 1 --out "$tmp/results" "$@" >"$tmp/out" 2>&1; }
values() { # workload and variant have a value above 0
    python3 - "$tmp/results/results.json" "$@" <<'END'
import json, sys
found = {(r["workload"], r["variant"]): r["values"] for r in json.load(open(sys.argv[1]))["results"]}
sys.exit(0 if found[sys.argv[2], sys.argv[3]]["rate"][0] > 0 else 1)
END
}
if [ "$(nproc)" -lt 2 ]; then
    echo "SKIP bench: two CPUs are needed"
    echo "bench: 0 passed, 0 failed, 1 skipped"
    exit 0
fi

ok "a short round ends well" run w1 w5
ok "the table has the server" grep -q epserver "$tmp/results/table.txt"
ok "the server was measured" values w1 epserver
ok "the raw device was measured" values w1 "raw device"
ok "idle connections were measured" values w5 "both ends"
ok "there is a plot" grep -q "<svg" "$tmp/results/w1.svg"

ok "another round ends well" run w2 w6
ok "a server on the TAP was measured" values w2 "epserver, tap"
ok "the kernel's was" values w2 "nginx, veth"
ok "there is a curve" grep -q "% of the peak" "$tmp/results/w6.svg"

ok "a peer that does not start ends it" eval '! run --peer bad="exit 1" w1'
ok "and it says who" grep -q "bad: it did not begin" "$tmp/out"
ok "a peer that has no such server is left out" run --peer other="exit 77" w1
ok "and it says so" grep -q "other .*not run" "$tmp/out"
ok "a workload that there is not is refused" eval '! run w10'
ok "nothing is left behind" eval '! ls -d /tmp/bench.* 2>/dev/null'
echo "bench: $passed passed, $failed failed"
[ "$failed" = 0 ]
