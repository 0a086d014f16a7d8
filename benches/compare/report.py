"""The figures as text for the terminal, and as Markdown for docs/performance.md."""

from measure import BARE, FILES

# What the gate, signed in, should reach: part of the benchmark, row, requests per second of the gate divided by the row's.
AIMS = [
    ("1k", BARE, 1.05),
    ("1k", "nginx + auth_request", 1.5),
    ("1k", "nginx proxy_pass", 0.65),
    ("1k", "oauth2-proxy", 8),
    ("1k", "Apache + mod_auth_openidc", 2.8),
    ("file", FILES, 0.8),
]
# KiB of an idle keep-alive connection.
MEMORY_AIMS = {"gate, plain": 20, "gate, TLS": 40}
WHAT = {"1k": "1 KiB", "file": "a cached file of 300 KiB"}


def show(result):
    """One part, for the terminal."""
    print(f"\n{result['title']}\n{'':26}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'RSS MiB':>9}", end="")
    print(f"{'x base':>9}{'x CPU':>8}{'gate x':>9}{'CPU':>8}")
    for r in result["rows"]:
        print(
            f"{r['name']:26}{r['rps']:9.0f}{r['p50_us'] / 1000:9.2f}{r['p99_us'] / 1000:9.2f}{r['cpu_us']:9.1f}"
            f"{r['rss_mib']:9.1f}{r['rps_ratio']:9.3f}{r['cpu_ratio']:8.3f}{r['gate_rps']:9.3f}{r['gate_cpu']:8.3f}",
            flush=True,
        )


def aims(found):
    """Lines of a table: what was aimed for, what was reached."""
    lines = ["| Gate, signed in, compared with | Aim | Requests/s | | CPU per request |", "|---|---|---|---|---|"]
    # With few connections the same size shows latency; the aims are about throughput.
    many = [part for part in found.get("throughput", []) if part["connections"] > 4]
    parts = {part["size"]: {row["name"]: row for row in part["rows"]} for part in many}
    for size, name, aim in AIMS:
        row = parts.get(size, {}).get(name)
        if row:
            reached = "reached" if row["gate_rps"] >= aim else "missed"
            lines.append(f"| {name}, {WHAT[size]} | {aim} | {row['gate_rps']:.2f} | {reached} | {row['gate_cpu']:.2f} |")
    for row in found.get("idle", []):
        aim = MEMORY_AIMS.get(row["name"])
        if aim:
            reached = "reached" if row["kib_each"] <= aim else "missed"
            lines.append(f"| memory of an idle connection: {row['name']} | {aim} KiB | {row['kib_each']:.1f} KiB | {reached} | |")
    return lines


def markdown(found):
    m = found["machine"]
    lines = [
        f"{m['date']}, {m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, nginx {m['nginx']}, oauth2-proxy {m['oauth2_proxy']},",
        f"Apache {m['apache']}, revision {m['commit']}, load average {m['load']:.1f} before and {m['load_after']:.1f} after.",
        "", *aims(found),
    ]
    for part in found.get("throughput", []):
        base = "bare" if part["baseline"] == BARE else "nginx"
        lines += [
            "", f"{part['title']}:", "",
            f"| row | requests/s | of {base} | gate / row | p50 ms | p99 ms | CPU µs/request | of {base} | gate / row | RSS MiB |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for r in part["rows"]:
            lines.append(
                f"| {r['name']} | {r['rps']:,.0f} | {r['rps_ratio']:.2f} | {r['gate_rps']:.2f} | {r['p50_us'] / 1000:.2f} "
                f"| {r['p99_us'] / 1000:.2f} | {r['cpu_us']:.1f} | {r['cpu_ratio']:.2f} | {r['gate_cpu']:.2f} | {r['rss_mib']:.0f} |"
            )
        failed = [f"{r['name']} {r['errors']}" for r in part["rows"] if r["errors"]]
        lines += ["", f"**Failed requests: {', '.join(failed)}.**"] if failed else []
    if found.get("idle"):
        lines += ["", f"Idle memory, {found['idle_count']:,} keep-alive HTTP/1.1 connections:", "", "| | KiB each |", "|---|---|"]
        lines += [f"| {row['name']} | {row['kib_each']:.1f} |" for row in found["idle"]]
    return "\n".join(lines) + "\n"
