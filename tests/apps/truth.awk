# What an independent reader of a capture says of its connections, in the words of a conn.log: reads
#
#   tshark -r FILE -T fields -E separator=/t -E occurrence=f -e tcp.stream -e ip.src -e ipv6.src
#       -e tcp.srcport -e ip.dst -e ipv6.dst -e tcp.dstport -e ip.len -e ipv6.plen -e tcp.len
#       -e tcp.seq -e tcp.flags.syn -e tcp.flags.ack -e tcp.flags.fin -e tcp.flags.reset
#       -e tcp.analysis.retransmission -e tcp.analysis.out_of_order
#
# (sequence numbers relative) and writes, one connection a line, sorted by whoever calls:
#
#   orig_h orig_p resp_h resp_p state orig_bytes resp_bytes orig_pkts orig_ip resp_pkts resp_ip
#   and, of each, the segments with payload that are flagged as retransmitted or out of order
BEGIN { FS = "\t" }
{
    s = $1
    src = $2 $3 " " $4
    dst = $5 $6 " " $7
    if (!(s in orig)) {
        orig[s] = src
        resp[s] = dst
    }
    who = src == orig[s] ? "o" : "r"
    k = s who
    other = s (who == "o" ? "r" : "o")
    pkts[k]++
    ip[k] += $8 != "" ? $8 : $9 + 40
    end = $11 + $10 - ($12 ? 0 : 1)
    if ($10 > 0 && !$15 && end > bytes[k]) bytes[k] = end
    if ($12 && $13) answered[s] = 1
    if ($14) fin[k] = 1
    if ($15 && !(fin[k] && fin[other])) rst[k] = 1
    if ($10 > 0 && ($16 != "" || $17 != "")) again[k]++
}
END {
    for (s in orig) {
        o = s "o"
        r = s "r"
        if (rst[r]) state = answered[s] ? "RSTR" : "REJ"
        else if (rst[o]) state = answered[s] ? "RSTO" : "RSTOS0"
        else if (fin[o] && fin[r]) state = "SF"
        else if (fin[o]) state = "S2"
        else if (fin[r]) state = "S3"
        else state = answered[s] ? "S1" : "S0"
        print orig[s], resp[s], state, bytes[o] + 0, bytes[r] + 0, pkts[o] + 0, ip[o] + 0, \
            pkts[r] + 0, ip[r] + 0, again[o] + 0, again[r] + 0
    }
}
