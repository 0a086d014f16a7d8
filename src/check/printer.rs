//! The report for people: a list that grows while the steps are run, and the links at the end.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use super::links::Links;
use super::report::{Finding, Report, Step, StepOutcome};
use super::steps::Id;

/// Prints the steps as they end. Only a terminal gets colours and the line that shows the current step; with `NO_COLOR`, it gets
/// no colours.
pub struct Printer {
    out: anstream::AutoStream<io::Stdout>,
    /// The current step is shown, and erased when it ends.
    live: bool,
}

impl Default for Printer {
    fn default() -> Self {
        let live = io::stdout().is_terminal();
        Self { out: anstream::AutoStream::auto(io::stdout()), live }
    }
}

impl Printer {
    /// A step begins.
    pub(crate) fn begin(&mut self, id: Id, entry: Option<&str>) {
        if self.live {
            let _ = write!(self.out, "...     {}", label(id.name(), entry)).and_then(|()| self.out.flush());
        }
    }

    /// A step has ended.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn done(&mut self, step: &Step) -> io::Result<()> {
        if self.live {
            self.out.write_all(b"\r\x1b[2K")?;
        }
        self.out.write_all(coloured(step).as_bytes())?;
        self.out.flush()
    }

    /// Prints the links, and a summary line.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn end(&mut self, report: &Report) -> io::Result<()> {
        self.out.write_all(tail(report).as_bytes())?;
        self.out.flush()
    }
}

fn label(name: &str, entry: Option<&str>) -> String {
    entry.map_or_else(|| name.to_owned(), |entry| format!("{name} [{entry}]"))
}

/// Texts from other programs are shown here: removes everything that could control a terminal.
fn clean(text: &str) -> impl fmt::Display {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
}

fn coloured(step: &Step) -> String {
    let (mark, colour) = match step.outcome {
        StepOutcome::Ok => ("ok     ", AnsiColor::Green.on_default()),
        StepOutcome::Warning => ("warning", AnsiColor::Yellow.on_default().bold()),
        StepOutcome::Failed => ("FAILED ", AnsiColor::Red.on_default().bold()),
        StepOutcome::Skipped => ("skipped", Style::new().dimmed()),
    };
    let name = label(step.name, step.entry.as_deref());
    let mut text = format!("{colour}{mark}{colour:#} ");
    let _ = if step.detail.is_empty() {
        writeln!(text, "{name}")
    } else {
        let dim = Style::new().dimmed();
        writeln!(text, "{name:<24}{dim} {}{dim:#}", clean(&step.detail.to_string()))
    };
    for (i, finding) in step.findings.iter().enumerate() {
        let _ = writeln!(text, "  {:>3}. {finding}", i + 1);
    }
    text
}

fn tail(report: &Report) -> String {
    let mut text = String::new();
    for links in &report.links {
        let _ = write!(text, "\n{links}");
    }
    let count = |outcome| report.steps.iter().filter(|s| s.outcome == outcome).count();
    let (failed, warnings) = (count(StepOutcome::Failed), count(StepOutcome::Warning));
    let summary = match (failed, warnings) {
        (0, 0) => "Every step is ok.".to_owned(),
        (0, n) => format!("Nothing failed; {n} to look at."),
        (n, 0) => format!("{n} failed. Each step is described in docs/check.md."),
        (n, m) => format!("{n} failed, {m} to look at. Each step is described in docs/check.md."),
    };
    let _ = writeln!(text, "\n{summary}");
    text
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", clean(&self.about))?;
        if let Some(value) = &self.value {
            write!(f, " = {}", clean(value))?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}", clean(&self.what.to_string()))?;
        if !self.remedy.is_empty() {
            write!(f, "\n       -> {}", clean(&self.remedy.to_string()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "For WeCom's console, entry \"{}\":", self.entry)?;
        writeln!(f, "  Application home page, desktop   {}", self.home_desktop)?;
        writeln!(f, "  Application home page, mobile    {}", self.home_mobile)?;
        writeln!(f, "  Callback and trusted domain      {}", self.callback_domain)?;
        writeln!(f, "  Receive messages, URL (optional) {}", self.event_url)?;
        for url in &self.verify_urls {
            writeln!(f, "  Domain verification file         {url}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::Verdict;
    use crate::message::Message;

    /// The whole report, without colours.
    fn plain(report: &Report) -> String {
        let all = report.steps.iter().map(coloured).collect::<String>() + &tail(report);
        anstream::adapter::strip_str(&all).to_string()
    }

    #[test]
    fn a_list_for_people() {
        let text = |text: &str| Message::verbatim(text);
        let warning =
            Verdict::warning("origin", text("is plain http"), text("use https")).with_detail(text("x"));
        let steps = vec![
            Step::new(Id::Configuration, None, Verdict::ok(text(""))),
            Step::new(Id::WecomSecret, Some("office"), Verdict::ok(text("accepted"))),
            Step::new(Id::Origin, None, warning),
            Step::new(Id::Redis, None, Verdict::skipped(text("not set"))),
            Step::new(Id::Tls, None, Verdict::failed("listen.cert", text("is over"), text("renew it"))),
        ];
        assert_eq!(
            plain(&Report::new(steps, None)),
            "ok      configuration\n\
             ok      wecom_secret [office]    accepted\n\
             warning origin                   x\n    1. origin: is plain http\n       -> use https\n\
             skipped redis                    not set\n\
             FAILED  tls\n    1. listen.cert: is over\n       -> renew it\n\
             \n1 failed, 1 to look at. Each step is described in docs/check.md.\n"
        );
    }

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        let hostile = "a\x1b]0;title\x07b\x1b[2J\r\nFAKE ok";
        let verdict = Verdict::failed(hostile, Message::verbatim(hostile), Message::verbatim(hostile))
            .with_detail(Message::verbatim(hostile));
        let text = coloured(&Step::new(Id::Member, None, verdict));
        let own =
            text.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "");
        assert!(!own.contains('\x1b') && !own.contains('\x07') && !own.contains('\r'), "{own:?}");
        assert_eq!(own.lines().count(), 3, "{own:?}");
    }
}
