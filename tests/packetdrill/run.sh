#!/usr/bin/env bash
# Runs packetdrill's scripts against the stack: each in a process of its own, with a virtual clock, in
# a mount and network namespace where the sysctls that scripts set are files (settings.c).
#
#   tests/packetdrill/run.sh [OPTIONS] PACKETDRILL SCRIPT|FOLDER...
#       PACKETDRILL       the program, built elsewhere (docs/conformance.md)
#       --so FILE         the adapter (build/packetdrill/packetdrill.so)
#       --classes FILE    lines "SCRIPT<tab>CLASS", where SCRIPT is the end of a path: sums per class
#       --known FILE      lines that begin with SCRIPT: these may fail, and count as skipped then
#       --timeout S       seconds of the real clock for a script (20)
#       --define NAME=V   a symbol of the scripts, as packetdrill's --define; any number of times
#       -v                the whole of what packetdrill says about a script that fails
#
# One line per script: PASS, PART (its code blocks could not be run), FAIL with the reason, HANG, CRASH,
# KNOWN, SKIP; at the end one line `packetdrill: N passed, N failed, N skipped (N partial)`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
usage() { sed -n '5,13p' "$here/run.sh" | sed 's/^# \{0,1\}//' >&2; exit 2; }

so=$here/../../build/packetdrill/packetdrill.so classes= known= seconds=20 verbose=0 defines=()
while [ $# -gt 0 ]; do
    case "$1" in
    --so) so=$2; shift 2 ;;
    --classes) classes=$2; shift 2 ;;
    --known) known=$2; shift 2 ;;
    --timeout) seconds=$2; shift 2 ;;
    --define) defines+=(--define "$2"); shift 2 ;;
    -v) verbose=1; shift ;;
    -*) usage ;;
    *) break ;;
    esac
done
[ $# -ge 2 ] || usage
packetdrill=$(realpath "$1"); shift
for f in "$packetdrill" "$so"; do [ -r "$f" ] || { echo "run.sh: no $f" >&2; exit 2; }; done
so=$(realpath "$so")

# ---- the namespace: once, around everything ----
if [ -z "${PD_WORLD:-}" ]; then
    # its exit status says whether anything failed
    as_root=; [ "$(id -u)" = 0 ] || as_root=-Ur
    if ! unshare $as_root -mn true 2>/dev/null; then
        echo "SKIP packetdrill: no namespaces (root, or unprivileged user namespaces)"
        echo "packetdrill: 0 passed, 0 failed, 1 skipped"
        exit 0
    fi
    PD_WORLD=$(mktemp -d) || exit 2
    export PD_WORLD
    trap 'rm -rf "$PD_WORLD"' EXIT
    opts=(--so "$so" --timeout "$seconds" "${defines[@]}")
    [ -z "$classes" ] || opts+=(--classes "$(realpath "$classes")")
    [ -z "$known" ] || opts+=(--known "$(realpath "$known")")
    [ "$verbose" = 0 ] || opts+=(-v)
    unshare $as_root -mn "$here/run.sh" "${opts[@]}" "$packetdrill" "$@"
    exit
fi

mkdir "$PD_WORLD/sysctl" "$PD_WORLD/module" "$PD_WORLD/bin"
mount --bind "$PD_WORLD/sysctl" /proc/sys/net/ipv4 || exit 2
# what is no sysctl, and must not reach the kernel's TCP either
for m in /sys/module/tcp_*/parameters; do [ -d "$m" ] && mount --bind "$PD_WORLD/module" "$m"; done
# the scripts' commands are written for bash
mount --bind "$(command -v bash)" "$(realpath /bin/sh)" || exit 2
# commands about a device that is not the kernel's
for c in ip tc ethtool nstat; do ln -s "$here/command.sh" "$PD_WORLD/bin/$c"; done
export PATH=$PD_WORLD/bin:/usr/sbin:/sbin:$PATH

# A sysctl's files as a kernel has them before anybody sets one.
defaults() {
    rm -f "$PD_WORLD"/sysctl/*
    while read -r name value; do printf '%s\n' "$value" >"$PD_WORLD/sysctl/$name"; done <"$here/sysctls"
}

# ---- one script ----
# The symbols that every script may use, for IPv4. The cookies are what Fast Open's hash makes of the
# two addresses of run_one() with the key of common/defaults.sh, and with a key of zeros.
symbols=(
    --define TFO_COOKIE=3021b9d889017eeb --define TFO_COOKIE_ZERO=b7c12350a90dc8f5
    --define CODE=host_unreachable
    --define CMSG_LEVEL_IP=SOL_IP --define CMSG_TYPE_RECVERR=IP_RECVERR
)

option_of() { # the last --NAME= line of a script, or a default
    local v
    v=$(sed -nE "s/^--$2=([^ ]*).*/\1/p" "$1" | tail -n 1)
    echo "${v:-$3}"
}

run_one() { # path; output to $PD_WORLD/log, status of packetdrill
    local script=$1 local_ip mtu mss
    local_ip=$(option_of "$script" local_ip 192.168.0.1)
    mtu=$(option_of "$script" mtu 1500)
    mss=$(option_of "$script" mss 0)
    (
        cd "$(dirname "$script")" || exit 2
        LD_PRELOAD=$so exec timeout -k 1 "$seconds" "$packetdrill" --ip_version=ipv4 \
            --local_ip="$local_ip" --code_command="$python" "${symbols[@]}" "${defines[@]}" --so_filename="$so" \
            --so_flags="local_ip=$local_ip,mtu=$mtu,mss=$mss,sysctl=/proc/sys/net/ipv4" "$(basename "$script")"
    ) >"$PD_WORLD/log" 2>&1
}

python=python3
command -v python3 >/dev/null || python=true

column_of() { # path, file, column of the line whose first word ends the path
    [ -n "$2" ] || return
    awk -v path="$1" -v col="$3" '{ n = length($1) } n && substr(path, length(path) - n + 1) == $1 {
        print $col; exit }' "$2"
}

reason_of() { # the last line of the log that says something, without the folder
    sed -nE '/error|Error|assert|die|Expected|timing|bad /p' "$PD_WORLD/log" | head -n 1 | cut -c 1-200
}

scripts=$(for a in "$@"; do [ -d "$a" ] && find "$a" -name '*.pkt' || echo "$a"; done | sort)
for script in $scripts; do
    case "$script" in
    *ipv6*|*-v6*) echo "SKIP $script: IPv6"; echo "SKIP -" >>"$PD_WORLD/results"; continue ;;
    esac
    defaults
    run_one "$(realpath "$script")"
    rc=$?
    case $rc in
    0) verdict=PASS; [ "$python" = true ] && grep -q '%{' "$script" && verdict=PART ;;
    124|137) verdict=HANG ;;
    13[0-9]|14[0-9]) verdict=CRASH ;;
    *) verdict=FAIL ;;
    esac
    class=$(column_of "$script" "$classes" 2)
    [ $verdict = FAIL ] && [ -n "$(column_of "$script" "$known" 1)" ] && verdict=KNOWN
    echo "$verdict ${class:--}" >>"$PD_WORLD/results"
    if [ $verdict = PASS ]; then echo "PASS $script"; else echo "$verdict $script: $(reason_of)"; fi
    [ "$verbose" = 0 ] || [ $verdict = PASS ] || sed 's/^/    /' "$PD_WORLD/log"
done
rm -f /tmp/sysctl_restore_*.sh

awk '
    { n[$1]++; c[$2]; k[$2, $1]++ }
    END {
        for (i in c) if (i != "-")
            printf "class %s: %d passed, %d not\n", i, k[i, "PASS"], k[i, "FAIL"] + k[i, "KNOWN"] + k[i, "HANG"] + k[i, "CRASH"] + k[i, "PART"]
        failed = n["FAIL"] + n["HANG"] + n["CRASH"]
        printf "packetdrill: %d passed, %d failed, %d skipped (%d partial, %d hung, %d crashed)\n",
            n["PASS"], failed, n["SKIP"] + n["KNOWN"], n["PART"], n["HANG"], n["CRASH"]
        exit failed > 0
    }' "$PD_WORLD/results"
