#!/usr/bin/python3
"""Writes a capture of known connections, and says what a log must have of each.

    captures.py FILE    one line each on stdout, by the originator's port:
                        port state orig_bytes resp_bytes missed history orig_pkts resp_pkts
"""
import sys

from scapy.all import Ether, IP, TCP, Raw, wrpcap

ORIG, RESP = "10.1.0.1", "10.1.0.2"
packets = []
lines = []


class Conn:
    """One connection: o() and r() are segments of the originator and the responder, numbers count
    payload bytes from 0."""

    def __init__(self, port, isn=(0xFFFFFF00, 0x7FFFFFF0)):
        self.port, self.isn = port, isn
        self.n = [0, 0]

    def segment(self, who, flags, off=0, data=b"", ack=0, window=8000):
        seq = (self.isn[who] + 1 + off) % 2**32
        ackn = (self.isn[1 - who] + 1 + ack) % 2**32 if "A" in flags else 0
        ends = [(ORIG, self.port), (RESP, 80)]
        (src, sport), (dst, dport) = ends[who], ends[1 - who]
        p = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=src, dst=dst, id=1)
        p /= TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ackn, window=window)
        if data:
            p /= Raw(data)
        p.time = 1500000000 + len(packets) / 1000
        packets.append(p)
        self.n[who] += 1

    def o(self, *args, **kwargs):
        self.segment(0, *args, **kwargs)

    def r(self, *args, **kwargs):
        self.segment(1, *args, **kwargs)

    def handshake(self):
        self.o("S", -1)
        self.r("SA", -1)
        self.o("A")

    def close(self, orig, resp):
        self.o("FA", orig, ack=resp)
        self.r("FA", resp, ack=orig + 1)
        self.o("A", orig + 1, ack=resp + 1)

    def says(self, state, orig, resp, history, missed=0):
        lines.append((self.port, state, orig, resp, missed, history, self.n[0], self.n[1]))


def plain():
    c = Conn(1001)
    c.handshake()
    c.o("PA", 0, b"x" * 100)
    c.r("A", 0, b"y" * 1400, ack=100)
    c.r("PA", 1400, b"y" * 600, ack=100)
    c.o("A", 100, ack=2000)
    c.close(100, 2000)
    c.says("SF", 100, 2000, "ShADdFf")


def no_answer():
    c = Conn(1002)
    c.o("S", -1)
    c.o("S", -1)
    c.says("S0", 0, 0, "S")


def refused():
    c = Conn(1003)
    c.o("S", -1)
    c.r("RA", 0)
    c.says("REJ", 0, 0, "Sr")


def given_up():
    c = Conn(1004)
    c.o("S", -1)
    c.o("R", 0)
    c.says("RSTOS0", 0, 0, "SR")


def resets():
    c = Conn(1005)
    c.handshake()
    c.o("PA", 0, b"x" * 10)
    c.o("RA", 10)
    c.says("RSTO", 10, 0, "ShADR")
    c = Conn(1006)
    c.handshake()
    c.o("PA", 0, b"x" * 10)
    c.r("RA", 0, ack=10)
    c.says("RSTR", 10, 0, "ShADr")


def open_ones():
    c = Conn(1007)
    c.handshake()
    c.r("PA", 0, b"y" * 50)
    c.o("A", 0, ack=50)
    c.says("S1", 0, 50, "ShAd")
    c = Conn(1008)
    c.handshake()
    c.o("FA", 0)
    c.r("A", 0, ack=1)
    c.says("S2", 0, 0, "ShAFa")
    c = Conn(1009)
    c.handshake()
    c.r("FA", 0, b"bye")
    c.o("A", 0, ack=4)
    c.says("S3", 0, 3, "ShAf")


def sent_again():
    c = Conn(1010)
    c.handshake()
    for _ in range(12):
        c.o("A", 0, b"x" * 100)
    c.r("A", 0, ack=100)
    c.close(100, 0)
    c.says("SF", 100, 0, "ShADTTaFf")


def overtaken():
    c = Conn(1011)
    c.handshake()
    c.o("A", 100, b"x" * 100)
    c.o("A", 0, b"x" * 100)
    c.r("A", 0, ack=200)
    c.close(200, 0)
    c.says("SF", 200, 0, "ShADTaFf")


def closed_window():
    c = Conn(1012)
    c.handshake()
    c.o("A", 0, b"x" * 100)
    c.r("A", 0, ack=100, window=0)
    c.r("A", 0, ack=100)
    c.close(100, 0)
    c.says("SF", 100, 0, "ShADawFf")


def gap():
    """The capture has lost 300 bytes that arrived."""
    c = Conn(1013)
    c.handshake()
    c.o("A", 0, b"x" * 100)
    c.r("A", 0, ack=100)
    c.o("A", 400, b"x" * 100)
    c.r("A", 0, ack=500)
    c.close(500, 0)
    c.says("SF", 500, 0, "ShADaGFf", missed=300)


def simultaneous():
    c = Conn(1014)
    c.o("S", -1)
    c.r("S", -1)
    c.o("SA", -1)
    c.r("SA", -1)
    c.close(0, 0)
    c.says("SF", 0, 0, "SsFfA")


for make in (plain, no_answer, refused, given_up, resets, open_ones, sent_again, overtaken,
             closed_window, gap, simultaneous):
    make()
wrpcap(sys.argv[1], packets)
for line in lines:
    print(*line)
