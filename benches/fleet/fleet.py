#!/usr/bin/env python3
"""Many people at several gates, with NocoBase, WeCom and Redis in trouble: `make fleet`. docs/performance.md explains.

Standard library only, and vegeta for the load. Prints a table in Markdown; exits with 1 if an aim is missed.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import crowds
import restarts
import trouble

SCENARIOS = {
    "crowd": crowds.crowd,
    "impatient": crowds.impatient,
    "cold": lambda settings: crowds.cold(settings, 2),
    "cold-4": lambda settings: crowds.cold(settings, 4),
    "half-open": trouble.half_open,
    "limited": trouble.limited,
    "balancer": trouble.balancer,
    "pool": restarts.pool,
    "stops": restarts.stops,
    "rolling": restarts.rolling,
    "upgrades": restarts.upgrades,
}
# At the same time in the quick form, longest first.
QUICK = ["limited", "half-open", "balancer", "crowd", "pool", "cold", "stops", "rolling", "upgrades", "impatient"]
AT_ONCE = 5


class Settings:
    def __init__(self, args):
        self.quick, self.keep, self.vegeta = args.quick, args.keep, args.vegeta
        self.program, self.tools = Path(args.program).resolve(), Path(args.tools).resolve()

    def timed(self, kept):
        """Whether an aim for a duration is kept: the quick form runs on busy machines, and several scenarios at once."""
        return None if self.quick else kept


def run(name, settings):
    began, load = time.monotonic(), os.getloadavg()[0]
    try:
        rows = SCENARIOS[name](settings)
    except (Exception, SystemExit) as e:
        traceback.print_exc()
        rows = [(name, None, None, None), ("the scenario ended early", str(e) or type(e).__name__, "", False)]
    return {"name": name, "rows": rows, "seconds": round(time.monotonic() - began), "load": round(load, 1)}


def table(scenario):
    lines = []
    for what, measured, aim, kept in scenario["rows"]:
        if measured is None:
            lines += ["", f"**{what}** (`{scenario['name']}`)", "", "| | Measured | Aim | |", "|---|---|---|---|"]
        else:
            lines.append(f"| {what} | {measured} | {aim} | {({True: 'kept', False: '**missed**'}).get(kept, '')} |")
    return "\n".join(lines)


def machine(settings):
    model = next((l.split(":")[1].strip() for l in Path("/proc/cpuinfo").read_text().splitlines() if l.startswith("model name")), "")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"), "cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
        "commit": commit, "program": str(settings.program), "load": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="wecom-gate")
    parser.add_argument("--tools", required=True, help="folder with nocobase-standin, wecom-sim and examples/people")
    parser.add_argument("--vegeta", required=True)
    parser.add_argument("--quick", action="store_true", help="few people, several scenarios at once, within a minute")
    parser.add_argument("--keep", action="store_true", help="keep the folders with logs and configurations (those of failed runs are kept)")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario (repeat for several)")
    parser.add_argument("--out", default="target/bench/fleet.json")
    args = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    settings = Settings(args)
    found = {"machine": machine(settings), "quick": args.quick}
    m = found["machine"]
    print(f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, commit {m['commit']}, load {m['load']:.1f}, {m['program']}", flush=True)
    names = args.only or (QUICK if args.quick else list(SCENARIOS))
    began, scenarios = time.monotonic(), []
    with ThreadPoolExecutor(AT_ONCE if args.quick else 1) as pool:
        for scenario in pool.map(lambda name: run(name, settings), names):
            scenarios.append(scenario)
            print(table(scenario), flush=True)
    found["scenarios"] = scenarios
    m["load_after"], m["seconds"] = os.getloadavg()[0], round(time.monotonic() - began)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Path(args.out).write_text(json.dumps(found, indent=1) + "\n")
    missed = [f"{s['name']}: {row[0]}: {row[1]}" for s in scenarios for row in s["rows"] if row[3] is False]
    print(f"\n{m['seconds']} s, load {m['load']:.1f} before and {m['load_after']:.1f} after; {args.out}")
    print("\n".join(["Missed:", *missed] if missed else ["Every aim that this run judges is kept."]))
    # The short form shows that every scenario runs: its figures are of few people, on a machine that may have other work.
    sys.exit(bool(missed) and not args.quick)


if __name__ == "__main__":
    main()
