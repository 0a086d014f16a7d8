//! Query parameters, without parsing the rest of the query.

use super::path::hex_pair;

/// Is there a parameter with this name? Names are compared as a browser's `URLSearchParams` reads them, so `%74oken` is `token`.
pub fn has(query: &str, name: &str) -> bool {
    query.split('&').any(|pair| is_named(pair, name))
}

/// Is this a character that RFC 3986 does not allow in a query, and that has no meaning there?
pub fn is_foreign(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'{' | b'}' | b'|' | b'^' | b'`' | 0x80..)
}

/// The bytes of a query, with such characters percent-encoded.
pub fn encoded(query: &[u8]) -> impl Iterator<Item = u8> {
    query.iter().flat_map(|byte| {
        let digit = |nibble: u8| b"0123456789ABCDEF".get(usize::from(nibble)).copied().unwrap_or(b'0');
        let (byte, foreign) = (*byte, is_foreign(*byte));
        let first = if foreign { b'%' } else { byte };
        let digits = foreign.then(|| [digit(byte >> 4), digit(byte & 0xf)]);
        std::iter::once(first).chain(digits.into_iter().flatten())
    })
}

/// The query without the parameters with these names; the others stay as written. `None` if none is left.
pub fn without(query: &str, names: &[&str]) -> Option<String> {
    let mut out = String::with_capacity(query.len());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !names.iter().any(|name| is_named(pair, name)) {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(pair);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The query with the value of every `token` replaced by the result of `swap`; `None` if `swap` returns `None` for all. The rest
/// stays as written.
pub fn replace_token(query: &str, mut swap: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut swapped = false;
    let mut out = String::with_capacity(query.len() + 512);
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            out.push('&');
        }
        let new = pair.split_once('=').filter(|_| is_named(pair, "token")).and_then(|(_, value)| swap(value));
        match new {
            Some(value) => {
                swapped = true;
                out.push_str("token=");
                out.push_str(&value);
            }
            None => out.push_str(pair),
        }
    }
    swapped.then_some(out)
}

fn is_named(pair: &str, name: &str) -> bool {
    let written = pair.split_once('=').map_or(pair, |(written, _)| written);
    written == name || (written.contains('%') && decodes_to(written, name))
}

/// Does the percent-encoded text spell the (ASCII) name?
fn decodes_to(written: &str, name: &str) -> bool {
    let mut rest = written.bytes();
    let mut spelled = name.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            match hex_pair(&mut rest) {
                Some(decoded) => decoded,
                None => return false,
            }
        } else {
            byte
        };
        if spelled.next() != Some(byte) {
            return false;
        }
    }
    spelled.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_replaced_and_nothing_else() {
        let swap = |t: &str| (t == "phantom").then(|| "real".to_owned());
        for (query, swapped) in [
            ("token=phantom", Some("token=real")),
            ("a=1&token=phantom&b=%20", Some("a=1&token=real&b=%20")),
            ("%74oken=phantom", Some("token=real")),
            ("token=phantom&token=other", Some("token=real&token=other")),
            ("token=other", None),
            ("xtoken=phantom", None),
            ("token", None),
            ("", None),
        ] {
            assert_eq!(replace_token(query, swap).as_deref(), swapped, "{query}");
        }
    }

    #[test]
    fn names_are_found_as_a_browser_reads_them() {
        for (query, found) in [
            ("token=x", true),
            ("token", true),
            ("token=", true),
            ("a=b&token=x", true),
            ("a=b&%74oken=x", true),
            ("%74%6F%6b%65%6E=x", true),
            ("", false),
            ("a=token", false),
            ("tokens=x", false),
            ("toke=x", false),
            ("Token=x", false),
            ("xtoken=x", false),
            ("a=b;token=x", false),
            ("%zzoken=x", false),
            ("toke%", false),
            ("toke%6", false),
            ("token%00=x", false),
            ("to%2574ken=x", false),
        ] {
            assert_eq!(has(query, "token"), found, "{query}");
        }
    }

    #[test]
    fn the_rest_of_the_query_stays_as_written() {
        for (query, left) in [
            ("token=x", None),
            ("", None),
            ("&&", None),
            ("token=x&authenticator=basic", None),
            ("a=%7e+b&token=x&c=%zz&%74oken=y&d", Some("a=%7e+b&c=%zz&d")),
            ("a=b", Some("a=b")),
        ] {
            assert_eq!(without(query, &["token", "authenticator"]).as_deref(), left, "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_was_taken_out_is_not_found_again(query in "([%&=]|%74|token|authenticator|[a-z0-9]){0,12}") {
            let left = without(&query, &["token", "authenticator"]).unwrap_or_default();
            prop_assert!(!has(&left, "token") && !has(&left, "authenticator"));
        }
    }
}
