"""What a scenario runs: gates, and what is around them. Everything listens on loopback; nothing is left running."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

HOST, CORP, AGENT = "gate.fleet", "ww0123456789abcdef", 1000002
SECRET = "a-secret-of-the-fleet-known-to-all-of-it"
NOCOBASE_SECRET = "stand-in-secret-of-nocobase"
FIRST_USER = 10_000
_taken, _lock = set(), threading.Lock()


def free_port():
    # Below the ephemeral ports, which a client may have while nothing listens.
    for port in range(12_000 + os.getpid() % 500 * 30, 32_000):
        with _lock:
            if port in _taken:
                continue
            _taken.add(port)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("no free port")


def until(what, check, seconds=60):
    """Waits for something; returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = check()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.02)
    raise SystemExit(f"never: {what}")


def get(port, path, headers=None, method="GET", body=None, timeout=10):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


class Gate:
    """One gate. After an upgrade it is another process."""

    def __init__(self, world, name, changes):
        self.world, self.name = world, name
        self.port, self.ops = free_port(), free_port()
        self.conf, self.log = world.scratch / f"{name}.toml", world.scratch / f"{name}.log"
        self.conf.write_text(world.configuration(self, changes))
        self.log.write_text("")
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            command = [str(self.world.program), "run", "--conf", str(self.conf)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.world.running.append(process)
        self.process, self.pid = process, process.pid
        until(f"{self.name} serves", lambda: get(self.ops, "/servez")[0] == 200)

    def stop(self, wait=60):
        """SIGTERM, and its end."""
        os.kill(self.pid, signal.SIGTERM)
        if self.process.pid == self.pid:
            self.process.wait(wait)
        else:
            until(f"{self.name} ends", lambda: not Path(f"/proc/{self.pid}").exists(), wait)

    def upgrade(self):
        """SIGUSR2: another process takes over; returns when the old one has ended."""
        old = self.pid
        os.kill(old, signal.SIGUSR2)
        self.pid = until(f"{self.name} hands over", lambda: next((p for p in self.pids() if p != old), None))

        def is_gone():
            if self.process.pid == old:
                self.process.poll()
            return not Path(f"/proc/{old}").exists()

        until(f"the old {self.name} ends", is_gone, 90)
        until(f"{self.name} serves", lambda: get(self.ops, "/servez")[0] == 200)

    def pids(self):
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
                except OSError:
                    continue
                if str(self.conf).encode() in words and state != "Z":
                    found.append(int(entry.name))
        return found

    def rss_mib(self):
        try:
            return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) / 1024
        except (OSError, TypeError):
            return 0.0

    def metric(self, name, **labels):
        """Sum of a metric over all label sets that have these labels."""
        total = 0.0
        for line in get(self.ops, "/metrics")[1].splitlines():
            if line.startswith(f"wecom_gate_{name}") and line[len("wecom_gate_" + name)] in "{ ":
                if all(f'{key}="{value}"' in line for key, value in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def lines(self, *parts):
        """Lines of its log that contain all of these."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if all(p in line for p in parts)]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


class NocoBase:
    """The stand-in of the Rust tests (tests/standin), which must be told how much it can do."""

    def __init__(self, world, people):
        command = [str(world.tools / "nocobase-standin")]
        log = open(world.scratch / "nocobase.log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        world.running.append(self.process)
        self.address = json.loads(self.process.stdout.readline())["address"]
        self.tell("users", FIRST_USER, people)
        self.tell("slow", "/api/posts:list", 5)
        self.capacity(100_000, 0)

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def capacity(self, at_once, ms):
        """From now on it works on so many checks of sessions at once, each for so long."""
        self.tell("capacity", "auth:check", at_once, ms)

    def bind(self, first, count):
        """These people have users already."""
        self.tell("bind", FIRST_USER + first, count)

    def done(self):
        return self.tell("done")


class WeCom:
    """The WeCom simulator (sim/), with as many members as there are people."""

    def __init__(self, world, people):
        members = world.scratch / "members.toml"
        rows = [
            f'[[companies]]\ncorp_id = "{CORP}"\nname = "Fleet"\n'
            'departments = [{ id = 1, parent = 0, name = "Fleet" }]\n'
            f'[[companies.apps]]\nagent_id = {AGENT}\nname = "NocoBase"\nsecret = "{SECRET}"\nentry = "wecom"\n'
            f'gate = "http://{HOST}"\nvisible = {{ departments = [1] }}\n'
        ]
        for user in range(FIRST_USER, FIRST_USER + people):
            rows.append(f'[[companies.members]]\nuserid = "person{user}"\nname = "Person {user}"\ndepartments = [1]\n')
        members.write_text("".join(rows))
        self.port = free_port()
        world.spawn("wecom", [world.tools / "wecom-sim", "--listen", f"127.0.0.1:{self.port}", "--members", members], self.port)

    def fault(self, **fault):
        status, text = get(self.port, "/sim/faults", {"Content-Type": "application/json"}, "POST", json.dumps(fault))
        assert status < 300, (status, text)

    def heal(self):
        get(self.port, "/sim/faults", method="DELETE")

    def calls(self, path):
        return json.loads(get(self.port, "/sim/calls")[1]).get(path, {}).get("calls", 0)


class Redis:
    """The real server."""

    def __init__(self, world):
        self.world, self.port = world, free_port()
        self.up()

    def up(self):
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self.world.scratch)]
        self.process = self.world.spawn("redis", command, self.port)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


class World:
    """One scenario's processes."""

    def __init__(self, settings, people):
        self.program, self.tools, self.vegeta = settings.program, settings.tools, settings.vegeta
        self.scratch = Path(tempfile.mkdtemp(prefix="wecom-gate-fleet-"))
        self.running, self.keep = [], settings.keep
        self.key = base64.b64encode(bytes(range(64))).decode()
        self.nocobase = NocoBase(self, people)
        self.wecom = WeCom(self, people)
        self.people = self._people(people)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self.running:
            if process.poll() is None:
                process.kill()
        for process in self.running:
            process.wait()
        # Gates that have taken over are not our children.
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str(self.scratch).encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                pass
        if kind is None and not self.keep:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def spawn(self, name, command, port):
        with open(self.scratch / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(process)
        until(f"{name} listens", lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None)
        return process

    def _people(self, count):
        command = [self.tools / "examples/people", "--key", self.key, "--origin", f"http://{HOST}", "--corp-id", CORP]
        command += ["--first", str(FIRST_USER), "--count", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def page(self, person):
        """Headers of a page load."""
        return {"Host": HOST, "Cookie": self.people[person]["cookie"], "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}

    def call(self, person):
        """Headers of a call by NocoBase's page."""
        known = self.people[person]
        return {"Host": HOST, "Cookie": known["cookie"], "Authorization": f"Bearer {known['phantom']}"}

    def configuration(self, gate, changes):
        redis = f'redis = "{changes["redis"]}"' if "redis" in changes else ""
        return f"""
origin = "http://{HOST}"
[listen]
http = ["127.0.0.1:{gate.port}"]
ops = "127.0.0.1:{gate.ops}"
[upstream]
nodes = ["{self.nocobase.address}"]
[nocobase]
jwt_secret = "{NOCOBASE_SECRET}"
service_user = 1
[[wecom]]
name = "wecom"
corp_id = "{CORP}"
agent_id = "{AGENT}"
secret = "{SECRET}"
api_base = "http://127.0.0.1:{self.wecom.port}"
authorize_url = "http://127.0.0.1:{self.wecom.port}/connect/oauth2/authorize"
web_login_url = "http://127.0.0.1:{self.wecom.port}/wwlogin/sso/login"
[access]
trusted_proxies = ["127.0.0.1"]
[session]
keys = ["{self.key}"]
recheck = "{changes.get("recheck", "15m")}"
{redis}
[pages]
maintenance_file = ""
[limits]
connections = {changes.get("connections", 20000)}
[log]
level = "{changes.get("level", "info")}"
access_log = false
"""

    def redis(self):
        return Redis(self)

    def gate(self, name="gate", **changes):
        return Gate(self, name, changes)

    def haproxy(self, gates, check="/servez"):
        """In front of these gates, as docs/install.md recommends, once it knows that they serve; its port."""
        port = free_port()
        servers = "\n".join(
            f"    server {g.name} 127.0.0.1:{g.port} check port {g.ops} inter 500ms fall 1 rise 1" for g in gates
        )
        conf = self.scratch / "haproxy.cfg"
        conf.write_text(f"""
global
    maxconn 5000
    stats socket {self.scratch}/haproxy.sock
defaults
    mode http
    option redispatch
    option forwardfor
    timeout connect 3s
    timeout check 5s
    timeout client 5m
    timeout server 5m
frontend people
    bind 127.0.0.1:{port}
    default_backend gates
backend gates
    balance roundrobin
    option httpchk GET {check}
{servers}
""")
        self.spawn("haproxy", ["haproxy", "-db", "-f", conf], port)
        self.haproxy_knows(gates)
        return port

    def haproxy_knows(self, gates):
        """Waits until HAProxy has found all of these serving."""

        def serving():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.scratch / "haproxy.sock"))
                s.sendall(b"show servers state gates\n")
                rows = [line.split() for line in s.makefile().read().splitlines()]
            # Name, operational state (2: running), address.
            states = {row[3]: row[5] for row in rows if len(row) > 5}
            return all(states.get(gate.name) == "2" for gate in gates)

        until("HAProxy knows the gates", serving)
