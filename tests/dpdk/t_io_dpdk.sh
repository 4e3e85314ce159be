#!/bin/sh
# Packet I/O on real devices, DPDK's and our own, no TCP: io_probe at one end (or both), the kernel at the other.
# Everything happens in network namespaces made here and gone with the processes in them. Needs root
# or a user namespace. B is the directory of the programs (default build/debug).
#
#   tests/dpdk/t_io_dpdk.sh [TEST...]

B=${B:-build/debug}
TESTS="own_tap own_tap_jumbo own_tap_idle own_tap_queues own_tap_made_before own_tap_deleted
own_tap_leaves_nothing tap tap_idle tap_queues af_packet af_packet_jumbo af_packet_queues af_packet_mac af_xdp memif memif_jumbo
vhost vhost_segments vhost_peer_dies vhost_peer_returns rss pcap capture forward own_forward twice sigint_leaves_nothing
failure_leaves_nothing quiet errors no_permission no_dev_net_tun
hugepages"

if [ -z "$IO_DPDK_INSIDE" ]; then
    if [ ! -x "$B/io_probe" ]; then
        echo "SKIP dpdk-io: $B/io_probe is not built"
        echo "dpdk-io: 0 passed, 0 failed, $(echo $TESTS | wc -w) skipped"
        exit 0
    fi
    for how in "unshare -n" "unshare -Urn"; do
        if $how true 2>/dev/null; then
            IO_DPDK_INSIDE=1 exec $how "$0" "$@"
        fi
    done
    echo "SKIP dpdk-io: neither root nor unprivileged user namespaces"
    echo "dpdk-io: 0 passed, 0 failed, $(echo $TESTS | wc -w) skipped"
    exit 0
fi

PROBE=$B/io_probe
TOOL=$B/net_tool
W=$(mktemp -d /tmp/t_io_dpdk.XXXXXX)
passed=0 failed=0 skipped=0
pids=

# ---- helpers --------------------------------------------------------------------------------

say() {
    echo "$*" >>"$W/why"
}

# Starts io_probe as $1 (its files are $W/$1.out, .err) and waits until packets flow.
start() {
    name=$1
    shift
    : >"$W/$name.out"
    "$PROBE" -t 300 "$@" >"$W/$name.out" 2>"$W/$name.err" &
    pid=$!
    pids="$pids $pid"
    eval "pid_$name=$pid"
    for i in $(seq 100); do
        grep -q ^ready "$W/$name.out" && return 0
        kill -0 $pid 2>/dev/null || break
        sleep 0.05
    done
    say "io_probe $*: not ready: $(tail -n 1 "$W/$name.err")"
    return 1
}

# Ends io_probe $1 with SIGINT; it must report and exit with 0.
stop() {
    eval "pid=\$pid_$1"
    kill -INT $pid 2>/dev/null
    ended $1
}

# Waits for its end; a minute is for ever.
ended() {
    eval "pid=\$pid_$1"
    for i in $(seq 600); do
        grep -q '^State:[^Z]*$' /proc/$pid/status 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL $pid 2>/dev/null
    wait $pid
    rc=$?
    [ $rc -eq 0 ] && grep -q ^stats "$W/$1.out" && return 0
    say "io_probe $1: exit status $rc: $(tail -n 1 "$W/$1.err")"
    return 1
}

# The number (or word) of key $2 in what io_probe $1 said.
value() {
    sed -n "s/.*[ ,]$2=\([^ ]*\).*/\1/p" "$W/$1.out" | tail -n 1
}

expect() { # program key op number
    got=$(value $1 $2)
    [ "$got" $3 "$4" ] 2>/dev/null && return 0
    say "$1: $2 is '$got', expected $3 $4"
    return 1
}

ping_from_kernel() {
    $IN "$TOOL" ping "$@" >"$W/ping" 2>&1 && return 0
    say "ping $*: $(cat "$W/ping")"
    return 1
}

# A veth pair: va here, vb in a second namespace that $IN enters. Ends with the sleep.
veth_up() {
    unshare -n sleep 600 &
    peer=$!
    pids="$pids $peer"
    for i in $(seq 50); do
        [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
        sleep 0.02
    done
    IN="nsenter -t $peer -n"
    ip link add va type veth peer name vb && ip link set vb netns $peer && ip link set va up &&
        $IN ip addr add 10.77.0.1/24 dev vb && $IN ip link set vb up &&
        $IN "$TOOL" offload-off vb
}

veth_down() {
    ip link del va 2>/dev/null
    kill $peer
    wait $peer 2>/dev/null
    IN=
}

idle_ticks() { # program seconds: CPU ticks (10 ms) while nothing happens
    eval "pid=\$pid_$1"
    before=$("$TOOL" cpu $pid)
    sleep $2
    after=$("$TOOL" cpu $pid)
    echo $((after - before))
}

runtime_dirs() {
    for d in /var/run/dpdk ${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/dpdk} /tmp/mtcp-*/dpdk; do
        for left in "$d"/mtcp*-$1; do
            [ -e "$left" ] && echo "$left"
        done
    done
}

nothing_left() { # pid
    left=$(runtime_dirs $1)
    [ -n "$left" ] && say "left behind: $left" && return 1
    ip link show dtap0 >/dev/null 2>&1 && say "left behind: the interface dtap0" && return 1
    kill -0 $1 2>/dev/null && say "left behind: the process" && return 1
    return 0
}

cleanup() {
    for p in $pids; do
        kill $p 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$W"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- tap: our own ---------------------------------------------------------------------------

own_tap_start() {
    start a "$@" && ip addr add 10.77.0.1/24 dev tap0
}

t_own_tap() {
    own_tap_start tap0 || return 1
    ping_from_kernel 10.77.0.2 300 56 && ping_from_kernel 10.77.0.2 50 1472 || return 1
    ip link show tap0 | grep -q "ether $(value a mac) " &&
        say "both ends have the same address" && return 1
    stop a && expect a echoed -eq 350 && expect a rx_dropped -eq 0 && expect a pkts = 1024/1024 &&
        expect a caps = tcp,tso,rx,wake && [ ! -s "$W/a.err" ]
}

t_own_tap_jumbo() {
    own_tap_start -M 9000 tap0,iface=tap0 && ping_from_kernel 10.77.0.2 50 8972 && stop a &&
        expect a mtu -eq 9000 && expect a len_max -eq 9014
}

t_own_tap_idle() {
    own_tap_start tap0 || return 1
    ping_from_kernel 10.77.0.2 1 56 || return 1
    sleep 1
    ticks=$(idle_ticks a 5)
    echo "     idle: $ticks ticks of 10 ms in 5 s"
    [ "$ticks" -lt 10 ] || { say "$ticks ticks in 5 s of idling" && return 1; }
    ping_from_kernel 10.77.0.2 1 56 && stop a
}

t_own_tap_queues() {
    own_tap_start -q 3 tap0 || return 1
    expect a queues -eq 3 && ping_from_kernel -i 1 10.77.0.2 200 56 || return 1
    stop a && expect a echoed -eq 200
}

# An administrator's interface stays; nobody else joins it while it is in use.
t_own_tap_made_before() {
    ip tuntap add dev tap0 mode tap multi_queue || return 2
    made_before 2 && made_before 1
    rc=$?
    ip tuntap del dev tap0 mode tap multi_queue
    [ $rc -eq 0 ] && ip tuntap add dev tap0 mode tap || return 1
    made_before 1
    rc=$?
    ip tuntap del dev tap0 mode tap
    return $rc
}

made_before() { # queues
    errors_ok=0
    ip addr flush dev tap0
    own_tap_start -q $1 tap0 && expect a queues -eq $1 || return 1
    ping_from_kernel 10.77.0.2 20 56 || return 1
    refused "the interface tap0 is in use" tap0
    stop a && ip link show tap0 >/dev/null && return $errors_ok
}

# Somebody deletes the interface: no packets, no work, and an end as usual.
t_own_tap_deleted() {
    own_tap_start tap0 && ip link del tap0 || return 1
    sleep 0.5
    ticks=$(idle_ticks a 2)
    [ "$ticks" -lt 20 ] || { say "$ticks ticks in 2 s without a device" && return 1; }
    stop a
}

# Not even DPDK has been started.
t_own_tap_leaves_nothing() {
    own_tap_start tap0 && [ -z "$(runtime_dirs $pid_a)" ] && stop a || return 1
    ip link show tap0 >/dev/null 2>&1 && say "left behind: the interface tap0" && return 1
    "$PROBE" -M 60 tap0 >"$W/out" 2>"$W/err" || ! ip link show tap0 >/dev/null 2>&1
}

# ---- net_tap --------------------------------------------------------------------------------

tap_start() {
    start a "$@" && ip addr add 10.77.0.1/24 dev dtap0
}

t_tap() {
    tap_start net_tap0,iface=dtap0 || return 1
    ping_from_kernel 10.77.0.2 300 56 && ping_from_kernel 10.77.0.2 50 1472 || return 1
    ip link show dtap0 | grep -q "ether $(value a mac) " &&
        say "both ends have the same address" && return 1
    stop a && expect a echoed -eq 350 && expect a rx_dropped -eq 0 && expect a pkts = 4092/4096
}

t_tap_idle() {
    tap_start net_tap0,iface=dtap0 || return 1
    ping_from_kernel 10.77.0.2 1 56 || return 1
    sleep 1
    ticks=$(idle_ticks a 10)
    echo "     idle: $ticks ticks of 10 ms in 10 s"
    [ "$ticks" -lt 20 ] || { say "$ticks ticks in 10 s of idling" && return 1; }
    ping_from_kernel 10.77.0.2 1 56 && stop a
}

t_tap_queues() {
    tap_start -q 3 net_tap0,iface=dtap0 || return 1
    expect a queues -eq 3 && ping_from_kernel -i 1 10.77.0.2 200 56 || return 1
    stop a && expect a echoed -eq 200
}

# ---- net_af_packet, net_af_xdp --------------------------------------------------------------

on_veth() { # MTU, then io_probe's arguments
    veth_up || return 1
    $IN ip link set vb mtu $1
    mtu=$1
    shift
    start a "$@" && ping_from_kernel -i 1 10.77.0.2 300 56 &&
        ping_from_kernel -i 1 10.77.0.2 50 $((mtu - 28)) && stop a && expect a echoed -eq 350
    rc=$?
    veth_down
    return $rc
}

t_af_packet() {
    on_veth 1500 net_af_packet0,iface=va && expect a caps = wake && expect a sleeps -lt 2000
}

t_af_packet_jumbo() {
    on_veth 9000 -M 9000 net_af_packet0,iface=va && expect a mtu -eq 9000
}

t_af_packet_queues() {
    on_veth 1500 -q 2 net_af_packet0,iface=va && expect a queues -eq 2 && expect a caps = wake
}

# Packets that the kernel's IP has looked at, here.
ip_received() {
    awk '/^Ip: [0-9]/ { print $4 }' /proc/self/net/snmp
}

# An address of our own beside the interface's: the kernel's IP sees none of our packets, and
# afterwards the interface is as it was.
t_af_packet_mac() {
    veth_up || return 1
    before=$(ip -d link show va | grep -o 'ether [^ ]*\|promiscuity [0-9]*')
    n=$(ip_received)
    start a -e 02:00:00:00:aa:aa net_af_packet0,iface=va && ping_from_kernel -i 1 10.77.0.2 300 56 &&
        $IN ip neigh show 10.77.0.2 | grep -q 02:00:00:00:aa:aa && stop a && expect a echoed -eq 300
    rc=$?
    n=$(($(ip_received) - n))
    after=$(ip -d link show va | grep -o 'ether [^ ]*\|promiscuity [0-9]*')
    veth_down
    [ $n -lt 100 ] || { say "the kernel's IP received $n packets"; rc=1; }
    [ "$before" = "$after" ] || { say "the interface was $before, is $after"; rc=1; }
    return $rc
}

t_af_xdp() {
    if on_veth 1500 net_af_xdp0,iface=va; then
        [ -s "$W/a.err" ] && say "on stderr: $(head -n 1 "$W/a.err")" && return 1
        expect a caps = wake
        return $?
    fi
    grep -q "not ready" "$W/why" && return 2
    return 1
}

# ---- two processes --------------------------------------------------------------------------

pings_b_to_a() { # count size: b is started as the client that pings a
    ended b && stop a && expect b replies -ge $1 && expect a echoed -ge $1 && expect b len_max -ge $2
}

memif() { # options
    start a "$@" -a 10.77.0.2 net_memif0,role=server,id=1,socket=$W/memif,socket-abstract=no &&
        start b "$@" -a 10.77.0.3 -p 10.77.0.2 -n 200 -i 2 -t 20 \
            net_memif0,role=client,id=1,socket=$W/memif,socket-abstract=no
}

t_memif() {
    memif && pings_b_to_a 200 98 && expect a caps = nap && [ ! -e "$W/memif" ]
}

t_memif_jumbo() {
    memif -M 9000 -s 8900 && pings_b_to_a 200 8942
}

vhost_client() { # name, then options
    name=$1
    shift
    start $name -a 10.77.0.3 "$@" net_virtio_user0,path=$W/vhost
}

t_vhost() {
    start a -a 10.77.0.2 net_vhost0,iface=$W/vhost || return 1
    vhost_client b -p 10.77.0.2 -n 500 -i 2 -t 20 && ended b && expect b replies -ge 500 || return 1
    expect b caps = tcp,rx,wake || return 1
    vhost_client b && sleep 1 || return 1
    ticks=$(idle_ticks a 5) ticks_b=$(idle_ticks b 5)
    echo "     idle: $ticks (vhost) and $ticks_b (virtio-user) ticks of 10 ms in 5 s"
    [ "$ticks" -lt 10 ] && [ "$ticks_b" -lt 10 ] || { say "$ticks, $ticks_b ticks" && return 1; }
    stop b && stop a && expect a caps = tcp,rx,wake && [ ! -e "$W/vhost" ]
}

# The device takes 64 KB in one piece, and they arrive in one piece, known to be good.
t_vhost_segments() {
    start a -a 10.77.0.2 net_vhost0,iface=$W/vhost,tso=1 || return 1
    vhost_client b -p 10.77.0.2 -T -s 65276 -n 300 -i 1 -t 20 && ended b && stop a || return 1
    expect b caps = tcp,tso,rx,wake && expect a len_max -eq 65330 && expect a csum_good -ge 299
}

t_vhost_peer_dies() {
    start a -a 10.77.0.2 net_vhost0,iface=$W/vhost && vhost_client b || return 1
    stop a && sleep 0.5 && stop b
}

t_vhost_peer_returns() {
    start a -a 10.77.0.2 net_vhost0,iface=$W/vhost || return 1
    for i in 1 2 3; do
        vhost_client b -p 10.77.0.2 -n 50 -i 2 -t 10 && ended b || return 1
    done
    stop a && expect a echoed -ge 150
}

# ---- net_pcap -------------------------------------------------------------------------------

t_pcap() {
    start a -a 10.77.0.3 -p 10.77.0.2 -i 2 -t 1 net_pcap0,tx_pcap=$W/frames.pcap && ended a &&
        start b -t 1 net_pcap0,rx_pcap=$W/frames.pcap && ended b || return 1
    expect a tx -ge 100 && expect b rx -eq "$(value a tx)"
}

# ---- monitors without an endpoint -------------------------------------------------------------

mosrun_conf() { # lines of the mos section
    printf 'mos { %s monitor "log" { plugin = "%s" args = "file=%s" } }\n' "$1" \
        "$(realpath "$B/flowlog.so")" "$W/flow" >"$W/mosrun.conf"
    : >"$W/flow"
}

logged() { # pattern
    grep -qE "$1" "$W/flow" && return 0
    say "flowlog has no '$1': $(tail -n 3 "$W/flow")"
    return 1
}

# A file whose connections are known; the program ends with it.
t_capture() {
    "$B/capture_write" "$W/known.pcap" || return 1
    mosrun_conf "netdev \"cap\" { device = \"net_pcap0,rx_pcap=$W/known.pcap\" }"
    timeout 60 "$B/mosrun" -f "$W/mosrun.conf" >"$W/out" 2>&1 ||
        { say "mosrun: exit status $?: $(tail -n 1 "$W/out")"; return 1; }
    logged '4001 > .* end +FIN; to svr 5 bytes, to cli 12 bytes' &&
        logged '4002 > .* missed to svr 1000 bytes' &&
        logged '4002 > .* end +FIN; to svr 20000 bytes' &&
        logged '4003 > .* end +RST' && logged '4005 > .* end .*to svr 10 bytes' || return 1
    [ "$(grep -c ' end ' "$W/flow")" -eq 4 ] || { say "not four ends"; return 1; }
}

# From the kernel through a TAP and a veth to the kernel in another namespace, and back.
t_forward() {
    forward net_tap0,iface=dtap0
}

# What goes on over a wire is whole: nothing is left to anybody.
t_own_forward() {
    forward tap0,iface=dtap0
}

forward() { # device
    veth_up || return 1
    mosrun_conf "forward = 1 netdev \"left\" { device = \"$1\" }
        netdev \"right\" { device = \"net_af_packet0,iface=va\" }"
    "$B/mosrun" -f "$W/mosrun.conf" >"$W/out" 2>&1 &
    runner=$!
    pids="$pids $runner"
    for i in $(seq 200); do
        ip link show dtap0 >/dev/null 2>&1 && break
        sleep 0.05
    done
    IN=
    ip addr add 10.77.0.2/24 dev dtap0 && ip link set dtap0 up || return 1
    [ "$1" = tap0,iface=dtap0 ] || "$TOOL" offload-off dtap0
    sleep 0.5
    ping_from_kernel 10.77.0.1 20 56 && ping_from_kernel 10.77.0.1 20 1472
    rc=$?
    bash -c 'exec 3<>/dev/tcp/10.77.0.1/9' 2>/dev/null && say "nobody listens" && rc=1
    kill -INT $runner
    wait $runner || { say "mosrun: exit status $?: $(tail -n 1 "$W/out")"; rc=1; }
    ip link del va 2>/dev/null
    logged '10.77.0.2:[0-9]+ > 10.77.0.1:9 .*end +RST' || rc=1
    return $rc
}

# ---- life and death -------------------------------------------------------------------------

t_twice() {
    for i in 1 2; do
        tap_start net_tap0,iface=dtap0 && ping_from_kernel 10.77.0.2 20 56 && stop a || return 1
    done
}

t_sigint_leaves_nothing() {
    tap_start net_tap0,iface=dtap0 && ip link show dtap0 >/dev/null || return 1
    [ -z "$(runtime_dirs $pid_a)" ] && say "the test does not know the runtime directory" &&
        return 1
    stop a && nothing_left $pid_a
}

t_failure_leaves_nothing() {
    "$PROBE" -M 9000 net_tap0,iface=dtap0 >"$W/out" 2>"$W/err" &
    pid=$!
    wait $pid
    [ $? -eq 1 ] && nothing_left $pid
}

t_quiet() {
    tap_start net_tap0,iface=dtap0 && stop a || return 1
    [ -s "$W/a.err" ] && say "on stderr: $(head -n 1 "$W/a.err")" && return 1
    [ "$(wc -l <"$W/a.out")" -eq 2 ] || { say "more than two lines on stdout" && return 1; }
}

refused() { # words, then io_probe's arguments: one line that has the words, exit status 1
    words=$1
    shift
    "$PROBE" -t 1 "$@" >"$W/out" 2>"$W/err"
    rc=$?
    [ $rc -eq 1 ] && [ ! -s "$W/out" ] && [ "$(wc -l <"$W/err")" -eq 1 ] &&
        grep -qF -- "$words" "$W/err" && return 0
    say "io_probe $*: exit status $rc, without '$words': $(cat "$W/out" "$W/err" | head -n 3)"
    errors_ok=1
}

t_errors() {
    errors_ok=0
    refused "neither a PCI address" eth0
    refused "no device given" ""
    refused "has no value" net_tap0,iface
    refused "no argument 'ifacy'" net_tap0,ifacy=x
    refused "longer than 15 characters" net_tap0,iface=interface-much-too-long
    refused "longer than 15 characters" tap0,iface=interface-much-too-long
    refused "lo is not a name for a TAP interface, or exists as something else" tap0,iface=lo
    refused "no argument 'queues'" tap0,queues=2
    refused "the MTU must be 576 to 65535" -M 500 tap0
    refused "iface= is missing" net_af_packet0
    refused "no interface nosuch0 in this network namespace" net_af_packet0,iface=nosuch0
    refused "no interface nosuch0" net_pcap0,iface=nosuch0
    refused "can't read the capture" net_pcap0,rx_pcap=$W/nosuch
    refused "no such PCI device" ffff:ff:1f.7
    refused "nothing at $W/nosuch" net_virtio_user0,path=$W/nosuch
    refused "can't make the socket" net_vhost0,iface=$W/nosuch/socket
    refused "start the end with role=server first" net_memif0,role=client,socket=nosuch
    refused "Unknown role" net_memif0,role=nosuch
    refused "MB available" -m 100000000 net_tap0
    refused "MB available" -b 1000000000 net_tap0
    refused "the memory for packets is too small for" -m 8 net_tap0
    refused "an MTU of 9000 (its limit is 1504)" -M 9000 net_tap0
    refused "at least 576" -M 500 net_tap0
    refused "not one that may be added" -x --nosuch net_tap0
    return $errors_ok
}

# A card that knows our key, as far as one without hardware can show it.
t_rss() {
    "$B/rss_probe" >"$W/out" 2>"$W/err" || { say "$(tail -n 1 "$W/err")"; return 1; }
}

t_no_permission() {
    [ "$(id -u)" -eq 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null ||
        return 2
    cp "$PROBE" "$W/probe" && chmod 755 "$W" "$W/probe" || return 1
    for device in net_tap0 tap0; do
        setpriv --reuid=65534 --regid=65534 --clear-groups "$W/probe" $device >"$W/out" 2>"$W/err"
        rc=$?
        [ $rc -eq 1 ] && grep -q \
            "permission.*run as root, or inside 'unshare -Urn'\|can't open /dev" "$W/err" && continue
        say "exit status $rc: $(cat "$W/err")"
        return 1
    done
}

t_no_dev_net_tun() {
    unshare -m mount -t tmpfs tmpfs /dev/net 2>/dev/null || return 2
    for device in net_tap0 tap0; do
        unshare -m sh -c "mount -t tmpfs tmpfs /dev/net && exec '$PROBE' -t 1 $device" \
            >"$W/out" 2>"$W/err"
        rc=$?
        [ $rc -eq 1 ] && grep -q "/dev/net/tun is missing" "$W/err" && continue
        say "exit status $rc: $(cat "$W/err")"
        return 1
    done
}

# Wanted and not there: it says so and works without.
t_hugepages() {
    [ "$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)" = 0 ] || return 2
    tap_start -v -H net_tap0,iface=dtap0 && ping_from_kernel 10.77.0.2 20 56 && stop a || return 1
    grep -q "warning:.*hugepages are not to be had" "$W/a.err"
}

# ---- run ------------------------------------------------------------------------------------

for t in ${*:-$TESTS}; do
    : >"$W/why"
    t_$t
    case $? in
    0) passed=$((passed + 1)) && echo "ok   $t" ;;
    2) skipped=$((skipped + 1)) && echo "SKIP $t $(head -n 1 "$W/why")" ;;
    *) failed=$((failed + 1)) && echo "FAIL $t: $(cat "$W/why")" ;;
    esac
    for p in $pids; do
        kill $p 2>/dev/null
    done
    wait 2>/dev/null
    pids=
    ip link del va 2>/dev/null
done
echo "dpdk-io: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
