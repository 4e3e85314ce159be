#!/usr/bin/env bash
# Serves files with epserver on a TAP of its own, with flowlog attached; checks a small and a 100 MB
# file with curl from the kernel's side; shows what flowlog saw; goes on serving until Ctrl-C.
#
#   apps/run.sh [--once] [--host]
#       --once   end after the check: exit status 0 if it passed, 1 if not
#       --host   in this host's own network namespace, so that a browser here reaches it (as root)
#
# Everything runs in namespaces of its own (network, processes; and users, when not root), which go
# when this script goes, with all that is in them. ./setup.sh run builds first and calls this.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
B=${B:-$top/build/release}
big_mb=100

say() { printf 'run: %s\n' "$*"; }
die() { printf 'run: %s\n' "$*" >&2; exit 1; }

# ---- outside: namespaces, a temporary directory, and the end of both ----------------------------

once=0 host=0 inside=0
for arg in "$@"; do
    case "$arg" in
    --once) once=1 ;;
    --host) host=1 ;;
    --inside) inside=1 ;; # our own second half
    -h|--help) sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) die "unknown option '$arg'; there are --once and --host" ;;
    esac
done

needed() {
    local tool
    for tool in curl ip unshare sha256sum; do
        command -v "$tool" >/dev/null || die "$tool is missing; ./setup.sh run installs it"
    done
    for tool in epserver flowlog.so; do
        [ -e "$B/$tool" ] || die "$B/$tool is missing; ./setup.sh build makes it"
    done
    [ -e /dev/net/tun ] || die "no /dev/net/tun: load the module 'tun', or give it to this container"
    (exec 9<>/dev/net/tun) 2>/dev/null || die "/dev/net/tun can't be opened by $(id -un)"
}

# The namespaces that this user may make, as arguments of unshare(1).
namespaces() {
    if [ "$host" = 1 ]; then
        [ "$(id -u)" = 0 ] || die "--host needs root: it makes a device in the host's network"
        echo "--mount --pid"
    elif [ "$(id -u)" = 0 ] && unshare --net --mount --pid --fork true 2>/dev/null; then
        echo "--net --mount --pid"
    elif unshare --user --map-root-user --net --mount --pid --fork true 2>/dev/null; then
        echo "--user --map-root-user --net --mount --pid"
    else
        die "neither network namespaces nor user namespaces can be made here: run it as root," \
            "or allow them (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)"
    fi
}

# The inside has said who it is, or will look for "stopped" once it has.
stop() { # what to exit with
    trap '' INT TERM HUP
    stopped=$1
    [ -n "$tmp" ] || return
    : >"$tmp/stopped"
    [ -s "$tmp/pid" ] && kill -TERM "$(cat "$tmp/pid")" 2>/dev/null
}

outside() {
    local ns rc
    needed
    ns=$(namespaces) || exit 1
    tmp= stopped=
    trap 'stop 130' INT
    trap 'stop 143' TERM HUP
    trap 'rm -rf "$tmp"' EXIT
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/mtcp-run.XXXXXX") || exit 1
    [ -z "$stopped" ] || exit "$stopped"
    mkfifo "$tmp/alive"
    exec 8<>"$tmp/alive" # open as long as this script lives: the inside reads its end
    case "$ns" in *--user*) MTCP_RUN_ENTER="-U -n --preserve-credentials" ;; *) MTCP_RUN_ENTER=-n ;; esac
    export MTCP_RUN_ENTER
    MTCP_RUN_TMP=$tmp unshare $ns --fork --kill-child "$0" --inside "$@" 8>&- &
    while :; do
        wait $!
        rc=$?
        kill -0 $! 2>/dev/null || break # else a trap has interrupted it
    done
    [ -z "$stopped" ] || rc=$stopped
    [ -z "$stopped" ] || [ ! -e "$tmp/serving" ] || rc=0 # Ctrl-C is how it ends
    exit "${rc:-1}"
}

# ---- inside ---------------------------------------------------------------------------------------

# The first of mtcp0, mtcp1, ... that is no interface yet.
free_iface() {
    local n=0
    while ip link show "mtcp$n" >/dev/null 2>&1; do n=$((n + 1)); done
    echo "mtcp$n"
}

# A /30 that no route of this host but the default one leads to: its first three numbers.
free_net() {
    local n
    for n in $(seq 77 254); do
        [ -z "$(ip -4 route show match "10.254.$n.1" | grep -v '^default')" ] || continue
        echo "10.254.$n"
        return
    done
    die "no free /30 between 10.254.77.0 and 10.254.254.0"
}

conf_write() {
    cat >"$tmp/mos.conf" <<END
mos {
    netdev "$iface" {
        device = "tap0,iface=$iface"
        address = "$net.2/30"
    }
    monitor "flowlog" {
        plugin = "$B/flowlog.so"
        args = "file=$tmp/flow.log edges lines=100000"
    }
}
END
}

www_make() {
    mkdir "$tmp/www"
    echo '<!doctype html><title>epserver</title><p>Served by a TCP stack in user space.' \
        >"$tmp/www/index.html"
    head -c "${big_mb}M" /dev/urandom >"$tmp/www/big" || die "no room for $big_mb MB in $tmp"
}

# Runs a command so that a signal to this script ends it at once.
run() {
    "$@" &
    wait $!
}

server_start() {
    "$B/epserver" -p "$tmp/www" -f "$tmp/mos.conf" >"$tmp/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        grep -q '^epserver: HTTP' "$tmp/server.log" && return
        kill -0 $server 2>/dev/null || break
        run sleep 0.1
    done
    cat "$tmp/server.log" >&2
    die "epserver did not start"
}

link_up() {
    ip addr add "$net.1/30" dev "$iface" && ip link set "$iface" up && ip link set lo up ||
        die "the kernel's side of $iface can't be set up"
}

# Fetches a file and compares it with the one on disk.
check() { # name, what to call it
    local want got
    want=$(sha256sum <"$tmp/www/$1")
    run curl --silent --show-error --fail --noproxy '*' --max-time 120 \
        --output "$tmp/got" --write-out '%{time_total}' "http://$net.2/$1" >"$tmp/seconds" || {
        say "FAILED: curl could not fetch $2"
        return 1
    }
    got=$(sha256sum <"$tmp/got")
    rm -f "$tmp/got"
    if [ "$want" != "$got" ]; then
        say "FAILED: $2 arrived with another SHA-256: $got"
        return 1
    fi
    say "$2: SHA-256 agrees (${got%% *}), $(cat "$tmp/seconds") s"
}

flows_show() {
    say "what flowlog saw, the first lines:"
    grep -v ' edges ' "$tmp/flow.log" | head -n 25
    say "the buffer edges of connection #1 (svr: from the client, cli: from the server):"
    grep ' #1 .* edges ' "$tmp/flow.log" | head -n 12
}

how_to_reach() {
    local enter=
    [ "$host" = 1 ] || enter="nsenter -t $(cat "$tmp/pid") $MTCP_RUN_ENTER "
    say "serving; from another terminal: ${enter}curl http://$net.2/"
    say "flowlog writes $tmp/flow.log; Ctrl-C ends everything"
}

inside() {
    tmp=$MTCP_RUN_TMP
    server=
    trap 'exit 143' TERM INT HUP
    trap '[ -z "$server" ] || { kill -TERM $server 2>/dev/null; wait $server; }' EXIT
    read -r pid _ </proc/self/stat # as the processes outside see it
    echo "$pid" >"$tmp/pid"
    [ ! -e "$tmp/stopped" ] || exit 143
    exec 9<"$tmp/alive"
    iface=$(free_iface)
    net=$(free_net) || exit 1
    conf_write
    www_make
    server_start
    link_up
    check index.html "a small file" && check big "a file of $big_mb MB" || exit 1
    flows_show
    [ "$once" = 1 ] && exit 0
    touch "$tmp/serving"
    how_to_reach
    cat <&9 >/dev/null & # ends when the script outside does, however that ends
    wait -n $server $!
    kill -0 $server 2>/dev/null || { cat "$tmp/server.log" >&2; die "epserver ended"; }
}

if [ "$inside" = 1 ]; then
    inside
else
    outside "$@"
fi
