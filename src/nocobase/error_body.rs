//! NocoBase's error responses: `{"errors":[{"message":"...","code":"EMPTY_TOKEN"}]}`, and which of its codes end a session.

use serde::{Deserialize, Serialize};

/// Most bytes of an error body that are read. NocoBase's have about 100.
pub(crate) const MAX_ERROR_BODY: usize = 8 * 1024;

/// A NocoBase error code about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// There was no token.
    EmptyToken,
    /// Expired, and the request was not one that renews.
    ExpiredToken,
    /// Not signed with NocoBase's secret.
    InvalidToken,
    /// Expired, and its session is not registered.
    TokenRenewFailed,
    /// Its session was signed out.
    BlockedToken,
    /// Its session is older than NocoBase's policy allows.
    ExpiredSession,
    /// Its user has been deleted.
    NotExistUser,
    /// Expired, in a request that must not renew.
    SkipTokenRenew,
    /// The user has no roles.
    UserHasNoRoles,
}

/// The codes by NocoBase's names.
const CODES: [(&str, Code); 9] = [
    ("EMPTY_TOKEN", Code::EmptyToken),
    ("EXPIRED_TOKEN", Code::ExpiredToken),
    ("INVALID_TOKEN", Code::InvalidToken),
    ("TOKEN_RENEW_FAILED", Code::TokenRenewFailed),
    ("BLOCKED_TOKEN", Code::BlockedToken),
    ("EXPIRED_SESSION", Code::ExpiredSession),
    ("NOT_EXIST_USER", Code::NotExistUser),
    ("SKIP_TOKEN_RENEW", Code::SkipTokenRenew),
    ("USER_HAS_NO_ROLES_ERR", Code::UserHasNoRoles),
];

impl Code {
    /// `None` for a code that is not about tokens.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        CODES.iter().find(|(n, _)| *n == name).map(|(_, code)| *code)
    }
    /// NocoBase's name.
    pub(crate) fn as_str(self) -> &'static str {
        CODES.iter().find(|(_, code)| *code == self).map_or("", |(name, _)| name)
    }
}

/// Body of a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    /// NocoBase sends one or more.
    #[serde(default)]
    pub errors: Vec<ErrorEntry>,
}

/// One reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorEntry {
    /// For people, in the language of the request.
    #[serde(default)]
    pub message: String,
    /// For programs; many responses have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl ErrorBody {
    /// `None` if it does not have NocoBase's format.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
    /// The first code about the token.
    pub(crate) fn token_code(&self) -> Option<Code> {
        self.errors.iter().filter_map(|e| e.code.as_deref()).find_map(Code::parse)
    }
    /// The reasons in one line for a log, at most 200 characters, without line breaks.
    pub(crate) fn summary(&self) -> String {
        let mut line = String::new();
        for e in &self.errors {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.extend(e.message.chars().map(|c| if c.is_control() { ' ' } else { c }));
            if let Some(code) = &e.code {
                line.push_str(" (");
                line.extend(code.chars().filter(|c| !c.is_control()));
                line.push(')');
            }
        }
        line.chars().take(200).collect()
    }
}

/// Finds the code in the body of a 401 that is forwarded piece by piece. Nothing is held back: push copies of what is forwarded,
/// and call `finish` at the end. The body must not be compressed.
#[derive(Debug, Default)]
pub(crate) struct CodeReader {
    seen: Vec<u8>,
    too_long: bool,
}

impl CodeReader {
    /// Reads the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        if self.too_long || self.seen.len().saturating_add(piece.len()) > MAX_ERROR_BODY {
            self.too_long = true;
            self.seen = Vec::new();
        } else {
            self.seen.extend_from_slice(piece);
        }
    }
    /// The code, once the body is complete. `None`: no code, not JSON, or longer than any response about a token.
    pub(crate) fn finish(&self) -> Option<Code> {
        ErrorBody::parse(&self.seen)?.token_code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCKED: &[u8] = br#"{"errors":[{"message":"Your session has expired.","code":"BLOCKED_TOKEN"}]}"#;

    #[test]
    fn every_code_has_the_name_that_nocobase_gives_it() {
        for (name, code) in CODES {
            assert_eq!((Code::parse(name), code.as_str()), (Some(code), name));
        }
    }

    #[test]
    fn reasons_are_one_line() {
        let body = br#"{"errors":[{"message":"a\nb"},{"message":"c","code":"D\n"},{"message":"e"}]}"#;
        assert_eq!(ErrorBody::parse(body).unwrap().summary(), "a b; c (D); e");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(300));
        assert_eq!(ErrorBody::parse(long.as_bytes()).unwrap().summary(), "x".repeat(200));
        assert_eq!(ErrorBody::default().summary(), "");
    }

    #[test]
    fn bodies_of_every_kind() {
        for (body, want) in [
            (BLOCKED, Some(Code::BlockedToken)),
            (
                br#"{"errors":[{"message":"x"},{"message":"y","code":"NOT_EXIST_USER"}]}"#,
                Some(Code::NotExistUser),
            ),
            (br#"{"errors":[{"message":"No permissions"}]}"#, None),
            (br#"{"errors":[{"code":"SOMETHING_ELSE"}]}"#, None),
            (br#"{"error":{"status":503,"message":"BLOCKED_TOKEN"}}"#, None),
            (br#"{"errors":"BLOCKED_TOKEN"}"#, None),
            (br#"{"errors":[{"message":"no code","code":null}]}"#, None),
            (b"<html>BLOCKED_TOKEN</html>", None),
            (b"", None),
        ] {
            let mut r = CodeReader::default();
            r.push(body);
            assert_eq!(r.finish(), want, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn r17_a_long_body_costs_no_memory_and_has_no_code() {
        let mut r = CodeReader::default();
        r.push(BLOCKED);
        for _ in 0..100 {
            r.push(&[b' '; 1024]);
        }
        assert_eq!((r.finish(), r.seen.capacity()), (None, 0));
    }

    #[test]
    fn r27_a_summary_is_one_short_line() {
        let e = ErrorEntry { message: "x\r\n\u{7}y".repeat(200), code: Some("C\n".into()) };
        let line = ErrorBody { errors: vec![e.clone(), e] }.summary();
        assert_eq!(line.chars().count(), 200);
        assert!(!line.chars().any(char::is_control));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_code(cuts in proptest::collection::vec(0..BLOCKED.len(), 0..5)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut r, mut from) = (CodeReader::default(), 0);
            for cut in cuts {
                r.push(&BLOCKED[from..cut]);
                from = cut;
            }
            r.push(&BLOCKED[from..]);
            prop_assert_eq!(r.finish(), Some(Code::BlockedToken));
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut r = CodeReader::default();
            r.push(&body);
            let _ = r.finish();
        }
    }
}
