"""Memory of idle connections, and how the listener's buffers were chosen."""

import socket
import ssl
import statistics
import time

from measure import Candidate, wrk
from world import SIZES, rss_kib


def hold(world, process, port, count, tls):
    """KiB per connection of `count` idle keep-alive connections, each of which has had one response."""
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = "".join(f"{n}: {v}\r\n" for n, v in world.headers().items())
    request = f"GET /api/bench:1k HTTP/1.1\r\n{head}\r\n".encode()

    def connect():
        s = socket.create_connection(("127.0.0.1", port), 10)
        s = context.wrap_socket(s, server_hostname="localhost") if context else s
        s.sendall(request)
        response = b""
        while len(response.partition(b"\r\n\r\n")[2]) < SIZES["1k"]:
            piece = s.recv(65536)
            assert piece, "closed early"
            response += piece
        assert response.startswith(b"HTTP/1.1 200"), response[:100]
        return s

    for s in [connect() for _ in range(20)]:
        s.close()
    time.sleep(0.5)
    before = rss_kib([process.pid])
    held = [connect() for _ in range(count)]
    time.sleep(1)
    during = rss_kib([process.pid])
    for s in held:
        s.close()
    time.sleep(2)
    after = rss_kib([process.pid])
    return {"kib_each": (during - before) / count, "rss_mib": [x / 1024 for x in (before, during, after)]}


def idle(world, count):
    rows = []
    print(f"\n{count} idle keep-alive connections")
    print(f"{'':40}{'KiB each':>9}   RSS MiB before, during, after")
    for tls in (False, True):
        for name, make in [
            ("gate", lambda: world.gate(tls=tls)),
            ("bare Pingora, the gate's buffers", lambda: world.bare(tls=tls)),
            ("bare Pingora, Pingora's buffers", lambda: world.bare("--read-buffer", "65536", tls=tls)),
        ]:
            process = make()
            try:
                row = hold(world, process, process.tls_port if tls else process.port, count, tls)
            finally:
                world.stop([process])
            row["name"] = f"{name}, {'TLS' if tls else 'plain'}"
            rows.append(row)
            print(f"{row['name']:40}{row['kib_each']:9.1f}   " + ", ".join(f"{x:.0f}" for x in row["rss_mib"]), flush=True)
    return rows


def buffers(world, seconds, count, rounds):
    """Throughput and idle memory over the read buffer: how the gate's was chosen."""
    print(f"\n{'read / write buffer':24}{'1k req/s':>9}{'64k':>9}{'1m':>9}{'KiB plain':>11}{'KiB TLS':>9}")
    choices = [(r, w) for w in (1460, 8192) for r in (2048, 4096, 8192, 16384, 65536)]
    rates = {choice: {size: [] for size in SIZES} for choice in choices}
    rows = []
    for _ in range(rounds):
        for choice in choices:
            process = world.bare("--read-buffer", str(choice[0]), "--write-buffer", str(choice[1]))
            for size in SIZES:
                wrk(world, process.port, size, 1, 64)
                rates[choice][size].append(Candidate("", process).measure(world, size, seconds, 64)["rps"])
            world.stop([process])
    for choice in choices:
        row = {"read": choice[0], "write": choice[1]}
        row |= {size: statistics.median(measured) for size, measured in rates[choice].items()}
        for name, tls in (("plain", False), ("tls", True)):
            process = world.bare("--read-buffer", str(choice[0]), "--write-buffer", str(choice[1]), tls=tls)
            port = process.tls_port if tls else process.port
            row[name] = hold(world, process, port, count, tls)["kib_each"]
            world.stop([process])
        print(
            f"{choice[0]:>10} / {choice[1]:<10} {row['1k']:9.0f}{row['64k']:9.0f}{row['1m']:9.0f}"
            f"{row['plain']:11.1f}{row['tls']:9.1f}",
            flush=True,
        )
        rows.append(row)
    return rows
