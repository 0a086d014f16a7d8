//! `session.redis`: an address that may contain a password, so that only its host is ever shown.

use redis::{ConnectionAddr, IntoConnectionInfo as _};
use secrecy::ExposeSecret;

use super::super::report::{Report, join};
use super::super::types::Redis;
use super::secrets;

const SCHEMES: [&str; 3] = ["redis", "rediss", "unix"];
const REMEDY: &str = "write redis://:password@host:6379/0, rediss:// for TLS, or unix:///run/redis/redis.sock; \
    percent-encode special characters in the password";

/// `Err` if it is invalid (reported), `Ok(None)` if it is not given.
pub(super) fn redis(inline: &str, file: &str, report: &mut Report) -> Result<Option<Redis>, ()> {
    let Some(url) = secrets::text("session", "redis", inline, file, report)? else { return Ok(None) };
    let key = if file.is_empty() { "session.redis".to_owned() } else { join("session", "redis_file") };
    match address(url.expose_secret()) {
        Ok(address) => Ok(Some(Redis { url, address })),
        Err(problem) => {
            report.error(&key, problem, REMEDY);
            Err(())
        }
    }
}

/// The address without the password.
fn address(url: &str) -> Result<String, &'static str> {
    let parsed = url::Url::parse(url).map_err(|_| "is not an address of Redis")?;
    if !SCHEMES.contains(&parsed.scheme()) {
        return Err("does not begin with redis://, rediss:// or unix://");
    }
    // The client library reads a fragment as "do not check the certificate".
    if parsed.fragment().is_some() {
        return Err("has a # in it");
    }
    let known = |(name, _): (std::borrow::Cow<'_, str>, _)| {
        parsed.scheme() == "unix" && ["db", "user", "pass"].contains(&name.as_ref())
    };
    if !parsed.query_pairs().all(known) {
        return Err("has an unknown parameter after ?");
    }
    let info = parsed.into_connection_info().map_err(|_| "is not an address of Redis")?;
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            Ok(format!("{host}:{port}"))
        }
        ConnectionAddr::Unix(path) if path.as_os_str().len() > 1 => Ok(path.display().to_string()),
        _ => Err("names no host and no socket"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, shown) in [
            ("redis://10.1.2.3", "10.1.2.3:6379"),
            ("redis://redis.example:7000/2", "redis.example:7000"),
            ("redis://:p%40ss@redis.example/0", "redis.example:6379"),
            ("redis://gate:pass@[::1]:1234", "[::1]:1234"),
            ("rediss://:pass@redis.example", "redis.example:6379"),
            ("unix:///run/redis/redis.sock", "/run/redis/redis.sock"),
            ("unix:///run/redis.sock?db=2&pass=CANARY", "/run/redis.sock"),
        ] {
            assert_eq!(address(url).as_deref(), Ok(shown), "{url}");
        }
        for (url, problem) in [
            ("redis", "not an address"),
            ("redis://", "not an address"),
            ("redis://:pa/ss@host", "not an address"),
            ("redis://host:99999", "not an address"),
            ("redis://host/x", "not an address"),
            ("rediss://host#insecure", "has a #"),
            ("redis://host?protocol=resp3", "unknown parameter"),
            ("unix:///x?protocol=resp3", "unknown parameter"),
            ("unix://", "n"),
            ("http://host", "does not begin"),
            ("valkey://host", "does not begin"),
            ("redis+unix:///x", "does not begin"),
        ] {
            let said = address(url);
            assert!(said.as_ref().is_err_and(|said| said.contains(problem)), "{url}: {said:?}");
        }
    }
}
