"""What is measured: an nginx that answers, and the proxies in front of it. Everything listens on loopback."""

import base64
import getpass
import gzip
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

HOST = "gate.bench"
CORP = "ww0123456789abcdef"
SIZES = {"1k": 1024, "64k": 64 * 1024, "1m": 1024 * 1024}
# A script as NocoBase's client has them: its name contains a hash.
FILE, FILE_SIZE = "/assets/app-3fa9c1e07b52.js", 300 * 1024
CHECK = '{"data":{"id":1,"nickname":"Zhang San","username":"zhangsan"}}'
GATE_SESSION = "the gate's"
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def script(size):
    """JavaScript of this size that compresses about as well as a bundle (the same each time)."""
    chance = random.Random(1)
    names = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(1, 9))) for _ in range(300)]
    statements = [
        "{0}.exports=function({1}){{return {2}({3}.{4},{{children:{1}}})}};\n",
        'const {0}=({1},{2})=>{3}.createElement("{4}",{{className:{1},key:{2}}});\n',
        "var {0}=Object.assign({{}},{1}.{2},{{{3}:{4}}});\n",
    ]
    text = ""
    while len(text) < size:
        text += chance.choice(statements).format(*chance.choices(names, k=5))
    return text[:size].encode()


def tree(pid):
    """This process and its descendants."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            for child in children:
                found += tree(int(child))
    except OSError:
        pass
    return found


def cpu_seconds(pids):
    """utime + stime of these processes and their descendants."""
    ticks = 0
    for pid in (p for root in pids for p in tree(root)):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks / TICK


def rss_kib(pids):
    """Resident memory of these processes and their descendants."""
    total = 0
    for pid in (p for root in pids for p in tree(root)):
        try:
            match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            total += int(match[1]) if match else 0
        except OSError:
            pass
    return total


class World:
    """Starts processes and stops every one of them in the end."""

    def __init__(self, binaries, scratch, cores):
        self.binaries, self.scratch = Path(binaries).resolve(), Path(scratch).resolve()
        self.proxy_core, self.load_core = cores
        self.running = []
        self.key = base64.b64encode(os.urandom(64)).decode()
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.host = HOST
        self.www = self.scratch / "www"
        (self.www / "assets").mkdir(parents=True, exist_ok=True)
        for name, size in SIZES.items():
            line = b'{"id":1,"name":"0123456789abcdef0123456789abcdef","ok":true},\n'
            (self.www / name).write_bytes((line * (size // len(line) + 1))[:size])
        self.file = script(FILE_SIZE)
        (self.www / FILE[1:]).write_bytes(self.file)
        (self.www / f"{FILE[1:]}.gz").write_bytes(gzip.compress(self.file, 9))
        told = self.tool("member", "--key", self.key, "--origin", f"http://{HOST}", "--corp-id", CORP, "--entry", "wecom", "--user-id", "1")
        self.member = json.loads(told)
        self.tool("certificate", str(self.scratch))

    def start(self):
        """The upstream."""
        self.upstream = self.nginx("upstream", self.load_core, self.answers)

    def tool(self, *args):
        done = subprocess.run([self.binaries / "examples/bare", *args], check=True, capture_output=True, text=True)
        return done.stdout

    def spawn(self, name, core, command, port, stop=signal.SIGINT):
        """Starts a program and waits until it listens on `port`. At SIGTERM nginx and the gate would wait for idle clients."""
        pinned = command if core is None else ["taskset", "-c", str(core), *command]
        with open(self.scratch / f"{name}.err", "wb") as err:
            process = subprocess.Popen(
                [str(c) for c in pinned], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err
            )
        process.port, process.stop_signal = port, stop
        self.running.append(process)
        for _ in range(400):
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return process
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{name} did not start:\n" + (self.scratch / f"{name}.err").read_text()[-2000:])

    def stop(self, processes=None):
        processes = list(self.running if processes is None else processes)
        for process in processes:
            if process.poll() is None:
                process.send_signal(process.stop_signal)
        end = time.monotonic() + 3
        for process in processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process in self.running:
                self.running.remove(process)

    # nginx

    def nginx(self, name, core, http_block):
        port = free_port()
        home = self.scratch / name
        home.mkdir(exist_ok=True)
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        (home / "nginx.conf").write_text(f"""
{user}
daemon off; worker_processes 1; pid {home}/pid; error_log stderr crit;
worker_rlimit_nofile 32768;
events {{ worker_connections 16384; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 75s; keepalive_requests 1000000000;
    large_client_header_buffers 8 16k; default_type application/json;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;
    uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
{http_block(port)}
}}
""")
        return self.spawn(name, core, ["nginx", "-p", home, "-c", home / "nginx.conf"], port)

    def answers(self, port):
        files = "\n".join(f"location = /api/bench:{n} {{ alias {self.www}/{n}; }}" for n in SIZES if n != "1k")
        small = (self.www / "1k").read_text().replace("\n", " ")
        return f"""
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /api/bench:1k {{ return 200 '{small}'; }}
        location = /api/bench:who {{ return 200 '$http_authorization'; }}
        location = /api/__health_check {{ return 200 ok; }}
        location = /api/auth:check {{ return 200 '{CHECK}'; }}
        location /assets/ {{ root {self.www}; types {{ text/javascript js; }} }}
        {files}
        location / {{ return 404; }}
    }}"""

    def nginx_proxy(self, gate_port=None):
        """an ordinary proxy_pass; with `gate_port`, auth_request to the gate before it."""
        auth = auth_location = ""
        if gate_port:
            auth = "auth_request /wecom-gate/auth;"
            auth_location = f"""
        location = /wecom-gate/auth {{
            internal;
            proxy_pass http://gate;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            proxy_set_header Host {HOST};
        }}"""
        gate = f"upstream gate {{ server 127.0.0.1:{gate_port}; keepalive 128; }}" if gate_port else ""
        block = lambda port: f"""
    upstream app {{ server 127.0.0.1:{self.upstream.port}; keepalive 128; }}
    {gate}
    proxy_http_version 1.1; proxy_max_temp_file_size 0;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            {auth}
            proxy_pass http://app;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-ID $request_id;
        }}{auth_location}
    }}"""
        return self.nginx("nginx-auth" if gate_port else "nginx", self.proxy_core, block)

    def nginx_files(self):
        """nginx with the file itself, compressed in advance; nobody has to sign in."""
        block = lambda port: f"""
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /assets/ {{ root {self.www}; types {{ text/javascript js; }} gzip_static on; gzip_vary on; }}
        location / {{ return 404; }}
    }}"""
        return self.nginx("nginx-files", self.proxy_core, block)

    # Pingora

    def has(self, program):
        return (self.binaries / program).exists()

    def bare(self, *flags, tls=False, program="examples/bare", jemalloc=None):
        port, tls_port = free_port(), free_port()
        options = [f"_RJEM_MALLOC_CONF={jemalloc}"] if jemalloc else []
        command = ["env", *options, self.binaries / program, "proxy", "--listen", f"127.0.0.1:{port}"]
        command += ["--upstream", f"127.0.0.1:{self.upstream.port}", *flags]
        if tls:
            command += ["--tls-listen", f"127.0.0.1:{tls_port}"]
            command += ["--cert", self.scratch / "cert.pem", "--key", self.scratch / "key.pem"]
        process = self.spawn("bare", self.proxy_core, command, port)
        process.tls_port = tls_port
        return process

    def gate(self, access_log=False, tls=False):
        port, tls_port = free_port(), free_port()
        conf = self.scratch / f"gate-{port}.toml"
        https = f"""
https = ["127.0.0.1:{tls_port}"]
cert = "{self.scratch}/cert.pem"
key = "{self.scratch}/key.pem"
""" if tls else ""
        conf.write_text(f"""
origin = "http://{HOST}"
[listen]
http = ["127.0.0.1:{port}"]
ops = ""
{https}
[upstream]
nodes = ["127.0.0.1:{self.upstream.port}"]
[nocobase]
jwt_secret = "a-secret-of-the-benchmark-known-to-all"
service_user = 1
[[wecom]]
name = "wecom"
corp_id = "{CORP}"
agent_id = "1000002"
secret = "a-secret-of-the-benchmark-known-to-all"
auto_login = true
api_base = "http://127.0.0.1:{self.upstream.port}"
[session]
keys = ["{self.key}"]
recheck = "12h"
[log]
access_log = {str(access_log).lower()}
""")
        process = self.spawn("gate", self.proxy_core, [self.binaries / "wecom-gate", "run", "--conf", conf], port)
        process.tls_port = tls_port
        return process

    # The request: what NocoBase's page sends with each of its API calls.

    def headers(self, session=GATE_SESSION, coding="identity"):
        """`session`: the cookies of a proxy's session; `None`: a stranger. A signed-in client also sends the phantom."""
        cookies = "nb_role_main=member; theme=dark; _ga=GA1.2.1234567890.1700000000; lang=zh-CN; sidebar=collapsed"
        own = self.member["cookie"] if session is GATE_SESSION else session
        given = {"Authorization": f"Bearer {self.member['phantom']}", "Cookie": f"{cookies}; {own}"} if own else {}
        return {
            "Host": HOST,
            "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/129.0.6668.101 Safari/537.36 Language/zh wxwork/5.0.8 (MicroMessenger/6.2) WindowsWechat",
            "Accept": "application/json, text/plain, */*",
            "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
            "Accept-Encoding": coding,
            **given,
            "Referer": f"http://{HOST}/admin/settings/users",
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Dest": "empty",
            "X-Locale": "zh-CN",
            "X-Role": "member",
            "X-Authenticator": "basic",
            "X-Timezone": "+08:00",
        }

    def get(self, port, path, session=GATE_SESSION, coding="identity"):
        """Status, body and headers of one response."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers=self.headers(session, coding))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body, response.headers
