//! Sentences for administrators that can be shown in several languages, in the way of gettext: the program has the English
//! template, and a catalog has its translations (`pages/catalog.rs`). `Display` shows the English sentence.
//!
//! Must never: know a language.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

/// The English text of a sentence, with `{placeholders}`. Made by `template!` or `message!` alone: a test looks for these two in
/// the sources, and compares them with the catalogs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Template(&'static str);

impl Template {
    pub(crate) const fn new(english: &'static str) -> Self {
        Self(english)
    }
}

/// A sentence with its arguments, or a text that is the same in every language.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Verbatim(String),
    /// With the arguments by name.
    Sentence(Template, Vec<(&'static str, Message)>),
}

impl Message {
    /// A name, an address, a command, or a text from another program.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self(Text::Verbatim(text.into()))
    }

    pub(crate) fn new(template: Template, arguments: Vec<(&'static str, Message)>) -> Self {
        Self(Text::Sentence(template, arguments))
    }

    /// `join` joins two of them; empty if there are none.
    pub(crate) fn joined(
        all: impl IntoIterator<Item = Message>,
        join: impl FnMut(Message, Message) -> Message,
    ) -> Self {
        all.into_iter().reduce(join).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Text::Verbatim(text) if text.is_empty())
    }

    /// The sentence in another language: `translate` returns the translation of a template. What an argument contains is never
    /// taken for a placeholder.
    pub(crate) fn translated(&self, translate: &dyn Fn(&'static str) -> &'static str) -> String {
        let (template, arguments) = match &self.0 {
            Text::Verbatim(text) => return text.clone(),
            Text::Sentence(template, arguments) => (template, arguments),
        };
        let mut rest = translate(template.0);
        let mut sentence = String::with_capacity(rest.len());
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            sentence.push_str(before);
            if let Some((_, argument)) = arguments.iter().find(|(known, _)| *known == name) {
                sentence.push_str(&argument.translated(translate));
            }
            rest = after;
        }
        sentence.push_str(rest);
        sentence
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::verbatim("")
    }
}

impl From<Template> for Message {
    fn from(template: Template) -> Self {
        Self::new(template, Vec::new())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.translated(&|english| english))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// As the text that it shows.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// In English.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What an argument of `message!` can be, beside another message.
macro_rules! verbatim {
    ($($kind:ty),+) => {
        $(impl From<$kind> for Message {
            fn from(argument: $kind) -> Self {
                Self::verbatim(argument.to_string())
            }
        })+
    };
}
verbatim!(String, &str, &String, u16, u32, u64, usize, i64, IpAddr);

/// A sentence: `message!("ends on {day}", day = ends)`, or `message!("ends on {day}", day)`.
macro_rules! message {
    (@ $argument:ident) => { $argument };
    (@ $argument:ident $value:expr) => { $value };
    ($template:literal $(, $argument:ident $(= $value:expr)?)* $(,)?) => {{
        // The compiler refuses an argument that has no placeholder.
        let _ = format_args!($template, $($argument = ""),*);
        $crate::message::Message::new(
            $crate::message::Template::new($template),
            vec![$((stringify!($argument), $crate::message::message!(@ $argument $($value)?).into())),*],
        )
    }};
}
pub(crate) use message;

/// A sentence without arguments, as a constant.
macro_rules! template {
    ($template:literal) => {
        $crate::message::Template::new($template)
    };
}
pub(crate) use template;

#[cfg(test)]
mod tests {
    use super::*;

    fn swedish(english: &'static str) -> &'static str {
        match english {
            "{what}: {count} of {all}" => "{count} av {all}: {what}",
            "no name" => "inget namn",
            other => other,
        }
    }

    #[test]
    fn a_sentence_is_shown_in_english_and_in_another_language() {
        let what = template!("no name");
        let message = message!("{what}: {count} of {all}", what, count = 3_u64, all = "{what}");
        assert_eq!(message.to_string(), "no name: 3 of {what}");
        assert_eq!(message.translated(&swedish), "3 av {what}: inget namn");
        assert_eq!(serde_json::to_string(&message).unwrap(), "\"no name: 3 of {what}\"");
        assert_eq!(format!("{message:?}"), "\"no name: 3 of {what}\"");
    }

    /// Whichever of them is put in first.
    #[test]
    fn an_argument_never_takes_the_place_of_another() {
        for (what, count, shown) in
            [("{count}", "1", "{count}: 1 of x"), ("y", "{what}{all}", "y: {what}{all} of x")]
        {
            assert_eq!(message!("{what}: {count} of {all}", what, count, all = "x").to_string(), shown);
        }
    }

    #[test]
    fn what_is_not_a_sentence_stays_as_it_is() {
        for text in ["no name", "{", "}", "{}", "{what} {", "a } { b"] {
            assert_eq!(Message::verbatim(text).translated(&swedish), text);
            assert_eq!(message!("x {text}", text).to_string(), format!("x {text}"));
        }
        assert!(Message::default().is_empty() && !message!("no name").is_empty());
    }

    #[test]
    fn several_are_joined() {
        let join = |list: &[&str]| {
            let list = list.iter().map(|text| Message::verbatim(*text));
            Message::joined(list, |first, second| message!("{first}, {second}", first, second)).to_string()
        };
        assert_eq!(
            (join(&[]), join(&["a"]), join(&["a", "b", "c"])),
            (String::new(), "a".into(), "a, b, c".into())
        );
    }

    #[test]
    fn a_translation_with_a_wrong_brace_shows_what_it_can() {
        for (translation, shown) in
            [("{day", "{day"), ("day}", "day}"), ("{other} x", " x"), ("{day} {", "1 {")]
        {
            assert_eq!(message!("on {day}", day = "1").translated(&|_| translation), shown);
        }
    }
}
