//! Logs of `wecom-gate run`: one line per event on standard output, as JSON or as text, times in UTC (RFC 3339).
//!
//! A separate thread writes the lines, so that no request waits for a slow reader of standard output. If that falls behind by a
//! hundred thousand lines, further ones are dropped.
//!
//! Pingora and its helpers log through the `log` crate; those records are included, but only what an operator can act on, and
//! never the details in which HTTP clients repeat addresses and headers (they contain tokens).

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::json_line::JsonLine;
use crate::config::{Log, LogFormat};

/// Third-party modules that would log too much at any level: at `debug` and `trace` they print requests.
const AT_MOST_INFO: [&str; 8] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower", "want", "mio"];
/// At `info` Pingora reports each listener and each connection; operators need its warnings and errors.
const PINGORA: [&str; 5] =
    ["pingora", "pingora_core", "pingora_pool", "pingora_load_balancing", "pingora_rustls"];

/// Targets for Pingora's errors about clients that disconnected: in the middle of a request head, a response, or an HTTP/2
/// handshake. The gate has its own lines about requests.
const NOTHING: [&str; 2] = ["pingora_proxy", "pingora_core::apps"];

/// How long lines may collect before they are written together. Under load, waking the writing thread for each line costs more
/// than writing it; a single line is written at once.
const COLLECT: Duration = Duration::from_millis(5);

/// Keep it until the end of the program: dropping it flushes the logs.
#[must_use = "logs end when this is dropped"]
pub struct Logging(#[allow(dead_code, reason = "lives for its drop")] WorkerGuard);

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is invalid (the configuration has been validated, so this does not happen).
    #[error("log.level: {0}")]
    Level(#[from] ParseError),
    /// Logging has been set up before in this process.
    #[error("logs are set up already")]
    Twice,
}

/// Sets up logs for the whole process, the `log` crate's records included.
///
/// # Errors
/// If it has been called before.
pub fn init(log: &Log) -> Result<Logging, LoggingError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .thread_name("logs")
        .finish(Paced(BufWriter::with_capacity(64 * 1024, io::stdout())));
    subscriber(log, writer)?.try_init().map_err(|_| LoggingError::Twice)?;
    Ok(Logging(guard))
}

/// A writer that pauses after each write. Only the logging thread may wait for it.
struct Paced<W>(W);

impl<W: Write> Write for Paced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    #[allow(clippy::disallowed_methods, reason = "the thread of the logs may sleep: it is no worker")]
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(COLLECT);
        Ok(())
    }
}

/// What `init` installs, for any writer.
///
/// # Errors
/// If the level is invalid.
pub fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(directives(&log.level))?;
    let builder = fmt().with_writer(writer).with_env_filter(filter);
    Ok(match log.format {
        LogFormat::Json => {
            let json = builder.json().flatten_event(true).with_span_list(false);
            Box::new(json.map_event_format(|_| JsonLine).finish())
        }
        LogFormat::Pretty => Box::new(builder.with_ansi(io::IsTerminal::is_terminal(&io::stdout())).finish()),
    })
}

/// The operator's level after ours: the last directive for a module takes precedence, so an operator can name a module.
fn directives(level: &str) -> String {
    // `off` and `error` are quieter than what is set here.
    let mut text = String::new();
    if matches!(level.to_ascii_lowercase().as_str(), "off" | "error") {
        for module in NOTHING {
            text.push_str(module);
            text.push_str("=off,");
        }
        text.push_str(level);
        return text;
    }
    for module in AT_MOST_INFO {
        text.push_str(module);
        text.push_str("=info,");
    }
    for module in PINGORA {
        text.push_str(module);
        text.push_str("=warn,");
    }
    for module in NOTHING {
        text.push_str(module);
        text.push_str("=off,");
    }
    text.push_str(level);
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written at this level for these `events`.
    fn logged(format: LogFormat, level: &str, events: impl FnOnce()) -> String {
        let sink = Sink::default();
        let copy = sink.clone();
        let log = Log { format, level: level.into(), access_log: true, audit_file: None };
        let subscriber = subscriber(&log, move || copy.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        let bytes = sink.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_one_object_with_the_fields_at_its_top() {
        let text = logged(LogFormat::Json, "info", || {
            tracing::info!(target: "wecom_gate::login", userid = "ZhangSan", "signed in\nfor real");
        });
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "wecom_gate::login");
        assert_eq!(line["userid"], "ZhangSan");
        assert_eq!(line["message"], "signed in\nfor real");
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && humantime::parse_rfc3339(time).is_ok(), "{time}");
    }

    #[test]
    fn a_line_for_people_has_no_colours_in_a_file() {
        let text = logged(LogFormat::Pretty, "info", || tracing::warn!("careful"));
        assert!(text.contains("WARN") && text.contains("careful") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn other_crates_log_only_where_it_helps() {
        let shown = |level: &str| {
            let text = logged(LogFormat::Pretty, level, || {
                tracing::trace!(target: "wecom_gate", "own trace");
                tracing::info!(target: "wecom_gate", "own info");
                tracing::info!(target: "pingora_core::server", "pingora info");
                tracing::error!(target: "pingora_core::services", "pingora error");
                tracing::error!(target: "pingora_proxy", "a client went away");
                tracing::error!(target: "pingora_core::apps", "a client went away");
                tracing::debug!(target: "h2::codec", "h2 debug");
                tracing::debug!(target: "reqwest::connect", "reqwest debug");
            });
            [
                "own trace",
                "own info",
                "pingora info",
                "pingora error",
                "h2 debug",
                "reqwest debug",
                "went away",
            ]
            .into_iter()
            .filter(|what| text.contains(what))
            .collect::<Vec<_>>()
        };
        assert_eq!(shown("off"), [""; 0]);
        assert_eq!(shown("error"), ["pingora error"]);
        assert_eq!(shown("info"), ["own info", "pingora error"]);
        assert_eq!(shown("trace"), ["own trace", "own info", "pingora error"]);
        assert_eq!(
            shown("info,pingora_core=info,h2=debug"),
            ["own info", "pingora info", "pingora error", "h2 debug"]
        );
        assert_eq!(shown("wecom_gate=info"), ["own info", "pingora error"]);
    }
}
