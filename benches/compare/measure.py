"""What is compared, the check before it, and the interleaved runs."""

import gzip
import json
import statistics
import subprocess
import sys
from pathlib import Path

import apache
import oauth2_proxy
from oidc_provider import sign_in
from world import FILE, GATE_SESSION, SIZES, cpu_seconds, free_port, rss_kib

REPORT = Path(__file__).resolve().parent / "report.lua"
BARE, GATE, FILES = "bare Pingora", "gate, signed in", "nginx gzip_static"


def target(size):
    return FILE if size == "file" else f"/api/bench:{size}"


class Candidate:
    """A proxy to measure: its processes (all count for CPU and memory) and its port. `session`: the cookies of its session;
    `coding`: what the client accepts; `puts_token`: it replaces `Authorization`; `refuses`: it requires a session."""

    def __init__(self, name, *processes, session=GATE_SESSION, coding="identity", puts_token=False, refuses=False):
        self.name, self.processes, self.session, self.coding = name, processes, session, coding
        self.puts_token, self.refuses = puts_token, refuses
        self.port = processes[0].port
        self.pids = [p.pid for p in processes]

    def measure(self, world, size, seconds, connections):
        before = cpu_seconds(self.pids)
        got = self.load(world, size, seconds, connections)
        cpu = cpu_seconds(self.pids) - before
        # For wrk a redirect to the sign-in is not an error, but it is short.
        least = SIZES[size] if self.coding == "identity" else 0
        if got["errors"] or got["bytes"] < least * got["requests"]:
            print(f"  {self.name}: {got['errors']} errors, {got['bytes']} bytes in {got['requests']} responses", file=sys.stderr)
            got["errors"] = max(1, got["errors"])
        return {
            "rps": got["requests"] / (got["duration_us"] / 1e6),
            "p50_us": got["p50"],
            "p99_us": got["p99"],
            "cpu_us": cpu * 1e6 / max(1, got["requests"]),
            "rss_mib": rss_kib(self.pids) / 1024,
            "errors": got["errors"],
        }

    def load(self, world, size, seconds, connections):
        return wrk(world, self.port, size, seconds, connections, self.session, self.coding)

    def get(self, world, path):
        return world.get(self.port, path, self.session, self.coding)


def wrk(world, port, size, seconds, connections, session=GATE_SESSION, coding="identity"):
    """One run of wrk with the headers of a signed-in page."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(REPORT)]
    for name, value in world.headers(session, coding).items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{port}{target(size)}")
    if world.load_core is not None:
        command = ["taskset", "-c", str(world.load_core), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    line = next((l for l in done.stdout.splitlines() if l.startswith("REPORT ")), None)
    if line is None:
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    return json.loads(line[len("REPORT "):])


def proxies(world, provider):
    """The proxies, in the order in which they take turns."""
    gate, gate_logging, gate_auth = world.gate(), world.gate(access_log=True), world.gate()
    profiled = "examples/bare-same-profile"
    peers = []
    for peer in (oauth2_proxy, apache):
        process = peer.start(world, provider, free_port())
        session = sign_in(world.host, process.port, "/api/bench:1k")
        peers.append(Candidate(peer.NAME, process, session=session, puts_token=True, refuses=True))
    return [
        Candidate(BARE, world.bare()),
        *([Candidate("bare, the gate's profile", world.bare(program=profiled))] if world.has(profiled) else []),
        Candidate(GATE, gate, puts_token=True, refuses=True),
        Candidate("gate, access log on", gate_logging, puts_token=True, refuses=True),
        Candidate("gate, compressing", gate, coding="gzip, deflate", puts_token=True, refuses=True),
        Candidate("bare + 5 proxy headers", world.bare("--headers")),
        Candidate("bare, Pingora's buffers", world.bare("--read-buffer", "65536")),
        Candidate("bare, jemalloc's defaults", world.bare(jemalloc="tcache_max:32768")),
        Candidate("nginx proxy_pass", world.nginx_proxy()),
        Candidate("nginx + auth_request", world.nginx_proxy(gate_auth.port), gate_auth, refuses=True),
        *peers,
    ]


def file_servers(world, _provider):
    """Who serves a file: the gate from its cache, nginx from the disk."""
    return [
        Candidate(FILES, world.nginx_files(), coding="gzip"),
        Candidate(GATE, world.gate(), coding="gzip", refuses=True),
    ]


def check_proxy(world, candidate):
    """Responds correctly, and with a session's token where it should; refuses a stranger where it should."""
    for size, length in SIZES.items():
        status, body, headers = candidate.get(world, target(size))
        packed = headers["Content-Encoding"] == "gzip"
        assert packed == (candidate.coding != "identity"), (candidate.name, size, headers.items())
        body = gzip.decompress(body) if packed else body
        assert status == 200 and len(body) == length, (candidate.name, size, status, len(body))
    status, seen, _ = candidate.get(world, "/api/bench:who")
    # Tokens of NocoBase and of the provider are JWTs; the phantom, which the page sends, is not.
    assert status == 200 and seen.startswith(b"Bearer eyJ") == candidate.puts_token, (candidate.name, status, seen[:20])
    if candidate.refuses:
        status, body, _ = world.get(candidate.port, target("1k"), None)
        assert status in (302, 401, 403) and len(body) != SIZES["1k"], (candidate.name, "let a stranger in", status)


def check_file(world, candidate):
    """Responds with the whole file, compressed with gzip; the gate from its cache."""
    for _ in range(2):
        status, body, headers = candidate.get(world, FILE)
        assert status == 200 and headers["Content-Encoding"] == "gzip", (candidate.name, status, headers.items())
        assert gzip.decompress(body) == world.file, candidate.name
    # The cache compresses once for everyone, and its tag says so; a response compressed on its way has none of this kind.
    assert not candidate.refuses or headers["ETag"].endswith('-gzip"'), (candidate.name, headers["ETag"])
    if candidate.refuses:
        status, _, _ = world.get(candidate.port, FILE, None)
        assert status != 200, (candidate.name, "let a stranger in", status)
    print(f"{candidate.name}: {len(world.file)} bytes are {len(body)} with gzip")


def throughput(world, provider, plan, show):
    """All plans, each candidate in turn, round after round. `show` prints each as soon as it is known."""
    results = []
    for title, size, connections, rounds, seconds in plan:
        start, check, baseline = (file_servers, check_file, FILES) if size == "file" else (proxies, check_proxy, BARE)
        candidates = []
        try:
            candidates = start(world, provider)
            for candidate in candidates:
                check(world, candidate)
            runs = {c.name: [] for c in candidates}
            for candidate in candidates:
                candidate.load(world, size, 1, connections)
            for _ in range(rounds):
                for candidate in candidates:
                    runs[candidate.name].append(candidate.measure(world, size, seconds, connections))
            for candidate in candidates:
                check(world, candidate)
        finally:
            world.stop([p for c in candidates for p in c.processes])
        result = {"title": title, "size": size, "connections": connections, "baseline": baseline, "rows": rows(runs, baseline)}
        show(result)
        results.append(result)
    return results


def rows(runs, baseline):
    """Medians. Each run is compared with others of the same round: a disturbance affects both."""
    found = []
    for name, measured in runs.items():
        row = {key: statistics.median(m[key] for m in measured) for key in measured[0]}
        row["name"], row["rps_runs"] = name, [round(m["rps"]) for m in measured]
        row["errors"] = sum(m["errors"] for m in measured)
        pairs = list(zip(measured, runs[baseline], runs[GATE]))
        row["rps_ratio"] = statistics.median(m["rps"] / b["rps"] for m, b, _ in pairs)
        row["cpu_ratio"] = statistics.median(m["cpu_us"] / max(b["cpu_us"], 1e-9) for m, b, _ in pairs)
        row["gate_rps"] = statistics.median(g["rps"] / m["rps"] for m, _, g in pairs)
        row["gate_cpu"] = statistics.median(g["cpu_us"] / max(m["cpu_us"], 1e-9) for m, _, g in pairs)
        found.append(row)
    return found
