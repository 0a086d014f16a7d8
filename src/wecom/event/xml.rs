//! The flat XML of WeCom's callbacks: the children of the root, name to text. Document types, custom entities and processing
//! instructions are refused, and so are names that occur twice. quick-xml's serde reader ignores the first three, and unknown
//! names that occur twice, so the events are read one by one.

use std::collections::HashMap;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::rejected::RejectedEvent;

const BROKEN: RejectedEvent = RejectedEvent::new("not the XML of a callback");
/// Deepest nesting that is read; WeCom sends less.
const MAX_DEPTH: usize = 8;

/// Texts of the root's children; deeper ones are skipped, a repeated name is refused.
pub(super) fn fields(xml: &str) -> Result<HashMap<String, String>, RejectedEvent> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut found = HashMap::new();
    let mut depth = 0usize;
    let mut roots = 0usize;
    let mut current: Option<(String, String)> = None;
    loop {
        match reader.read_event().map_err(|_| BROKEN)? {
            Event::Start(start) => {
                depth += 1;
                roots += usize::from(depth == 1);
                if depth > MAX_DEPTH || roots > 1 {
                    return Err(BROKEN);
                }
                if depth == 2 {
                    current = Some((start.name().as_ref().to_owned(), String::new()));
                }
            }
            Event::End(_) => {
                if depth == 2
                    && let Some((name, text)) = current.take()
                    && found.insert(name, text).is_some()
                {
                    return Err(BROKEN);
                }
                depth = depth.checked_sub(1).ok_or(BROKEN)?;
            }
            Event::Text(text) => push(&mut current, depth, &text.xml10_content()),
            Event::CData(text) => push(&mut current, depth, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let one = match &*reference {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "apos" => '\'',
                    "quot" => '"',
                    _ => reference.resolve_char_ref().ok().flatten().ok_or(BROKEN)?,
                };
                push(&mut current, depth, one.encode_utf8(&mut [0; 4]));
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Empty(_) | Event::DocType(_) | Event::PI(_) => return Err(BROKEN),
            Event::Eof => break,
        }
    }
    if depth == 0 && roots == 1 { Ok(found) } else { Err(BROKEN) }
}

fn push(current: &mut Option<(String, String)>, depth: usize, text: &str) {
    if depth == 2
        && let Some((_, whole)) = current
    {
        whole.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn children_of_the_root_are_read() {
        let got = fields(
            "<?xml version=\"1.0\"?><xml>\n<A><![CDATA[1<2]]></A><B>x &amp; &#65;</B><C/><D><E>deep</E></D></xml>",
        );
        let got = got.unwrap();
        assert_eq!(got["A"], "1<2");
        assert_eq!(got["B"], "x & A");
        assert_eq!(got["C"], "");
        assert_eq!(got["D"], "");
        assert!(!got.contains_key("E"));
    }

    #[test]
    fn r24_document_types_and_entities_are_refused() {
        for bad in [
            "<!DOCTYPE x [<!ENTITY a \"b\">]><xml><A>&a;</A></xml>",
            "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><xml/>",
            "<xml><A>&a;</A></xml>",
            "<xml><A>&#0;</A></xml>",
            "<?php x ?><xml><A>1</A></xml>",
            "<xml><A>1</A><A>2</A></xml>",
            "<xml><A>1</A></xml><xml><A>2</A></xml>",
            "<xml><A>1</B></xml>",
            "<xml><A>1",
            "",
            "text",
            "<a><b><c><d><e><f><g><h><i></i></h></g></f></e></d></c></b></a>",
        ] {
            assert_eq!(fields(bad), Err(BROKEN), "{bad}");
        }
    }

    /// Why the events are read one by one: quick-xml's serde reader accepts all of these.
    #[test]
    fn r24_the_serde_reader_accepts_what_is_refused_here() {
        #[derive(serde::Deserialize)]
        struct Message {
            #[serde(rename = "A")]
            a: String,
        }
        for bad in [
            "<!DOCTYPE x [<!ENTITY a \"b\">]><xml><A>1</A></xml>",
            "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><xml><A>1</A></xml>",
            "<?php x ?><xml><A>1</A></xml>",
            "<xml><A>1</A><B>1</B><B>2</B></xml>",
            "<xml><A>1</A></xml><xml><A>2</A></xml>",
        ] {
            assert_eq!(fields(bad), Err(BROKEN), "{bad}");
            let read = quick_xml::de::from_str::<Message>(bad);
            assert_eq!(read.map(|message| message.a).ok().as_deref(), Some("1"), "{bad}");
        }
        // Even as a map, the last of two equal names counts, also for a name that the gate acts on.
        let twice = "<xml><A>1</A><A>2</A></xml>";
        assert_eq!(quick_xml::de::from_str::<HashMap<String, String>>(twice).unwrap()["A"], "2");
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s).{0,300}") {
            let _ = fields(&text);
        }
        #[test]
        fn never_panics_on_xml_like_text(parts in prop::collection::vec(prop::sample::select(vec![
            "<xml>", "</xml>", "<A>", "</A>", "<A/>", "<![CDATA[", "]]>", "&amp;", "&#x110000;", "&#", "<!--", "-->",
            "<!DOCTYPE", "<?", "?>", ">", "x",
        ]), 0..30)) {
            let _ = fields(&parts.concat());
        }
    }
}

#[cfg(test)]
mod references;
