"""A small OpenID provider for the peers of `make bench`, and a member's browser that signs in with it.

Discovery, keys, authorization code, token and user info, as OpenID Connect Core 1.0 describes them, RS256 by `openssl`. Everyone
who asks is the same member: a benchmark's provider, which nothing else may use.
"""

import base64
import http.client
import json
import secrets
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

CLIENT, SECRET = "benchmark", "a-secret-of-the-benchmark-known-to-all"
MEMBER = {
    "sub": "zhangsan", "name": "张三", "preferred_username": "zhangsan",
    "email": "zhangsan@example.com", "email_verified": True,
}
LIFETIME_S = 12 * 3600


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """Listens on loopback until `close`."""

    def __init__(self, scratch):
        self.key = scratch / "provider.pem"
        openssl = lambda *args: subprocess.run(["openssl", *args], check=True, capture_output=True).stdout
        openssl("genrsa", "-out", self.key, "2048")
        self.modulus = bytes.fromhex(openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().partition("=")[2])
        self.nonces, self.tokens = {}, set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"provider": self}))
        self.server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def discovery(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": ["openid", "email", "profile"],
        }

    def jwks(self):
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": base64url(self.modulus), "e": "AQAB"}
        return {"keys": [key]}

    def jwt(self, **claims):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + LIFETIME_S, **MEMBER, **claims}
        parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "1"}, claims)]
        signed = ".".join(parts).encode()
        made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed, check=True, capture_output=True)
        return f"{signed.decode()}.{base64url(made.stdout)}"

    def authorize(self, query):
        """Where the browser is sent: back, with a code that can be used once."""
        code = secrets.token_urlsafe(24)
        self.nonces[code] = query.get("nonce")
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form):
        """The tokens for a code, or `None`."""
        if form.get("grant_type") != "authorization_code" or form.get("code") not in self.nonces:
            return None
        nonce = self.nonces.pop(form["code"])
        access = self.jwt(scope="openid email profile", jti=secrets.token_hex(16))
        self.tokens.add(access)
        id_token = self.jwt(**({"nonce": nonce} if nonce else {}))
        return {"access_token": access, "id_token": id_token, "token_type": "Bearer", "expires_in": LIFETIME_S}


class Handler(BaseHTTPRequestHandler):
    provider: Provider

    def log_message(self, *_):
        pass

    def send(self, status, value=None, **headers):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            self.send(200, self.provider.discovery())
        elif url.path == "/jwks":
            self.send(200, self.provider.jwks())
        elif url.path == "/authorize" and query.get("client_id") == CLIENT and query.get("response_type") == "code":
            self.send(302, Location=self.provider.authorize(query))
        elif url.path == "/userinfo":
            known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.provider.tokens
            self.send(200, MEMBER) if known else self.send(401, {"error": "invalid_token"})
        else:
            self.send(404, {"error": "not_found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        client = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if self.path != "/token":
            self.send(404, {"error": "not_found"})
        elif self.headers.get("Authorization") != f"Basic {client}":
            self.send(401, {"error": "invalid_client"})
        elif tokens := self.provider.token(form):
            self.send(200, tokens)
        else:
            self.send(400, {"error": "invalid_grant"})


def sign_in(host, port, target):
    """A browser opens this page of the proxy on `port`, which knows itself as `host`. The cookies that it has in the end."""
    cookies, url = {}, f"http://{host}{target}"
    for _ in range(10):
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, "Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        own = parts.hostname == host
        if own and cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", port if own else parts.port, timeout=20)
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl(), headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].strip().partition("=")
            if not value or "max-age=0" in line.lower() or "01 jan 1970" in line.lower():
                cookies.pop(name, None)
            else:
                cookies[name] = value
        if response.status not in (301, 302, 303, 307):
            break
        url = urljoin(url, response.headers["Location"])
    if response.status != 200 or not own or not cookies:
        raise SystemExit(f"the sign-in ended with {response.status} at {url}: {body[:300]!r}")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
