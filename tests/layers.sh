#!/usr/bin/env bash
# The layer check: who may include whom (docs/design.md), DPDK only in *_dpdk.c, includes from the root,
# no function over 80 lines, no exit/abort/print in the library. One finding, one line.
set -u
cd "$(dirname "$0")/.."
findings=0
checks=0
bad() { printf '%s\n' "$*"; findings=$((findings + 1)); }

# For each room, the rooms it may include ("inc" = the public headers).
allowed() {
    case "$1" in
    mtcp/base) echo "mtcp/base" ;;
    mtcp/wire) echo "mtcp/wire mtcp/base" ;;
    mtcp/io)   echo "mtcp/io mtcp/base inc" ;;
    mtcp/tcp)  echo "mtcp/tcp mtcp/wire mtcp/base" ;;
    mtcp/net)  echo "mtcp/net mtcp/tcp mtcp/io mtcp/wire mtcp/base" ;;
    mtcp/core) echo "mtcp/core mtcp/net mtcp/tcp mtcp/io mtcp/wire mtcp/base inc" ;;
    mtcp/sock) echo "mtcp/sock mtcp/core mtcp/net mtcp/tcp mtcp/io mtcp/wire mtcp/base inc" ;;
    mos)       echo "mos mtcp/wire mtcp/base hook inc" ;;
    apps|bench) echo "inc apps bench" ;;
    include)   echo "inc" ;;
    esac
}

room_of() {
    case "$1" in
    mtcp/*/*) echo "${1%/*}" ;;
    mos/*) echo mos ;;
    apps/*) echo apps ;;
    bench/*) echo bench ;;
    include/*) echo include ;;
    esac
}

while IFS= read -r f; do
    room=$(room_of "$f")
    [ -n "$room" ] || continue
    checks=$((checks + 1))
    ok=$(allowed "$room")
    while IFS= read -r inc; do
        case "$inc" in
        mtcp/tcp/hook.h) to=mtcp/tcp; [ "$room" = mos ] && to=hook ;;
        mtcp/*/*) to=${inc%/*} ;;
        mos/*) to=mos ;;
        apps/*) to=apps ;;
        bench/*) to=bench ;;
        mtcp_*.h|mos_api.h) to=inc ;;
        *) continue ;;
        esac
        case " $ok " in *" $to "*) ;; *) bad "$f: $room may not include $inc" ;; esac
    done < <(sed -nE 's/^#[[:space:]]*include[[:space:]]+["<]([^">]+)[">].*/\1/p' "$f")
    case "$f" in
    *_dpdk.c) ;;
    *) grep -nE '^#[[:space:]]*include[[:space:]]*[<"]rte_' "$f" | sed "s|^|$f:|;s|\$| (DPDK belongs in *_dpdk.c)|" | grep . && findings=$((findings + 1)) ;;
    esac
    if grep -nE '^#[[:space:]]*include[[:space:]]*"\.\.?/' "$f" >/dev/null; then bad "$f: includes are written from the root"; fi
done < <(git ls-files '*.c' '*.h' | grep -v '^tests/')

while IFS= read -r line; do bad "$line"; done < <(
    git ls-files 'mtcp/*.c' 'mos/*.c' 'apps/*.c' 'bench/*.c' | xargs -r awk '
        FNR==1{s=0} /^\{/{s=FNR} /^\}/{ if (s && FNR-s > 80) printf "%s:%d: a function of %d lines\n", FILENAME, s, FNR-s; s=0}')
while IFS= read -r line; do bad "$line (the library never exits)"; done < <(
    git grep -nE '(^|[^_a-z.>])(exit|abort) *\(' -- 'mtcp/*.c' 'mos/*.c' | grep -vE '^[^:]+:[0-9]+: *(\*|/\*|//)')
while IFS= read -r line; do bad "$line (mtcp never names mos)"; done < <(
    git grep -nE '#[[:space:]]*include[[:space:]]*"mos/' -- 'mtcp/*')

echo "layers: $((checks - (findings < checks ? findings : checks))) passed, $findings failed"
[ "$findings" = 0 ]
