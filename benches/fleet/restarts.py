"""Gates that stop, restart and hand over while people work, and connections to NocoBase that are not reused."""

import time

from crowds import kinds, share
from load import Load
from sign_ins import SignIns
from trouble import meet
from world import World

PEOPLE = 20


def calls(world, base, tag=None, method="GET"):
    action = "posts:list" if method == "GET" else "posts:create"
    return lambda n: (f"{base}/api/{action}", world.call(n % PEOPLE), tag, method)


def stops(settings):
    times, rate = (3, 60) if settings.quick else (20, 400)
    with World(settings, PEOPLE) as world:
        gate = world.gate("gate")
        meet(world, [gate], PEOPLE)
        new = Load(world.vegeta, keepalive=False)
        # Go repeats a GET whose reused connection turns out to be closed, and no POST that it has sent.
        kept = Load(world.vegeta, clients=50)
        base, seconds = f"http://127.0.0.1:{gate.port}", 3600
        for load, method in ((new, "GET"), (kept, "POST")):
            load.steady(rate if load is new else rate / 4, seconds, calls(world, base, None, method))
        for _ in range(times):
            time.sleep(1.5)
            gate.stop()
            gate.start()
        time.sleep(1)
        rows = [(f"{times} stops; {rate} new connections/s and {rate // 4:.0f} requests/s on kept ones", None, None, None)]
        for load, name in ((new, "new"), (kept, "kept")):
            load.closing()
            load.wait(60)
            responses = load.close()
            # While no gate listens there is nothing to connect to.
            there = [r for r in responses if "refused" not in r.error]
            lost = [r for r in there if r.code == 0]
            other = [r for r in there if r.code not in (0, 200)]
            rows.append((f"reset or closed without a response, {name} connections", f"{kinds(lost)} of {len(there)}", "0", not lost if load is new else settings.timed(not lost)))
            rows.append((f"other failures, {name} connections", kinds(other), "0", not other))
        return rows


def rolling(settings):
    rounds, rate = (1, 60) if settings.quick else (4, 400)
    with World(settings, PEOPLE) as world:
        redis = world.redis()
        gates = [world.gate(f"gate-{n}", redis=redis.url) for n in range(2)]
        meet(world, gates, PEOPLE)
        front = world.haproxy(gates)
        load = Load(world.vegeta, keepalive=False)
        load.steady(rate, 3600, calls(world, f"http://127.0.0.1:{front}"))
        for _ in range(rounds):
            for gate in gates:
                time.sleep(1)
                gate.stop()
                gate.start()
                world.haproxy_knows(gates)
        time.sleep(1)
        load.closing()
        load.wait(60)
        responses = load.close()
        failed = [r for r in responses if r.code != 200]
        return [
            (f"rolling restarts of 2 gates behind HAProxy, {2 * rounds} in all, {rate} requests/s", None, None, None),
            ("failed", f"{kinds(failed)} of {len(responses)}", "0", not failed),
        ]


def upgrades(settings):
    times, rate = (2, 60) if settings.quick else (5, 400)
    with World(settings, PEOPLE) as world:
        gate = world.gate("gate")
        meet(world, [gate], PEOPLE)
        loads = [Load(world.vegeta, keepalive=False), Load(world.vegeta, clients=50)]
        for load in loads:
            load.steady(rate / 2, 3600, calls(world, f"http://127.0.0.1:{gate.port}"))
        for _ in range(times):
            time.sleep(1)
            gate.upgrade()
        time.sleep(1)
        responses = []
        for load in loads:
            load.closing()
            load.wait(60)
            responses += load.close()
        failed = [r for r in responses if r.code != 200]
        return [
            (f"{times} upgrades (SIGUSR2), {rate} requests/s, half of them on new connections", None, None, None),
            ("failed", f"{kinds(failed)} of {len(responses)}", "0", not failed),
        ]


HEALTH = "__health_check"


def connections(world):
    """How many NocoBase has accepted, without those of health checks, each of which has one of its own; and how many calls."""
    done = world.nocobase.done()
    checks = done["calls"].get(HEALTH, 0)
    return done["connections"] - checks, sum(done["calls"].values()) - checks


def pool(settings):
    seconds = 3 if settings.quick else 10
    rows = [("connections to NocoBase that are not reused", None, None, None)]
    newcomers = 20 * seconds
    with World(settings, PEOPLE + newcomers) as world:
        world.nocobase.bind(PEOPLE, newcomers)
        gate = world.gate("gate")
        meet(world, [gate], PEOPLE)
        kinds_of = [("20/s on new connections", 20, False), ("200/s on new connections", 200, False), ("200/s on kept connections", 200, True)]
        for name, rate, keepalive in kinds_of:
            load = Load(world.vegeta, keepalive=keepalive, clients=200)
            make = calls(world, f"http://127.0.0.1:{gate.port}")
            # NocoBase's side closes idle connections, so there is always some traffic before.
            load.steady(rate, 1, make).join()
            load.wait(60)
            (before, _), sent = connections(world), len(load.responses)
            load.steady(rate, seconds, make).join()
            load.wait(60)
            opened, sent = connections(world)[0] - before, len(load.responses) - sent
            load.close()
            rows.append((f"new connections to NocoBase, {name}", share(opened, sent), "<= 0.5 %", settings.timed(opened <= 0.005 * sent)))
        before = connections(world)
        signing_in = SignIns(world, gate, range(PEOPLE, PEOPLE + newcomers), 20)
        signing_in.wait()
        opened, sent = (now - then for now, then in zip(connections(world), before))
        rows.append((f"the same during {newcomers} sign-ins at 20/s", share(opened, sent), "<= 0.5 %", settings.timed(opened <= 0.005 * sent)))
        rows.append(("sign-ins that failed", ", ".join(signing_in.failed) or "0", "0", not signing_in.failed))
        lines = gate.lines('"level":"ERROR"', "reusable stream")
        rows.append(("lines about it at ERROR", str(len(lines)), "0", not lines))
    return rows
