"""Apache httpd with mod_auth_openidc 2.4 in front of the upstream, with its default session store (shared memory)."""

import os
import signal
import subprocess

from oidc_provider import CLIENT, SECRET

MODULES = "/usr/lib/apache2/modules"
NAME = "Apache + mod_auth_openidc"


def version():
    httpd = subprocess.run(["apache2", "-v"], capture_output=True, text=True).stdout.partition("Apache/")[2].split()
    package = ["dpkg-query", "-W", "-f=${Version}", "libapache2-mod-auth-openidc"]
    module = subprocess.run(package, capture_output=True, text=True).stdout
    return f"{httpd[0] if httpd else 'unknown'}, mod_auth_openidc {module.partition('-')[0] or 'unknown'}"


def start(world, provider, port):
    """The process. One worker process, as it has one core; no access log."""
    home = world.scratch / "apache"
    home.mkdir(exist_ok=True)
    modules = "mpm_event authn_core authz_core authz_user auth_openidc headers proxy proxy_http".split()
    load = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules)
    (home / "apache2.conf").write_text(f"""
ServerRoot "{home}"
DefaultRuntimeDir "{home}"
PidFile "{home}/pid"
ServerName {world.host}
{load}
{"User www-data" if os.geteuid() == 0 else ""}
{"Group www-data" if os.geteuid() == 0 else ""}
Listen 127.0.0.1:{port}
ListenBacklog 4096
ErrorLog /dev/stderr
LogLevel crit
ServerLimit 1
StartServers 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 75
LimitRequestFieldSize 16380

OIDCProviderMetadataURL {provider.issuer}/.well-known/openid-configuration
OIDCClientID {CLIENT}
OIDCClientSecret {SECRET}
OIDCRedirectURI http://{world.host}/openid/callback
OIDCCryptoPassphrase {SECRET}
OIDCScope "openid email profile"

ProxyPreserveHost On
ProxyPass / http://127.0.0.1:{world.upstream.port}/
<Location />
    AuthType openid-connect
    Require valid-user
    # The access token goes upstream in `Authorization`, where the gate puts NocoBase's token.
    RequestHeader set Authorization "Bearer %{{OIDC_access_token}}e"
    RequestHeader set X-Forwarded-Proto http
</Location>
""")
    command = ["apache2", "-DFOREGROUND", "-f", home / "apache2.conf"]
    return world.spawn("apache", world.proxy_core, command, port, stop=signal.SIGTERM)
