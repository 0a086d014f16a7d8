//! Inserts the gate's script into NocoBase's pages while they are streamed: as the first element of `<head>`, so that it runs
//! before any script of the page.
//!
//! It parses just enough of HTML's tokenization (comments, doctype, tags with quoted attributes) not to be fooled by a `<head>`
//! in a comment or an attribute. The body must not be compressed and must have an ASCII-compatible charset.

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use memchr::memmem;

/// A page whose head has not begun after this many bytes is forwarded unchanged.
pub const LIMIT: usize = 64 * 1024;

/// Elements that belong into a head even if there is no `<head>` tag: the head begins before the first of them.
const HEAD_CONTENT: [&[u8]; 8] =
    [b"script", b"meta", b"title", b"link", b"style", b"base", b"noscript", b"template"];

/// The state of one page.
#[derive(Debug)]
pub struct Injector {
    tag: Bytes,
    /// The part of the page that is held back. At most [`LIMIT`] bytes and one piece.
    held: BytesMut,
    /// Everything before this offset of `held` has been parsed.
    read: usize,
    done: bool,
    missed: bool,
}

enum HeadSearch {
    /// The tag goes here.
    Here(usize),
    /// Undecided; everything before this offset has been parsed.
    More(usize),
}

impl Injector {
    /// `tag`: from `pages::script_tag`.
    pub fn new(tag: Bytes) -> Self {
        Self { tag, held: BytesMut::new(), read: 0, done: false, missed: false }
    }

    /// The page has been forwarded, and there was no place for the tag.
    pub fn found_no_head(&self) -> bool {
        self.missed
    }

    /// Reads the next piece of the page, returns what can be forwarded. With `end`, everything.
    pub fn push(&mut self, piece: Bytes, end: bool) -> Bytes {
        if self.done {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        let window = self.held.get(..LIMIT).unwrap_or(&self.held);
        let full = window.len() == LIMIT;
        match head_begins(window, self.read) {
            HeadSearch::Here(at) => {
                self.done = true;
                let mut out = BytesMut::with_capacity(self.held.len().saturating_add(self.tag.len()));
                let (before, after) = self.held.split_at_checked(at).unwrap_or((&self.held, &[]));
                out.extend_from_slice(before);
                out.extend_from_slice(&self.tag);
                out.extend_from_slice(after);
                self.held = BytesMut::new();
                out.freeze()
            }
            HeadSearch::More(_) if end || full => {
                self.done = true;
                // A response without a body, as to HEAD, is not a page.
                self.missed = !self.held.is_empty();
                std::mem::take(&mut self.held).freeze()
            }
            HeadSearch::More(read) => {
                self.read = read;
                Bytes::new()
            }
        }
    }
}

/// Where in `page` the head begins, continuing at `from` (the beginning of a token).
fn head_begins(page: &[u8], mut from: usize) -> HeadSearch {
    while let Some(open) = page.get(from..).and_then(|rest| memchr(b'<', rest)) {
        let start = from.saturating_add(open);
        let token = page.get(start..).unwrap_or_default();
        let Some(second) = token.get(1) else { return HeadSearch::More(start) };
        let length = match second {
            b'!' => markup_declaration(token),
            b'?' => past(token, b">"),
            // Without a name it is a comment, in which quotes have no meaning.
            b'/' if token.get(2).is_some_and(|third| !third.is_ascii_alphabetic()) => past(token, b">"),
            b'/' | b'a'..=b'z' | b'A'..=b'Z' => tag(token),
            _ => Some(1), // a lone `<` is text
        };
        let Some(length) = length else { return HeadSearch::More(start) };
        let name = tag_name(token);
        let end = start.saturating_add(length);
        if name.eq_ignore_ascii_case(b"head") {
            return HeadSearch::Here(end);
        }
        if HEAD_CONTENT.iter().any(|n| name.eq_ignore_ascii_case(n)) {
            return HeadSearch::Here(start);
        }
        from = end;
    }
    HeadSearch::More(page.len())
}

/// Length of the token up to and including `mark`.
fn past(token: &[u8], mark: &[u8]) -> Option<usize> {
    memmem::find(token, mark).map(|at| at.saturating_add(mark.len()))
}

/// Length of a comment, a doctype, or anything else that begins with `<!`.
fn markup_declaration(token: &[u8]) -> Option<usize> {
    let Some(comment) = token.strip_prefix(b"<!--") else {
        // `<!` or `<!-` may still become a comment.
        return if b"<!--".starts_with(token) { None } else { past(token, b">") };
    };
    // `<!-->` and `<!--->` are complete.
    for (begin, length) in [(&b">"[..], 5), (b"->", 6)] {
        if comment.starts_with(begin) {
            return Some(length);
        }
    }
    if b"->".starts_with(comment) {
        return None;
    }
    let ends = [&b"-->"[..], b"--!>"].iter().filter_map(|mark| past(comment, mark)).min()?;
    // `--` at the very end of `comment` may become `--!>`, which would be later than a `-->`, never earlier: the minimum is
    // final.
    Some(ends.saturating_add(4))
}

/// The position in a tag.
#[derive(Clone, Copy)]
enum InTag {
    Name,
    /// Before the name of an attribute.
    Between,
    /// In or after the name of an attribute.
    Attribute,
    BeforeValue,
    Quoted(u8),
    Unquoted,
}

/// Length of a start or end tag: up to the first `>` outside a quoted attribute value. A quote begins a value only directly after
/// the `=` that follows an attribute's name (WHATWG HTML, 13.2.5.32 to 13.2.5.40).
fn tag(token: &[u8]) -> Option<usize> {
    let mut state = InTag::Name;
    for (at, &b) in token.iter().enumerate().skip(2) {
        let space = b.is_ascii_whitespace();
        state = match (state, b) {
            (InTag::Quoted(quote), b) if quote == b => InTag::Between,
            (InTag::Quoted(_), _) => state,
            (_, b'>') => return Some(at.saturating_add(1)),
            (InTag::BeforeValue, b'"' | b'\'') => InTag::Quoted(b),
            (InTag::BeforeValue, _) if space => state,
            (InTag::BeforeValue, _) => InTag::Unquoted,
            (InTag::Attribute, b'=') => InTag::BeforeValue,
            (InTag::Name | InTag::Between | InTag::Attribute, b'/') => InTag::Between,
            (InTag::Name | InTag::Unquoted, _) if space => InTag::Between,
            (InTag::Between, _) if !space => InTag::Attribute,
            _ => state,
        };
    }
    None
}

/// Name of a start tag; empty for everything else.
fn tag_name(token: &[u8]) -> &[u8] {
    let rest = token.get(1..).unwrap_or_default();
    let name = rest.split(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/')).next().unwrap_or_default();
    if name.first().is_some_and(u8::is_ascii_alphabetic) { name } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "<script src=\"/g.js\"></script>";

    fn run(page: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut injector = Injector::new(Bytes::from_static(TAG.as_bytes()));
        let (mut out, mut from) = (Vec::new(), 0);
        for &cut in cuts {
            out.extend_from_slice(&injector.push(Bytes::copy_from_slice(&page[from..cut]), false));
            from = cut;
        }
        out.extend_from_slice(&injector.push(Bytes::copy_from_slice(&page[from..]), true));
        out
    }

    /// `|` marks where the tag must go.
    const PAGES: &[&str] = &[
        "<!DOCTYPE html><html lang=\"en\"><head>|<meta charset=utf-8><script>1</script></head><body></body></html>",
        "<HTML><HEAD\n class='x>y' data-a=\"<head>\" >|<title>t</title>",
        "<!-- <head> --><head>|</head>",
        "<!--><head>|-->",
        "<!---><head>|",
        "<!-- a --!><head>|",
        "<!-- a -- > <head> --><head>|",
        "<!-x><head>|",
        "<?xml version='1.0'?><!doctype html SYSTEM \"about:legacy-compat\"><head>|",
        "<html data-x='<head>'><head/>|",
        "<html a=\"'\" b='\"' c = \">\"><head>|",
        // A quote is an ordinary character inside an unquoted value, a name, or a comment that begins as an end tag.
        "<html a=b\"c><head>|",
        "<html a=b=\"><head>|\">",
        "<html =\"><head>|\">",
        "<html=\"><head>|\">",
        "<html a/=\"><head>|\">",
        "<html a=\"\"=\"><head>|\">",
        "</html=\"><head>|\">",
        "</ a=\"><head>|\">",
        "</html a=\"><head>\"><head>|",
        "<header>no</header><head>|",
        "</head><head>|",
        "1 < 2 <3 <> </> <head>|",
        "\u{feff}<!doctype html>\r\n<head>|",
        "<html>|<script>var x = '<head>'</script><head>",
        "|<SCRIPT src=a></SCRIPT>",
        "<!-- x -->|<meta charset=utf-8><head>",
        "<html>|<title><head></title>",
        "<scripts></scripts><metadata><head>|",
    ];

    const NONE: &[&str] =
        &["", "plain text", "<p>a</p>", "<!-- <head>", "<head", "<head class=\"", "<html", "<", "<!"];

    #[test]
    fn first_thing_in_the_head() {
        for page in PAGES {
            let (input, want) = (page.replace('|', ""), page.replace('|', TAG));
            assert_eq!(String::from_utf8(run(input.as_bytes(), &[])).unwrap(), want);
        }
        for page in NONE {
            assert_eq!(run(page.as_bytes(), &[]), page.as_bytes());
        }
    }

    #[test]
    fn every_split_in_two_gives_the_same() {
        for page in PAGES.iter().chain(NONE) {
            let input = page.replace('|', "");
            let whole = run(input.as_bytes(), &[]);
            for cut in 0..=input.len() {
                assert_eq!(run(input.as_bytes(), &[cut]), whole, "{page} at {cut}");
            }
            let all: Vec<usize> = (0..=input.len()).collect();
            assert_eq!(run(input.as_bytes(), &all), whole, "{page} byte by byte");
        }
    }

    #[test]
    fn r17_a_head_after_the_limit_is_not_waited_for() {
        let fits = format!("{}<head>", " ".repeat(LIMIT - 6));
        assert_eq!(run(fits.as_bytes(), &[]), format!("{fits}{TAG}").as_bytes());
        let late = format!("{}<head>", " ".repeat(LIMIT - 5));
        for cuts in [&[][..], &[1], &[LIMIT - 1], &[LIMIT], &[LIMIT - 1, LIMIT, LIMIT + 1]] {
            assert_eq!(run(late.as_bytes(), cuts), late.as_bytes());
        }
        let mut injector = Injector::new(Bytes::from_static(TAG.as_bytes()));
        for _ in 0..100 {
            injector.push(Bytes::from(vec![b' '; 1024]), false);
        }
        assert_eq!(injector.held.capacity(), 0);
    }

    #[test]
    fn after_the_tag_pieces_pass_without_a_copy() {
        let mut injector = Injector::new(Bytes::from_static(TAG.as_bytes()));
        injector.push(Bytes::from_static(b"<head>"), false);
        let piece = Bytes::from(vec![b'x'; 4096]);
        assert_eq!(injector.push(piece.clone(), false).as_ptr(), piece.as_ptr());
    }

    fn html() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("<head>".to_owned()),
            Just("<HEAD a='>'>".to_owned()),
            Just("<!--".to_owned()),
            Just("-->".to_owned()),
            Just("--!>".to_owned()),
            Just("<!doctype html>".to_owned()),
            Just("<html a=\"<head>\">".to_owned()),
            Just("<script>".to_owned()),
            "[<>!/='\"a-h -]{0,6}",
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(page in html(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(page.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(run(page.as_bytes(), &cuts), run(page.as_bytes(), &[]));
        }

        #[test]
        fn without_the_tag_it_is_the_page(page in proptest::collection::vec(any::<u8>(), 0..400), html in html()) {
            for input in [page, html.into_bytes()] {
                let out = run(&input, &[]);
                match memmem::find(&out, TAG.as_bytes()) {
                    Some(at) => {
                        let rest = [&out[..at], &out[at + TAG.len()..]].concat();
                        prop_assert_eq!(rest, input);
                    }
                    None => prop_assert_eq!(out, input),
                }
            }
        }
    }
}
