"""Nine o'clock: more people at once than NocoBase can check, on one gate, and on several that start cold."""

import statistics
import threading
import time

from load import Load, quantile
from sign_ins import SignIns
from world import World

# People who are in already, and their calls a second at each gate; members who sign in meanwhile.
INSIDERS, RATE, NEWCOMERS = 40, 40, 20


class Watch:
    """What NocoBase has done and how much memory a gate has, twice a second."""

    def __init__(self, world, gate):
        self.world, self.gate = world, gate
        self.done, self.rss = [], []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            self.done.append((time.time(), self.world.nocobase.done()))
            self.rss.append(self.gate.rss_mib())
            if self._stop.wait(0.5):
                return

    def end(self):
        self._stop.set()
        self._thread.join()
        return self.world.nocobase.done()

    def goodput(self, capacity, begin, end, window=3.0):
        """Checks done as a share of `capacity` (a second): over the whole time, and in the worst window."""
        points = [(at, done["requests"]) for at, done in self.done if begin <= at <= end]
        if len(points) < 3:
            return float("nan"), float("nan")

        def share(first, last):
            return (last[1] - first[1]) / (last[0] - first[0]) / capacity

        worst = []
        for first in points:
            last = next((p for p in points if p[0] >= first[0] + window), None)
            if last:
                worst.append(share(first, last))
        return share(points[0], points[-1]), min(worst, default=float("nan"))


def known(world, gates, first):
    """Lets every gate know the people who are in, and measures their calls while all is quiet."""
    load = Load(world.vegeta)
    for gate in gates:
        for person in range(first, first + INSIDERS):
            load.at(time.time(), gate.url("/api/posts:list"), world.call(person))
    load.wait(60)
    load.responses.clear()
    insiders(world, load, gates, first, 4).join()
    load.wait(60)
    responses = load.close()
    assert all(r.code == 200 for r in responses), [r for r in responses if r.code != 200][:3]
    return {gate.name: quantile([r for r in responses if r.tag == gate.name], 0.95) for gate in gates}


def insiders(world, load, gates, first, seconds):
    """Their calls, for so long."""

    def call(n):
        gate = gates[n % len(gates)]
        return gate.url("/api/posts:list"), world.call(first + n // len(gates) % INSIDERS), gate.name, "GET"

    return load.steady(RATE * len(gates), seconds, call)


class Arrivals:
    """People who load a page until they are in: again after Retry-After where they are told so, at once where they lose patience."""

    def __init__(self, world, load, gates, people, rate):
        self.load, self.in_at, self.errors, self.waiting = load, {}, [], []
        self.begin = time.time() + 0.5
        for person in range(people):
            gate = gates[person % len(gates)]
            self._ask(world, self.begin + person / rate, gate, person)
        self.people = people

    def _ask(self, world, due, gate, person):
        def answered(response):
            if response.code == 200:
                self.in_at[person] = response.end
                return
            if response.code == 503 and response.retry_after:
                self.waiting.append(response)
            elif "Timeout" not in response.error and "deadline" not in response.error:
                self.errors.append(response)
            self._ask(world, max(time.time(), response.end + (response.retry_after or 0.2)), gate, person)

        self.load.at(due, gate.url("/admin"), world.page(person), ("page", gate.name), then=answered)

    def wait(self, seconds):
        end = time.time() + seconds
        while len(self.in_at) < self.people and time.time() < end:
            time.sleep(0.1)

    def took(self, share=1.0):
        """Seconds until this share of the people was in."""
        times = sorted(self.in_at.values())
        needed = int(share * self.people)
        return times[needed - 1] - self.begin if len(times) >= needed else float("inf")


def crowd(settings):
    people, rate, at_once, ms = (600, 300, 20, 100) if settings.quick else (10_000, 1_000, 50, 200)
    capacity, least = at_once * 1000 / ms, people * ms / 1000 / at_once
    with World(settings, people + INSIDERS + NEWCOMERS) as world:
        world.nocobase.bind(people + INSIDERS, NEWCOMERS)
        gate, other = world.gate("gate"), world.gate("other")
        world.nocobase.capacity(at_once, ms)
        quiet = known(world, [gate, other], people)
        # Counts from here on.
        world.nocobase.capacity(at_once, ms)
        watch, load, calls = Watch(world, gate), Load(world.vegeta), Load(world.vegeta)
        crowd = Arrivals(world, load, [gate], people, rate)
        insiders(world, calls, [gate, other], people, max(least, people / rate))
        first = people + INSIDERS
        newcomers = SignIns(world, gate, range(first, first + NEWCOMERS), NEWCOMERS / least)
        crowd.wait(8 * least + 30)
        took = crowd.took()
        load.close()
        signed_in = newcomers.wait()
        calls.wait(60)
        inside = calls.close()
        done = watch.end()
        overall, worst = watch.goodput(capacity, crowd.begin + 1, crowd.begin + crowd.took(0.95))
        rows = [
            (f"{people} sessions first seen at {rate}/s, {ms} ms a check, {at_once} at once", None, None, None),
            ("everybody is in, times NocoBase's least", f"{took / least:.2f} ({took:.0f} s of {least:.0f} s)", "<= 1.3", settings.timed(took <= 1.3 * least)),
            ("goodput of NocoBase's capacity", f"{overall:.2f}", ">= 0.9", settings.timed(overall >= 0.9)),
            ("the same in its worst three seconds", f"{worst:.2f}", ">= 0.9", settings.timed(worst >= 0.9)),
            ("checks worked on for no one", share(done["for_nobody"], done["requests"]), "<= 2 %", done["for_nobody"] <= 0.02 * done["requests"]),
            ("most checks at once in NocoBase", f"{done['most_at_once']}", "", None),
            ("error pages and broken connections", kinds(crowd.errors), "0", not crowd.errors),
            ("waiting pages, for a person", f"{len(crowd.waiting) / people:.2f}", "", None),
            (f"sign-ins meanwhile, of {NEWCOMERS}: median, longest", f"{signed_in[len(signed_in) // 2]:.1f} s, {signed_in[-1]:.1f} s" if signed_in else "none", "", None),
            ("sign-ins that failed", ", ".join(newcomers.failed) or "0", "0", settings.timed(not newcomers.failed)),
            ("resident memory", f"{max(watch.rss):.0f} MiB", "<= 120 MiB", settings.timed(max(watch.rss) <= 120)),
        ]
        return rows + people_in(settings, inside, quiet, [gate, other])


def share(part, whole):
    return f"{part} of {whole} ({100 * part / max(1, whole):.1f} %)"


def kinds(responses):
    """How many, and what they are."""
    counted = {}
    for r in responses:
        name = str(r.code) if r.code else r.error.rsplit(": ", 1)[-1]
        counted[name] = counted.get(name, 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in counted.items()) or "0"


def people_in(settings, responses, quiet, gates):
    rows = []
    for gate in gates:
        own = [r for r in responses if r.tag == gate.name]
        p95, before = quantile(own, 0.95), quiet[gate.name]
        text = f"{p95 * 1000:.0f} ms ({before * 1000:.0f} ms when quiet)"
        rows.append((f"p95 of people already in, {gate.name}", text, "<= 3 x", settings.timed(p95 <= 3 * before)))
        failed = [r for r in own if r.code != 200]
        rows.append((f"failed requests of theirs, {gate.name}", kinds(failed), "0", not failed))
    return rows


def impatient(settings):
    clients, patience, at_once, ms = (400, 5, 20, 100) if settings.quick else (2_000, 5, 50, 200)
    capacity, least = at_once * 1000 / ms, clients * ms / 1000 / at_once
    with World(settings, clients) as world:
        gate = world.gate("gate")
        world.nocobase.capacity(at_once, ms)
        watch, load = Watch(world, gate), Load(world.vegeta, timeout=patience)
        crowd = Arrivals(world, load, [gate], clients, clients)
        crowd.wait(8 * least + 30)
        took = crowd.took()
        load.close()
        done = watch.end()
        overall, worst = watch.goodput(capacity, crowd.begin + 1, crowd.begin + crowd.took(0.95))
        return [
            (f"{clients} clients at once with {patience} s of patience, who then ask again", None, None, None),
            ("everybody is in, times NocoBase's least", f"{took / least:.2f} ({took:.0f} s of {least:.0f} s)", "<= 1.3", settings.timed(took <= 1.3 * least)),
            ("goodput of NocoBase's capacity", f"{overall:.2f}", ">= 0.9", settings.timed(overall >= 0.9)),
            ("the same in its worst three seconds", f"{worst:.2f}", ">= 0.9", settings.timed(worst >= 0.9)),
            ("checks worked on for no one", share(done["for_nobody"], done["requests"]), "<= 2 %", settings.timed(done["for_nobody"] <= 0.02 * done["requests"])),
            ("error pages and broken connections", kinds(crowd.errors), "0", not crowd.errors),
        ]


def cold(settings, nodes):
    people, rate, at_once, ms = (200, 100, 20, 100) if settings.quick else (4_000, 400, 50, 200)
    with World(settings, people + INSIDERS) as world:
        redis = world.redis()
        gates = [world.gate(f"gate {n}", redis=redis.url) for n in range(1, nodes + 1)]
        world.nocobase.capacity(at_once, ms)
        quiet = known(world, gates[1:], people)

        def checks_done():
            return world.nocobase.done()["calls"].get("auth:check", 0)

        before = checks_done()
        load, calls = Load(world.vegeta), Load(world.vegeta)
        crowd = Arrivals(world, load, gates[:1], people, rate)
        least = max(people / rate, people * ms / 1000 / at_once)
        insiders(world, calls, gates[1:], people, least)
        crowd.wait(8 * least + 30)

        def everybody(gates, tag):
            begin = time.time()
            for person in range(people):
                gate = gates[person % len(gates)]
                load.at(begin + person / rate, gate.url("/api/posts:list"), world.call(person), tag)
            load.wait(60)

        # Then everybody's next requests, each by another gate.
        everybody(gates[1:], "next")
        calls.wait(60)
        inside = calls.close()
        checks = checks_done() - before
        # And once more, by one that starts beside another.
        gates[-1].stop()
        gates[-1].start()
        before = checks_done()
        everybody(gates[-1:], "restarted")
        restarted = checks_done() - before
        responses = [r for r in load.close() if r.tag in ("next", "restarted")]
        following = [r for r in responses if r.tag == "next"]
        failed = [r for r in responses if r.code != 200]
        rows = [
            (f"{nodes} gates with Redis: {people} sessions first seen by one at {rate}/s, then by the others", None, None, None),
            ("checks in NocoBase for a session", f"{checks / people:.3f}", "<= 1.05", settings.timed(checks <= 1.05 * people)),
            ("checks for a session, by a gate that starts beside another", f"{restarted / people:.3f}", "", None),
            ("error pages and broken connections", kinds(crowd.errors + failed), "0", not crowd.errors and not failed),
            ("the next request by another gate, median", f"{statistics.median(r.seconds for r in following) * 1000:.0f} ms", "", None),
        ]
        return rows + people_in(settings, inside, quiet, gates[1:2])
