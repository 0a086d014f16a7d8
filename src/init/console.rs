//! What remains to be done in WeCom's console, with the values to paste.

use std::fmt::Write as _;
use std::path::Path;

use super::texts::Texts;
use crate::check::{Id, Links, Step, StepOutcome};

/// The seven steps, and what follows them.
pub(super) fn steps(texts: &Texts, links: &Links, steps: &[Step], conf: &Path, listens: &str) -> String {
    let words = &texts.steps;
    let mut text = format!("\n{}\n\n", texts.console);
    let paste = |text: &mut String, value: &str| {
        let _ = writeln!(text, "       {value}");
    };
    let _ = writeln!(text, "  1. {}", words.app);
    let _ = writeln!(text, "  2. {}", words.web_login);
    paste(&mut text, &links.callback_domain);
    let _ = writeln!(text, "  3. {}", words.oauth);
    paste(&mut text, &links.callback_domain);
    if links.verify_urls.is_empty() {
        let _ = writeln!(text, "     {}", words.verify_unknown);
        paste(
            &mut text,
            &format!("verify_files = [\"WW_verify_....txt\"]     # {}, [[wecom]]", conf.display()),
        );
        paste(&mut text, "sudo systemctl reload wecom-gate");
    }
    for url in &links.verify_urls {
        let _ = writeln!(text, "     {}", words.verify_known);
        paste(&mut text, url);
    }
    match trusted_ip(steps) {
        TrustedIp::Accepted => {
            let _ = writeln!(text, "  4. {}", words.ip_done);
        }
        TrustedIp::Add(ip) => {
            let _ = writeln!(text, "  4. {}", words.ip_add);
            paste(&mut text, &ip);
        }
        TrustedIp::Unknown => {
            let _ = writeln!(text, "  4. {}", words.ip_unknown);
        }
    }
    let _ = writeln!(text, "  5. {}", words.company);
    let _ = writeln!(text, "  6. {}", words.secret);
    let _ = writeln!(text, "  7. {}", words.home);
    paste(&mut text, &links.home_desktop);
    paste(&mut text, &links.home_mobile);
    let _ = writeln!(text, "\n{}\n", texts.then);
    paste(&mut text, "sudo systemctl enable --now wecom-gate");
    paste(&mut text, &format!("{} -> http://{listens}", links.callback_domain));
    paste(&mut text, &format!("sudo wecom-gate check --conf {}", conf.display()));
    text
}

/// What WeCom reports about this machine's address.
#[derive(Debug, PartialEq, Eq)]
enum TrustedIp {
    Accepted,
    Add(String),
    Unknown,
}

fn trusted_ip(steps: &[Step]) -> TrustedIp {
    let Some(step) = steps.iter().find(|s| s.name == Id::WecomTrustedIp.name()) else {
        return TrustedIp::Unknown;
    };
    let words = step.findings.first().map(|f| f.what.to_string()).unwrap_or_default();
    // "WeCom refuses calls from 203.0.113.9 (errcode 60020)"
    let mut addresses = words.split_whitespace().filter(|w| w.parse::<std::net::IpAddr>().is_ok());
    match (step.outcome, addresses.next()) {
        (StepOutcome::Ok, _) => TrustedIp::Accepted,
        (StepOutcome::Failed, Some(ip)) => TrustedIp::Add(ip.to_owned()),
        _ => TrustedIp::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::init::given::Language;
    use crate::message::Message;

    fn links() -> Links {
        Links {
            entry: "wecom".into(),
            home_desktop: "https://nb.example.com/admin".into(),
            home_mobile: "https://nb.example.com/m".into(),
            callback_domain: "nb.example.com".into(),
            event_url: "https://nb.example.com/wecom-gate/events/wecom".into(),
            verify_urls: vec![],
        }
    }

    #[test]
    fn seven_steps_in_two_languages() {
        let text = |text: &str| Message::verbatim(text);
        let what = text("WeCom refuses calls from 203.0.113.9 (errcode 60020)");
        let refused = Step::new(Id::WecomTrustedIp, None, Verdict::failed("企业可信IP", what, text("x")));
        for (language, words) in [(Language::En, "Corporate trusted IP"), (Language::Zh, "企业可信IP，添加")]
        {
            let path = Path::new("/etc/wecom-gate/wecom-gate.toml");
            let text =
                steps(Texts::of(language), &links(), std::slice::from_ref(&refused), path, "127.0.0.1:8080");
            for value in [
                "\n       nb.example.com\n",
                "\n       203.0.113.9\n",
                "\n       https://nb.example.com/m\n",
                "\n       verify_files = [",
                "check --conf /etc/wecom-gate/wecom-gate.toml",
                words,
            ] {
                assert!(text.contains(value), "{value:?} is not in {text}");
            }
            assert!((1..=7).all(|i| text.contains(&format!("\n  {i}. "))), "{text}");
        }
        let accepted = Step::new(Id::WecomTrustedIp, None, Verdict::ok(text("x")));
        assert_eq!(trusted_ip(&[accepted]), TrustedIp::Accepted);
        assert_eq!(trusted_ip(&[]), TrustedIp::Unknown);
        let known = Links { verify_urls: vec!["https://nb.example.com/WW_verify_a.txt".into()], ..links() };
        let text = steps(Texts::of(Language::En), &known, &[], Path::new("x"), "x");
        assert!(text.contains("WW_verify_a.txt\n") && !text.contains("verify_files"), "{text}");
    }
}
