//! One event as one line of JSON, in the format of `tracing_subscriber`, but at a quarter of its cost: with `log.access_log`
//! every request writes one.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Room for any JSON number.
const NUMBER: usize = 48;
/// Target of events that are records of the `log` crate. Their module and their place in the source are fields.
const LOG_CRATE: &str = "log";
const LOG_CRATE_FIELDS: &str = "log.";
const LOG_CRATE_TARGET: &str = "log.target";

/// Writes the lines. Fields of the surrounding spans are members of the object too. Of a record of the `log` crate the place in
/// the source is left out: it is a path on the machine that built the program.
pub(crate) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let meta = event.metadata();
        write!(to, "{{\"timestamp\":\"{}\"", humantime::format_rfc3339_micros(SystemTime::now()))?;
        to.write_str(",\"level\":\"")?;
        to.write_str(meta.level().as_str())?;
        to.write_char('"')?;
        let of_log_crate = meta.target() == LOG_CRATE;
        let mut fields = Fields { to: to.by_ref(), done: Ok(()), of_log_crate, target: None };
        event.record(&mut fields);
        let Fields { done, target, .. } = fields;
        done?;
        for span in ctx.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<N>>() else { continue };
            // Formatted as an object when the span began.
            let members = fields.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if let Some(members) = members.filter(|members| !members.is_empty()) {
                to.write_char(',')?;
                to.write_str(members)?;
            }
        }
        to.write_str(",\"target\":\"")?;
        escape(&mut to, target.as_deref().unwrap_or(meta.target()))?;
        to.write_str("\"}\n")
    }
}

/// Writes each field as a member of the object.
struct Fields<'w> {
    to: Writer<'w>,
    done: fmt::Result,
    of_log_crate: bool,
    /// The module that a record of the `log` crate names.
    target: Option<String>,
}

impl Fields<'_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.of_log_crate && field.name().starts_with(LOG_CRATE_FIELDS) {
            return;
        }
        let to = &mut self.to;
        self.done = self.done.and_then(|()| {
            to.write_str(",\"")?;
            escape(to, field.name())?;
            to.write_str("\":")?;
            value(to)
        });
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.of_log_crate && field.name() == LOG_CRATE_TARGET {
            self.target = Some(value.to_owned());
        }
        self.member(field, |to| {
            to.write_char('"')?;
            escape(to, value)?;
            to.write_char('"')
        });
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |to| {
            to.write_char('"')?;
            write!(Escaped(to), "{value:?}")?;
            to.write_char('"')
        });
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |to| number(to, value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |to| number(to, value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, |to| number(to, value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |to| to.write_str(if value { "true" } else { "false" }));
    }
}

/// A number in JSON.
fn number(to: &mut Writer<'_>, value: impl Serialize) -> fmt::Result {
    let mut text = [0_u8; NUMBER];
    let mut rest = &mut text[..];
    serde_json::to_writer(&mut rest, &value).map_err(|_| fmt::Error)?;
    let left = rest.len();
    let written = text.get(..NUMBER - left).unwrap_or_default();
    to.write_str(std::str::from_utf8(written).map_err(|_| fmt::Error)?)
}

/// Text that is formatted piece by piece and escaped.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text)
    }
}

/// The inside of a JSON string (RFC 8259, 7).
fn escape(to: &mut Writer<'_>, text: &str) -> fmt::Result {
    let must = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    // Nearly all text needs no escaping.
    if !text.bytes().any(must) {
        return to.write_str(text);
    }
    let mut rest = text;
    // Only ASCII characters need escaping, so each cut is between two characters.
    while let Some(at) = rest.bytes().position(must) {
        let (plain, after) = rest.split_at_checked(at).ok_or(fmt::Error)?;
        to.write_str(plain)?;
        let (special, after) = after.split_at_checked(1).ok_or(fmt::Error)?;
        match special {
            "\"" => to.write_str("\\\"")?,
            "\\" => to.write_str("\\\\")?,
            "\n" => to.write_str("\\n")?,
            "\r" => to.write_str("\\r")?,
            "\t" => to.write_str("\\t")?,
            "\u{8}" => to.write_str("\\b")?,
            "\u{c}" => to.write_str("\\f")?,
            _ => special.bytes().try_for_each(|b| write!(to, "\\u{b:04x}"))?,
        }
        rest = after;
    }
    to.write_str(rest)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use tracing_subscriber::fmt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines of `events`, in our format or in `tracing_subscriber`'s, without the value of `timestamp`.
    fn lines(ours: bool, events: impl FnOnce()) -> Vec<String> {
        let sink = Sink::default();
        let copy = sink.clone();
        let builder =
            fmt().with_writer(move || copy.clone()).json().flatten_event(true).with_span_list(false);
        if ours {
            let subscriber = builder.map_event_format(|_| JsonLine).finish();
            tracing::subscriber::with_default(subscriber, events);
        } else {
            tracing::subscriber::with_default(builder.finish(), events);
        }
        let text = String::from_utf8(sink.0.lock().clone()).unwrap();
        text.lines()
            .map(|line| {
                let (stamp, rest) = line.strip_prefix("{\"timestamp\":\"").unwrap().split_once('"').unwrap();
                assert_eq!(stamp.len(), "2026-11-21T08:15:02.114907Z".len(), "{stamp}");
                humantime::parse_rfc3339(stamp).unwrap();
                serde_json::from_str::<serde_json::Value>(line).unwrap();
                rest.to_owned()
            })
            .collect()
    }

    fn events() {
        tracing::info!("plain");
        tracing::error!(target: "a \"target\"", "quoted \"message\" with \\ and\nlines\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}");
        tracing::info!(
            event = "request",
            status = 200_u16,
            ms = 0.843_211_f64,
            bytes_out = 1024_usize,
            node = ""
        );
        tracing::warn!(
            name = "张三 \u{1F600}",
            n = -5_i64,
            yes = true,
            no = false,
            whole = 1.0,
            "message last"
        );
        tracing::info!(small = 1e-9, big = 1.5e300, nan = f64::NAN, endless = f64::INFINITY);
        tracing::info!(max = u64::MAX, min = i64::MIN, huge = u128::MAX, shown = %"a\"b", debug = ?"a\"b", r#type = 1);
        tracing::info!(missing = Option::<u64>::None, there = Some(7), "optional");
        let error = std::io::Error::other("no \"way\"\n");
        tracing::info!(%error, debug = ?error, error = &error as &(dyn std::error::Error + 'static));
    }

    #[test]
    fn lines_are_the_same_byte_for_byte() {
        let ours = lines(true, events);
        assert_eq!(ours.len(), 8);
        assert_eq!(ours, lines(false, events));
    }

    #[test]
    fn fields_of_a_span_are_members_of_each_line_in_it() {
        let lines = lines(true, || {
            tracing::error_span!("sign_in", request_id = "a-\"1\"", n = 7).in_scope(|| {
                tracing::info_span!("empty").in_scope(|| tracing::info!(inside = 1, "in a span"));
            });
            tracing::info!("outside");
        });
        let line: serde_json::Value =
            serde_json::from_str(&format!("{{\"timestamp\":\"\"{}", lines[0])).unwrap();
        assert_eq!(
            (&line["request_id"], &line["n"], &line["inside"]),
            (&"a-\"1\"".into(), &7.into(), &1.into())
        );
        assert!(line.get("span").is_none() && !lines[1].contains("request_id"), "{lines:?}");
    }

    #[test]
    fn a_record_of_the_log_crate_names_its_module_and_no_path() {
        let lines = lines(true, || {
            tracing::event!(
                target: "log",
                tracing::Level::ERROR,
                {
                    "log.target" = "pingora_core::server",
                    "log.module_path" = "pingora_core::server",
                    "log.file" = "/home/builder/.cargo/server.rs",
                    "log.line" = 7_u64
                },
                "no \"sockets\""
            );
        });
        assert_eq!(
            lines,
            [r#","level":"ERROR","message":"no \"sockets\"","target":"pingora_core::server"}"#]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_written_alike(text in "\\PC*|[\\x00-\\x7f]*") {
            let event = || tracing::info!(text, shown = %text, "message");
            proptest::prop_assert_eq!(lines(true, event), lines(false, event));
        }
    }
}
