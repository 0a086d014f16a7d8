"""oauth2-proxy 7 in front of the upstream, with its default session store (an encrypted cookie)."""

import base64
import os
import subprocess
from pathlib import Path

from oidc_provider import CLIENT, SECRET

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PROGRAM = CACHE / "wecom-gate/oauth2-proxy/oauth2-proxy"  # run.sh builds it
NAME = "oauth2-proxy"


def version():
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.split()
    # Built by `go install`, the program does not know its version; Go does.
    built = subprocess.run(["go", "version", "-m", PROGRAM], capture_output=True, text=True).stdout
    module = [line.split() for line in built.splitlines() if line.strip().startswith("mod")]
    return module[0][2] if module else (said[1] if len(said) > 1 else "unknown")


def start(world, provider, port):
    """The process. Logs of requests are off, as in the gate."""
    options = {
        "http-address": f"127.0.0.1:{port}",
        "upstream": f"http://127.0.0.1:{world.upstream.port}/",
        "provider": "oidc",
        "oidc-issuer-url": provider.issuer,
        "client-id": CLIENT,
        "client-secret": SECRET,
        "redirect-url": f"http://{world.host}/oauth2/callback",
        "cookie-secret": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "cookie-secure": "false",
        "email-domain": "*",
        "skip-provider-button": "true",
        # The ID token goes upstream in `Authorization`, where the gate puts NocoBase's token.
        "pass-authorization-header": "true",
        "request-logging": "false",
        "auth-logging": "false",
        "standard-logging": "false",
    }
    command = [PROGRAM, *(f"--{name}={value}" for name, value in options.items())]
    return world.spawn("oauth2-proxy", world.proxy_core, command, port)
