"""NocoBase, WeCom or Redis in trouble while people work."""

import signal
import time

from crowds import kinds, share
from load import Load, quantile
from world import World, get, until


def meet(world, gates, people, rate=400):
    """Every gate knows these people, after so many a second."""
    load = Load(world.vegeta)
    for n, gate in enumerate(gates):
        for person in range(people):
            load.at(time.time() + (n * people + person) / rate, gate.url("/api/posts:list"), world.call(person))
    load.wait(120)
    responses = load.close()
    assert all(r.code == 200 for r in responses), [r for r in responses if r.code != 200][:3]


def at(responses, begin, end):
    return [r for r in responses if begin <= r.due < end]


def half_open(settings):
    """It accepts and never responds."""
    rate, hangs, people = (60, 4, 20) if settings.quick else (500, 8, 200)
    connections = 2 * rate
    with World(settings, people) as world:
        gate = world.gate("gate", connections=connections)
        meet(world, [gate], people)
        load = Load(world.vegeta, keepalive=False)
        own = Load(world.vegeta, keepalive=False, address="127.0.0.2")
        began = time.time()
        seconds = 3 + hangs + 12
        load.steady(rate, seconds, lambda n: (gate.url("/api/posts:list"), world.call(n % people), None, "GET"))
        pages = own.steady(20, seconds, lambda n: (gate.url("/wecom-gate/gate.js"), world.page(n % people), "own", "GET"))
        ops = own.steady(5, seconds, lambda n: (f"http://127.0.0.1:{gate.ops}/livez", {}, "ops", "GET"))
        time.sleep(3)
        hung = time.time()
        world.nocobase.tell("hang")
        time.sleep(hangs)
        world.nocobase.tell("recover")
        back = time.time()
        pages.join()
        ops.join()
        load.wait(60)
        own.wait(60)
        kept = gate.metric("upstream_requests")
        responses, others = load.close(), own.close()
        swallowed = world.nocobase.done()["swallowed"]
        during = at(responses, hung, back)
        first = min((r.end for r in responses if r.due > back and r.code == 200), default=float("inf")) - back
        # health_interval (2 s) and the time-out of a health check.
        late = [r for r in at(responses, back + (8 if settings.quick else 4), began + seconds) if r.code != 200]
        told = [r.seconds for r in during if r.code]
        without = [r for r in during if not r.code]
        wrong = [r for r in others if r.code != 200]
        return [
            (f"NocoBase accepts and never responds for {hangs} s; {rate} requests/s, each on its own connection, of which {connections} may be open", None, None, None),
            ("requests that NocoBase had swallowed", str(swallowed), "", None),
            ("longest wait until a client is told", f"{max(told, default=0):.1f} s", "<= 4 s", max(told, default=0) <= (15 if settings.quick else 4)),
            ("closed without a byte", share(len(without), len(during)), "0", settings.timed(not without)),
            ("the gate's own pages and /livez that failed", f"{kinds(wrong)} of {len(others)}", "0", not wrong),
            ("p99 of these", f"{quantile(others, 0.99) * 1000:.0f} ms", "", None),
            ("first response after it is back", f"{first:.1f} s", "", None),
            ("failed when it had been back for four seconds", kinds(late), "0", not late),
            ("places still taken at the end", f"{kept:.0f}", "0", kept == 0),
        ]


def limited(settings):
    """WeCom limits the rate of calls."""
    people, recheck = (60, 10) if settings.quick else (2_000, 20)
    rate = people / 5
    # Of a member, and of a department's members.
    paths = ["/cgi-bin/user/get", "/cgi-bin/user/list"]
    with World(settings, people) as world:
        gate = world.gate("gate", recheck=f"{recheck}s")
        # Evenly, so that rechecks are due evenly.
        meet(world, [gate], people, people / recheck)
        load = Load(world.vegeta)

        def called():
            return sum(world.wecom.calls(path) for path in paths)

        def phase():
            """Calls to WeCom and checks in NocoBase while everybody works for one recheck and a bit, per recheck."""
            calls, checks = called(), world.nocobase.done()["calls"]["auth:check"]
            begin, seconds = time.time(), 1.2 * recheck
            load.steady(rate, seconds, lambda n: (gate.url("/api/posts:list"), world.call(n % people), None, "GET")).join()
            load.wait(60)
            rechecks = (time.time() - begin) / recheck
            return (called() - calls) / rechecks, (world.nocobase.done()["calls"]["auth:check"] - checks) / rechecks

        def noise():
            return len(gate.lines('"level":"ERROR"', "wecom")) + len(gate.lines('"level":"WARN"', "wecom"))

        normal = phase()
        before = noise()
        for path in paths:
            world.wecom.fault(path=path, kind={"errcode": 45009})
        limited = phase()
        world.wecom.heal()
        lines = noise() - before
        after = phase()
        failed = [r for r in load.close() if r.code != 200]
        return [
            (f"{people} people work, session.recheck = {recheck} s; WeCom answers 45009 for {1.2 * recheck:.0f} s", None, None, None),
            ("calls to WeCom for a person and recheck, before", f"{normal[0] / people:.3f}", "<= 1", normal[0] <= 1.05 * people),
            ("the same while it limits", f"{limited[0] / people:.3f}", "<= 0.05", limited[0] <= 0.05 * people),
            ("the same afterwards", f"{after[0] / people:.3f}", "<= 1", after[0] <= 1.05 * people),
            ("checks in NocoBase for a person and recheck meanwhile", f"{limited[1] / people:.2f}", "<= 1", limited[1] <= 1.05 * people),
            ("lines at WARN and ERROR about it", str(lines), "<= 4", lines <= 4),
            ("failed requests", kinds(failed), "0", not failed),
        ]


def balancer(settings):
    """HAProxy in front, NocoBase and Redis away."""
    rate, away, people, nodes = (40, 4, 20, 2) if settings.quick else (200, 8, 200, 4)
    with World(settings, people) as world:
        redis = world.redis()
        gates = [world.gate(f"gate-{n}", redis=redis.url) for n in range(nodes)]
        meet(world, gates, people)
        front = world.haproxy(gates)
        load = Load(world.vegeta, keepalive=False)

        def mixed(n):
            if n % 10 == 0:
                return f"http://127.0.0.1:{front}/wecom-gate/gate.js", world.page(n % people), "own", "GET"
            return f"http://127.0.0.1:{front}/api/posts:list", world.call(n % people), "call", "GET"

        def during(seconds):
            load.wait(60)
            load.responses.clear()
            load.steady(rate, seconds, mixed).join()
            load.wait(60)
            return list(load.responses)

        def failed(responses):
            return [r for r in responses if r.code != 200]

        quiet = during(4)
        world.nocobase.tell("hang")
        hanging = during(away)
        world.nocobase.tell("recover")
        until("NocoBase is back", lambda: all(get(g.ops, "/readyz")[0] == 200 for g in gates))
        foreign = [r for r in hanging if r.code != 200 and not r.retry_after]
        own = failed(r for r in hanging if r.tag == "own")
        redis.kill()
        killed = during(away)
        redis.up()
        until("Redis is back", lambda: all(g.metric("redis_up") == 1 for g in gates))
        redis.signal(signal.SIGSTOP)
        paused = during(away)
        redis.signal(signal.SIGCONT)
        load.close()

        def p95(responses):
            return f"{quantile(responses, 0.95) * 1000:.0f} ms"

        return [
            (f"HAProxy (/servez) and {nodes} gates with Redis, {rate} requests/s, each on its own connection", None, None, None),
            ("failed before anything is broken", f"{kinds(failed(quiet))} of {len(quiet)}", "0", not failed(quiet)),
            (f"NocoBase hangs for {away} s: the gates' own pages that failed", kinds(own), "0", not own),
            ("responses without the gate's Retry-After", f"{kinds(foreign)} of {len(hanging)}", "0", not foreign),
            (f"Redis killed for {away} s: failed", f"{kinds(failed(killed))} of {len(killed)}", "0", not failed(killed)),
            (f"Redis paused for {away} s: failed", f"{kinds(failed(paused))} of {len(paused)}", "0", not failed(paused)),
            ("p95 when quiet, Redis killed, paused", f"{p95(quiet)}, {p95(killed)}, {p95(paused)}", "", None),
        ]
