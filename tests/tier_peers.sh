#!/usr/bin/env bash
# The stack against programs that nobody here wrote, over net_tap and over TAPs of its own: the
# kernel's TCP (with timestamps, SACK and window scaling on and off), curl, nc, wrk, nginx; over a link
# that loses and reorders; with 10,000 connections at once; iperf3; with an application that reads
# slowly. In network and process namespaces of its own, as root or as a user who may make user
# namespaces; else all of it is skipped, and says so. (What the applications do is tier_apps.sh's;
# there wrk and ab run on a good link.)
#
#   tests/tier_peers.sh [GROUP...]     the groups are the functions test_* below
#   VARIANT=debug tests/tier_peers.sh  another build than release
#   B=dir tests/tier_peers.sh          what is built there, as it is
#   SEED=n tests/tier_peers.sh lossy   other losses
#   MTCP_TEST_LONG=1                   1 GB, 100 MB over the bad link, longer loads
set -u
cd "$(dirname "$0")/.."
export VARIANT=${VARIANT:-release}
is_built=${B:+1}
export B=${B:-$PWD/build/$VARIANT}
long=${MTCP_TEST_LONG:-0}

# ---- outside: namespaces and a directory, and the end of both -------------------------------------

skip_all() {
    echo "SKIP peers: $*"
    echo "peers: 0 passed, 0 failed, 1 skipped"
    exit 0
}

outside() {
    local ns rc tmp
    [ -c /dev/net/tun ] && (exec 9<>/dev/net/tun) 2>/dev/null || skip_all "/dev/net/tun can't be used"
    if [ "$(id -u)" = 0 ] && unshare --net --mount --pid --fork true 2>/dev/null; then
        ns="--net --mount --pid"
    elif unshare --user --map-root-user --net --mount --pid --fork true 2>/dev/null; then
        ns="--user --map-root-user --net --mount --pid"
    else
        skip_all "no network namespace can be made: neither as root nor in a user namespace"
    fi
    [ -n "$is_built" ] ||
        make --no-print-directory -s -j"$(nproc)" apps peers "build/$VARIANT/many" \
            "build/$VARIANT/net_tool" || exit 1
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/mtcp-peers.XXXXXX") || exit 1
    trap 'rm -rf "$tmp"' EXIT
    # The end of this script, whatever ends it, closes the pipe: the inside ends itself.
    mkfifo "$tmp/alive"
    exec 8<>"$tmp/alive"
    PEERS_TMP=$tmp unshare $ns --mount-proc --fork --kill-child "$0" "$@" 8>&- &
    inner=$!
    trap 'kill -KILL $inner 2>/dev/null; exit 143' TERM INT HUP
    wait $inner
    rc=$?
    exit $rc
}
[ -n "${PEERS_TMP:-}" ] || outside "$@"

# ---- inside: what the tests are written in --------------------------------------------------------

tmp=$PEERS_TMP
passed=0 failed=0 skipped=0
export no_proxy='*'

trap 'exit 143' TERM
(cat "$tmp/alive" >/dev/null; kill -TERM 1) 2>/dev/null & # the outside is gone

ok() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAIL $group: $*"
}
skip() {
    skipped=$((skipped + 1))
    echo "SKIP peers/$group: $*"
}
expect() { # what, got, wanted
    if [ "$2" = "$3" ]; then ok; else fail "$1: '$2', expected '$3'"; fi
}
contains() { # what, file, pattern
    if grep -Eq -- "$3" "$2"; then ok; else
        fail "$1: no /$3/ in"
        tail -n 20 "$2" | sed 's/^/    /'
    fi
}
lacks() { # what, file, pattern
    if grep -Eq -- "$3" "$2"; then fail "$1: $(grep -E -m1 -- "$3" "$2")"; else ok; fi
}
at_most() { # what, number, bound
    if [ "$2" -le "$3" ] 2>/dev/null; then ok; else fail "$1: $2, expected at most $3"; fi
}
at_least() { # what, number, bound
    if [ "$2" -ge "$3" ] 2>/dev/null; then ok; else fail "$1: $2, expected at least $3"; fi
}
wait_for() { # seconds, a command that becomes true
    local i n=$(($1 * 20))
    shift
    for i in $(seq $n); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}
sum_of() { sha256sum | cut -d' ' -f1; }
has() { command -v "$1" >/dev/null || { skip "$1 is not installed"; false; }; }

# ---- devices: tN has the stack's end of network N; the kernel's end is kN on a bad link, else tN ---

# $tap: net_tap, which is DPDK's, or tap, which is our own; $mtu when it is another one.
tap=net_tap mtu=
conf() { # number of the device, further lines
    cat >"$tmp/$1.conf" <<END
mos {
    netdev "t$1" {
        device = "$tap$1,iface=t$1"
        address = {"10.77.$1.2/24", "fd77:0:0:$1::2/64"}
        ${mtu:+mtu = $mtu}
    }
    close_wait_ms = 500
    tcp_tw_interval = 1
    ${2:-}
}
END
}

# The device is there for a moment before, too, when the program tries whether it may make it.
link_v6=  # set: the kernel's end has IPv6, too
link_off= # set: and no offload
link_up() { # number
    ip addr replace "10.77.$1.1/24" dev "t$1" 2>/dev/null && ip link set "t$1" up 2>/dev/null || return
    [ -z "$link_off" ] || "$B/net_tool" offload-off "t$1" || return
    [ -z "$link_v6" ] || { echo 0 >"/proc/sys/net/ipv6/conf/t$1/disable_ipv6" &&
        ip -6 addr replace "fd77:0:0:$1::1/64" dev "t$1" nodad; } 2>/dev/null
}
link_keep() { # number: for programs that don't say when they have it
    while :; do
        link_up "$1"
        sleep 0.05
    done
}

# A program over the stack, in the background, until it says that it is ready: sets $pid.
stack_start() { # number of the device, pattern, command
    local number=$1 pattern=$2
    shift 2
    : >"$tmp/$number.out" >"$tmp/$number.err" # nothing of the one before may look ready
    "$@" >"$tmp/$number.out" 2>"$tmp/$number.err" &
    pid=$!
    if wait_for 20 grep -qhe "$pattern" "$tmp/$number.out" "$tmp/$number.err" &&
        wait_for 5 link_up "$number"; then
        return 0
    fi
    fail "does not start: $*"
    sed 's/^/    /' "$tmp/$number.err"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    return 1
}
stack_run() { # number of the device, command: a program over the stack, to its end
    local number=$1 program keeper rc
    shift
    "$@" >"$tmp/$number.out" 2>"$tmp/$number.err" &
    program=$!
    link_keep "$number" &
    keeper=$!
    wait $program
    rc=$?
    kill $keeper
    wait $keeper 2>/dev/null
    return $rc
}
serve() { # options: epserver on t0
    stack_start 0 '^epserver: ' "$B/epserver" -f "$tmp/0.conf" "$@" && server=$pid
}
serve_end() {
    kill -INT $server
    wait $server
    expect "exit status of epserver" $? 0
}

kernel() { # option, value: of the kernel's TCP in this namespace
    echo "$2" >"/proc/sys/net/ipv4/tcp_$1"
}

make_file() { # name, megabytes
    [ -e "$tmp/www/$1" ] && return
    head -c "$2M" /dev/urandom >"$tmp/www/$1"
    sum_of <"$tmp/www/$1" >"$tmp/sum.$1"
}

# ---- the bad link -----------------------------------------------------------------------------------

# Puts it between tN and the kernel, which then has the address on kN: sets $lossy.
lossy_start() { # number, seed, options
    local n=$1
    shift
    ip addr flush dev "t$n" && ip link set "t$n" arp off
    : >"$tmp/lossy$n"
    "$B/lossy" "t$n" "k$n" "$@" >"$tmp/lossy$n" 2>&1 &
    lossy=$!
    wait_for 5 grep -q ready "$tmp/lossy$n" && ip addr add "10.77.$n.1/24" dev "k$n" &&
        ip link set "k$n" up && return 0
    fail "lossy does not start: $(cat "$tmp/lossy$n")"
    return 1
}

# The figure of that name, of both directions together: one of them may have few frames, ACKs.
lossy_count() { # number, name
    sed -nE "s/.* $2=([0-9]+).*/\1/p" "$tmp/lossy$1" | awk '{ n += $1 } END { print n + 0 }'
}

# That it was a bad link is part of the test.
lossy_end() { # number, pid
    kill "$2"
    wait "$2"
    at_least "frames lost" "$(lossy_count "$1" lost)" 20
    at_least "frames reordered" "$(lossy_count "$1" late)" 20
    lacks "lossy" "$tmp/lossy$1" 'full=[1-9]'
}

# ---- transfers: each compares the SHA-256 -----------------------------------------------------------

download() { # what, file: epserver sends
    expect "$1: $2 from epserver" \
        "$(curl --silent --show-error --max-time 300 "http://10.77.0.2/$2" | sum_of)" \
        "$(cat "$tmp/sum.$2")"
}

# To slow_reader, which is fast when it does not pause, and whose monitor looks at every packet.
upload() { # what, file, options of slow_reader; bad_seed: over a bad link
    local what=$1 file=$2 bad=
    shift 2
    stack_start 1 'ready$' "$B/slow_reader" -x "$tmp/www/$file" "$@" "$tmp/1.conf" listen 9 || return
    local reader=$pid
    [ -z "${bad_seed:-}" ] || { lossy_start 1 $bad_seed && bad=$lossy; }
    if timeout 600 nc -N 10.77.1.2 9 <"$tmp/www/$file" >/dev/null; then ok; else
        fail "$what: nc"
        kill $reader # it may wait for a connection still
    fi
    wait $reader
    expect "$what: the reader and its monitor" $? 0
    [ -z "$bad" ] || lossy_end 1 "$bad"
    expect "$what: $file to the stack" "$(sum_of <"$tmp/1.out")" "$(cat "$tmp/sum.$file")"
    contains "$what" "$tmp/1.err" ' wrong=0$'
}
reader_count() { # name
    sed -nE "s/.* $1=([0-9]+).*/\1/p" "$tmp/1.err"
}

# Every combination of what the two ends may agree on, both ways; and on a link that loses 1 %: all
# of them in the long run, else all options and none.
test_kernel() {
    local mb=20 options what bad
    [ "$long" = 1 ] && mb=50
    make_file data $mb
    conf 0
    conf 1 "tcp_ecn = 1"
    serve -p "$tmp/www" || return
    for options in $(seq 0 15); do
        kernel_options $options
        download "$what" data
        upload "$what" data
    done
    at_least "segments with ECT" "$(($(kernel_count InECT0Pkts)))" 1000
    lossy_start 0 1 10 10 5 || return
    bad=$lossy
    for options in $(seq 0 15); do
        [ "$long" = 1 ] || [ $options = 0 ] || [ $options = 15 ] || continue
        kernel_options $options
        download "$what, 1 % loss" data
        bad_seed="2 10 10 5" upload "$what, 1 % loss" data
    done
    lossy_end 0 $bad
    kernel_options 15
    serve_end
}

kernel_options() { # four bits; sets $what
    kernel timestamps $(($1 & 1))
    kernel sack $(($1 >> 1 & 1))
    kernel window_scaling $(($1 >> 2 & 1))
    kernel ecn $(($1 >> 3 & 1))
    what="options$(n=$1 && set -- timestamps SACK scaling ECN && for i in 0 1 2 3; do
        [ $((n >> i & 1)) = 1 ] && printf ' %s' "$1"
        shift
    done)"
}

kernel_count() { # a counter of IpExt
    awk -v name="$1" '$1 == "IpExt:" && !n { n = split($0, names); next }
        $1 == "IpExt:" { for (i = 2; i <= n; i++) if (names[i] == name) print $i }' /proc/net/netstat
}

# Both directions of one connection are full at the same time.
test_echo() {
    make_file 100m 100
    conf 0
    serve --echo -P 7 || return
    expect "100 MB there and back" \
        "$(timeout 120 nc -N 10.77.0.2 7 <"$tmp/www/100m" | sum_of)" "$(cat "$tmp/sum.100m")"
    serve_end
}

# ---- a TAP of our own: up to 64 KB in a frame, sums and cutting left to the other side --------------

there_and_back() { # what, address
    expect "$1" "$(timeout 120 nc -N "$2" 7 <"$tmp/www/data" | sum_of)" "$(cat "$tmp/sum.data")"
}
frame_bytes() { # rx, tx of the kernel's end of t0: bytes per frame so far
    tr ':' ' ' </proc/net/dev |
        awk -v at="$([ "$1" = rx ] && echo 2 || echo 10)" '$1 == "t0" { printf "%d", $at / $(at + 1) }'
}
tap_mtu() { ip -o link show t0 | sed -nE 's/.* mtu ([0-9]+).*/\1/p'; }
kernel_csum_errors() {
    awk '$1 == "Tcp:" && !n { n = split($0, names); next }
        $1 == "Tcp:" { for (i = 2; i <= n; i++) if (names[i] == "InCsumErrors") print $i }' /proc/net/snmp
}

tap_echo() { # by $mtu and $link_off
    local what="MTU ${mtu:-1500}${link_off:+, no offloads}"
    conf 0
    serve --echo -P 7 || return
    expect "$what: MTU of the interface" "$(tap_mtu)" "${mtu:-1500}"
    there_and_back "$what: IPv4" 10.77.0.2
    [ -z "$link_v6" ] || there_and_back "$what: IPv6" fd77:0:0:0::2
    # Half the frames, or more, are ACKs.
    at_least "$what: bytes of a frame from the stack" "$(frame_bytes rx)" 4000
    if [ -n "$link_off" ]; then
        at_most "$what: bytes of a frame to the stack" "$(frame_bytes tx)" $((${mtu:-1500} + 14))
    else
        at_least "$what: bytes of a frame to the stack" "$(frame_bytes tx)" 4000
    fi
    serve_end
}

tap_queues() {
    local i curls=() rate="^Requests/sec: +[1-9]"
    [ "$(nproc)" -ge 2 ] || { skip "one CPU: no several queues" && return; }
    conf 0 "num_cores = 2 stat_print = 1"
    serve -N 2 -p "$tmp/www" || return
    for i in $(seq 16); do
        curl --silent --max-time 120 http://10.77.0.2/data | sum_of >"$tmp/queue.$i" &
        curls+=($!)
    done
    wait "${curls[@]}"
    expect "two queues: 16 downloads" "$(sort -u "$tmp"/queue.*)" "$(cat "$tmp/sum.data")"
    if has wrk; then
        wrk -t1 -c64 -d2 --timeout 30 -H 'Connection: close' http://10.77.0.2/64 >"$tmp/wrk" 2>&1
        contains "two queues, wrk" "$tmp/wrk" "$rate"
        lacks "two queues, wrk" "$tmp/wrk" 'Socket errors|Non-2xx'
        for i in 0 1; do
            contains "core $i" "$tmp/0.err" "cpu $i.* accepted [1-9]"
        done
    fi
    serve_end
}

test_tap() {
    local tap=tap mtu link_off link_v6= has_v6=
    [ -e /proc/net/if_inet6 ] && has_v6=1
    make_file data 20
    for mtu in "" 9000; do
        for link_off in "" 1; do
            link_v6=$has_v6 tap_echo
        done
    done
    mtu= link_off=
    tap_queues
    conf 1
    upload "monitored" data
    test_nginx
    expect "wrong checksums at the kernel" "$(kernel_csum_errors)" 0
}

# ---- iperf3 --------------------------------------------------------------------------------------------

iperf() { # what, options: what is sent arrives (the server checks it), no less than was asked for
    local what=$1
    shift
    if timeout 60 iperf3 --json --port 5201 --bytes 50M "$@" >"$tmp/iperf" 2>&1; then ok; else
        fail "$what: $(tail -n 5 "$tmp/iperf")"
    fi
    local sent received
    sent=$(iperf_sum sent) received=$(iperf_sum received)
    at_most "$what: bytes received" "$received" "$sent" # with -R the rest is on its way
    at_least "$what: bytes" "$received" 50000000
}
iperf_sum() { # sent, received: bytes in the last summary of that name
    awk -v name="\"sum_$1\":" '$1 == name { is_in = 1 } is_in && $1 == "\"bytes\":" {
        n = $2 + 0; is_in = 0 } END { printf "%d", n }' "$tmp/iperf"
}

test_iperf3() {
    local n=2 has_v6=
    has iperf3 || return
    [ -e /proc/net/if_inet6 ] && has_v6=1 link_v6=1 n=5
    conf 0
    stack_start 0 ready "$B/iperf_server" "$tmp/0.conf" 5201 $n || return
    local server=$pid
    expect "ping" "$(ping -c2 -i0.2 -W2 10.77.0.2 >/dev/null; echo $?)" 0
    iperf "iperf3" -c 10.77.0.2
    iperf "iperf3, four streams" -c 10.77.0.2 -P4
    if [ -n "$has_v6" ]; then
        expect "ping -6" "$(ping -6 -c2 -i0.2 -W2 fd77:0:0:0::2 >/dev/null; echo $?)" 0
        iperf "iperf3 -6" -6 -c fd77:0:0:0::2
        iperf "iperf3 -6, four streams" -6 -c fd77:0:0:0::2 -P4
        iperf "iperf3 -6, from the stack" -6 -c fd77:0:0:0::2 -R
    else
        skip "the kernel has no IPv6"
    fi
    link_v6=
    wait $server
    expect "exit status of iperf_server" $? 0
}

# ---- nginx, the kernel's TCP below it, as the server --------------------------------------------------

nginx_start() { # further lines of its server
    mkdir -p "$tmp/nginx"
    cat >"$tmp/nginx/conf" <<END
daemon off;
master_process off;
pid $tmp/nginx/pid;
error_log $tmp/nginx/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $tmp/nginx/body;
    proxy_temp_path $tmp/nginx/proxy;
    fastcgi_temp_path $tmp/nginx/fastcgi;
    uwsgi_temp_path $tmp/nginx/uwsgi;
    scgi_temp_path $tmp/nginx/scgi;
    keepalive_requests 1000000;
    sendfile on;
    server { listen 8080 backlog=4096; $1 root $tmp/www; }
}
END
    nginx -c "$tmp/nginx/conf" -e "$tmp/nginx/error.log" >"$tmp/nginx/out" 2>&1 &
    nginx=$!
    wait_for 5 curl --silent --output /dev/null http://127.0.0.1:8080/64 && return 0
    fail "nginx does not start: $(cat "$tmp/nginx/error.log")"
    return 1
}

client() { # what, total, arguments of epclient: no error of any kind
    local what=$1 total=$2 url=$3
    shift 3
    stack_run 1 "$B/epclient" -f "$tmp/1.conf" "$url" "$total" "$@"
    expect "$what" $? 0
    contains "$what" "$tmp/1.out" "^requests $total of $total "
    contains "$what" "$tmp/1.out" '^errors +0$'
}

test_nginx() {
    local url=http://10.77.1.1:8080 n=3000 has_v6=
    [ -e /proc/net/if_inet6 ] && has_v6=1
    has nginx || return
    make_file 100m 100
    [ "$long" = 1 ] && n=100000
    conf 1
    # /few/ closes after 7 requests; /up takes a POST whole before it answers.
    nginx_start "${has_v6:+listen [::]:8080;}
        location /few/ { keepalive_requests 7; alias $tmp/www/; }
        location /up { client_max_body_size 0; proxy_pass http://127.0.0.1:8080/sink; }
        location /sink { client_max_body_size 0; return 204; }" || return
    client "epclient, close" $n "$url/64" -c 64
    client "epclient, keep-alive" $n "$url/64" -c 64 -k
    client "epclient, 100 MB" 3 "$url/100m" -t 60
    client "epclient, pipelining" $n "$url/64" -c 16 --pipeline 16 --hash
    client "epclient, pipelining, closed on the way" $n "$url/few/64" -c 16 --pipeline 5
    contains "a connection for 7 requests" "$tmp/1.out" 'over [1-9][0-9]{2,} connections$'
    client "epclient, open loop" $n "$url/64" -c 64 -k -r 1500
    client "epclient, uploads" 20 "$url/up" -c 4 -k --upload 1000000
    if [ -n "$has_v6" ]; then
        link_v6=1
        client "epclient, IPv6" $n "http://[fd77:0:0:1::1]:8080/64" -c 64 -k
        client "epclient, 100 MB over IPv6" 3 "http://[fd77:0:0:1::1]:8080/100m" -t 60
        link_v6=
    fi
    stack_run 1 "$B/slow_reader" "$tmp/1.conf" get 10.77.1.1 8080 /100m
    expect "100 MB: the reader and its monitor" $? 0
    contains "100 MB: the reader and its monitor" "$tmp/1.err" ' wrong=0$'
    expect "100 MB from nginx" "$(tail -c 100M "$tmp/1.out" | sum_of)" "$(cat "$tmp/sum.100m")"
    kill $nginx
    wait $nginx 2>/dev/null
}

# ---- a link that loses and reorders -------------------------------------------------------------------

loss_wrk() { # what, arguments
    local what=$1 seconds=4
    shift
    [ "$long" = 1 ] && seconds=10
    wrk -t1 -c64 -d${seconds}s --timeout 30 "$@" http://10.77.0.2/64 >"$tmp/wrk" 2>&1
    contains "$what" "$tmp/wrk" '^Requests/sec: +[1-9]'
    lacks "$what" "$tmp/wrk" 'Socket errors|Non-2xx'
}

test_lossy() {
    local file=20m seed=${SEED:-1} bad
    make_file 20m 20
    if [ "$long" = 1 ]; then
        make_file 100m 100
        file=100m
    fi
    conf 0
    conf 1
    serve -p "$tmp/www" || return
    lossy_start 0 "$seed" || return
    bad=$lossy
    # Down from epserver and up to the reader at the same time, each on a link of its own.
    curl --silent --show-error --max-time 900 "http://10.77.0.2/$file" | sum_of >"$tmp/down" &
    local down=$!
    bad_seed=$((seed + 1)) upload "bad link" $file
    at_least "events with a hole" "$(reader_count holes)" 50
    wait $down
    expect "bad link: $file from epserver" "$(cat "$tmp/down")" "$(cat "$tmp/sum.$file")"
    if has wrk; then
        loss_wrk "bad link, wrk, keep-alive"
        loss_wrk "bad link, wrk, close" -H 'Connection: close'
    fi
    lossy_end 0 $bad
    serve_end
}

# ---- a reader that is slower than its sender -----------------------------------------------------------

test_slow_reader() {
    make_file 8m 8
    conf 1 "rmem_size = 64K"
    upload "slow reader" 8m -c 20000 -p 5000
    at_least "bytes waited to be read" "$(reader_count unread_max)" 50000
    conf 1 "rmem_size = 1M tcp_sack = 0"
    upload "slow reader, one byte more than a segment" 8m -c 1449 -p 1000
    bad_seed=7 upload "slow reader, bad link" 8m -c 30000 -p 10000
    at_least "events with a hole" "$(reader_count holes)" 20
}

# ---- many connections, and what they leave -------------------------------------------------------------

stat() { # name: the last figure of that name that the server printed
    tail -n 1 "$tmp/0.err" | sed -nE "s/.* $1 ([0-9]+).*/\1/p"
}
has_more_lines() { [ "$(wc -l <"$tmp/0.err")" -gt "$1" ]; }
stat_fresh() { # waits for a line about a whole second from now on
    wait_for 5 has_more_lines $(($(wc -l <"$tmp/0.err") + 1))
}
no_connections() { [ "$(stat conns)" = 0 ]; }
rss_kb() { sed -nE 's/^VmRSS:[^0-9]*([0-9]+).*/\1/p' "/proc/$server/status"; }

many_round() { # how many
    if "$B/many" 10.77.0.2 80 /64 "$1" 2 >"$tmp/many" 2>&1; then ok; else
        fail "$1 connections at once: $(cat "$tmp/many")"
    fi
    # The kernel's FINs, all at once, overflow its queue: some are late.
    if wait_for 20 no_connections; then ok; else fail "$(stat conns) of $1 are still there"; fi
    sleep 2
    stat_fresh
}

test_many() {
    local n=10000 rss mem pkts
    if [ "$(ulimit -Hn)" != unlimited ] && [ "$(ulimit -Hn)" -lt $((n + 100)) ]; then
        skip "only $(ulimit -Hn) descriptors are allowed: so many connections at once, not $n"
        n=$(($(ulimit -Hn) - 100))
    fi
    # The kernel finds its own ports slowly once most of them are in TIME_WAIT.
    echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range
    kernel tw_reuse 1
    conf 0 "max_concurrency = 12000 stat_print = 1"
    serve -p "$tmp/www" || return
    many_round $n # two warm up: which buffers are in use at once is a matter of luck
    many_round $n
    rss=$(rss_kb) mem=$(stat mem) pkts=$(stat pkts)
    many_round $n
    [ "$long" = 1 ] && many_round $n && many_round $n
    # The kernel's and the allocator's pages come and go by about as much; a leak only grows.
    for _ in 1 2 3; do
        [ "$(rss_kb)" -gt $((rss + rss / 100)) ] && many_round $n
    done
    at_most "KB of RSS after as many again ($rss before)" "$(rss_kb)" $((rss + rss / 100))
    at_most "KB of the allocator after as many again ($mem before)" "$(stat mem)" $((mem + mem / 100))
    at_least "free packet buffers after as many again" "$(stat pkts)" $((pkts - pkts / 100))
    serve_end
}

# ---- idle, and interrupted, with connections open ----------------------------------------------------

test_idle() {
    local before fds=() fd i
    conf 0
    make_file 100m 100
    serve -p "$tmp/www" || return
    for i in $(seq 200); do
        exec {fd}<>/dev/tcp/10.77.0.2/80 || break
        fds+=("$fd")
    done
    expect "open connections" ${#fds[@]} 200
    sleep 1
    before=$("$B/net_tool" cpu $server)
    sleep 10
    at_most "ticks of 10 ms in 10 s of idling" $(($("$B/net_tool" cpu $server) - before)) 19
    interrupted
    for fd in "${fds[@]}"; do exec {fd}>&-; done
}

interrupted() {
    local start curl
    touch "$tmp/since"
    expect "runtime directories of a running server" "$(find /run/dpdk -mindepth 1 -type d | wc -l)" 1
    curl --silent --limit-rate 1M --output /dev/null "http://10.77.0.2/100m" &
    curl=$!
    sleep 0.5
    start=$(date +%s%N)
    serve_end
    at_most "ms to end with open connections" $((($(date +%s%N) - start) / 1000000)) 3000
    kill $curl 2>/dev/null
    wait $curl 2>/dev/null
    expect "runtime directories that are left" "$(find /run/dpdk -mindepth 1 2>/dev/null | wc -l)" 0
    expect "devices that are left" "$(ip -o link show | grep -vc ' lo:')" 0
    expect "processes that are left" "$(ps -o comm= -A | grep -cE 'epserver|epclient|slow_reader|iperf|lossy|nginx')" 0
}

# ---- all of them ------------------------------------------------------------------------------------

mount -t tmpfs tmpfs /run || exit 1 # DPDK's runtime files: nobody else's, and gone with us
echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
mkdir "$tmp/www"
head -c 64 /dev/zero >"$tmp/www/64"
all="kernel echo tap iperf3 nginx lossy slow_reader many idle"
for group in ${*:-$all}; do
    start=$(date +%s)
    "test_$group"
    echo "# $group: $(($(date +%s) - start)) s"
done
echo "peers: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
