//! Errors of Redis.

use std::error::Error as _;

use redis::ErrorKind;

use crate::message::{Message, message};

/// Why a Redis command failed, in the gate's words and Redis's error codes. The messages of Redis and of the
/// client library are left out: they may repeat what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub(crate) enum RedisError {
    NotYet,
    Address,
    Refused,
    Slow,
    /// With the system's message.
    Io(String),
    Password,
    NoPassword,
    MayNot,
    Replica,
    Cluster,
    NotRedis,
    /// With Redis's code.
    Code(String),
    Other,
}

impl RedisError {
    /// As a sentence, which the console translates.
    pub(crate) fn message(&self) -> Message {
        match self {
            RedisError::NotYet => message!("not connected yet"),
            RedisError::Address => message!("the address cannot be used"),
            RedisError::Refused => message!("the connection is refused"),
            RedisError::Slow => message!("no response within a second"),
            RedisError::Io(why) => message!("the connection fails: {why}", why),
            RedisError::Password => message!("the password is wrong"),
            RedisError::NoPassword => message!("a password is required (NOAUTH)"),
            RedisError::MayNot => message!("this user lacks a permission that is needed (NOPERM)"),
            RedisError::Replica => message!("it is a replica (READONLY)"),
            RedisError::Cluster => message!("it is a cluster"),
            RedisError::NotRedis => message!("the response is not one of Redis"),
            RedisError::Code(code) => message!("it responds {code}", code),
            RedisError::Other => message!("it refuses"),
        }
    }
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
