#!/usr/bin/env python3
"""A server on the kernel's sockets that does what servers should not.

    rude.py ADDR PORT reset|half|silent|more|short|close [N]

reset: reads the request, resets. half: resets in the middle of the response. silent: never answers.
more: a response and bytes that nobody asked for. short: ends the stream before the response's end.
close: answers, and closes at once, whatever was asked. With N, every N-th connection only; the
others get a good response. Prints "ready", then one line per connection at its end: bytes received.
"""
import socket
import struct
import sys
import threading

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"


def request_read(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        if not piece:
            break
        data += piece
    return len(data)


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def rude(conn, how):
    if how == "silent":
        while conn.recv(65536):
            pass
    elif how == "close":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    elif how != "reset":
        conn.sendall(GOOD + b"again" if how == "more" else HALF)
    if how in ("reset", "half"):
        reset(conn)


def serve(conn, how):
    try:
        n = request_read(conn)
        if n == 0:
            pass
        elif how == "good":
            while n:
                conn.sendall(GOOD)
                n = request_read(conn)
        else:
            rude(conn, how)
        print(n, flush=True)
    except OSError as e:
        print(e, flush=True)
    conn.close()


def main():
    addr, port, how = sys.argv[1:4]
    every = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    listener = socket.create_server((addr, int(port)), backlog=1024)
    print("ready", flush=True)
    number = 0
    while True:
        conn, _ = listener.accept()
        number += 1
        threading.Thread(target=serve, args=(conn, how if number % every == 0 else "good"),
                         daemon=True).start()


main()
