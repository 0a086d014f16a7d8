//! The message with which a NocoBase page authenticates: `{"type":"auth:token","payload":{"token":"..."}}`, and how it is
//! forwarded.
//!
//! NocoBase parses every message, text or binary, with `JSON.parse`, and converts any value of `type` to a string. So a message
//! that could be an `auth:token` message for NocoBase, but is not one for the gate, must not pass (R41).

use memchr::memmem;
use serde_json::Value;

/// `type` of the message.
const NAME: &str = "auth:token";
/// Bytes at the end of a piece that are searched again with the next one: one fewer than the name has.
const OVERLAP: usize = NAME.len() - 1;

/// What happens to a token that a page sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenVerdict {
    /// The message is forwarded unchanged.
    Keep,
    /// This message is forwarded instead.
    Replace(String),
    /// Nothing is forwarded: for NocoBase the page is anonymous.
    Refuse,
}

/// The message may name a user, but the gate cannot tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclear;

/// The message to send instead; `None`: unchanged.
pub(super) fn rewritten(
    text: &[u8],
    swap: &mut impl FnMut(&str) -> TokenVerdict,
) -> Result<Option<String>, Unclear> {
    // Most messages are something else.
    if !may_name(text) {
        return Ok(None);
    }
    let Ok(mut message) = serde_json::from_slice::<Value>(text) else {
        // Too deep, half a surrogate pair, an unbounded number, invalid UTF-8: NocoBase may accept it anyway.
        let first = text.iter().find(|b| !b.is_ascii_whitespace());
        return if first == Some(&b'{') { Err(Unclear) } else { Ok(None) };
    };
    match message.get("type") {
        Some(Value::String(name)) if name == NAME => {}
        Some(list @ (Value::Array(_) | Value::Object(_))) if holds_name(list) => return Err(Unclear),
        _ => return Ok(None),
    }
    let Some(token) = message.get_mut("payload").and_then(|payload| payload.get_mut("token")) else {
        return Ok(None);
    };
    let new = match token {
        Value::String(text) if !text.is_empty() => match swap(text) {
            TokenVerdict::Keep => return Ok(None),
            TokenVerdict::Replace(new) => Value::String(new),
            TokenVerdict::Refuse => Value::Null,
        },
        Value::Null | Value::String(_) => return Ok(None),
        _ => Value::Null,
    };
    *token = new;
    serde_json::to_string(&message).map(Some).map_err(|_| Unclear)
}

fn holds_name(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(NAME),
        Value::Array(all) => all.iter().any(holds_name),
        Value::Object(all) => all.values().any(holds_name),
        _ => false,
    }
}

/// Could `type` in this text be the name? It is there literally, or an ASCII character is written as an escape (`\u0061`), which
/// no ordinary page does.
fn may_name(text: &[u8]) -> bool {
    memmem::find(text, NAME.as_bytes()).is_some()
        || memmem::find_iter(text, b"\\u00").any(|at| matches!(text.get(at + 4), Some(b'2'..=b'7')))
}

/// Searches a message that is too long to be held back, piece by piece as it is forwarded.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last bytes that were forwarded.
    tail: Vec<u8>,
}

impl Watch {
    /// The next bytes of the message, unmasked.
    pub(super) fn push(&mut self, piece: impl IntoIterator<Item = u8>) -> Result<(), Unclear> {
        self.tail.extend(piece);
        if may_name(&self.tail) {
            return Err(Unclear);
        }
        let past = self.tail.len().saturating_sub(OVERLAP);
        self.tail.drain(..past);
        Ok(())
    }

    /// A new message begins.
    pub(super) fn restart(&mut self) {
        self.tail.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"type":"auth:token","payload":{"token":"KEY","authenticator":null}}"#;

    fn refusing(text: &[u8]) -> Result<Option<String>, Unclear> {
        rewritten(text, &mut |token| {
            if token == "mine" { TokenVerdict::Replace("real".into()) } else { TokenVerdict::Refuse }
        })
    }

    #[test]
    fn r41_a_foreign_token_is_not_forwarded_in_any_spelling() {
        for message in [
            KEY.to_owned(),
            KEY.replace("KEY", "wcg_of-another-session"),
            KEY.replace("auth", r"\u0061uth"),
            KEY.replace("auth:token", r"\u0061\u0075\u0074\u0068\u003a\u0074\u006f\u006b\u0065\u006E"),
            KEY.replace("\"token\":", r#""tok\u0065n":"#),
            KEY.replace("\"payload\":", "\"payload\":{\"token\":\"mine\"},\"payload\":"),
            KEY.replace("\"token\":", "\"token\":\"mine\",\"token\":"),
            KEY.replace("\"KEY\"", "[\"KEY\"]"),
            KEY.replace("\"KEY\"", "{\"x\":\"KEY\"}"),
            KEY.replace("\"KEY\"", "1"),
            format!("  \n{KEY}\r\n"),
        ] {
            let sent = refusing(message.as_bytes()).unwrap().unwrap_or_else(|| panic!("passes: {message}"));
            let sent: Value = serde_json::from_str(&sent).unwrap();
            assert_eq!(
                (&sent["type"], &sent["payload"]["token"]),
                (&"auth:token".into(), &Value::Null),
                "{message}"
            );
        }
    }

    #[test]
    fn r41_what_the_gate_cannot_read_and_nocobase_can_ends_the_tunnel() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for message in [
            KEY.replace("\"auth:token\"", "[\"auth:token\"]"),
            KEY.replace("\"auth:token\"", "[[\"auth:token\"]]"),
            KEY.replace("null", &deep),
            KEY.replace("null", "1e999"),
            KEY.replace("null", r#""\ud800""#),
        ] {
            assert_eq!(refusing(message.as_bytes()), Err(Unclear), "{message}");
        }
        let mut binary = KEY.as_bytes().to_vec();
        let at = binary.windows(4).position(|w| w == b"null").unwrap();
        binary.splice(at..at + 4, *b"\"\xff\"");
        assert_eq!(refusing(&binary), Err(Unclear));
    }

    #[test]
    fn r41_everything_else_passes_as_it_is() {
        for message in [
            "",
            "ping",
            "auth:token",
            r#"{"type":"auth:token"}"#,
            r#"{"type":"auth:token","payload":null}"#,
            r#"{"type":"auth:token","payload":[]}"#,
            r#"{"type":"auth:token","payload":{"token":null}}"#,
            r#"{"type":"auth:token","payload":{"token":""}}"#,
            r#"{"type":"auth:other","payload":{"token":"KEY"}}"#,
            r#"{"type":"chat","payload":{"text":"auth:token"}}"#,
            r#"{"type":"chat","payload":{"text":"\u4e2d\u0007"}}"#,
            r#"[{"type":"auth:token","payload":{"token":"KEY"}}]"#,
            r#"{"payload":{"token":"auth:token"}}"#,
        ] {
            assert_eq!(refusing(message.as_bytes()), Ok(None), "{message}");
        }
        assert_eq!(refusing(b"\x00\x01auth:token\xff"), Ok(None), "no JSON to anybody");
    }

    #[test]
    fn the_sessions_own_token_is_replaced() {
        let sent = refusing(KEY.replace("KEY", "mine").as_bytes()).unwrap().unwrap();
        assert!(sent.contains("\"real\"") && !sent.contains("mine"), "{sent}");
    }

    #[test]
    fn r41_a_long_message_is_looked_at_as_it_passes() {
        for (name, found) in
            [("auth:token", true), (r"\u0061uth:token", true), ("auth:tokem", false), (r"\u4e2d", false)]
        {
            let text = format!("{}{name}{}", "x".repeat(100), "y".repeat(100));
            for size in 1..20 {
                let mut watch = Watch::default();
                let seen =
                    text.as_bytes().chunks(size).any(|piece| watch.push(piece.iter().copied()).is_err());
                assert_eq!(seen, found, "{name} in pieces of {size}");
                assert!(found || watch.tail.len() <= OVERLAP);
            }
        }
        let mut watch = Watch::default();
        watch.push(*b"auth:").unwrap();
        watch.restart();
        watch.push(*b"token").unwrap();
    }
}
