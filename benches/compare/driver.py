#!/usr/bin/env python3
"""Measures the gate beside bare Pingora, nginx, oauth2-proxy and mod_auth_openidc: interleaved runs, medians, ratios.
docs/performance.md explains.

Standard library only. Prints tables, and writes them as JSON and as Markdown.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apache
import oauth2_proxy
import report
from measure import throughput
from memory import buffers, idle
from oidc_provider import Provider
from world import World


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
        "nginx": nginx.rpartition("/")[2] or nginx,
        "oauth2_proxy": oauth2_proxy.version(),
        "apache": apache.version(),
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
    parser.add_argument("--only", choices=["1k", "64k", "1m", "calm", "file", "idle", "buffers"], help="one part alone")
    parser.add_argument("--quick", action="store_true", help="each part as short as it can be: does everything work?")
    parser.add_argument("--out", default="target/bench/compare.json", help="JSON; the Markdown is written beside it")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.idle = 1, 1, min(args.idle, 100)

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
        (f"A file of 300 KiB with gzip, {c} connections, {n} runs of {s} s", "file", c, n, s),
    ]
    parts = dict(zip(["1k", "64k", "1m", "calm", "file"], plan))
    found = {"machine": machine()}
    m = found["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, nginx {m['nginx']}, Apache {m['apache']}, oauth2-proxy {m['oauth2_proxy']}, commit {m['commit']}, load {m['load']:.1f}")
    print("proxy on core {}, wrk and upstream on core {}".format(*cores) if cores[0] is not None else "not pinned")
    scratch = Path(tempfile.mkdtemp(prefix="wecom-gate-bench-"))
    world = provider = None
    began = time.monotonic()
    try:
        world = World(args.binaries, scratch, cores)
        world.start()
        provider = Provider(scratch)
        if args.only == "buffers":
            found["buffers"] = buffers(world, shorter, args.idle or 1000, fewer)
        if args.only not in ("idle", "buffers"):
            found["throughput"] = throughput(world, provider, [parts[args.only]] if args.only else plan, report.show)
        if args.idle and args.only in (None, "idle"):
            found["idle"], found["idle_count"] = idle(world, args.idle), args.idle
    finally:
        if provider:
            provider.close()
        if world:
            world.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    m["load_after"], m["seconds"] = os.getloadavg()[0], round(time.monotonic() - began)
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    tables = out.with_suffix(".md")
    tables.write_text(report.markdown(found))
    print("\n" + "\n".join(report.aims(found)))
    print(f"\n{m['seconds']} s, load {m['load']:.1f} before and {m['load_after']:.1f} after; {out}, {tables}")


if __name__ == "__main__":
    main()
