#!/usr/bin/env bash
# One script from a fresh Debian 12 with git and a shell to a running server and passing tests.
#
#   ./setup.sh run [--once] [--host]   build, serve files from a private network namespace, check
#                                      them with curl, keep serving until Ctrl-C
#       --once   end after the check, exit status 0 or 1
#       --host   use this host's own network, so that a browser here can open the page (needs root)
#   ./setup.sh test [--long] [--mutants] [TIER...]
#                                      build and run every test (or the named tiers)
#       --long     the sizes of a nightly run
#       --mutants  also check that planted bugs are found (about 20 minutes)
#   ./setup.sh bench [--quick] [WORKLOAD...]
#                                      the benchmarks, beside nginx and the raw device; --quick takes
#                                      two minutes (bench/run --help)
#   ./setup.sh build                   packages and build only
#   ./setup.sh help
#
# Nothing is left behind: namespaces, devices, processes and temporary files go with the script.
set -euo pipefail
cd "$(dirname "$0")"
top=$PWD

BUILD_PKGS="build-essential pkg-config libdpdk-dev libjemalloc-dev libpcap-dev libconfuse-dev
            libhttp-parser-dev libhyperscan-dev libncurses-dev libxxhash-dev"
RUN_PKGS="iproute2 curl util-linux"
TEST_PKGS="libcunit1-dev clang clang-tidy cppcheck valgrind libclang-rt-14-dev llvm-14 wrk
           apache2-utils netcat-openbsd iputils-ping iperf3 groff procps nginx-light tshark
           python3-scapy xxhash"
BENCH_PKGS="python3 wrk nginx-light gnuplot-nox dpdk-dev ethtool valgrind"

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }

missing_pkgs() {
    local p
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"
    done
}

# Installs what is missing; without the right to, says exactly what to install.
need_pkgs() {
    command -v dpkg-query >/dev/null || die "this is not a Debian system; install by hand: $*"
    local missing sudo=
    missing=$(missing_pkgs "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
            die "packages are missing; as root: apt-get install --no-install-recommends $missing"
        sudo=sudo
    fi
    say "installing $missing"
    local log
    log=$(mktemp)
    # A package that brings a service (nginx) must not start it here: policy-rc.d says no meanwhile.
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy=
    else
        trap "$sudo rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy"
    fi
    if ! { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive \
           apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install the packages above"
    fi
    rm -f "$log"
    [ -z "$policy" ] || $sudo rm -f "$policy"
    trap - EXIT
}

build() {
    need_pkgs $BUILD_PKGS
    make --no-print-directory -s -j"$(nproc)" all
}

case "${1:-help}" in
run)
    shift
    need_pkgs $BUILD_PKGS $RUN_PKGS
    build
    exec "$top/apps/run.sh" "$@"
    ;;
test)
    shift
    need_pkgs $BUILD_PKGS $RUN_PKGS $TEST_PKGS $BENCH_PKGS
    exec "$top/tests/run.sh" "$@"
    ;;
bench)
    shift
    need_pkgs $BUILD_PKGS $RUN_PKGS $BENCH_PKGS
    BENCH_IS_SET_UP=1 exec "$top/bench/run" "$@"
    ;;
build)
    build
    ;;
help|-h|--help)
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
    ;;
*)
    die "unknown command '$1'; ./setup.sh help lists them"
    ;;
esac
