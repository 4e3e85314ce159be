#!/bin/sh
# Stands in for ip, tc, ethtool and nstat in packetdrill's scripts, whose device is the adapter's: what
# a route says is written where the adapter looks (settings.c), which writes what nstat says; the rest
# changes nothing.
case "${0##*/} $*" in
"ip route change "*|"ip route replace "*)
    while [ $# -gt 1 ]; do
        case "$1" in
        initcwnd|advmss) echo "$2" >"/proc/sys/net/ipv4/route_$1" ;;
        mtu) [ "$2" = lock ] && shift; echo "$2" >/proc/sys/net/ipv4/route_mtu ;;
        esac
        shift
    done ;;
"ip tcp_metrics flush"*) echo >>/proc/sys/net/ipv4/metrics_flushed ;;
"nstat "*) cat /proc/sys/net/ipv4/counters 2>/dev/null ;;
"ethtool -K "*"tso "*)
    while [ "$1" != tso ]; do shift; done
    echo "$2" >/proc/sys/net/ipv4/device_tso ;;
esac
exit 0
