#!/bin/sh
# The public headers compile alone, in any order, and around <netinet/tcp.h> and <linux/tcp.h>, in
# C11 and in C++, warning free; names have the same values in each case. No library, no root.
#
#   tests/headers.sh      exit 0 if all pass; last line "headers: N passed, N failed"
cd "$(dirname "$0")/.." || exit 2

compilers=''
add() { # command, flags
    if command -v "$1" >/dev/null 2>&1; then
        compilers="$compilers$1 $2
"
    fi
}
add gcc '-std=c11 -xc'
add gcc '-std=gnu11 -Wconversion -Wshadow -Wstrict-prototypes -xc'
add clang '-std=c11 -xc'
add clang '-std=gnu11 -Wconversion -Wshadow -Wstrict-prototypes -xc'
add g++ '-std=c++11 -xc++'
add g++ '-std=c++20 -xc++'
add clang++ '-std=c++11 -xc++'

headers=''
for path in include/*.h; do
    headers="$headers ${path#include/}"
done

tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
passed=0
failed=0

# One translation unit through every compiler.
try() { # what the unit is, its text
    echo "$2" >"$tmp/unit"
    while read -r compiler; do
        [ -n "$compiler" ] || continue
        # shellcheck disable=SC2086 # flags are words
        if $compiler -Iinclude -Wall -Wextra -pedantic -Werror -fsyntax-only "$tmp/unit" \
            >"$tmp/out" 2>&1; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "FAIL $1: $compiler"
            head -5 "$tmp/out"
        fi
    done <<END
$compilers
END
}

include() { # names
    for name in "$@"; do
        case $name in
        */*) echo "#include <$name>" ;;
        *) echo "#include \"$name\"" ;;
        esac
    done
}

# What every program may rely on, whatever it included first.
names='
#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#else
#define CHECK(what) _Static_assert(what, #what)
#endif
CHECK(TCP_CLOSED == 0 && TCP_LISTEN == 1 && TCP_SYN_SENT == 2 && TCP_SYN_RCVD == 3);
CHECK(TCP_ESTABLISHED == 4 && TCP_FIN_WAIT_1 == 5 && TCP_FIN_WAIT_2 == 6);
CHECK(TCP_FINE_WAIT_2 == TCP_FIN_WAIT_2 && TCP_CLOSE_WAIT == 7 && TCP_CLOSING == 8);
CHECK(TCP_LAST_ACK == 9 && TCP_TIME_WAIT == 10 && TCP_NODELAY == 1 && TCP_INFO == 11);
CHECK(MOS_TCPI_ESTABLISHED == 1 && MOS_TCPI_LISTEN == 10);
CHECK(SOL_MONSOCKET == 0xfffe && MOS_FRAGINFO_CLIBUF == 1 && MOS_FRAGINFO_SVRBUF == 2);
CHECK(MOS_INFO_CLIBUF == 3 && MOS_INFO_SVRBUF == 4 && MOS_TCP_STATE_CLI == 5);
CHECK(MOS_TCP_STATE_SVR == 6 && MOS_TIMESTAMP == 7 && MOS_CLIBUF == 9 && MOS_SVRBUF == 0xa);
CHECK(MOS_STOP_MON == 0xc && MOS_CLIOVERLAP == 0xf && MOS_SVROVERLAP == 0x10);
CHECK(MOS_MISSED_CLIBUF == 0x11 && MOS_MISSED_SVRBUF == 0x12 && MOS_LASTERROR == 0x13);
CHECK(MOS_END_REASON == 0x14 && MOS_ENDPOINT_SOCK == 0x15 && MOS_REAL_SIDE == 0x16);
CHECK(MOS_NOW == 0x17);
CHECK(MOS_OVERLAP_POLICY_FIRST == 0 && MOS_OVERLAP_POLICY_LAST == 1);
CHECK(MOS_SIDE_CLI == 0 && MOS_SIDE_SVR == 1 && MOS_SIDE_BOTH == 2);
CHECK(MOS_ON_PKT_IN == 1 && MOS_ON_PKT_OUT == 2 && MOS_ON_CONN_START == 4);
CHECK(MOS_ON_CONN_SETUP == 8 && MOS_ON_CONN_NEW_DATA == 0x10 && MOS_ON_ERROR == 0x20);
CHECK(MOS_ON_TIMEOUT == 0x40 && MOS_ON_TCP_STATE_CHANGE == 0x80 && MOS_ON_ORPHAN == 0x100);
CHECK(MOS_ON_REXMIT == 0x200 && MOS_ON_CONN_END == 0x400 && MOS_ON_DEBUG_MESSAGE == 0x800);
CHECK(MOS_NULL == 1 << 29 && MOS_HK_RCV == 1 << 30 && (unsigned)MOS_HK_SND == 1u << 31);
CHECK(MOS_ETH_HDR == 1 && MOS_DROP == 1 << 6 && MOS_INSERT == 1 << 9);
CHECK(MOS_SOCK_STREAM == 4 && MOS_SOCK_MONITOR_STREAM_ACTIVE == 6 && MOS_SOCK_PIPE == 9);
CHECK(MOS_EPOLLIN == 2 && MOS_EPOLLOUT == 8 && MOS_EPOLLERR == 0x200 && MOS_EPOLLHUP == 0x400);
CHECK(MOS_EPOLLRDHUP == 0x800 && MOS_EPOLLONESHOT == 1 << 30 && (uint64_t)MOS_EPOLLET >> 31 == 1);
CHECK(sizeof(struct tcp_buf_info) == 16 && sizeof(struct tcp_ring_fragment) == 16);
CHECK(sizeof(struct pkt_info) == 72 && sizeof(struct pkt_ctx) == 80);
'

# The two dialects: what programs of mTCP and of mOS write.
mtcp_dialect='
int program(mctx_t mctx, int ep, int s)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    int n = 0;
    struct mtcp_epoll_event ev;
    ev.events = MTCP_EPOLLIN | MTCP_EPOLLOUT | MTCP_EPOLLET | MTCP_EPOLLONESHOT;
    ev.data.sockid = s;
    if (mtcp_epoll_ctl(mctx, ep, MTCP_EPOLL_CTL_ADD, s, &ev) < 0)
        return -1;
    if (ev.events & MTCP_EPOLLRDHUP)
        return ev.data.sockid;
    mtcp_getpeername(mctx, s, (struct sockaddr *)&a, &len);
    mtcp_getpeername(mctx, s, (struct sockaddr *)&a, &len, MOS_SIDE_CLI);
    return mtcp_socket_ioctl(mctx, s, 0, &n);
}'
mos_dialect='
static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct tcp_ring_fragment frags[4];
    socklen_t n = 4;
    char buf[16];
    (void)event;
    (void)arg;
    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
                        side == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF, frags,
                        &n) == 0 && n > 0)
        mtcp_ppeek(mctx, sock, side, buf, sizeof(buf), frags[0].offset);
}
int program(mctx_t mctx)
{
    union monitor_filter ft = {0};
    int s = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    ft.stream_syn_filter = 0;
    if (mtcp_bind_monitor_filter(mctx, s, &ft) < 0)
        return -1;
    return mctx->cpu + mtcp_register_callback(mctx, s, MOS_ON_CONN_END, MOS_HK_SND, on_data);
}'
try "mTCP's dialect" "$(include mtcp_api.h mtcp_epoll.h mtcp_compat.h)$mtcp_dialect"
try "mOS's dialect" "$(include mos_api.h)$mos_dialect"
try "mOS's dialect from mtcp_api.h" "$(include mtcp_api.h)$mos_dialect"

for h in $headers; do
    try "$h alone" "$(include "$h")"
    try "$h twice" "$(include "$h" "$h")"
    for other in $headers; do
        [ "$h" = "$other" ] || try "$h, $other" "$(include "$h" "$other")"
    done
done
for h in mtcp_api.h mtcp_epoll.h mos_api.h mtcp_compat.h; do
    for tcp in netinet/tcp.h linux/tcp.h; do
        try "$tcp, $h" "$(include "$tcp" "$h")$names"
        try "$h, $tcp" "$(include "$h" "$tcp")$names"
        try "$tcp, $h, $tcp" "$(include "$tcp" "$h" "$tcp")$names"
    done
    try "$h, then the system's" "$(include "$h" linux/if_ether.h net/ethernet.h \
        netinet/if_ether.h netinet/ip6.h arpa/inet.h sys/epoll.h poll.h signal.h)$names"
done

echo "headers: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
