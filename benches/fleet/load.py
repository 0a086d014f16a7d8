"""Requests at their times, whether or not earlier ones have been answered (open loop), so that waiting is not hidden.

vegeta (https://github.com/tsenart/vegeta) sends them: it reads targets from its standard input as they become due, each with
headers of its own, and reports each response. Of the tools looked at only it can do this: oha and wrk send the same request again
and again, k6 needs a JavaScript engine for each of 10,000 people, goose's users wait for their response before the next request.
"""

import base64
import heapq
import itertools
import json
import subprocess
import threading
import time
from datetime import datetime
from typing import NamedTuple


class Response(NamedTuple):
    """`due` and `end` are seconds since 1970; `code` 0: none, and `error` says why."""

    tag: object
    due: float
    end: float
    code: int
    retry_after: int
    error: str

    @property
    def seconds(self):
        return self.end - self.due


class Load:
    """One vegeta. `timeout`: how long its clients wait, seconds; `address`: of its clients."""

    def __init__(self, vegeta, timeout=60, keepalive=True, clients=20_000, address="0.0.0.0"):
        self.responses = []
        self._queue, self._order, self._sent = [], itertools.count(), {}
        self._change = threading.Condition()
        self._closed = self._closing = False
        attack = [vegeta, "attack", "-lazy", "-format=json", "-rate=0", f"-max-workers={clients}", "-workers=64"]
        attack += [f"-connections={clients}", f"-timeout={timeout}s", f"-keepalive={str(keepalive).lower()}"]
        attack += ["-max-body=0", "-redirects=-1", "-targets=stdin", f"-laddr={address}"]
        self._attack = subprocess.Popen(attack, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        encode = [vegeta, "encode", "-to=json"]
        self._encode = subprocess.Popen(encode, stdin=self._attack.stdout, stdout=subprocess.PIPE)
        self._attack.stdout.close()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._read)]
        for thread in self._threads:
            thread.start()

    def at(self, due, url, headers, tag=None, method="GET", then=None):
        """Sends this at that time. `then` gets the response, in another thread."""
        with self._change:
            heapq.heappush(self._queue, (due, next(self._order), url, headers, tag, method, then))
            self._change.notify_all()

    def steady(self, rate, seconds, make, begin=None):
        """So many requests a second for so long; `make(n)`: url, headers, tag, method of each. They are queued as they become due."""
        begin = begin or time.time()

        def run():
            for n in range(int(rate * seconds)):
                due = begin + n / rate
                time.sleep(max(0, due - time.time() - 0.05))
                if self._closing:
                    return
                url, headers, tag, method = make(n)
                self.at(due, url, headers, tag, method)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def wait(self, seconds=None):
        """Until nothing is due any more and everything is answered; whether that was in time."""
        with self._change:
            return self._change.wait_for(lambda: not self._queue and not self._sent, seconds)

    def closing(self):
        """Nothing more is queued by `steady`."""
        self._closing = True

    def close(self):
        """Its responses. What is not answered yet is given up."""
        with self._change:
            self._closed = self._closing = True
            self._change.notify_all()
        self._threads[0].join()
        try:
            self._attack.stdin.close()
        except BrokenPipeError:
            pass
        if self._sent:
            self._attack.kill()
        self._attack.wait()
        self._encode.wait()
        self._threads[1].join()
        return self.responses

    def _send(self):
        numbers = itertools.count()
        while True:
            with self._change:
                while not self._closed and not (self._queue and self._queue[0][0] <= time.time()):
                    left = self._queue[0][0] - time.time() if self._queue else None
                    self._change.wait(left)
                if self._closed:
                    return
                lines = []
                while self._queue and self._queue[0][0] <= time.time() and len(lines) < 200:
                    due, _, url, headers, tag, method, then = heapq.heappop(self._queue)
                    number = next(numbers)
                    self._sent[number] = (due, tag, then)
                    url = f"{url}{'&' if '?' in url else '?'}n={number}"
                    header = {name: [value] for name, value in headers.items()}
                    target = {"method": method, "url": url, "header": header}
                    if method == "POST":
                        target["body"] = base64.b64encode(b"{}").decode()
                        header["Content-Type"] = ["application/json"]
                    lines.append(json.dumps(target) + "\n")
            try:
                self._attack.stdin.write("".join(lines).encode())
                self._attack.stdin.flush()
            except BrokenPipeError:
                return

    def _read(self):
        for line in self._encode.stdout:
            result = json.loads(line)
            if "n=" not in result["url"]:
                continue
            number = int(result["url"].rsplit("n=", 1)[1])
            end = datetime.fromisoformat(result["timestamp"]).timestamp() + result["latency"] / 1e9
            headers = result["headers"] or {}
            retry = (headers.get("Retry-After") or ["0"])[0]
            with self._change:
                due, tag, then = self._sent.pop(number)
                error = "" if result["code"] else result["error"]
                response = Response(tag, due, end, result["code"], int(retry), error)
                self.responses.append(response)
                self._change.notify_all()
            if then:
                then(response)


def quantile(responses, share):
    """Seconds within which this share of the responses was complete."""
    times = sorted(r.seconds for r in responses)
    return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")
