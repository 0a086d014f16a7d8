//! The gate's own certificate: do certificate and key belong together, how long is it valid, and for which names?

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::report::{Finding, StepOutcome, Verdict};
use crate::certificate::{self, File, Leaf, Problem, section};
use crate::config::{CertificateFiles, Config};
use crate::message::{Message, message};

/// Leaves enough time to renew it.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// The key of the certificate that the gate orders itself.
const ORDERED: &str = "listen.acme";

/// The step: every pair, and whether one of them is for the host of the origin.
pub(super) fn check(config: &Config, now: SystemTime) -> Verdict {
    let pairs = config.listen.pairs();
    if pairs.is_empty() {
        return Verdict::skipped(message!(
            "the gate has no TLS listener (listen.https): a proxy in front has the certificate"
        ));
    }
    let read: Vec<_> = pairs.iter().map(read).collect();
    let host = &config.origin.host;
    let covering = |read: &Read| matches!(read, Read::Leaf(leaf) if covers(leaf, host));
    let for_origin = read.iter().position(covering).unwrap_or(0);
    let verdicts = read.into_iter().zip(&pairs).enumerate().map(|(i, (read, pair))| match read {
        Read::Leaf(leaf) if pair.ordered_for.is_empty() => {
            verdict(&section(i), &leaf, (i == for_origin).then_some(host), now)
        }
        Read::Leaf(leaf) => ordered(&leaf, (i == for_origin).then_some(host), now),
        Read::Awaited => Verdict::warning(
            ORDERED,
            message!("there is no certificate yet, or this user cannot see it"),
            message!(
                "start the gate: it orders one (the step acme, the log and /readyz show why if none comes)"
            ),
        ),
        Read::Unusable(problem) => Verdict::found(StepOutcome::Failed, vec![unusable(pair, i, &problem)]),
    });
    together(verdicts.collect())
}

/// What there is of a certificate.
enum Read {
    Leaf(Leaf),
    /// The gate orders it itself, and it is not there yet.
    Awaited,
    Unusable((File, PathBuf, Problem)),
}

fn read(files: &CertificateFiles) -> Read {
    if !files.ordered_for.is_empty() && !files.cert.exists() {
        return Read::Awaited;
    }
    certificate::read(files).map_or_else(Read::Unusable, |certificate| Read::Leaf(certificate.leaf))
}

/// The certificate that the gate has ordered itself. It is renewed when a third of its lifetime is left.
fn ordered(leaf: &Leaf, host: Option<&String>, now: SystemTime) -> Verdict {
    let lifetime = leaf.not_after.saturating_sub(leaf.not_before);
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    let remedy = message!("the gate's log and /readyz show why it has not been renewed");
    if now >= leaf.not_after {
        return Verdict::failed(ORDERED, message!("the certificate has expired"), remedy);
    }
    if leaf.not_after.saturating_sub(now) < lifetime / 4 {
        let hours = leaf.not_after.saturating_sub(now) / 3600;
        return Verdict::warning(ORDERED, message!("the certificate ends in {hours} hours", hours), remedy);
    }
    let names = leaf.names.join(", ");
    if let Some(host) = host
        && !covers(leaf, host)
    {
        let what = message!("the certificate is for {names}; people open {host}", names, host);
        return Verdict::failed(ORDERED, what, message!("name the host of origin in listen.acme.domains"));
    }
    Verdict::ok(message!("for {names}, ordered by the gate, renewed in time", names))
}

/// The worst outcome counts; all findings are reported.
fn together(verdicts: Vec<Verdict>) -> Verdict {
    let any = |outcome| verdicts.iter().any(|v| v.outcome == outcome);
    let outcome = match (any(StepOutcome::Failed), any(StepOutcome::Warning)) {
        (true, _) => StepOutcome::Failed,
        (false, true) => StepOutcome::Warning,
        (false, false) => StepOutcome::Ok,
    };
    let seen = verdicts.iter().filter(|_| outcome == StepOutcome::Ok).map(|v| v.detail.clone());
    let seen = seen.filter(|detail| !detail.is_empty());
    let detail = Message::joined(seen, |first, second| message!("{first}; {second}", first, second));
    Verdict::found(outcome, verdicts.into_iter().flat_map(|v| v.findings).collect()).with_detail(detail)
}

/// The finding about files that cannot be used.
fn unusable(
    files: &CertificateFiles,
    index: usize,
    (file, path, problem): &(File, PathBuf, Problem),
) -> Finding {
    let value = Some(format!("{:?}", path.display().to_string()));
    let finding = match files.ordered_for.is_empty() {
        true => {
            Finding::new(format!("{}.{}", section(index), file.name()), problem.message(), problem.remedy())
        }
        false => {
            let remedy = message!("remove the file: the gate orders a new certificate");
            Finding::new(ORDERED, problem.message(), remedy)
        }
    };
    Finding { value, ..finding }
}

/// Does one of the names match `host`? A star stands for one label (RFC 6125).
fn covers(leaf: &Leaf, host: &str) -> bool {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return leaf.addresses.contains(&ip);
    }
    leaf.names.iter().any(|name| match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    })
}

/// `host`: of the origin, if this certificate is for it.
fn verdict(section: &str, leaf: &Leaf, host: Option<&String>, now: SystemTime) -> Verdict {
    let about = format!("{section}.cert");
    let seconds = |t: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(t).unwrap_or(0));
    let (begins, ends) = (seconds(leaf.not_before), seconds(leaf.not_after));
    let day = |t| humantime::format_rfc3339_seconds(t).to_string().chars().take(10).collect::<String>();
    let (mut failed, mut warnings) = (Vec::new(), Vec::new());
    let mut fail = |what: Message, remedy: Message| failed.push(Finding::new(&about, what, remedy));
    if now < begins {
        let what = message!("is not valid before {day}", day = day(begins));
        fail(what, message!("correct the clock, or wait until then"));
    }
    if now >= ends {
        let what = message!("expired on {day}", day = day(ends));
        fail(what, message!("renew it, then reload the gate (SIGHUP)"));
    } else if ends < now + SOON {
        warnings.push(Finding::new(
            &about,
            message!("ends on {day}", day = day(ends)),
            message!("renew it, then reload the gate (SIGHUP); let an ACME client do both"),
        ));
    }
    let mut names = leaf.names.clone();
    names.extend(leaf.addresses.iter().map(IpAddr::to_string));
    let names = match names.is_empty() {
        true => message!("no name"),
        false => Message::verbatim(names.join(", ")),
    };
    if let Some(host) = host
        && !covers(leaf, host)
    {
        let what = message!("is for {names}; people open {host}", names = names.clone(), host);
        fail(what, message!("get a certificate for the host of origin"));
    }
    if leaf.self_signed {
        warnings.push(Finding::new(
            &about,
            message!("is self-signed: browsers and WeCom will not trust it"),
            message!("for production get one from a public authority (certs/README.md)"),
        ));
    } else if leaf.chain == 1 {
        warnings.push(Finding::new(
            &about,
            message!(
                "the file contains one certificate: most authorities need an intermediate certificate after it, without which \
                 phones refuse it"
            ),
            message!("use the full chain (fullchain.pem)"),
        ));
    }
    let (any_failed, any_warning) = (!failed.is_empty(), !warnings.is_empty());
    failed.append(&mut warnings);
    let outcome = match (any_failed, any_warning) {
        (true, _) => StepOutcome::Failed,
        (false, true) => StepOutcome::Warning,
        (false, false) => {
            let names = host.map_or(names, Message::verbatim);
            return Verdict::ok(message!("for {names}, until {day}", names, day = day(ends)));
        }
    };
    Verdict::found(outcome, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn leaf() -> Leaf {
        Leaf {
            not_before: NOW - DAY,
            not_after: NOW + 60 * DAY,
            names: vec!["nb.example.com".into(), "*.wild.example.com".into()],
            addresses: vec!["192.0.2.7".parse().unwrap()],
            self_signed: false,
            chain: 2,
        }
    }

    #[test]
    fn findings_about_a_certificate() {
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        let host = "nb.example.com";
        for (leaf, host, want, words) in [
            (leaf(), host, StepOutcome::Ok, "for nb.example.com, until 2027-03-1"),
            (leaf(), "a.wild.example.com", StepOutcome::Ok, ""),
            (leaf(), "192.0.2.7", StepOutcome::Ok, ""),
            (leaf(), "wild.example.com", StepOutcome::Failed, "people open wild.example.com"),
            (leaf(), "a.b.wild.example.com", StepOutcome::Failed, "is for nb.example.com, *.wild"),
            (leaf(), "192.0.2.8", StepOutcome::Failed, "192.0.2.7; people"),
            (Leaf { names: vec![], addresses: vec![], ..leaf() }, host, StepOutcome::Failed, "no name"),
            (Leaf { not_after: NOW, ..leaf() }, host, StepOutcome::Failed, "expired on 2027-01-15"),
            (Leaf { not_after: NOW + 13 * DAY, ..leaf() }, host, StepOutcome::Warning, "ends on 2027-01-28"),
            (Leaf { not_before: NOW + 1, ..leaf() }, host, StepOutcome::Failed, "not valid before"),
            (Leaf { self_signed: true, chain: 1, ..leaf() }, host, StepOutcome::Warning, "self-signed"),
            (Leaf { chain: 1, ..leaf() }, host, StepOutcome::Warning, "intermediate"),
        ] {
            let got = verdict("listen", &leaf, Some(&host.to_owned()), now);
            assert_eq!(got.outcome, want, "{leaf:?}");
            assert!(format!("{got:?}").contains(words), "{got:?} without {words}");
        }
    }

    #[test]
    fn files_that_cannot_be_used() {
        let path = PathBuf::from("/etc/a.pem");
        let files = CertificateFiles::new(&path, &path);
        let problem = (File::Key, path, Problem::Mismatch("x".into()));
        let finding = unusable(&files, 0, &problem);
        assert_eq!(finding.about, "listen.key");
        assert_eq!(finding.value.as_deref(), Some("\"/etc/a.pem\""));
        assert!(finding.what.to_string().contains("does not belong") && !finding.remedy.is_empty());
        let ordered = CertificateFiles { ordered_for: vec!["a.test".into()], ..files };
        assert_eq!(unusable(&ordered, 0, &problem).about, "listen.acme");
    }

    #[test]
    fn a_certificate_that_the_gate_orders() {
        let now = |days: i64| UNIX_EPOCH + Duration::from_secs((NOW + days * DAY).unsigned_abs());
        let leaf = Leaf { not_before: NOW, not_after: NOW + 6 * DAY, ..leaf() };
        let host = "nb.example.com".to_owned();
        for (day, host, want, words) in [
            (0, Some(&host), StepOutcome::Ok, "ordered by the gate"),
            (4, Some(&host), StepOutcome::Ok, "nb.example.com"),
            (5, Some(&host), StepOutcome::Warning, "ends in 24 hours"),
            (6, Some(&host), StepOutcome::Failed, "has expired"),
            (0, Some(&"other.test".to_owned()), StepOutcome::Failed, "people open other.test"),
            (0, None, StepOutcome::Ok, ""),
        ] {
            let got = ordered(&leaf, host, now(day));
            assert_eq!(got.outcome, want, "{got:?}");
            assert!(format!("{got:?}").contains(words), "{got:?}");
        }
        let missing = CertificateFiles {
            ordered_for: vec!["a.test".into()],
            ..CertificateFiles::new(&PathBuf::from("/none"), &PathBuf::from("/none"))
        };
        assert!(matches!(read(&missing), Read::Awaited));
    }

    #[test]
    fn the_worst_of_several_counts_and_all_are_reported() {
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        let one = |section: &str, leaf: Leaf| verdict(section, &leaf, None, now);
        let over = Leaf { not_after: NOW, ..leaf() };
        let soon = Leaf { not_after: NOW + DAY, ..leaf() };
        let all = together(vec![one("listen", leaf()), one("a", soon), one("b", over)]);
        assert_eq!(all.outcome, StepOutcome::Failed);
        let about: Vec<&str> = all.findings.iter().map(|f| f.about.as_str()).collect();
        assert_eq!(about, ["a.cert", "b.cert"]);
        let well = together(vec![one("listen", leaf()), one("a", leaf())]);
        let detail = well.detail.to_string();
        assert_eq!((well.outcome, detail.matches("until").count()), (StepOutcome::Ok, 2));
    }
}
