//! Whether Redis supports all commands that the nodes use, for them and for `wecom-gate check`. Everything written expires within
//! ten seconds.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value, cmd};

use super::error::RedisError;
use super::link::{connect_to, within};
use super::names::Names;
use crate::config::Redis;

/// What the probe found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProbeResult {
    /// `redis_version`; `None` if Redis does not report it.
    pub(crate) version: Option<String>,
    /// Redis has a memory limit, and evicts keys by this policy when it is reached.
    pub(crate) eviction_policy: Option<String>,
    /// Commands that Redis refused, and why.
    pub(crate) refused: Vec<(&'static str, RedisError)>,
}

/// Tries each command once; `lists`: also those for the console.
pub(crate) async fn probe(redis: &Redis, origin: &str, lists: bool) -> Result<ProbeResult, RedisError> {
    let mut connection = connect_to(redis).await?;
    let refused = refused(&mut connection, &Names::new(origin), lists).await?;
    let mut found = ProbeResult { refused, ..ProbeResult::default() };
    let mut info = async |section: &str| {
        let command: Cmd = cmd("INFO").arg(section).take();
        within(command.query_async::<String>(&mut connection)).await.unwrap_or_default()
    };
    found.version = line(&info("server").await, "redis_version").map(str::to_owned);
    let memory = info("memory").await;
    if line(&memory, "maxmemory").is_some_and(|most| most != "0") {
        let rule = line(&memory, "maxmemory_policy").filter(|rule| *rule != "noeviction");
        found.eviction_policy = rule.map(str::to_owned);
    }
    Ok(found)
}

/// Which of the commands used by the nodes Redis refuses. `lists`: there is a console, which needs some more.
pub(super) async fn refused(
    connection: &mut MultiplexedConnection,
    names: &Names,
    lists: bool,
) -> Result<Vec<(&'static str, RedisError)>, RedisError> {
    let (key, stream, list) = (names.probe(), names.probe_stream(), names.probe_list());
    let tries: [(&'static str, &[&str]); 8] = [
        ("SET", &[&key, "1", "NX", "EX", "10"]),
        ("GET", &[&key]),
        ("DEL", &[&key]),
        ("XADD", &[&stream, "MAXLEN", "~", "10", "*", "e", "1"]),
        ("EXPIRE", &[&stream, "10"]),
        ("XREAD", &["COUNT", "1", "STREAMS", &stream, "0"]),
        ("XREVRANGE", &[&stream, "+", "-", "COUNT", "1"]),
        ("DEL", &[&stream]),
    ];
    let of_lists: [(&'static str, &[&str]); 5] = [
        ("RPUSH", &[&list, "1"]),
        ("EXPIRE", &[&list, "10"]),
        ("LTRIM", &[&list, "-1", "-1"]),
        ("LRANGE", &[&list, "0", "-1"]),
        ("DEL", &[&list]),
    ];
    let mut refused: Vec<(&'static str, RedisError)> = Vec::new();
    for (name, arguments) in tries.into_iter().chain(of_lists.into_iter().filter(|_| lists)) {
        let mut command = cmd(name);
        command.arg(arguments);
        match within(command.query_async::<Value>(connection)).await {
            Ok(_) => {}
            // After that no other command can succeed.
            Err(
                why @ (RedisError::Slow | RedisError::Io(_) | RedisError::NoPassword | RedisError::NotRedis),
            ) => return Err(why),
            Err(_) if refused.iter().any(|(before, _)| *before == name) => {}
            Err(why) => refused.push((name, why)),
        }
    }
    Ok(refused)
}

/// The value of this line of `INFO`.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_info() {
        let info = "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(line(info, "maxmemory"), Some("0"));
        assert_eq!(line(info, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(line(info, "max"), None);
    }
}
