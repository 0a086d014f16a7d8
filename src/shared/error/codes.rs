//! Redis's own codes.

use super::*;

#[test]
fn each_code_has_its_meaning_and_nothing_else_is_passed_on() {
    let of = |code: &str| {
        RedisError::from(&redis::make_extension_error(code.to_owned(), Some("CANARY".to_owned())))
    };
    for (code, why) in [
        ("NOAUTH", RedisError::NoPassword),
        ("WRONGPASS", RedisError::Password),
        ("NOPERM", RedisError::MayNot),
        ("READONLY", RedisError::Replica),
        ("MOVED", RedisError::Cluster),
        ("CLUSTERDOWN", RedisError::Cluster),
        ("CROSSSLOT", RedisError::Cluster),
        ("MISCONF", RedisError::Code("MISCONF".into())),
        ("ABCDEFGHIJKLMNOPQRS", RedisError::Code("ABCDEFGHIJKLMNOPQRS".into())),
        ("ABCDEFGHIJKLMNOPQRST", RedisError::Other),
        ("secret", RedisError::Other),
        ("ERR1", RedisError::Other),
    ] {
        assert_eq!(of(code), why, "{code}");
    }
}
