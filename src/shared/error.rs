//! Errors of Redis.

use std::error::Error as _;

use redis::ErrorKind;

/// Why a Redis command failed, in the gate's words and Redis's error codes. The messages of Redis and of the
/// client library are left out: they may repeat what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RedisError {
    #[error("not connected yet")]
    NotYet,
    #[error("the address cannot be used")]
    Address,
    #[error("the connection is refused")]
    Refused,
    #[error("no response within a second")]
    Slow,
    #[error("the connection fails: {0}")]
    Io(String),
    #[error("the password is wrong")]
    Password,
    #[error("a password is required (NOAUTH)")]
    NoPassword,
    #[error("this user lacks a permission that is needed (NOPERM)")]
    MayNot,
    #[error("it is a replica (READONLY)")]
    Replica,
    #[error("it is a cluster")]
    Cluster,
    #[error("the response is not one of Redis")]
    NotRedis,
    #[error("it responds {0}")]
    Code(String),
    #[error("it refuses")]
    Other,
}

impl From<&redis::RedisError> for RedisError {
    fn from(error: &redis::RedisError) -> RedisError {
        match error.kind() {
            _ if error.is_connection_refusal() => RedisError::Refused,
            ErrorKind::AuthenticationFailed => RedisError::Password,
            ErrorKind::Io => {
                // A system or TLS error, about addresses and certificates.
                RedisError::Io(error.source().map_or_else(|| "closed".into(), ToString::to_string))
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => RedisError::NotRedis,
            _ => match error.code() {
                Some("NOAUTH") => RedisError::NoPassword,
                Some("WRONGPASS") => RedisError::Password,
                Some("NOPERM") => RedisError::MayNot,
                Some("READONLY") => RedisError::Replica,
                Some("MOVED" | "CLUSTERDOWN" | "CROSSSLOT") => RedisError::Cluster,
                Some(code) if code.len() < 20 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
                    RedisError::Code(code.to_owned())
                }
                _ => RedisError::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    #[test]
    fn messages_repeat_nothing_of_what_was_sent() {
        for (kind, text) in [
            (ErrorKind::AuthenticationFailed, "the password is wrong"),
            (ErrorKind::Io, "the connection fails: closed"),
            (ErrorKind::Parse, "the response is not one of Redis"),
            (ErrorKind::Server(ServerErrorKind::ReadOnly), "it is a replica (READONLY)"),
            (ErrorKind::Server(ServerErrorKind::BusyLoading), "it responds LOADING"),
            (ErrorKind::Server(ServerErrorKind::Moved), "it is a cluster"),
            (ErrorKind::Client, "it refuses"),
        ] {
            let error = redis::RedisError::from((kind, "CANARY", "CANARY".to_owned()));
            assert_eq!(RedisError::from(&error).to_string(), text);
        }
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(RedisError::from(&redis::RedisError::from(refused)), RedisError::Refused);
        let tls = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        let why = RedisError::from(&redis::RedisError::from(tls)).to_string();
        assert_eq!(why, "the connection fails: invalid peer certificate: UnknownIssuer");
    }
}

#[cfg(test)]
mod codes;
