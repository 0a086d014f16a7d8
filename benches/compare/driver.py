#!/usr/bin/env python3
"""Measures the gate beside bare Pingora and nginx: interleaved runs, medians, ratios. docs/performance.md explains.

Standard library only. Prints a table and writes JSON.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from world import SIZES, World, cpu_seconds, rss_kib

HERE = Path(__file__).resolve().parent


def wrk(world, port, size, seconds, connections):
    """One run of wrk with the headers of a signed-in page."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "report.lua")]
    for name, value in world.headers().items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{port}/api/bench:{size}")
    if world.load_core is not None:
        command = ["taskset", "-c", str(world.load_core), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    line = next((l for l in done.stdout.splitlines() if l.startswith("REPORT ")), None)
    if line is None:
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    return json.loads(line[len("REPORT "):])


class Candidate:
    """A proxy to measure: its processes (all count for CPU and memory) and its port."""

    def __init__(self, name, *processes):
        self.name, self.processes = name, processes
        self.port = processes[0].port
        self.pids = [p.pid for p in processes]

    def measure(self, world, size, seconds, connections):
        before = cpu_seconds(self.pids)
        got = wrk(world, self.port, size, seconds, connections)
        cpu = cpu_seconds(self.pids) - before
        if got["errors"]:
            print(f"  {self.name}: {got['errors']} errors of {got['requests']}", file=sys.stderr)
        return {
            "rps": got["requests"] / (got["duration_us"] / 1e6),
            "p50_us": got["p50"],
            "p99_us": got["p99"],
            "cpu_us": cpu * 1e6 / max(1, got["requests"]),
            "rss_mib": rss_kib(self.pids) / 1024,
            "errors": got["errors"],
        }


def start(world):
    """The candidates, in the order in which they take turns."""
    gate, gate_logging, gate_auth = world.gate(), world.gate(access_log=True), world.gate()
    profiled = "examples/bare-same-profile"
    return [
        Candidate("bare Pingora", world.bare()),
        *([Candidate("bare, the gate's profile", world.bare(program=profiled))] if world.has(profiled) else []),
        Candidate("gate, signed in", gate),
        Candidate("gate, access log on", gate_logging),
        Candidate("bare + 5 proxy headers", world.bare("--headers")),
        Candidate("bare, Pingora's buffers", world.bare("--read-buffer", "65536")),
        Candidate("nginx proxy_pass", world.nginx_proxy()),
        Candidate("nginx + auth_request", world.nginx_proxy(gate_auth.port), gate_auth),
    ]


def check(world, candidates):
    """Before anything is measured: every candidate responds correctly, and the gate has a session."""
    for candidate in candidates:
        for size, length in SIZES.items():
            status, body = world.get(candidate.port, f"/api/bench:{size}")
            assert status == 200 and len(body) == length, (candidate.name, size, status, len(body))
        status, seen = world.get(candidate.port, "/api/bench:who")
        swapped = seen.startswith(b"Bearer eyJ")
        is_gate = candidate.name.startswith("gate")
        assert status == 200 and swapped == is_gate, (candidate.name, status)
        if is_gate or "auth_request" in candidate.name:
            status, _ = world.get(candidate.port, "/api/bench:1k", signed_in=False)
            assert status == 401, (candidate.name, "let a stranger in", status)


def throughput(world, plan):
    """All plans, each candidate in turn, round after round."""
    results = []
    for title, size, connections, rounds, seconds in plan:
        candidates = start(world)
        try:
            check(world, candidates)
            runs = {c.name: [] for c in candidates}
            for candidate in candidates:
                wrk(world, candidate.port, size, 1, connections)
            for _ in range(rounds):
                for candidate in candidates:
                    runs[candidate.name].append(candidate.measure(world, size, seconds, connections))
        finally:
            world.stop([p for c in candidates for p in c.processes])
        rows = []
        for name, measured in runs.items():
            row = {key: statistics.median(m[key] for m in measured) for key in measured[0]}
            row["name"], row["rps_runs"] = name, [round(m["rps"]) for m in measured]
            row["errors"] = sum(m["errors"] for m in measured)
            rows.append(row)
        yardstick = runs["bare Pingora"]
        for row in rows:
            # Each run is compared with bare Pingora's in the same round: a disturbance affects both.
            pairs = list(zip(runs[row["name"]], yardstick))
            row["rps_ratio"] = statistics.median(m["rps"] / b["rps"] for m, b in pairs)
            row["cpu_ratio"] = statistics.median(m["cpu_us"] / max(b["cpu_us"], 1e-9) for m, b in pairs)
        show(title, rows)
        results.append({"title": title, "size": size, "connections": connections, "rows": rows})
    return results


def show(title, rows):
    print(f"\n{title}")
    print(f"{'':26}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'RSS MiB':>9}{'x req/s':>9}{'x CPU':>8}")
    for r in rows:
        print(
            f"{r['name']:26}{r['rps']:9.0f}{r['p50_us'] / 1000:9.2f}{r['p99_us'] / 1000:9.2f}{r['cpu_us']:9.1f}"
            f"{r['rss_mib']:9.1f}{r['rps_ratio']:9.3f}{r['cpu_ratio']:8.3f}",
            flush=True,
        )


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


def machine():
    def first(path, key):
        try:
            lines = Path(path).read_text().splitlines()
            return next((l.split(":", 1)[1].strip() for l in lines if l.startswith(key)), "")
        except OSError:
            return ""

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": first("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "nginx": nginx.rpartition(" ")[2] or nginx,
        "commit": commit,
        "load": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", default="target/release", help="where wecom-gate and examples/bare are")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for 1 KiB; the others have fewer (default: 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a run for 1 KiB (default: 4)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--idle", type=int, default=3000, help="idle connections to hold, 0: none (default: 3000)")
    parser.add_argument("--only", choices=["1k", "64k", "1m", "calm", "idle", "buffers"], help="one part alone")
    parser.add_argument("--out", default="target/bench/compare.json")
    args = parser.parse_args()

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    available = sorted(os.sched_getaffinity(0))
    cores = (available[0], available[1]) if len(available) > 1 and shutil.which("taskset") else (None, None)
    n, s, c = args.rounds, args.seconds, args.connections
    fewer, shorter = max(1, n * 3 // 5), max(1, s // 2)
    plan = [
        (f"1 KiB, {c} connections, {n} runs of {s} s", "1k", c, n, s),
        (f"64 KiB, {c} connections, {fewer} runs of {shorter} s", "64k", c, fewer, shorter),
        (f"1 MiB, {c} connections, {fewer} runs of {shorter} s", "1m", c, fewer, shorter),
        (f"1 KiB, 4 connections (latency), {fewer} runs of {shorter} s", "1k", 4, fewer, shorter),
    ]
    parts = dict(zip(["1k", "64k", "1m", "calm"], plan))
    found = {"machine": machine()}
    m = found["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, {m['nginx']}, commit {m['commit']}, load {m['load']:.1f}")
    print("proxy on core {}, wrk and upstream on core {}".format(*cores) if cores[0] is not None else "not pinned")
    scratch = tempfile.mkdtemp(prefix="wecom-gate-bench-")
    world = None
    began = time.monotonic()
    try:
        world = World(args.binaries, scratch, cores)
        world.start()
        if args.only == "buffers":
            found["buffers"] = buffers(world, shorter, args.idle or 1000, fewer)
        if args.only not in ("idle", "buffers"):
            found["throughput"] = throughput(world, [parts[args.only]] if args.only else plan)
        if args.idle and args.only in (None, "idle"):
            found["idle"] = idle(world, args.idle)
    finally:
        if world:
            world.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    m["load_after"], m["seconds"] = os.getloadavg()[0], round(time.monotonic() - began)
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\n{m['seconds']} s, load {m['load']:.1f} before and {m['load_after']:.1f} after; {out}")


if __name__ == "__main__":
    main()
