//! Whether Redis does all that the nodes will ask of it, for them and for `wecom-gate check`. What is written is gone ten seconds later
//! at the latest.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value, cmd};

use super::error::RedisError;
use super::link::{connect_to, within};
use super::names::Names;
use crate::config::Redis;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProbeResult {
    /// `redis_version`; `None` where Redis does not tell.
    pub(crate) version: Option<String>,
    /// It is full at some point, and then throws keys away by this rule.
    pub(crate) throws_away: Option<String>,
    /// What it does not do.
    pub(crate) refused: Vec<(&'static str, RedisError)>,
}

/// Asks everything once.
pub(crate) async fn probe(redis: &Redis, origin: &str) -> Result<ProbeResult, RedisError> {
    let mut connection = connect_to(redis).await?;
    let refused = refused(&mut connection, &Names::new(origin)).await?;
    let mut found = ProbeResult { refused, ..ProbeResult::default() };
    let mut info = async |section: &str| {
        let command: Cmd = cmd("INFO").arg(section).take();
        within(command.query_async::<String>(&mut connection)).await.unwrap_or_default()
    };
    found.version = line(&info("server").await, "redis_version").map(str::to_owned);
    let memory = info("memory").await;
    if line(&memory, "maxmemory").is_some_and(|most| most != "0") {
        let rule = line(&memory, "maxmemory_policy").filter(|rule| *rule != "noeviction");
        found.throws_away = rule.map(str::to_owned);
    }
    Ok(found)
}

/// What it does not do of all that the nodes ask of it.
pub(super) async fn refused(
    connection: &mut MultiplexedConnection,
    names: &Names,
) -> Result<Vec<(&'static str, RedisError)>, RedisError> {
    let (key, stream) = (names.probe(), names.probe_stream());
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
    let mut refused: Vec<(&'static str, RedisError)> = Vec::new();
    for (name, arguments) in tries {
        let mut command = cmd(name);
        command.arg(arguments);
        match within(command.query_async::<Value>(connection)).await {
            Ok(_) => {}
            // Nothing is better after that.
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
