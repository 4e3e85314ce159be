#!/usr/bin/env bash
# The applications end to end: epserver, epclient, the plugins and the examples on net_tap devices, the
# kernel's tools as their peers. In network and process namespaces of its own, as root or as a user
# who may make user namespaces; else all of it is skipped, and says so.
#
#   tests/tier_apps.sh [GROUP...]     the groups are the functions test_* below
#   VARIANT=debug tests/tier_apps.sh  another build than release
#   B=dir tests/tier_apps.sh          what is built there, as it is
#   MTCP_TEST_LONG=1                  10,000 connections at once, longer loads
set -u
cd "$(dirname "$0")/.."
export VARIANT=${VARIANT:-release}
is_built=${B:+1}
export B=${B:-$PWD/build/$VARIANT}
long=${MTCP_TEST_LONG:-0}

# ---- outside: namespaces and a directory, and the end of both -------------------------------------

skip_all() {
    echo "SKIP apps: $*"
    echo "apps: 0 passed, 0 failed, 1 skipped"
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
        make --no-print-directory -s -j"$(nproc)" apps "build/$VARIANT/many" \
            "build/$VARIANT/net_tool" "build/$VARIANT/lossy" || exit 1
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/mtcp-apps.XXXXXX") || exit 1
    trap 'rm -rf "$tmp"' EXIT
    # The end of this script, whatever ends it, closes the pipe: the inside ends itself.
    mkfifo "$tmp/alive"
    exec 8<>"$tmp/alive"
    APPS_TMP=$tmp unshare $ns --mount-proc --fork --kill-child "$0" "$@" 8>&- &
    inner=$!
    trap 'kill -KILL $inner 2>/dev/null; exit 143' TERM INT HUP
    wait $inner
    rc=$?
    exit $rc
}
[ -n "${APPS_TMP:-}" ] || outside "$@"

# ---- inside: what the tests are written in --------------------------------------------------------

tmp=$APPS_TMP
passed=0 failed=0 skipped=0
server=
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
    echo "SKIP apps/$group: $*"
}
check() { # what, command
    local what=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then ok; else
        fail "$what: $*"
        tail -n 15 "$tmp/out" | sed 's/^/    /'
    fi
}
expect() { # what, got, wanted
    if [ "$2" = "$3" ]; then ok; else fail "$1: '$2', expected '$3'"; fi
}
contains() { # what, file, pattern
    if grep -Eq -- "$3" "$2"; then ok; else
        fail "$1: no /$3/ in"
        tail -n 30 "$2" | sed 's/^/    /'
    fi
}
lacks() { # what, file, pattern
    if grep -Eq -- "$3" "$2"; then fail "$1: $(grep -E -m1 -- "$3" "$2")"; else ok; fi
}
lines() { # what, file, how many
    local n
    n=$(wc -l <"$2")
    if [ "$n" = "$3" ]; then ok; else
        fail "$1: $n lines, expected $3"
        head -n 5 "$2" | sed 's/^/    /'
    fi
}
wait_for() { # a command that becomes true within 5 seconds
    local i
    for i in $(seq 100); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

# ---- devices: t0 is the server's, t1 the client's; the kernel routes between them -----------------

svr=10.77.0.2 cli=10.77.1.2
svr6=fd77::2

conf() { # file, number of the device, further lines
    cat >"$1" <<END
mos {
    netdev "t$2" { device = "net_tap$2,iface=t$2" address = {"10.77.$2.2/24", "fd77:0:0:$2::2/64"} }
    route default { netdev = "t$2" gateway = "10.77.$2.1" }
    route ::/0 { netdev = "t$2" gateway = "fd77:0:0:$2::1" }
    ${3:-}
}
END
}
monitor() { # plugin, args, name of the section when it is another one
    echo "monitor \"${3:-$1}\" { plugin = \"$B/$1.so\" args = \"${2:-}\" }"
}

link_up() {
    ip addr replace "10.77.$1.1/24" dev "t$1" 2>/dev/null && ip link set "t$1" up 2>/dev/null || return
    [ ! -e /proc/net/if_inet6 ] ||
        ip -6 addr replace "fd77:0:0:$1::1/64" dev "t$1" nodad 2>/dev/null
}
# Starts epserver on t0: serve [options]. With $mos further lines of configuration.
serve() {
    conf "$tmp/svr.conf" 0 "${mos:-}"
    : >"$tmp/svr.out" # the last server's line is not this one's
    "$B/epserver" -f "$tmp/svr.conf" "$@" >"$tmp/svr.out" 2>"$tmp/svr.err" &
    server=$!
    local i
    for i in $(seq 600); do
        grep -q '^epserver: ' "$tmp/svr.out" && break
        kill -0 $server 2>/dev/null || break
        sleep 0.05
    done
    if grep -q '^epserver: ' "$tmp/svr.out" && wait_for link_up 0; then
        ok
        return 0
    fi
    fail "epserver $* does not start"
    cat "$tmp/svr.out" "$tmp/svr.err"
    ip -br addr
    kill -KILL $server 2>/dev/null
    wait $server 2>/dev/null
    return 1
}

# Ends it by a signal; it must end in time, with status 0, quietly, and take its device with it.
serve_end() { # signal
    local start
    start=$(date +%s%N)
    kill "-${1:-INT}" $server
    wait $server
    expect "exit status of epserver" $? 0
    if [ $((($(date +%s%N) - start) / 1000000)) -lt 8000 ]; then ok; else fail "epserver took long to end"; fi
    lines "epserver's stderr" "$tmp/svr.err" 0
    if ip link show t0 >/dev/null 2>&1; then fail "t0 is still there"; else ok; fi
}

http() { # path, further arguments of curl: status and type
    curl --silent --output "$tmp/body" --max-time 20 --path-as-is \
        --write-out '%{http_code} %{content_type}' "http://$svr$1" "${@:2}"
}
status() { http "$@" | cut -d' ' -f1; }

www_make() {
    mkdir -p "$tmp/www/sub" "$tmp/www/none" "$tmp/www/a b"
    printf '<p>root' >"$tmp/www/index.html"
    printf '<p>sub' >"$tmp/www/sub/index.html"
    printf 'body {}' >"$tmp/www/style.css"
    printf 'space' >"$tmp/www/a b/c d.txt"
    printf 'bin' >"$tmp/www/noext"
    : >"$tmp/www/empty.txt"
    head -c 64 /dev/zero >"$tmp/www/64"
    head -c 1M /dev/urandom >"$tmp/www/1m"
    head -c 40M /dev/urandom >"$tmp/www/40m"
    echo secret >"$tmp/secret"
    ln -s "$tmp/secret" "$tmp/www/out"
    ln -s ../secret "$tmp/www/out2"
    ln -s sub/index.html "$tmp/www/in.html"
    ln -s .. "$tmp/www/up"
    mkfifo "$tmp/www/fifo"
}

# ---- the tests -------------------------------------------------------------------------------------

test_status() {
    serve -p "$tmp/www" || return
    expect / "$(http /)" "200 text/html; charset=utf-8"
    expect "/ is index.html" "$(cat "$tmp/body")" '<p>root'
    expect /style.css "$(http /style.css)" "200 text/css; charset=utf-8"
    expect /noext "$(http /noext)" "200 application/octet-stream"
    expect /sub/ "$(http /sub/)" "200 text/html; charset=utf-8"
    expect "/sub/ is its index.html" "$(cat "$tmp/body")" '<p>sub'
    expect /sub "$(status /sub)" 301
    expect "/sub, followed" "$(status /sub --location)" 200
    expect "/a%20b/c%20d.txt" "$(http /a%20b/c%20d.txt)" "200 text/plain; charset=utf-8"
    expect "a name with spaces" "$(cat "$tmp/body")" space
    expect "an empty file" "$(status /empty.txt)" 200
    expect "a query" "$(status '/style.css?v=1')" 200
    expect "a symbolic link inside" "$(status /in.html)" 200
    expect "a directory without index.html" "$(status /none/)" 404
    expect "no such file" "$(status /nope)" 404
    expect "a file as a directory" "$(status /style.css/x)" 404
    expect "a fifo" "$(status /fifo)" 403
    expect "POST" "$(status / --data x)" 405
    expect "an unknown method" "$(status / --request BREW)" 501
    expect "HTTP/1.0" "$(status / --http1.0)" 200
    expect "no Host" "$(status / --header Host:)" 400
    expect "a bad escape" "$(status /%zz)" 400
    expect "a NUL" "$(status /%00)" 400
    expect "a long target" "$(status "/$(printf 'a%.0s' $(seq 9000))")" 414
    expect "a long header" "$(status / --header "X: $(printf 'a%.0s' $(seq 20000))")" 431
    expect "a large body" "$(status / --request GET --header 'Content-Length: 99999999' --data x)" 413
    expect "HTTP/2" "$(printf 'GET / HTTP/2.0\r\n\r\n' | nc -N -w5 $svr 80 | head -c 12)" "HTTP/1.1 505"
    expect "no HTTP" "$(printf '\026\003\001' | nc -N -w5 $svr 80 | head -c 12)" "HTTP/1.1 400"
    serve_end
}

test_head_and_dates() {
    local date
    serve -p "$tmp/www" || return
    curl --silent --head --max-time 10 "http://$svr/style.css" | tr -d '\r' >"$tmp/headers"
    contains "HEAD" "$tmp/headers" '^HTTP/1.1 200 OK$'
    contains "HEAD" "$tmp/headers" '^Content-Length: 7$'
    contains "HEAD" "$tmp/headers" '^Date: [A-Z][a-z][a-z], [0-9]{2} [A-Z][a-z][a-z] [0-9]{4} [0-9:]{8} GMT$'
    date=$(sed -n 's/^Last-Modified: //p' "$tmp/headers")
    expect "Last-Modified" "$(date -d "$date" +%s)" "$(stat -c %Y "$tmp/www/style.css")"
    expect "not modified" "$(status /style.css --header "If-Modified-Since: $date")" 304
    expect "modified since" \
        "$(status /style.css --header 'If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT')" 200
    expect "a date that is none" "$(status /style.css --header 'If-Modified-Since: x')" 200
    expect "HEAD of nothing" "$(status /nope --head)" 404
    # A response to HEAD has no body: the next one follows at once.
    printf 'HEAD /style.css HTTP/1.1\r\nHost: x\r\n\r\nGET /64 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
        nc -N -w5 $svr 80 | tr -d '\0' | tr '\r' '\n' >"$tmp/out2"
    lacks "HEAD" "$tmp/out2" 'body \{\}'
    expect "two responses" "$(grep -c '^HTTP/1.1 200' "$tmp/out2")" 2
    serve_end
}

# A line per response, of what was really sent; who is cut off is logged too.
test_access_log() {
    local log=$tmp/access.log
    rm -f "$log" "$log.1"
    serve -p "$tmp/www" -l "$log" || return
    expect "with a log" "$(status /64)" 200
    expect "with a log" "$(status "/no\"pe?x=%22")" 404
    expect "with a log" "$(status /64 --head)" 200
    expect "with a log" "$(status / --data x)" 405
    expect "no HTTP" "$(printf '\026\003\001' | nc -N -w5 $svr 80 | head -c 12)" "HTTP/1.1 400"
    printf 'GET /40m HTTP/1.0\r\n\r\n' | nc -w5 $svr 80 | head -c 1000 >/dev/null
    wait_for eval '[ "$(wc -l <"$log")" = 6 ]'
    sed -E 's/ \[[0-9]{2}\/[A-Z][a-z]{2}\/20[0-9]{2}(:[0-9]{2}){3} \+0000\]//' "$log" >"$tmp/out2"
    expect "a file" "$(sed -n 1p "$tmp/out2")" '10.77.0.1 - - "GET /64 HTTP/1.1" 200 64'
    expect "no file" "$(sed -n 2p "$tmp/out2")" '10.77.0.1 - - "GET /no\"pe?x=%22 HTTP/1.1" 404 10'
    expect "HEAD" "$(sed -n 3p "$tmp/out2")" '10.77.0.1 - - "HEAD /64 HTTP/1.1" 200 -'
    expect "POST" "$(sed -n 4p "$tmp/out2")" '10.77.0.1 - - "POST / HTTP/1.1" 405 19'
    expect "no HTTP" "$(sed -n 5p "$tmp/out2")" '10.77.0.1 - - "-" 400 12'
    contains "cut off" "$tmp/out2" '^10.77.0.1 - - "GET /40m HTTP/1.0" 200 [0-9]+$'
    if [ "$(sed -nE '6s/.* //p' "$tmp/out2")" -lt 41943040 ]; then ok; else fail "40m was cut off"; fi
    # The file is renamed, and opened anew.
    mv "$log" "$log.1"
    kill -HUP $server
    if wait_for test -e "$log"; then ok; else fail "SIGHUP opens no new log"; fi
    wrk_seconds=1 wrk_run "wrk with a log" "http://$svr/64"
    serve_end
    lines "the old log" "$log.1" 6
    expect "the new log" "$(grep -cvE '^10.77.0.1 - - \[[^]]*\] "GET /64 HTTP/1.1" 200 [0-9]+$' "$log")" 0
    if [ "$(wc -l <"$log")" -ge "$(sed -nE 's/^ *([0-9]+) requests in .*/\1/p' "$tmp/wrk")" ]; then ok; else
        fail "lines are missing"
    fi
    rm "$log" "$log.1"
    refused 1 'access.log: ' -p "$tmp/www" -f "$tmp/svr.conf" -l "$tmp/nowhere/access.log"
    refused 2 '-l does not go with' --echo -l "$log"
}

test_traversal() {
    serve -p "$tmp/www" || return
    local path
    for path in /../secret /%2e%2e/secret /sub/../../secret /..%2fsecret /out /out2 /up/secret \
        //../secret /sub/%2e%2e/%2e%2e/secret /./../secret; do
        expect "$path" "$(status $path)" 403
        if grep -q secret "$tmp/body"; then fail "$path gives the secret"; else ok; fi
    done
    expect "dots inside" "$(status /sub/../style.css)" 200
    serve_end
}

test_keep_alive() {
    serve -p "$tmp/www" || return
    expect "one connection for three files" "$(curl --silent --max-time 10 --output /dev/null \
        --write-out '%{num_connects} ' "http://$svr/" --output /dev/null "http://$svr/64" \
        --output /dev/null "http://$svr/nope")" "1 0 0 "
    expect "Connection: close" "$(curl --silent --max-time 10 --header 'Connection: close' \
        --output /dev/null --write-out '%{num_connects} ' "http://$svr/" --output /dev/null \
        "http://$svr/64")" "1 1 "
    # 200 requests in one go, the last one large: all answers, in order.
    {
        for _ in $(seq 199); do printf 'GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n'; done
        printf 'GET /1m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    } | nc -N -w10 $svr 80 >"$tmp/pipelined"
    expect "pipelined responses" "$(grep -ao 'HTTP/1.1 200 OK' "$tmp/pipelined" | wc -l)" 200
    expect "the last pipelined body" "$(tail -c 1M "$tmp/pipelined" | sha256sum)" \
        "$(sha256sum <"$tmp/www/1m")"
    # Large responses first: requests wait behind them.
    {
        for _ in $(seq 8); do printf 'GET /1m HTTP/1.1\r\nHost: x\r\n\r\n'; done
        printf 'GET /64 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    } | nc -N -w10 $svr 80 >"$tmp/pipelined"
    expect "pipelined behind large ones" "$(grep -ao 'HTTP/1.1 200 OK' "$tmp/pipelined" | wc -l)" 9
    serve_end
}

test_files() {
    local i pids=
    serve -p "$tmp/www" || return
    for i in 1 2 3; do
        curl --silent --max-time 60 "http://$svr/40m" | sha256sum >"$tmp/sum$i" &
        pids="$pids $!"
    done
    wait $pids
    for i in 1 2 3; do
        expect "40 MB, $i of 3 at once" "$(cat "$tmp/sum$i")" "$(sha256sum <"$tmp/www/40m")"
    done
    for i in $(seq 20); do # same length each time
        printf 'version %03d' "$i" >"$tmp/www/changes"
        expect "a file that changed" "$(http /changes >/dev/null; cat "$tmp/body")" \
            "version $(printf %03d "$i")"
    done
    printf 'longer than before' >"$tmp/www/changes.new"
    mv "$tmp/www/changes.new" "$tmp/www/changes"
    expect "a file that was replaced" "$(http /changes >/dev/null; cat "$tmp/body")" \
        "longer than before"
    rm "$tmp/www/changes"
    expect "a file that is gone" "$(status /changes)" 404
    # In memory, and sent from there, also when there is another one meanwhile.
    cp "$tmp/www/1m" "$tmp/www/lent"
    for i in 1 2 3; do
        expect "1 MB" "$(http /lent >/dev/null; sha256sum <"$tmp/body")" "$(sha256sum <"$tmp/www/1m")"
    done
    pids=
    for i in 1 2 3; do
        curl --silent --max-time 20 --limit-rate 700K "http://$svr/lent" | sha256sum >"$tmp/sum$i" &
        pids="$pids $!"
    done
    sleep 0.3
    head -c 1048576 /dev/zero >"$tmp/www/lent.new"
    mv "$tmp/www/lent.new" "$tmp/www/lent"
    for i in 1 2 3; do
        expect "its successor" "$(http /lent >/dev/null; sha256sum <"$tmp/body")" \
            "$(sha256sum <"$tmp/www/lent")"
    done
    wait $pids
    for i in 1 2 3; do
        expect "what was begun" "$(cat "$tmp/sum$i")" "$(sha256sum <"$tmp/www/1m")"
    done
    # Cut off while it is sent: the client must notice, the server must live.
    cp "$tmp/www/40m" "$tmp/www/cut"
    curl --silent --max-time 20 --limit-rate 4M --output /dev/null "http://$svr/cut" &
    sleep 0.5
    : >"$tmp/www/cut"
    if wait $!; then fail "a truncated file came whole"; else ok; fi
    expect "after the truncation" "$(status /)" 200
    serve_end
}

test_timeouts() {
    serve -p "$tmp/www" -t 1 || return
    expect "half a request" "$({ printf 'GET / HT'; sleep 4; } | nc -w5 $svr 80 | head -c 12)" \
        "HTTP/1.1 408"
    local start
    start=$(date +%s)
    sleep 10 | nc -w20 $svr 80 >/dev/null &
    local nc=$!
    sleep 3
    if ss -Htn state established "dst $svr" 2>/dev/null | grep -q .; then
        fail "an idle connection is still open"
    else ok; fi
    kill $nc 2>/dev/null
    wait $nc 2>/dev/null
    serve_end
}

wrk_run() { # what, arguments: no error of any kind
    local what=$1 seconds=${wrk_seconds:-5}
    shift
    [ "$long" = 1 ] && seconds=10
    wrk -t1 -c64 -d${seconds}s --timeout 8 "$@" >"$tmp/wrk" 2>&1
    contains "$what" "$tmp/wrk" '^Requests/sec: +[1-9]'
    lacks "$what" "$tmp/wrk" 'Socket errors|Non-2xx'
}

test_load() {
    serve -p "$tmp/www" || return
    wrk_run "wrk, keep-alive" "http://$svr/64"
    wrk_run "wrk, close" -H 'Connection: close' "http://$svr/64"
    wrk_run "wrk, 1 MB" "http://$svr/1m"
    local keep
    for keep in '' -k; do
        ab -q $keep -n 5000 -c 50 "http://$svr/64" >"$tmp/ab" 2>&1
        contains "ab $keep" "$tmp/ab" '^Complete requests: +5000$'
        contains "ab $keep" "$tmp/ab" '^Failed requests: +0$'
        lacks "ab $keep" "$tmp/ab" '^Non-2xx'
    done
    serve_end
}

test_many() {
    local n=1000
    [ "$long" = 1 ] && n=10000
    mos="max_concurrency = 12000" serve -p "$tmp/www" || return
    if [ "$(ulimit -Hn)" != unlimited ] && [ "$(ulimit -Hn)" -lt $((n + 100)) ]; then
        skip "only $(ulimit -Hn) descriptors are allowed: $n connections can't be opened"
        n=$(($(ulimit -Hn) - 100))
    fi
    check "$n connections at once" "$B/many" $svr 80 /64 $n 3
    check "and again" "$B/many" $svr 80 /1m 50 2
    serve_end
}

# More clients than ids: nobody is refused, and who sends nothing gives way.
test_few_ids() {
    local i pids=
    mos="max_concurrency = 16" serve -p "$tmp/www" || return
    # Often one is answered and gone as soon as it is accepted, and its id with it.
    ab -q -s 5 -n 20000 -c 100 "http://$svr/64" >"$tmp/ab" 2>&1
    contains "100 clients, 16 ids" "$tmp/ab" '^Complete requests: +20000$'
    contains "100 clients, 16 ids" "$tmp/ab" '^Failed requests: +0$'
    for i in $(seq 30); do
        nc $svr 80 < <(sleep 30) >/dev/null &
        pids="$pids $!"
    done
    sleep 1
    expect "behind 30 silent connections" "$(status /)" 200
    kill $pids 2>/dev/null
    wait $pids 2>/dev/null
    serve_end
}

# The last line of the statistics: connections, KB of memory, packet buffers that are free; and the
# resident KB.
usage() {
    echo "$(sed -nE 's,^\[cpu 0\] conns ([0-9]+) .* mem ([0-9]+) KB pkts ([0-9]+)/.*,\1 \2 \3,p' \
        "$tmp/svr.err" | tail -n 1)" \
        "$(sed -nE 's/^VmRSS:[^0-9]*([0-9]+) kB$/\1/p' "/proc/$server/status")"
}
one_percent_more() { # before, after: at most
    [ "$2" -le $(($1 + $1 / 100 + 1)) ]
}

# After a load everything is given back: once warm, a load leaves what the one before it left.
# Slow is what a server becomes without memory; its connections live.
test_little_memory() {
    local line i
    for line in "mem_limit = 1M" "max_num_buffers = 1 max_concurrency = 16" "packet_buffers = 1" \
        "mem_limit = 1M wmem_size = 512K"; do
        mos=$line serve -p "$tmp/www" || continue
        for i in 1 2 3; do
            expect "1 MB with $line" "$(status /1m)" 200
            expect "1 MB with $line" "$(sha256sum <"$tmp/body")" "$(sha256sum <"$tmp/www/1m")"
        done
        serve_end
    done
}

# With further lines of configuration, after so many rounds.
leaks() { # rounds, lines
    local round before after start
    mos="stat_print = 1 tcp_tw_interval = 1 ${2:-}" serve -p "$tmp/www" || return
    wait_for grep -q '^.cpu 0. conns' "$tmp/svr.err"
    start=$(usage)
    for round in $(seq "$1"); do
        "$B/many" $svr 80 /1m 100 2 >/dev/null 2>&1
        "$B/many" $svr 80 /64 1000 2 >/dev/null 2>&1
        wrk -t1 -c64 -d2 -H 'Connection: close' "http://$svr/64" >/dev/null 2>&1
        sleep 4
        before=${after:-}
        after=$(usage)
    done
    set -- $start $before $after
    expect "connections: $start, after the load $before, again $after" "${5:-}${9:-}" "00"
    expect "packet buffers: $start, after the load $before, again $after" "${7:-}" "${3:-none}"
    expect "packet buffers: $start, after the load $before, again $after" "${11:-}" "${3:-none}"
    check "memory: $before, again $after" one_percent_more "${6:-0}" "${10:-1000000}"
    check "resident: $before, again $after" one_percent_more "${8:-0}" "${12:-1000000}"
    kill -INT $server
    wait $server
    expect "exit status" $? 0
}

test_leaks() {
    leaks 4
}

test_echo() {
    serve --echo -P 7 || return
    nc -N -w20 $svr 7 <"$tmp/www/1m" | sha256sum >"$tmp/sum"
    expect "echo of 1 MB" "$(cat "$tmp/sum")" "$(sha256sum <"$tmp/www/1m")"
    expect "echo of a line" "$(echo hello | nc -N -w5 $svr 7)" hello
    serve_end
}

# t1 is there before epclient, which does not say when it could be set up.
client_link() {
    conf "$tmp/cli.conf" 1
    if ! echo 1 >/proc/sys/net/ipv4/ip_forward; then
        skip "ip_forward can't be set here"
        return 1
    fi
    ip link show t1 >/dev/null 2>&1 || ip tuntap add dev t1 mode tap multi_queue
    link_up 1
}

client() { # arguments: epclient on t1
    "$B/epclient" -f "$tmp/cli.conf" "$@" >"$tmp/cli.out" 2>"$tmp/cli.err"
}

test_epclient() {
    client_link || return
    serve -p "$tmp/www" || return
    client "http://$svr/64" 2000 -c 32 -k
    expect "epclient -k" $? 0
    contains "epclient -k" "$tmp/cli.out" '^requests 2000 of 2000 in .* over 32 connections'
    contains "epclient -k" "$tmp/cli.out" '^content +64 bytes each$'
    contains "epclient -k" "$tmp/cli.out" '^errors +0$'
    contains "epclient -k" "$tmp/cli.out" '^latency +min [0-9]+ .*p99\.9 [0-9]+'
    lines "no progress but on a terminal" "$tmp/cli.err" 0
    client "http://$svr/64" 500 -c 16
    expect "epclient" $? 0
    contains "epclient" "$tmp/cli.out" '^requests 500 of 500 in .* over 500 connections'
    client "http://$svr/1m" 20 -c 4 -k
    expect "epclient, 1 MB" $? 0
    client "http://$svr/nope" 20 -c 2 -k
    expect "epclient of nothing" $? 1
    contains "epclient of nothing" "$tmp/cli.out" '20 status is not 2xx'
    contains "epclient of nothing" "$tmp/cli.out" '^requests 0 of 20 in .* over 2 connections'
    client "http://$svr:81/" 5
    expect "a closed port" $? 5
    contains "a closed port" "$tmp/cli.out" '5 connection refused'
    client "http://10.77.0.99/" 1 -t 6
    expect "nobody there" $? 5
    contains "nobody there" "$tmp/cli.out" '1 (host unreachable|connection timed out)'
    client "http://10.77.0.99/" 1 -t 1
    expect "nobody there in time" $? 5
    contains "nobody there in time" "$tmp/cli.out" '1 connection timed out'
    client http://192.0.2.1/ 1 -t 2 # the kernel says so only once in a while
    expect "an unreachable network" $? 5
    contains "an unreachable network" "$tmp/cli.out" '1 host unreachable'
    client_to /dev/full
    expect "results to a full disk" $? 3
    contains "results to a full disk" "$tmp/cli.err" "^epclient: the results can't be written"
    client_to -
    expect "results to nowhere" $? 3
    serve_end
}

# Interrupted, it says what there was; every request is done, failed or unfinished.
test_epclient_interrupted() {
    local pid sig n_done n_served cores="$([ "$(nproc)" -lt 2 ] || echo -N 2)"
    client_link || return
    for sig in INT TERM; do
        rm -f "$tmp/access.log"
        serve -p "$tmp/www" -l "$tmp/access.log" || return
        "$B/epclient" -f "$tmp/cli.conf" "http://$svr/64" 1000000 -c 8 $cores >"$tmp/cli.out" 2>&1 &
        pid=$!
        sleep 2
        kill -$sig $pid
        wait $pid
        expect "interrupted by SIG$sig" $? $([ $sig = INT ] && echo 130 || echo 143)
        contains "interrupted" "$tmp/cli.out" '^requests [1-9][0-9]* of 1000000 in .*, interrupted'
        contains "interrupted" "$tmp/cli.out" '^latency +min [0-9]'
        contains "interrupted" "$tmp/cli.out" '^errors +0$'
        serve_end
        # What it has counted the server has served, and at most one more for each connection.
        n_done=$(sed -nE 's/^requests ([0-9]+) .*/\1/p' "$tmp/cli.out")
        n_served=$(grep -c '" 200 64$' "$tmp/access.log")
        if [ "$n_served" -ge "$n_done" ] && [ "$n_served" -le $((n_done + 8)) ]; then ok; else
            fail "epclient says $n_done, the server $n_served"
        fi
    done
    rm "$tmp/access.log"
    serve -p "$tmp/www" || return
    # Without a limit a signal is how it ends.
    "$B/epclient" -f "$tmp/cli.conf" "http://$svr/64" 0 -k >"$tmp/cli.out" 2>&1 &
    pid=$!
    sleep 2
    kill -INT $pid
    wait $pid
    expect "without a limit" $? 0
    contains "without a limit" "$tmp/cli.out" '^requests [1-9][0-9]* in .*, interrupted'
    serve_end
}

# Against servers that are not as they should be.
rude() { # how, which connections, arguments of epclient
    local how=$1 every=$2
    shift 2
    tests/apps/rude.py 10.77.1.1 8000 "$how" $every >"$tmp/rude" 2>&1 &
    rude=$!
    wait_for grep -q ready "$tmp/rude" || fail "rude.py does not start"
    client http://10.77.1.1:8000/ "$@"
    rude_status=$?
}
rude_end() {
    kill $rude
    wait $rude 2>/dev/null
}
test_epclient_rude_servers() {
    local rude rude_status how pid
    client_link || return
    for how in "reset:connection reset" "half:connection reset" "short:response ended early" \
        "more:not a response"; do
        rude "${how%%:*}" 1 30 -c 3
        rude_end
        expect "$how" $rude_status 1
        contains "$how" "$tmp/cli.out" '^requests 0 of 30 in .* over 30 connections'
        contains "$how" "$tmp/cli.out" '^errors +30$'
        contains "$how" "$tmp/cli.out" "^ +30 ${how#*:}$"
        rude "${how%%:*}" 3 30 -c 3
        rude_end
        expect "$how, one of three" $rude_status 1
        contains "$how, one of three" "$tmp/cli.out" '^requests 20 of 30 '
        contains "$how, one of three" "$tmp/cli.out" "^ +10 ${how#*:}$"
    done
    rude silent 1 6 -c 3 -t 1
    rude_end
    expect "a server that never answers" $rude_status 1
    contains "a server that never answers" "$tmp/cli.out" '^errors +6$'
    contains "a server that never answers" "$tmp/cli.out" '^ +6 no answer in time$'
    # What a server that closes has not answered is asked again.
    rude close 1 100 -c 2 --pipeline 5
    rude_end
    expect "a server that closes" $rude_status 0
    contains "a server that closes" "$tmp/cli.out" '^requests 100 of 100 in .* over 100 connections'
    # Nothing has come yet: all that was begun is unfinished.
    tests/apps/rude.py 10.77.1.1 8000 silent >"$tmp/rude" 2>&1 &
    rude=$!
    wait_for grep -q ready "$tmp/rude"
    "$B/epclient" -f "$tmp/cli.conf" http://10.77.1.1:8000/ 1000000 -c 4 >"$tmp/cli.out" 2>&1 &
    pid=$!
    sleep 2
    kill -INT $pid
    wait $pid
    expect "interrupted without an answer" $? 130
    contains "interrupted without an answer" "$tmp/cli.out" '^requests 0 of 1000000 in .*, interrupted'
    contains "interrupted without an answer" "$tmp/cli.out" '^unfinished 4$'
    rude_end
}

# Requests at their times, and latencies from these times: a server that stands still for a while
# makes all wait whose time comes meanwhile.
test_epclient_open_loop() {
    local pid
    client_link || return
    serve -p "$tmp/www" || return
    client "http://$svr/64" 0 -r 500 -d 2 -c 8 -k
    expect "500 per second for 2 s" $? 0
    contains "500 per second for 2 s" "$tmp/cli.out" '^requests 1000 in '
    contains "500 per second for 2 s" "$tmp/cli.out" '^rate .* requests/s of 500,'
    client "http://$svr/64" 300 -r 1000 -c 4
    expect "300 at 1000 per second" $? 0
    contains "300 at 1000 per second" "$tmp/cli.out" '^requests 300 of 300 in '
    "$B/epclient" -f "$tmp/cli.conf" "http://$svr/64" 600 -r 200 -c 4 -k --json >"$tmp/cli.out" 2>&1 &
    pid=$!
    sleep 1.5
    kill -STOP $server
    sleep 1
    kill -CONT $server
    wait $pid
    expect "a server that stands still" $? 0
    if [ "$(json "$tmp/cli.out" '["latency_us"]["p90"]')" -gt 300000 ] 2>/dev/null; then ok; else
        fail "what others wait for is left out: $(cat "$tmp/cli.out")"
    fi
    client "http://$svr/64" 0 -d 1 -c 4 -k
    expect "as many as there are in 1 s" $? 0
    serve_end
    rude silent 1 20 -r 1000 -c 2 -t 1
    rude_end
    expect "no connection is free in time" $rude_status 1
    contains "no connection is free in time" "$tmp/cli.out" '^errors +20$'
    contains "no connection is free in time" "$tmp/cli.out" '^ +1[0-9] no connection free in time$'
    contains "no connection is free in time" "$tmp/cli.out" '^ +[1-9] no answer in time$'
}
json() { # file, subscripts: the value
    python3 -c "import json,sys; print(json.load(open(sys.argv[1]))$2)" "$1"
}

test_epclient_pipeline() {
    client_link || return
    serve -p "$tmp/www" || return
    client "http://$svr/64" 5000 -c 4 --pipeline 16 --hash="$(xxhsum -H1 "$tmp/www/64" | cut -d' ' -f1)"
    expect "16 at a time" $? 0
    contains "16 at a time" "$tmp/cli.out" '^requests 5000 of 5000 in .* over 4 connections'
    client "http://$svr/1m" 40 -c 2 --pipeline 4
    expect "1 MB, 4 at a time" $? 0
    if [ "$(nproc)" -ge 2 ]; then
        client "http://$svr/64" 4000 -c 16 -N 2 -k --json
        expect "two cores" $? 0
        expect "two cores" "$(json "$tmp/cli.out" '["done"]')" 4000
        client "http://$svr/64" 0 -c 16 -N 2 -d 1 -r 777
        expect "777 per second on two cores" $? 0
        contains "777 per second on two cores" "$tmp/cli.out" '^requests 777 in '
    else
        skip "there is one core only"
    fi
    serve_end
}

# More connections than ports: those that there are do the work of the others.
test_epclient_few_ports() {
    client_link || return
    serve -p "$tmp/www" || return
    conf "$tmp/few.conf" 1 'port_range = "40000-40009"'
    "$B/epclient" -f "$tmp/few.conf" "http://$svr/64" 3000 -c 500 -k --json >"$tmp/cli.out" 2>&1
    expect "10 ports" $? 1
    expect "10 ports" "$(json "$tmp/cli.out" '["connections"]')" 10
    expect "no other errors" "$(json "$tmp/cli.out" '["errors"]["all"]')" \
        "$(json "$tmp/cli.out" '["errors"]["local"]')"
    if [ "$(json "$tmp/cli.out" '["done"]')" -ge 2500 ] 2>/dev/null; then ok; else
        fail "requests are lost with 10 ports: $(cat "$tmp/cli.out")"
    fi
    serve_end
}

# What came is what was to come: its length, its hash, in files.
test_epclient_content() {
    local sum
    client_link || return
    serve -p "$tmp/www" || return
    sum=$(xxhsum -H1 "$tmp/www/1m" | cut -d' ' -f1)
    client "http://$svr/1m" 8 -c 2 -k --hash
    expect "--hash" $? 0
    contains "--hash" "$tmp/cli.out" "^content +1048576 bytes each, XXH64 $sum$"
    client "http://$svr/1m" 8 -c 2 -k --hash=0123456789abcdef
    expect "another hash" $? 1
    contains "another hash" "$tmp/cli.out" '^ +8 another content than expected$'
    client "http://$svr/1m" 1 -o "$tmp/got"
    expect "-o" "$? $(sha256sum <"$tmp/got")" "0 $(sha256sum <"$tmp/www/1m")"
    (ulimit -n 100 && client "http://$svr/64" 300 -c 4 --pipeline 2 -o "$tmp/got")
    expect "-o of many" "$? $(cmp "$tmp/got.1" "$tmp/www/64" && cmp "$tmp/got.300" "$tmp/www/64")" "0 "
    expect "-o of many" "$(ls "$tmp"/got.* | wc -l)" 300
    rm "$tmp"/got*
    client "http://$svr/empty.txt" 1 -o "$tmp/got"
    expect "-o of an empty file" "$? $(wc -c <"$tmp/got")" "0 0"
    client "http://$svr/64" 1 -o /dev/full
    expect "-o to a full disk" $? 1
    contains "-o to a full disk" "$tmp/cli.out" "^ +1 content can't be written$"
    # A file that changes its length all the time.
    (while :; do
        for size in 64 65; do
            head -c $size /dev/zero >"$tmp/www/new" && mv "$tmp/www/new" "$tmp/www/changes"
            sleep 0.2
        done
    done) &
    local changer=$!
    wait_for test -e "$tmp/www/changes"
    client "http://$svr/changes" 0 -d 2 -r 20
    expect "another length" $? 1
    contains "another length" "$tmp/cli.out" '^ +[0-9]+ another length than the first$'
    client "http://$svr/changes" 0 -d 2 -r 20 -l
    expect "any length" $? 0
    kill $changer
    wait $changer 2>/dev/null
    rm -f "$tmp/www/changes" "$tmp/www/new"
    serve_end
    # POST, to one who takes it.
    (sleep 2; printf 'HTTP/1.1 204 No Content\r\n\r\n') | nc -l -N 10.77.1.1 8000 >"$tmp/posted" &
    sleep 0.5
    client http://10.77.1.1:8000/up 1 --upload 300000
    expect "--upload" $? 0
    wait $!
    contains "--upload" "$tmp/posted" '^POST /up HTTP/1.1'
    contains "--upload" "$tmp/posted" '^Content-Length: 300000'
    expect "--upload" "$(tail -c 300000 "$tmp/posted" | tr -d '\0' | wc -c)" 0
}

# Names are this host's resolver's business, and what it knows is in a file here.
test_epclient_names() {
    client_link || return
    printf '127.0.0.1 localhost\n%s web.test\nfd77:dead::1 both.test\n%s both.test\n' $svr $svr \
        >"$tmp/hosts"
    if ! mount --bind "$tmp/hosts" /etc/hosts 2>/dev/null; then
        skip "/etc/hosts can't be replaced"
        return
    fi
    serve -p "$tmp/www" || return
    client http://web.test/64 10
    expect "a name" $? 0
    client http://both.test/64 10 -4
    expect "a name of both families, IPv4" $? 0
    client http://web.test/64 10 -6
    expect "a name without IPv6" $? 4
    # The first address to which there is a way.
    grep -v 'route ::' "$tmp/cli.conf" >"$tmp/alone.conf"
    "$B/epclient" -f "$tmp/alone.conf" http://both.test/64 10 >"$tmp/cli.out" 2>&1
    expect "a name with an address out of reach" $? 0
    client http://no.such.name.invalid/ 10
    expect "a wrong name" $? 4
    lines "a wrong name" "$tmp/cli.err" 1
    contains "a wrong name" "$tmp/cli.err" '^epclient: no.such.name.invalid: '
    serve_end
    umount /etc/hosts
}

# On a terminal: how far it is.
test_epclient_progress() {
    client_link || return
    serve -p "$tmp/www" || return
    script -qefc "'$B/epclient' -f '$tmp/cli.conf' http://$svr/64 600 -r 200 -c 4 -k" "$tmp/typed" \
        </dev/null >/dev/null
    expect "on a terminal" $? 0
    contains "on a terminal" "$tmp/typed" 'epclient: [1-9][0-9]* of 600 requests, [0-9]+/s, 0:0[1-9] left'
    contains "on a terminal" "$tmp/typed" 'requests 600 of 600'
    serve_end
}

client_to() { # where its results go; "-": standard output is closed
    if [ "$1" = - ]; then
        "$B/epclient" -f "$tmp/cli.conf" "http://$svr/64" 3 >&- 2>"$tmp/cli.err"
    else
        "$B/epclient" -f "$tmp/cli.conf" "http://$svr/64" 3 >"$1" 2>"$tmp/cli.err"
    fi
}

# Every request fails at once: a signal ends it all the same.
test_epclient_without_a_route() {
    local pid
    client_link || return
    grep -v route "$tmp/cli.conf" >"$tmp/alone.conf"
    "$B/epclient" -f "$tmp/alone.conf" http://192.0.2.1/ 1000000000 -c 4 >"$tmp/cli.out" 2>&1 &
    pid=$!
    sleep 1.5
    kill -TERM $pid
    if wait_for has_ended $pid; then ok; else
        fail "epclient without a route goes on after a signal"
        kill -KILL $pid
    fi
    wait $pid
    expect "without a route" $? 5
    contains "without a route" "$tmp/cli.out" '[1-9][0-9]* host unreachable'
}
has_ended() { ! kill -0 "$1" 2>/dev/null; }

test_epclient_interim() {
    client_link || return
    printf 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n%s' \
        $'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' | nc -l -N 10.77.1.1 8000 >/dev/null &
    sleep 0.5
    client http://10.77.1.1:8000/ 1 -k
    expect "interim responses" $? 0
    wait $!
}

test_rpc() {
    local sizes
    client_link || return
    for sizes in 1:1 64:1000 100000:300000; do
        serve --rpc $sizes -P 9000 || return
        client --rpc $sizes $svr:9000 1000 -c 16
        expect "rpc $sizes" $? 0
        contains "rpc $sizes" "$tmp/cli.out" '^requests 1000 of 1000 in .* over 16 connections$'
        contains "rpc $sizes" "$tmp/cli.out" '^errors +0$'
        client --rpc $sizes $svr:9000 1000 -c 4 --pipeline 8 \
            --hash="$(head -c ${sizes#*:} /dev/zero | xxhsum -H1 | cut -d' ' -f1)"
        expect "rpc $sizes, 8 at a time" $? 0
        contains "rpc $sizes, 8 at a time" "$tmp/cli.out" "^content +${sizes#*:} bytes each, XXH64 "
        client --rpc $sizes $svr:9000 100 -c 4 -r 400
        expect "rpc $sizes, open loop" $? 0
        serve_end
    done
}

# Over IPv6, as the stack's own address and the link-local one; flowlog beside it.
test_ipv6() {
    local lladdr
    if [ ! -e /proc/net/if_inet6 ]; then
        skip "the kernel has no IPv6"
        return
    fi
    head -c 100M /dev/urandom >"$tmp/www/100m"
    client_link || return
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    mos=$(monitor flowlog "file=$tmp/flow6 edges") serve -p "$tmp/www" || return
    check "ping" wait_for ping -6 -c1 -W1 $svr6
    check "ping, 1400 bytes" ping -6 -c2 -i0.2 -W2 -s1352 $svr6
    expect "curl -6" "$(curl -6 --silent --max-time 10 --output /dev/null --write-out '%{http_code}' \
        "http://[$svr6]/64")" 200
    contains "flowlog" "$tmp/flow6" '\[fd77::1\]:[0-9]+ > \[fd77::2\]:80'
    expect "100 MB over IPv6" "$(curl -6 --silent --max-time 120 "http://[$svr6]/100m" | sha256sum)" \
        "$(sha256sum <"$tmp/www/100m")"
    lladdr=$(ip -6 neigh show dev t0 | sed -nE "s/^$svr6 lladdr ([0-9a-f:]+).*/\1/p")
    lladdr=$(IFS=: && set -- $lladdr && printf 'fe80::%x:%xff:fe%02x:%x' \
        $((0x$1$2 ^ 0x200)) $((0x$3)) $((0x$4)) $((0x$5$6)))
    expect "curl to $lladdr" "$(curl -6 --silent --max-time 10 --output /dev/null \
        --write-out '%{http_code}' "http://[$lladdr%25t0]/64")" 200
    expect "IPv4 at the same listener" "$(status /64)" 200
    client "http://[$svr6]/64" 500 -c 16 -k
    expect "epclient to epserver" $? 0
    contains "epclient to epserver" "$tmp/cli.out" '^errors +0$'
    client "http://[fd77::99]/" 1 -t 6
    expect "nobody there" $? 5
    contains "nobody there" "$tmp/cli.out" '1 (host unreachable|connection timed out)'
    serve_end
    rm "$tmp/www/100m"
    serve --echo -P 7 || return
    wait_for ping -6 -c1 -W1 $svr6
    expect "echo of 1 MB" "$(nc -6 -N -w20 $svr6 7 <"$tmp/www/1m" | sha256sum)" \
        "$(sha256sum <"$tmp/www/1m")"
    serve_end
}

# epserver refuses: status, and one line on stderr that matches.
refused() { # status, pattern, arguments
    local want=$1 pattern=$2
    shift 2
    timeout 20 "$B/epserver" "$@" >"$tmp/out" 2>"$tmp/err"
    expect "epserver $*" $? "$want"
    lines "epserver $*" "$tmp/err" 1
    contains "epserver $*" "$tmp/err" "$pattern"
}

test_arguments() {
    conf "$tmp/svr.conf" 0
    refused 2 '-p is missing'
    refused 2 "unrecognized option '--ech0'" --ech0
    refused 2 'invalid option' -z
    refused 2 'requires an argument' -p
    refused 2 "-P takes a number from 1 to 65535, not '70000'" -p . -P 70000
    refused 2 "-P takes a number .* not '0'" -p . -P 0
    refused 2 "-N takes a number .* not 'x'" -p . -N x
    refused 2 "-b takes a number .* not '-1'" -p . -b -1
    refused 2 "-t takes a number .* not ''" -p . -t ''
    refused 2 '--rpc takes two sizes' --rpc 1
    refused 2 '--rpc takes two sizes' --rpc 0:1
    refused 2 'does not go with' -p . --echo
    refused 2 "'www' is no option" -p . www
    refused 1 'nowhere: No such file' -p "$tmp/nowhere" -f "$tmp/svr.conf"
    refused 1 'Not a directory' -p "$tmp/secret" -f "$tmp/svr.conf"
    expect "-h" "$("$B/epserver" -h | head -n 1 | cut -c1-15)" "usage: epserver"
    expect "epclient -h" "$("$B/epclient" -h | head -n 1 | cut -c1-15)" "usage: epclient"
    client_refused "http://HOST" "http://10.0.0.1:0/" 1
    client_refused "http://HOST" "https://10.0.0.1/" 1
    client_refused "it takes a URL and a number" http://10.0.0.1/
    client_refused "total takes a number, not '1x'" http://10.0.0.1/ 1x
    client_refused "unrecognized option '--rpx'" --rpx 1:1 10.0.0.1:7 1
    client_refused "--rpc takes two sizes" --rpc 1:x 10.0.0.1:7 1
    client_refused "-r takes a number from 1 .* not '0'" http://10.0.0.1/ 1 -r 0
    client_refused "-d takes a number .* not 'x'" http://10.0.0.1/ 1 -d x
    client_refused "--pipeline takes a number .* not '2000'" http://10.0.0.1/ 1 --pipeline 2000
    client_refused "--hash takes 16 hexadecimal" http://10.0.0.1/ 1 --hash=12
    client_refused "do not go with --rpc" --rpc 1:1 10.0.0.1:7 1 -o x
    client_refused "do not go together" http://10.0.0.1/ 1 --upload 1 --download
    client_refused "-c must be at least -N" http://10.0.0.1/ 1 -N 2
    "$B/epclient" -f "$tmp/nowhere.conf" http://10.0.0.1/ 1 >"$tmp/out" 2>"$tmp/err"
    expect "epclient without its configuration" $? 3
    lines "epclient without its configuration" "$tmp/err" 1
}
client_refused() { # pattern, arguments
    local pattern=$1
    shift
    "$B/epclient" "$@" >"$tmp/out" 2>"$tmp/err"
    expect "epclient $*" $? 2
    lines "epclient $*" "$tmp/err" 1
    contains "epclient $*" "$tmp/err" "$pattern"
}

test_configuration() {
    refused 1 'missing.conf' -p "$tmp/www" -f "$tmp/missing.conf"
    refused 1 'irectory' -p "$tmp/www" -f "$tmp/www"
    conf "$tmp/bad.conf" 0 'max_concurency = 5'
    refused 1 'bad.conf.*5.*max_conc' -p "$tmp/www" -f "$tmp/bad.conf"
    conf "$tmp/bad.conf" 0 'num_cores = many'
    refused 1 'bad.conf.*5.*num_cores' -p "$tmp/www" -f "$tmp/bad.conf"
    conf "$tmp/svr.conf" 0
    sed -e 's|address.*}|address = "10.77.0/24" }|' "$tmp/svr.conf" >"$tmp/bad.conf"
    refused 1 'bad.conf.*2.*address' -p "$tmp/www" -f "$tmp/bad.conf"
    sed -e 's/net_tap0/net_nothing0/' "$tmp/svr.conf" >"$tmp/bad.conf"
    refused 1 'bad.conf:2: device' -p "$tmp/www" -f "$tmp/bad.conf"
    conf "$tmp/bad.conf" 0 'monitor "x" { plugin = "/nowhere/x.so" }'
    refused 1 '/nowhere/x.so' -p "$tmp/www" -f "$tmp/bad.conf"
    conf "$tmp/bad.conf" 0 "$(monitor flowlog 'edgy')"
    timeout 20 "$B/epserver" -p "$tmp/www" -f "$tmp/bad.conf" >"$tmp/out" 2>"$tmp/err"
    expect "wrong args of a monitor" $? 1
    contains "wrong args of a monitor" "$tmp/err" "flowlog: 'edgy' is none of"
    serve -p "$tmp/www" || return
    refused 1 't0' -p "$tmp/www" -f "$tmp/svr.conf" # the device is in use
    expect "the first server goes on" "$(status /)" 200
    serve_end
}

# Memory is computed for as many devices as there are.
test_many_devices() {
    local i n
    for n in 2 8; do
        {
            echo "mos { num_cores = $((n < 8 && $(nproc) > 1 ? 2 : 1))"
            for i in $(seq $n); do
                echo "netdev d$i { device = \"net_tap$i,iface=d$i\" address = 10.78.$i.2/24 }"
            done
            echo "}"
        } >"$tmp/svr.conf"
        "$B/epserver" -p "$tmp/www" -f "$tmp/svr.conf" >"$tmp/svr.out" 2>"$tmp/svr.err" &
        server=$!
        if wait_for_long grep -q '^epserver: HTTP' "$tmp/svr.out"; then ok; else
            fail "$n devices: $(cat "$tmp/svr.err")"
        fi
        kill -INT $server
        wait $server
        expect "with $n devices" $? 0
    done
}

# Configurations of the manual do as they stand there.
test_manual() {
    local page
    for page in mos.conf.5 epserver.1; do
        awk '/^\.EE/ {on = 0} on; /^mos \{/ && !on {on = 1; print}' "docs/man/$page" >"$tmp/page.conf"
        [ "$(nproc)" -ge 2 ] || sed -i '/num_cores/d' "$tmp/page.conf"
        (cd "$B" && exec ./epserver -p "$tmp/www" -f "$tmp/page.conf") >"$tmp/svr.out" 2>"$tmp/svr.err" &
        server=$!
        if wait_for_long grep -q '^epserver: HTTP' "$tmp/svr.out"; then ok; else
            fail "the configuration of $page: $(cat "$tmp/svr.err")"
        fi
        kill -INT $server
        wait $server
        expect "with the configuration of $page" $? 0
    done
}

# Nothing is printed into a device, or into the descriptor that ends the server.
test_closed_descriptors() {
    local fd
    conf "$tmp/svr.conf" 0 "stat_print = 1"
    "$B/epserver" -p "$tmp/www" -f "$tmp/svr.conf" <&- >&- 2>&- &
    server=$!
    if wait_for link_up 0; then ok; else fail "epserver does not start without descriptors"; fi
    sleep 1.5
    expect "without standard descriptors" "$(status /)" 200
    for fd in 0 1 2; do
        expect "descriptor $fd" "$(readlink "/proc/$server/fd/$fd")" /
    done
    kill -TERM $server
    wait $server
    expect "without standard descriptors" $? 0
}

test_signals() {
    local sig pids i
    for sig in INT TERM; do
        serve -p "$tmp/www" || return
        pids=
        for i in 1 2 3; do
            curl --silent --max-time 20 --limit-rate 2M --output /dev/null "http://$svr/40m" &
            pids="$pids $!"
        done
        for i in $(seq 20); do
            sleep 15 | nc -w20 $svr 80 >/dev/null &
            pids="$pids $!"
        done
        sleep 0.7
        serve_end $sig
        kill $pids 2>/dev/null
        wait $pids 2>/dev/null
    done
    serve -p "$tmp/www" || return # the device can be had again at once
    expect "after all that" "$(status /)" 200
    serve_end
}

test_cores() {
    if [ "$(nproc)" -lt 2 ]; then
        skip "there is one core only"
        return
    fi
    serve -p "$tmp/www" -N 2 || return
    check "many on two cores" "$B/many" $svr 80 /64 200 3
    wrk_run "wrk on two cores" "http://$svr/64"
    serve_end
}

# The kernel spreads what arrives by a hash of its own, and answers to ARP come to one queue: what is
# for the other core is handed over. The client's cores end one after the other, their queues do not.
test_cores_as_a_client() {
    if [ "$(nproc)" -lt 2 ]; then
        skip "there is one core only"
        return
    fi
    local http
    ip link add v0 type veth peer name v1 && ip addr add 10.78.0.1/24 dev v0 &&
        ip link set v0 up && ip link set v1 up && ethtool -K v0 tx off >/dev/null || return
    cat >"$tmp/cli.conf" <<END
mos {
    num_cores = 2
    netdev "v1" { device = "net_af_packet0,iface=v1" address = "10.78.0.2/24" }
}
END
    (cd "$tmp/www" && exec python3 -m http.server -b 10.78.0.1 8000) >"$tmp/http" 2>&1 &
    http=$!
    wait_for curl -sf -o "$tmp/out" http://10.78.0.1:8000/64
    client http://10.78.0.1:8000/64 300 -c 16 -N 2 -t 20
    expect "a client of two cores" $? 0
    contains "a client of two cores" "$tmp/cli.out" '^requests 300 of 300 in .* over 300 connections'
    kill $http
    wait $http 2>/dev/null
    # A device with one queue serves two cores.
    sed -e 's/net_af_packet0,iface=v1/net_pcap0,iface=v1/' "$tmp/cli.conf" >"$tmp/svr.conf"
    "$B/epserver" -p "$tmp/www" -N 2 -f "$tmp/svr.conf" >"$tmp/svr.out" 2>"$tmp/svr.err" &
    server=$!
    wait_for grep -q '^epserver: ' "$tmp/svr.out"
    check "many on two cores of one queue" "$B/many" 10.78.0.2 80 /64 50 3
    serve_end
    ip link del v0
}

test_idle() {
    mos="stat_print = 1" serve -p "$tmp/www" || return
    expect "a request" "$(status /)" 200
    local before after
    before=$("$B/net_tool" cpu $server)
    sleep 5
    after=$("$B/net_tool" cpu $server)
    if [ $((after - before)) -le 10 ]; then ok; else
        fail "idle for 5 s it used $((after - before)) ticks of 10 ms"
    fi
    kill -INT $server
    wait $server
    expect "exit status" $? 0
    if [ "$(cat "$tmp/svr.out" "$tmp/svr.err" | wc -l)" -ge 4 ]; then ok; else
        fail "stat_print prints no statistics"
    fi
}

test_flowlog() {
    local log=$tmp/flow.log size
    mos="tcp_tw_interval = 1 $(monitor flowlog "file=$log edges")" serve -p "$tmp/www" || return
    expect "with flowlog" "$(status /1m --header 'Connection: close')" 200
    wait_for grep -q ' end ' "$log"
    serve_end
    sed -E 's/^[0-9:.]{15} //' "$log" | grep '^#1 ' | sed -E "s/^#1 [0-9.:]+ > $svr:80  //" >"$tmp/flow1"
    expect "flowlog: handshake" "$(grep -E '^(start|state)' "$tmp/flow1" | head -n 5 | tr -s ' ' | tr '\n' ';')" \
        "start the server is this host;state cli SYN_SENT;state svr SYN_RCVD;state cli ESTABLISHED;state svr ESTABLISHED;"
    size=$(sed -nE 's/^end .*to cli ([0-9]+) bytes.*/\1/p' "$tmp/flow1")
    if [ "${size:-0}" -gt 1048576 ] && [ "$size" -lt 1049600 ]; then ok; else
        fail "flowlog: '$size' bytes to the client"
    fi
    expect "flowlog: all data was logged" "$(sed -nE 's/^data +to cli ([0-9]+) bytes.*/\1/p' "$tmp/flow1" |
        awk '{n += $1} END {print n}')" "$size"
    contains "flowlog: end" "$tmp/flow1" '^end +FIN; to svr [0-9]+ bytes'
    contains "flowlog: edges" "$tmp/flow1" '^edges +svr init [0-9]+ read [0-9]+ next [0-9]+ received [0-9]+ \(read \+0 next \+[1-9]'
    contains "flowlog: runs" "$tmp/flow1" '^edges +svr .* runs 0\+[1-9][0-9]*$'
    # On the emulated side nothing waits to be read.
    expect "flowlog: the client has read all" "$(sed -nE 's/^edges +cli .*\(read \+([0-9]+) next \+([0-9]+) .*/\1 \2/p' \
        "$tmp/flow1" | awk '$1 != $2' | wc -l)" 0
    lacks "flowlog" "$log" 'missed|error| \?'
}

# ---- connlog and tcpstat against tshark -------------------------------------------------------------

has_tshark() {
    command -v tshark >/dev/null && command -v dumpcap >/dev/null && return 0
    skip "tshark is not installed"
    return 1
}

# Captures what passes a stack's device: capture_start DEVICE, capture_end.
capture_start() {
    : >"$tmp/dumpcap"
    dumpcap -q -i "$1" -f tcp -w "$tmp/pcap" 2>"$tmp/dumpcap" &
    capture=$!
    wait_for_long grep -q '^File: ' "$tmp/dumpcap" && return 0
    fail "dumpcap does not start: $(cat "$tmp/dumpcap")"
    return 1
}
capture_end() {
    sleep 0.5 # the last packets are on their way to it
    kill -INT $capture
    wait $capture
}

# What tshark says of the capture, a line for each connection (tests/apps/truth.awk).
truth() {
    tshark -r "$tmp/pcap" -T fields -E separator=/t -E occurrence=f -e tcp.stream \
        -e ip.src -e ipv6.src -e tcp.srcport -e ip.dst -e ipv6.dst -e tcp.dstport \
        -e ip.len -e ipv6.plen -e tcp.len -e tcp.seq -e tcp.flags.syn -e tcp.flags.ack \
        -e tcp.flags.fin -e tcp.flags.reset -e tcp.analysis.retransmission \
        -e tcp.analysis.out_of_order 2>/dev/null | awk -f tests/apps/truth.awk | sort
}

# Columns of a conn.log by name, as zeek-cut gives them: log_columns FILE NAME...
log_columns() {
    local file=$1
    shift
    awk -F '\t' -v wanted="$*" '
        /^#fields/ { for (i = 2; i <= NF; i++) at[$i] = i - 1; n = split(wanted, w, " ") }
        /^#/ { next }
        { for (i = 1; i <= n; i++) printf "%s%s", $at[w[i]], i < n ? " " : "\n" }' "$file"
}

# The log has the connections of the capture. What this stack sends in one frame that the device
# cuts is one packet in the log: with the headers (52 bytes each) taken off, the bytes agree.
same_conns() { # what, log
    truth | awk '{ $11 -= 52 * $10; print $1, $2, $3, $4, $5, $6, $7, $8, $9, $11 }' >"$tmp/truth"
    log_columns "$2" id.orig_h id.orig_p id.resp_h id.resp_p conn_state orig_bytes resp_bytes \
        orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes | sort |
        awk '{ $11 -= 52 * $10; print $1, $2, $3, $4, $5, $6, $7, $8, $9, $11 }' >"$tmp/logged"
    if [ -s "$tmp/truth" ] && diff "$tmp/truth" "$tmp/logged" >"$tmp/out"; then ok; else
        fail "$1: tshark (<) and connlog (>) differ"
        head -n 20 "$tmp/out" | sed 's/^/    /'
    fi
}

# Runs a monitor over a capture, without an endpoint: over_capture FILE PLUGIN ARGS
over_capture() {
    printf 'mos {\n netdev cap { device = "net_pcap0,rx_pcap=%s" }\n %s\n}\n' "$1" \
        "$(monitor "$2" "$3")" >"$tmp/cap.conf"
    check "$2 over a capture" timeout 60 "$B/mosrun" -f "$tmp/cap.conf"
}

# Connects, says half a request and resets.
reset_client() {
    perl -MSocket -e 'socket(my $s, AF_INET, SOCK_STREAM, 0) or die;
        connect($s, pack_sockaddr_in(80, inet_aton($ARGV[0]))) or die $!;
        syswrite($s, "GET / HT"); select(undef, undef, undef, 0.2);
        setsockopt($s, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)); close($s);' "$1"
}

# Nine connections, of every end that a client of the kernel's can give them.
connections_make() {
    local i pids=
    expect "/64" "$(status /64)" 200
    for i in 1 2 3; do
        status /1m >/dev/null &
        pids="$pids $!"
    done
    wait $pids
    printf 'SSH-2.0-x\r\n' | nc -N -w5 $svr 80 >/dev/null
    printf '\026\003\001\001\000\001' | nc -N -w5 $svr 80 >/dev/null
    nc -N -w5 $svr 80 </dev/null >/dev/null
    reset_client $svr
    curl -6 --silent --max-time 10 --output /dev/null "http://[$svr6]/64" || status /64 >/dev/null
}

test_connlog() {
    local log=$tmp/conn.log
    has_tshark || return
    mos="tcp_tw_interval = 1 $(monitor connlog "file=$log")
        $(monitor connlog "file=$log.json format=json" json)" serve -p "$tmp/www" || return
    capture_start t0 || return
    connections_make
    wait_for_long eval '[ "$(log_columns "$log" uid | wc -l)" = 9 ]'
    capture_end
    same_conns "connections" "$log"
    over_capture "$tmp/pcap" connlog "file=$log.cap"
    same_conns "connections of the capture" "$log.cap"
    expect "services of the capture" "$(log_columns "$log.cap" service | sort | uniq -c)" \
        "$(log_columns "$log" service | sort | uniq -c)"
    expect "as many as tshark has" "$(tshark -r "$tmp/pcap" -q -z conv,tcp 2>/dev/null |
        grep -c '<->.*:80 ')" 9
    expect "states" "$(log_columns "$log" conn_state | sort | uniq -c | tr -s ' \n' ' ')" \
        " 1 RSTO 8 SF "
    expect "services" "$(log_columns "$log" service | sort | uniq -c | tr -s ' \n' ' ')" \
        " 1 - 6 http 1 ssh 1 ssl "
    expect "who is who" "$(log_columns "$log" proto local_orig local_resp missed_bytes | sort -u)" \
        "tcp F T 0"
    expect "names" "$(log_columns "$log" uid | sort -u | grep -c '^C')" 9
    log_columns "$log" history >"$tmp/histories"
    lacks "histories" "$tmp/histories" '^[^S]|^S[^h]|^.h[^A]'
    contains "histories" "$tmp/histories" '^ShADa*R$'
    # Times of the capture's first packets, to a tenth of a second.
    tshark -r "$tmp/pcap" -Y 'tcp.flags.syn == 1 && tcp.flags.ack == 0' -T fields \
        -e frame.time_epoch 2>/dev/null | sort -n >"$tmp/times"
    expect "times" "$(log_columns "$log" ts | sort -n | paste - "$tmp/times" |
        awk '$1 - $2 < 0.1 && $2 - $1 < 0.1' | wc -l)" 9
    # A connection that is open when the server ends has its line too.
    sleep 20 | nc $svr 80 >/dev/null &
    local nc=$!
    wait_for_long eval 'ss -Htn state established "dst $svr" | grep -q .'
    serve_end
    kill $nc 2>/dev/null
    wait $nc 2>/dev/null
    expect "lines" "$(log_columns "$log" uid | wc -l)" 10
    expect "a line of JSON for each" "$(perl -MJSON::PP -ne '$c = decode_json($_);
        print "$c->{\"id.orig_p\"} $c->{conn_state} $c->{resp_pkts}\n"' "$log.json" | sort)" \
        "$(log_columns "$log" id.orig_p conn_state resp_pkts | sort)"
    expect "the header and the end" "$(grep '^#' "$log" | cut -f1 | tr '\n' ' ')" \
        '#separator \x09 #set_separator #empty_field #unset_field #path #open #fields #types #close '
}

# Captures of known connections, against what wrote them, and against tshark.
test_connlog_of_captures() {
    local log=$tmp/made.log
    has_tshark || return
    if ! tests/apps/captures.py "$tmp/pcap" >"$tmp/made" 2>"$tmp/err"; then
        skip "scapy is not installed: $(tail -n 1 "$tmp/err")"
        return
    fi
    over_capture "$tmp/pcap" connlog "file=$log"
    sort "$tmp/made" >"$tmp/truth"
    log_columns "$log" id.orig_p conn_state orig_bytes resp_bytes missed_bytes history orig_pkts \
        resp_pkts | sort >"$tmp/logged"
    check "what was made" diff "$tmp/truth" "$tmp/logged"
    same_conns "what tshark says" "$log"
    expect "times" "$(log_columns "$log" ts duration | sort | head -n 1)" "1500000000.000000 0.008000"
    expect "nobody is here" "$(log_columns "$log" local_orig local_resp | sort -u)" "- -"
}

# Of a client's stack; and two cores that write to one file.
test_connlog_of_a_client() {
    local log=$tmp/client.log
    has_tshark || return
    client_link || return
    serve -p "$tmp/www" || return
    conf "$tmp/cli.conf" 1 "num_cores = $(($(nproc) > 1 ? 2 : 1)) $(monitor connlog "file=$log")"
    capture_start t1 || return
    client "http://$svr/64" 200 -c 8
    expect "epclient" $? 0
    client "http://$svr:81/" 3
    capture_end
    # Packets for a connection that is over are none of its.
    expect "200 requests" "$(log_columns "$log" conn_state service orig_bytes local_orig | sort |
        uniq -c | tr -s ' \n' ' ')" " 3 REJ - 0 T 200 SF http $(log_columns "$log" orig_bytes |
        sort -n | tail -n 1) T "
    log_columns "$log" id.orig_p conn_state resp_bytes | sort >"$tmp/logged"
    truth | awk '{ print $2, $5, $7 }' | sort >"$tmp/truth"
    check "the same as tshark" diff "$tmp/truth" "$tmp/logged"
    expect "headers" "$(grep -c '^#fields' "$log")" 2
    serve_end
}

test_connlog_errors() {
    local what
    for what in "file= :: 'file=' is none of" "file=$tmp/none/x :: none/x: No such file" \
        "format=xml :: 'format=xml' is none of"; do
        conf "$tmp/bad.conf" 0 "$(monitor connlog "${what%% ::*}")"
        timeout 20 "$B/epserver" -p "$tmp/www" -f "$tmp/bad.conf" >"$tmp/out" 2>"$tmp/err"
        expect "connlog ${what%% ::*}" $? 1
        contains "connlog ${what%% ::*}" "$tmp/err" "connlog: .*${what##*:: }"
    done
    [ -c /dev/full ] || return
    mos="tcp_tw_interval = 1 $(monitor connlog "file=/dev/full format=json")" \
        serve -p "$tmp/www" || return
    for what in 1 2 3; do
        expect "with a full disk" "$(status /64)" 200
        sleep 1.5
    done
    kill -INT $server
    wait $server
    expect "exit status" $? 0
    expect "a full disk" "$(cat "$tmp/svr.err")" \
        "connlog: /dev/full: No space left on device; lines are missing there
connlog: /dev/full: 3 lines are missing"
}

# The numbers of a report, from its JSON: report_get FILE EXPRESSION...
report_get() {
    perl -MJSON::PP -e 'my $file = shift; open(my $in, "<", $file) or die; my @all = <$in>;
        $r = decode_json($all[-1]); print join(" ", map { eval($_) // "?" } @ARGV), "\n"' "$@"
}
# Segments with payload that were sent again or overtaken: of clients, of servers; by the report in
# $tmp/stat, and as tshark flags them.
report_again() {
    local sum='$s->{again_fast} + $s->{again_timer} + $s->{again_spurious} + $s->{out_of_order}'
    report_get "$tmp/stat" "\$s = \$r->{clients_sent}; $sum" "\$s = \$r->{servers_sent}; $sum"
}
truth_again() {
    truth | awk '{ o += $12; r += $13 } END { print o + 0, r + 0 }'
}

# Over a link that loses and reorders, 10 ms each way: echoes, so that both sides send much.
test_tcpstat() {
    local i pids= bad
    has_tshark || return
    mos="tcp_tw_interval = 1 $(monitor tcpstat "report=$tmp/stat format=json interval=100")" \
        serve --echo -P 7 || return
    ip addr flush dev t0 && ip link set t0 arp off
    "$B/lossy" t0 k0 3 10 10 10 >"$tmp/lossy" 2>&1 &
    bad=$!
    wait_for grep -q ready "$tmp/lossy" && ip addr add 10.77.0.1/24 dev k0 && ip link set k0 up ||
        fail "lossy does not start"
    capture_start t0 || return
    for i in 1 2 3 4; do
        nc -N -w30 $svr 7 <"$tmp/www/1m" | sha256sum >"$tmp/sum$i" &
        pids="$pids $!"
    done
    sleep 30 | nc $svr 7 >/dev/null &
    local nc=$!
    wait $pids
    for i in 1 2 3 4; do
        expect "echo $i" "$(cat "$tmp/sum$i")" "$(sha256sum <"$tmp/www/1m")"
    done
    kill -USR1 $server
    wait_for grep -q ']}$' "$tmp/stat"
    expect "a report on SIGUSR1" "$(report_get "$tmp/stat" '$r->{begun}' \
        'scalar @{$r->{connections}}' '$r->{connections}[4]{state}')" "5 5 ESTAB/ESTAB"
    capture_end
    serve_end
    kill $nc 2>/dev/null
    wait $nc 2>/dev/null
    kill $bad
    wait $bad
    lines "reports" "$tmp/stat" 2
    expect "connections" "$(report_get "$tmp/stat" '$r->{begun}' '$r->{ended}' \
        'scalar @{$r->{connections}}')" "5 5 5"
    expect "bytes" "$(report_get "$tmp/stat" '$r->{clients_sent}{bytes}' \
        '$r->{servers_sent}{bytes}')" "4194304 4194304"
    expect "sent again or overtaken, as tshark has it" "$(report_again | cut -d' ' -f1)" \
        "$(truth_again | cut -d' ' -f1)"
    expect "both kinds are there" "$(report_get "$tmp/stat" \
        '$r->{clients_sent}{again_fast} > 0' '$r->{clients_sent}{out_of_order} > 0' \
        '$r->{servers_sent}{again_fast} > 0')" "1 1 1"
    expect "times" "$(report_get "$tmp/stat" '$r->{handshake_us}{n} >= 4' \
        '$r->{handshake_us}{min} >= 20000' '$r->{rtt_cli_us}{min} >= 20000' \
        '$r->{rtt_svr_us}{min} < 20000')" "1 1 1 1"
    # Over the capture, where all frames are those of the wire, both sides agree.
    over_capture "$tmp/pcap" tcpstat "report=$tmp/stat format=json"
    expect "the same of the capture" "$(report_again)" "$(truth_again)"
    rm "$tmp/stat"
}

# A client that does not read closes its window.
test_tcpstat_windows() {
    local log=$tmp/stat
    has_tshark || return
    rm -f "$log"
    mos="tcp_tw_interval = 1 $(monitor tcpstat "report=$log sort=zero_window")" \
        serve -p "$tmp/www" || return
    capture_start t0 || return
    printf 'GET /40m HTTP/1.1\r\nHost: x\r\n\r\n' | nc -w5 $svr 80 | (
        sleep 2
        head -c 41000000 >/dev/null
    ) &
    local reader=$!
    sleep 4
    capture_end
    kill $reader 2>/dev/null
    serve_end
    expect "zero windows, as tshark has them" \
        "$(sed -nE 's/^zero windows +([0-9]+) .*/\1/p' "$log")" \
        "$(tshark -r "$tmp/pcap" -Y tcp.analysis.zero_window 2>/dev/null | wc -l)"
    contains "zero windows" "$log" '^zero windows +[1-9]'
    contains "its connection" "$log" "^10.77.0.1:[0-9]+ +$svr:80 "
    rm "$log"
}

# A terminal, and one that takes nothing any more: the server goes on.
test_tcpstat_screen() {
    local tty=
    mkfifo "$tmp/keys"
    exec 7<>"$tmp/keys"
    TERM=xterm script -qfc "stty rows 40 cols 200; tty; exec sleep 100" "$tmp/typed" \
        <"$tmp/keys" >/dev/null 2>&1 &
    local terminal=$!
    wait_for grep -q '^/dev/' "$tmp/typed"
    tty=$(sed -n 's/^\(\/dev\/[a-z0-9\/]*\).*/\1/p' "$tmp/typed" | head -n 1)
    mos=$(monitor tcpstat "screen=$tty interval=100 report=$tmp/stat") TERM=xterm \
        serve -p "$tmp/www" || return
    expect "with a screen" "$(status /64)" 200
    sleep 30 | nc $svr 80 >/dev/null &
    local nc=$!
    check "the screen" wait_for_long grep -aq '10.77.0.1:[0-9].*ESTAB/ESTAB' "$tmp/typed"
    contains "the screen" "$tmp/typed" 'largest again'
    printf '>' >&7
    check "the next column" wait_for_long grep -aq '1;[0-9]*Hfast' "$tmp/typed"
    kill -STOP $terminal # nobody reads what is drawn
    wrk_run "a terminal that is stuck" -H 'Connection: close' "http://$svr/64"
    kill -CONT $terminal
    kill $nc 2>/dev/null
    wait $nc 2>/dev/null
    serve_end
    contains "the report" "$tmp/stat" '^connections +[0-9]+ begun'
    kill $terminal
    wait $terminal 2>/dev/null
    exec 7>&-
    # Without a terminal.
    conf "$tmp/bad.conf" 0 "$(monitor tcpstat "screen=/dev/null")"
    timeout 20 "$B/epserver" -p "$tmp/www" -f "$tmp/bad.conf" >"$tmp/out" 2>"$tmp/err"
    expect "no terminal" $? 1
    contains "no terminal" "$tmp/err" 'tcpstat: screen: /dev/null: '
}

test_examples() {
    mos="$(monitor states) $(monitor fragments) $(monitor requests)" serve --echo -P 7 || return
    expect "with the examples" "$(echo hello | nc -N -w5 $svr 7)" hello
    expect "a request" "$(echo 'GET /x' | nc -N -w5 $svr 7)" 'GET /x'
    # A queue too short for the bursts of the kernel loses segments: holes on our side.
    ip link set t0 txqueuelen 4
    head -c 3M /dev/urandom >"$tmp/3m"
    nc -N -w20 $svr 7 <"$tmp/3m" | sha256sum >"$tmp/sum"
    expect "echo with losses" "$(cat "$tmp/sum")" "$(sha256sum <"$tmp/3m")"
    sleep 1.2 # the counts come once a second
    serve_end
    tr -s ' ' <"$tmp/svr.out" >"$tmp/states"
    contains "states" "$tmp/states" '^#[0-9]+ cli SYN_SENT svr LISTEN'
    contains "states" "$tmp/states" '^#[0-9]+ cli SYN_SENT svr SYN_RCVD'
    contains "states" "$tmp/states" '^#[0-9]+ cli ESTABLISHED svr SYN_RCVD'
    contains "states" "$tmp/states" '^#[0-9]+ cli ESTABLISHED svr ESTABLISHED'
    contains "states" "$tmp/states" '^#[0-9]+ cli FIN_WAIT_[12] svr CLOSE_WAIT'
    contains "fragments" "$tmp/states" '^#[0-9]+ svr: [2-9][0-9]* runs: [0-9]+\.\.[0-9]+ [0-9]+\.\.[0-9]+'
    lacks "fragments" "$tmp/states" 'unreadable'
    contains "requests" "$tmp/states" '^#[0-9]+ GET$'
    contains "requests" "$tmp/states" '^#[0-9]+ other$'
    contains "requests" "$tmp/states" '^1 GET, 0 POST, 2 other$'
}

rules_make() {
    printf '%s\n' '# not for these ports' 'DROP 10.77.0.0/24 any sport:20000-20099' \
        'DROP fd77::/64 :: sport:20000-20099' 'ACCEPT any any dport:80' >"$tmp/rules"
}

test_firewall() {
    rules_make
    mos=$(monitor firewall "rules=$tmp/rules file=$tmp/fw log") serve -p "$tmp/www" || return
    expect "an accepted connection" "$(status /64)" 200
    curl --silent --connect-timeout 2 --local-port 20000-20099 "http://$svr/64"
    expect "a dropped one" $? 28
    expect "another" "$(status /64)" 200
    if [ -e /proc/net/if_inet6 ]; then
        wait_for ping -6 -c1 -W1 $svr6
        curl -6 --silent --connect-timeout 1 --local-port 20000-20099 "http://[$svr6]/64"
        expect "a dropped one of IPv6" $? 28
    fi
    serve_end
    contains "firewall's log" "$tmp/fw" \
        "^[0-9]+\.[0-9]{6} 10\.77\.0\.1:200[0-9][0-9] > $svr:80 dropped by $tmp/rules:2\$"
    contains "its counts" "$tmp/fw" '^ +[1-9][0-9]* +2  DROP 10\.77\.0\.0/24 any sport:20000-20099$'
    contains "its counts" "$tmp/fw" '^ +2 +4  ACCEPT any any dport:80$'
    echo 'DENY any any' >>"$tmp/rules"
    conf "$tmp/bad.conf" 0 "$(monitor firewall "rules=$tmp/rules")"
    timeout 20 "$B/epserver" -p "$tmp/www" -f "$tmp/bad.conf" >"$tmp/out" 2>"$tmp/err"
    expect "a bad rule" $? 1
    contains "a bad rule" "$tmp/err" \
        "^firewall: $tmp/rules:5: 'DENY' is no action: write ACCEPT or DROP\$"
}

# Lines without the times, the ports and the latencies.
http_lines() {
    sed -E 's/^[0-9]+\.[0-9]{6} ([^ ]*):[0-9]+ /\1 /; s/ [0-9]+\.[0-9]{6} [0-9]+\.[0-9]{6} / t t /' "$1"
}

test_httplog() {
    local log=$tmp/http.log
    mos="tcp_tw_interval = 1 $(monitor httplog "file=$log")" serve -p "$tmp/www" || return
    expect "a file" "$(status /1m)" 200
    expect "nothing there" "$(status /nope)" 404
    expect "HEAD" "$(status /1m --head)" 200
    expect "POST" "$(status / --request-target '/?a"\' --data hello)" 405
    printf '\026\003\001' | nc -N -w5 $svr 80 >/dev/null
    {
        printf 'GET /64 HTTP/1.1\r\nHost: h\r\n\r\n'
        printf 'GET /style.css HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
    } | nc -N -w5 $svr 80 >/dev/null
    wait_for grep -q style "$log"
    serve_end
    http_lines "$log" >"$tmp/lines"
    lines "httplog" "$tmp/lines" 6
    contains "a file" "$tmp/lines" "^10.77.0.1 GET $svr /1m 200 [0-9]+ 1048[6-9][0-9][0-9] t t -\$"
    contains "nothing there" "$tmp/lines" "^10.77.0.1 GET $svr /nope 404 [0-9]+ [0-9]+ t t -\$"
    contains "HEAD" "$tmp/lines" "^10.77.0.1 HEAD $svr /1m 200 [0-9]+ [0-9]{3} t t -\$"
    contains "POST" "$tmp/lines" "^10.77.0.1 POST $svr /[?]a\"[\\]x5c 405 [0-9]+ [0-9]+ t t -\$"
    contains "pipelined" "$tmp/lines" "^10.77.0.1 GET h /64 200 29 [0-9]+ t t -\$"
    contains "pipelined" "$tmp/lines" "^10.77.0.1 GET h /style.css 200 55 [0-9]+ t t -\$"
}

patterns_make() {
    printf '%s\n' 'reset svr evil /\/evil/' 'drop  svr bad  /\/bad/' 'log   cli zero /\x00{64}/' \
        >"$tmp/patterns"
}

test_ids() {
    local log=$tmp/ids.log
    patterns_make
    mos=$(monitor ids "patterns=$tmp/patterns file=$log") serve -p "$tmp/www" || return
    expect "a clean request" "$(status /style.css)" 200
    expect "another" "$(status /64)" 200
    curl --silent --max-time 5 "http://$svr/evil"
    expect "a request with the pattern" $? 56
    {
        printf 'GET /64 HTTP/1.1\r\nHost: h\r\n\r\nGET /ev'
        sleep 0.5
        printf 'il HTTP/1.1\r\nHost: h\r\n\r\n'
        sleep 0.5
    } | nc -w5 $svr 80 >"$tmp/out2"
    expect "one in pieces" "$(grep -ac HTTP/1.1 "$tmp/out2")" 1
    curl --silent --max-time 2 "http://$svr/bad"
    expect "one whose packet is dropped" $? 28
    expect "a clean request" "$(status /1m)" 200
    expect "... and its answer" "$(sha256sum <"$tmp/body")" "$(sha256sum <"$tmp/www/1m")"
    serve_end
    contains "a pattern" "$log" \
        "^[0-9]+\.[0-9]{6} 10\.77\.0\.1:[0-9]+ > $svr:80 svr evil 9 reset\$"
    contains "in pieces" "$log" ' svr evil 38 reset$'
    contains "a packet" "$log" ' svr bad 8 dropped$'
    contains "a log" "$log" ' cli zero [0-9]+ log$'
    echo 'log svr x /(/' >>"$tmp/patterns"
    conf "$tmp/bad.conf" 0 "$(monitor ids "patterns=$tmp/patterns")"
    timeout 20 "$B/epserver" -p "$tmp/www" -f "$tmp/bad.conf" >"$tmp/out" 2>"$tmp/err"
    expect "a bad pattern" $? 1
    contains "a bad pattern" "$tmp/err" "^ids: $tmp/patterns:4: '[(]': "
}

# How many lines of the log FILE begin with a time between the capture's first packet and its last.
lines_of_its_time() { # FILE
    tshark -r "$tmp/pcap" -T fields -e frame.time_epoch 2>/dev/null | sed -n '1p;$p' |
        awk 'NR == FNR { t[FNR] = $1; next } $1 > t[1] - 0.001 && $1 < t[2] + 0.001 { n++ }
             END { print n + 0 }' - "$1"
}

# The same connections from a capture, without an endpoint: the same lines, and the capture's times.
test_plugins_of_a_capture() {
    has_tshark || return
    rules_make
    echo 'log svr nope /GET \/nope/' >"$tmp/patterns"
    mos=$(monitor httplog "file=$tmp/live.log") serve -p "$tmp/www" || return
    capture_start t0 || return
    expect "a file" "$(status /1m)" 200
    expect "nothing there" "$(status /nope)" 404
    expect "HEAD" "$(status /1m --head)" 200
    capture_end
    serve_end
    {
        echo "mos { netdev \"cap\" { device = \"net_pcap0,rx_pcap=$tmp/pcap\" }"
        monitor httplog "file=$tmp/dead.log"
        monitor ids "patterns=$tmp/patterns file=$tmp/dead.ids"
        monitor firewall "rules=$tmp/rules file=$tmp/dead.fw"
        echo "}"
    } >"$tmp/cap.conf"
    check "mosrun" timeout 60 "$B/mosrun" -f "$tmp/cap.conf"
    expect "httplog of a capture" "$(http_lines "$tmp/dead.log")" "$(http_lines "$tmp/live.log")"
    expect "its times" "$(lines_of_its_time "$tmp/dead.log")" 3
    contains "ids of a capture" "$tmp/dead.ids" ' svr nope 9 log$'
    expect "its times" "$(lines_of_its_time "$tmp/dead.ids")" 1
    contains "firewall of a capture" "$tmp/dead.fw" '^ +3 +4  ACCEPT any any dport:80$'
    # Nobody reads what a monitor prints.
    echo "mos { netdev cap { device = \"net_pcap0,rx_pcap=$tmp/pcap\" } $(monitor flowlog) }" \
        >"$tmp/cap.conf"
    { sleep 0.2; timeout 60 "$B/mosrun" -f "$tmp/cap.conf" 2>"$tmp/err"; echo $? >"$tmp/rc"; } | true
    expect "its exit status without a reader" "$(cat "$tmp/rc")" 1
    contains "why" "$tmp/err" '^flowlog: standard output: Broken pipe; lines are missing there$'
    contains "why" "$tmp/err" '^mosrun: standard output: Broken pipe$'
}

# Under load each plugin costs no error and no byte; those that keep what was said leave no memory.
test_plugin_load() {
    local plugin args
    rules_make
    patterns_make
    sed -i /zero/d "$tmp/patterns" # else a line per connection
    for plugin in firewall httplog ids connlog tcpstat; do
        case $plugin in
        connlog) args="file=/dev/null" ;;
        tcpstat) args="report=/dev/null" ;;
        firewall) args="rules=$tmp/rules file=/dev/null" ;;
        httplog) args="file=$tmp/load.log" ;;
        ids) args="patterns=$tmp/patterns file=/dev/null" ;;
        esac
        mos=$(monitor $plugin "$args") serve -p "$tmp/www" || continue
        wrk_seconds=2 wrk_run "wrk with $plugin" "http://$svr/64"
        wrk_seconds=2 wrk_run "wrk with $plugin, close" -H 'Connection: close' "http://$svr/64"
        expect "40 MB with $plugin" "$(curl --silent --max-time 60 "http://$svr/40m" | sha256sum)" \
            "$(sha256sum <"$tmp/www/40m")"
        serve_end
        case $plugin in httplog | ids) leaks 3 "$(monitor $plugin "$args")" ;; esac
        rm -f "$tmp/load.log"
    done
}

# The guide to monitors does as it says: each plugin, compiled and loaded as it is told there.
test_guide() {
    local dir=$tmp/guide name line
    mkdir "$dir"
    awk -v dir="$dir" -f tests/guide.awk docs/monitor-guide.md
    expect "plugins in the guide" "$(cd "$dir" && echo *.c)" "bytes.c count.c guard.c hello.c"
    for name in bytes count guard hello; do
        check "$name.c" eval "$(sed -n 's/^cc /cc -Wall -Wextra -Wno-unused-parameter -Werror /p' \
            "$dir/commands" | sed "s,hello,$dir/$name,g")"
        sed "s,\"./hello.so\",\"$dir/$name.so\" args = \"design\"," "$dir/mos.conf" >"$dir/this.conf"
        "$B/epserver" -p docs -f "$dir/this.conf" >"$tmp/svr.out" 2>"$tmp/svr.err" &
        server=$!
        wait_for_long grep -q '^epserver: ' "$tmp/svr.out"
        wait_for eval "$(grep '^ip ' "$dir/commands")"
        eval "$(sed -n 's/^curl /curl --silent --max-time 10 --output "$tmp\/body" /p' "$dir/commands")"
        expect "curl with $name.c" $? "$([ $name = guard ] && echo 56 || echo 0)"
        sleep 0.2
        kill -INT $server
        wait $server
        expect "epserver with $name.c" $? 0
        while IFS= read -r line; do
            if grep -Fq -- "$line" "$tmp/svr.out"; then ok; else
                fail "$name.c does not say '$line': $(cat "$tmp/svr.out" "$tmp/svr.err")"
            fi
        done <"$dir/$name.out"
    done
}

test_run() {
    check "run.sh --once" env TMPDIR="$tmp" B="$B" apps/run.sh --once
    contains "run.sh --once" "$tmp/out" 'a file of 100 MB: SHA-256 agrees'
    contains "run.sh --once" "$tmp/out" '#1 .* state +svr ESTABLISHED'
    contains "run.sh --once" "$tmp/out" '#1 .* edges +svr init'
    expect "run.sh leaves nothing" "$(find "$tmp" -name 'mtcp-run.*' | wc -l)" 0
    # Serving, until it is interrupted.
    env TMPDIR="$tmp" B="$B" apps/run.sh >"$tmp/run.out" 2>&1 &
    local pid=$!
    if wait_for_long grep -q 'run: serving' "$tmp/run.out"; then ok; else fail "run.sh serves"; fi
    eval "$(sed -nE 's/.*another terminal: (.*)/\1/p' "$tmp/run.out")" >"$tmp/page" 2>&1
    contains "the command that it names" "$tmp/page" 'user space'
    kill -TERM $pid
    wait $pid
    expect "run.sh, ended" $? 0
    expect "run.sh leaves nothing" "$(find "$tmp" -name 'mtcp-run.*' | wc -l)" 0
    if pgrep -f "$tmp/mtcp-run" >/dev/null 2>&1; then fail "run.sh leaves processes"; else ok; fi
    env TMPDIR="$tmp" apps/run.sh --twice >"$tmp/out" 2>&1
    expect "an unknown option" $? 1
    # A signal that comes before the namespaces are there.
    mkdir -p "$tmp/slow"
    printf '#!/bin/sh\nsleep 1\nexec %s "$@"\n' "$(command -v unshare)" >"$tmp/slow/unshare"
    chmod +x "$tmp/slow/unshare"
    env TMPDIR="$tmp" B="$B" PATH="$tmp/slow:$PATH" apps/run.sh >"$tmp/run.out" 2>&1 &
    pid=$!
    wait_for_long eval 'ls "$tmp"/mtcp-run.*/alive'
    kill -TERM $pid
    if wait_for has_ended $pid; then ok; else
        fail "run.sh goes on after an early signal"
        kill -KILL $pid
    fi
    wait $pid
    expect "run.sh, ended early" $? 143
    expect "run.sh leaves nothing" "$(find "$tmp" -name 'mtcp-run.*' | wc -l)" 0
}
wait_for_long() { wait_for "$@" || wait_for "$@" || wait_for "$@" || wait_for "$@"; }

# ---- all of them ------------------------------------------------------------------------------------

mount -t tmpfs tmpfs /run || exit 1 # DPDK's runtime files: nobody else's, and gone with us
ip link set lo up
www_make
all=$(declare -F | sed -n 's/^declare -f test_//p')
for group in ${*:-$all}; do
    "test_$group"
done
echo "apps: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
