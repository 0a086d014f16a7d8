"""Members who sign in, each from the first tap to the session, through the WeCom simulator."""

import http.client
import threading
import time
from urllib.parse import urlsplit

from world import FIRST_USER, HOST

AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0 Safari/537.36 "
    "wxwork/4.1.28 (MicroMessenger/6.2) WindowsWechat"
)
PAGE = {"User-Agent": AGENT, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html", "Connection": "close"}


def redirect(port, path, headers):
    """Where this leads to, and the cookies that it sets."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=PAGE | headers)
        response = connection.getresponse()
        response.read()
        if response.status != 302:
            raise OSError(f"{response.status}")
        cookies = [value.split(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie"]
        to = urlsplit(response.headers["Location"])
        return f"{to.path}?{to.query}", "; ".join(cookies)
    finally:
        connection.close()


def sign_in(world, gate, person):
    host = {"Host": HOST}
    to_wecom, flow = redirect(gate.port, "/admin", host)
    back, _ = redirect(world.wecom.port, to_wecom, {"X-Sim-Member": f"person{FIRST_USER + person}"})
    _, session = redirect(gate.port, back, host | {"Cookie": flow})
    if "wecom_gate=" not in session:
        raise OSError("no session")


class SignIns:
    """So many a second, whether or not earlier ones are done. The people must be bound (`NocoBase.bind`)."""

    def __init__(self, world, gate, people, rate):
        self.seconds, self.failed, begin = [], [], time.time()
        self.threads = [
            threading.Thread(target=self._one, args=(world, gate, person, begin + n / rate), daemon=True) for n, person in enumerate(people)
        ]
        for thread in self.threads:
            thread.start()

    def _one(self, world, gate, person, due):
        time.sleep(max(0, due - time.time()))
        try:
            sign_in(world, gate, person)
            self.seconds.append(time.time() - due)
        except (OSError, http.client.HTTPException) as e:
            self.failed.append(str(e) or type(e).__name__)

    def wait(self):
        for thread in self.threads:
            thread.join()
        return sorted(self.seconds)
