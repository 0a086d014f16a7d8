//! The request target: the canonical path in origin form, and nothing of its original spelling (R1).

use pingora::http::RequestHeader;

use crate::decide;
use crate::error::Failure;

/// What is decided on is what is forwarded: the canonical path, in origin form (R1).
pub(crate) fn canonicalise(request: &mut RequestHeader, public_path: &str) -> Result<(), Failure> {
    if !request.raw_path_is_utf8() {
        return Err(Failure::BadPath);
    }
    // Pingora shows a path for every form of target, but keeps the received form for the next server: `GET ?x` and `GET x` have
    // no path that all servers agree on, and the absolute form becomes the origin form.
    let raw = request.raw_path();
    let absolute = raw.first() != Some(&b'/');
    let begins = |scheme: &[u8]| raw.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    if absolute && !begins(b"http://") && !begins(b"https://") {
        return Err(Failure::BadPath);
    }
    let path = request.uri.path();
    let canonical = match decide::path::canonical(path) {
        Ok(canonical) => canonical,
        Err(_) => decide::path::association(path, public_path)?.into(),
    };
    // Over HTTP/1 that was done before Pingora parsed the head (`connection::http1`).
    let encoded =
        request.uri.query().filter(|query| query.bytes().any(decide::query::is_foreign)).map(encoded);
    if matches!(canonical, std::borrow::Cow::Borrowed(_)) && !absolute && encoded.is_none() {
        return Ok(());
    }
    let target = match encoded.as_deref().or(request.uri.query()) {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical.into_owned(),
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(target.parse().map_err(|_| Failure::BadPath)?);
    if request.version == http::Version::HTTP_2 {
        parts.scheme = request.uri.scheme().cloned();
        parts.authority = request.uri.authority().cloned();
    }
    let uri = http::Uri::from_parts(parts).map_err(|_| Failure::BadPath)?;
    request.set_uri(uri);
    Ok(())
}

/// The query as HTTP/1 clients write it, so that what is decided on is what is forwarded.
fn encoded(query: &str) -> String {
    decide::query::encoded(query.as_bytes()).map(char::from).collect()
}

/// Pingora also stores the case of every header name, and would copy it for NocoBase, which gets names in lower case, as from any
/// HTTP/2 client. Keeps no target except the canonical one: call this afterwards.
pub(crate) fn forget_spelling(request: &mut RequestHeader) {
    if request.has_case() {
        let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
        let parts = http::request::Parts::from(std::mem::replace(request, nothing));
        *request = RequestHeader::from(parts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forgotten_spelling_keeps_everything_else() {
        let mut r = RequestHeader::build("POST", b"/api/x?q=%61", None).unwrap();
        r.append_header("X-Role", "a").unwrap();
        r.append_header("x-rOLE", "b").unwrap();
        forget_spelling(&mut r);
        assert!(!r.has_case());
        assert_eq!((r.method.as_str(), r.raw_path()), ("POST", &b"/api/x?q=%61"[..]));
        assert_eq!(r.headers.get_all("x-role").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn r01_foreign_characters_of_a_query_are_encoded() {
        for (target, want) in [
            ("/api/x?filter={\"id\":1}", "/api/x?filter=%7B%22id%22:1%7D"),
            ("/api/x?a=名&b=<|>^`", "/api/x?a=%E5%90%8D&b=%3C%7C%3E%5E%60"),
            ("/api/%78?{", "/api/x?%7B"),
            ("/api/x?a=%7B'[]\\", "/api/x?a=%7B'[]\\"),
        ] {
            let Ok(mut r) = RequestHeader::build("GET", target.as_bytes(), None) else { continue };
            assert_eq!(canonicalise(&mut r, "/"), Ok(()), "{target}");
            assert_eq!(r.raw_path(), want.as_bytes());
            assert_eq!(r.uri.path_and_query().unwrap(), want);
        }
    }

    #[test]
    fn r01_what_is_decided_on_is_what_is_forwarded() {
        let mut r = RequestHeader::build("GET", b"http://gate.test/%61pi/x?q=%61", None).unwrap();
        canonicalise(&mut r, "/").unwrap();
        assert_eq!(r.raw_path(), b"/api/x?q=%61");
        assert!(r.uri.authority().is_none());
        let mut r = RequestHeader::build("GET", b"HTTP://gate.test/api/x?q", None).unwrap();
        canonicalise(&mut r, "/").unwrap();
        assert_eq!(r.raw_path(), b"/api/x?q");
        let mut r = RequestHeader::build("GET", b"/a/../b", None).unwrap();
        assert_eq!(canonicalise(&mut r, "/"), Err(Failure::BadPath));
    }

    proptest! {
        #[test]
        fn r01_whatever_comes_in_is_forwarded_as_it_was_decided_on(
            target in "(http://[a-z:/]{0,12})?/([ -~]|%2[0-9A-F]|/|%|[.]|[?]){0,24}",
        ) {
            let built = RequestHeader::build("GET", target.as_bytes(), None);
            if let Some(mut r) = built.ok().filter(|r| r.raw_path_is_utf8())
                && canonicalise(&mut r, "/").is_ok()
            {
                let query = r.uri.query().map(str::to_owned);
                let sent = std::str::from_utf8(r.raw_path()).unwrap().to_owned();
                let (path, after) = sent.split_once('?').map_or((&*sent, None), |(p, q)| (p, Some(q)));
                prop_assert_eq!(path, r.uri.path());
                if decide::path::holds_encoded_key(path) {
                    let again = decide::path::association(path, "/");
                    prop_assert_eq!(again.as_deref(), Ok(path));
                } else {
                    let again = decide::path::canonical(path);
                    prop_assert_eq!(again.as_deref(), Ok(path));
                }
                prop_assert_eq!(after, query.as_deref());
            }
        }
    }

    #[test]
    fn r06_what_is_no_path_is_refused() {
        for target in [&b"?x"[..], b"api/x", b"*", b"gate.test:80", b"file:///x", b"http:/x"] {
            // Targets that Pingora itself refuses do not get this far.
            if let Ok(mut r) = RequestHeader::build("GET", target, None) {
                assert_eq!(canonicalise(&mut r, "/"), Err(Failure::BadPath), "{}", target.escape_ascii());
            }
        }
    }
}
