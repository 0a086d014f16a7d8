//! Does the address that people open lead to the gate, and does the gate serve WeCom's verification file there?

use super::http::{Http, HttpError, HttpResponse};
use super::report::{Finding, StepOutcome, Verdict};
use crate::config::{Config, WeComEntry};
use crate::message::{Message, message};

/// A path for which the gate responds with 401 and the gate's own header to a client without a session.
const PROBE: &str = "/wecom-gate/me";

/// Sends a request to the origin; the second value: the gate has responded.
pub(super) async fn check(http: &Http, config: &Config) -> (Verdict, bool) {
    let url = config.origin.url();
    let response = http.get(&format!("{url}{PROBE}")).await;
    let there = matches!(&response, Ok(a) if a.from_gate);
    (verdict(&url, &response), there)
}

fn verdict(url: &str, response: &Result<HttpResponse, HttpError>) -> Verdict {
    match response {
        Ok(a) if a.from_gate => Verdict::ok(message!("the gate answers at {url}", url)),
        Ok(a) => {
            let what = match &a.location {
                Some(to) => {
                    message!(
                        "something other than this gate answers: HTTP {status}, to {to}",
                        status = a.status,
                        to
                    )
                }
                None => message!("something other than this gate answers: HTTP {status}", status = a.status),
            };
            let remedy = message!(
                "lead the host to the gate: DNS, and the proxy in front (which must pass Host on); origin must be the exact \
                 address that people open, with scheme and port"
            );
            Verdict::failed("origin", what, remedy)
        }
        Err(trouble @ HttpError::Tls) => Verdict::failed(
            "origin",
            trouble.message(),
            message!(
                "get a certificate for this host from a public authority, with its intermediate certificates"
            ),
        ),
        Err(trouble @ HttpError::Plain) => Verdict::failed(
            "origin",
            message!("origin begins with https://, but {why}", why = trouble.message()),
            message!(
                "set listen.https with cert and key in place of listen.http, or let a proxy in front terminate TLS (and name it in \
                 access.trusted_proxies); if people really open http://, correct origin"
            ),
        ),
        Err(trouble) => Verdict::warning(
            "origin",
            message!("{url} cannot be reached from this machine: {why}", url, why = trouble.message()),
            message!(
                "if the gate does not run yet, start it and check again; else see to DNS, the proxy in front and the firewall \
                 (where only this machine cannot reach it, nothing need be done)"
            ),
        ),
    }
}

/// The step for one entry.
pub(super) async fn files(http: &Http, config: &Config, entry: &WeComEntry, gate_is_there: bool) -> Verdict {
    if entry.verify_files.is_empty() {
        return Verdict::skipped(message!(
            "verify_files is empty: only needed while WeCom verifies the domain"
        ));
    }
    if !gate_is_there {
        return Verdict::skipped(message!("the gate does not answer at origin"));
    }
    let mut findings = Vec::new();
    for file in &entry.verify_files {
        let response = http.get(&format!("{}/{file}", config.origin.url())).await;
        findings.extend(file_finding(file, &response));
    }
    if findings.is_empty() {
        return Verdict::ok(Message::verbatim(entry.verify_files.join(", ")));
    }
    Verdict::found(StepOutcome::Failed, findings)
}

/// WeCom expects the part of the name after `WW_verify_`.
fn file_finding(file: &str, response: &Result<HttpResponse, HttpError>) -> Option<Finding> {
    let want = file.strip_prefix("WW_verify_").and_then(|f| f.strip_suffix(".txt")).unwrap_or_default();
    let what = match response {
        Ok(a) if a.status == 200 && a.body == want.as_bytes() => return None,
        Ok(a) if a.status == 200 => message!("the content is not what WeCom expects"),
        Ok(a) => a.shown(),
        Err(trouble) => trouble.message(),
    };
    let remedy = message!(
        "restart the gate if the name is new in its configuration; a proxy in front must pass this path on"
    );
    Some(Finding::new(file, what, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16) -> HttpResponse {
        HttpResponse { status, ..HttpResponse::default() }
    }

    #[test]
    fn what_responds_at_origin() {
        let gate = HttpResponse { from_gate: true, ..response(401) };
        let moved = HttpResponse { location: Some("https://other.example/".into()), ..response(302) };
        for (response, want, words) in [
            (Ok(gate), StepOutcome::Ok, "the gate answers at http://nb"),
            (Ok(response(200)), StepOutcome::Failed, "HTTP 200"),
            (Ok(response(502)), StepOutcome::Failed, "HTTP 502"),
            (Ok(moved), StepOutcome::Failed, "to https://other.example/"),
            (Err(HttpError::Tls), StepOutcome::Failed, "certificate"),
            (Err(HttpError::Plain), StepOutcome::Failed, "listen.https with cert and key"),
            (Err(HttpError::Name), StepOutcome::Warning, "cannot be resolved"),
            (Err(HttpError::Connect), StepOutcome::Warning, "start it and check again"),
            (Err(HttpError::Timeout), StepOutcome::Warning, "within 10 seconds"),
            (Err(HttpError::Broken), StepOutcome::Warning, "no proper HTTP"),
        ] {
            let got = verdict("http://nb", &response);
            assert_eq!(got.outcome, want, "{response:?}");
            assert!(format!("{got:?}").contains(words), "{got:?}");
        }
    }

    #[test]
    fn what_the_verification_file_holds() {
        let file = "WW_verify_7rG3kjVbXHngiald.txt";
        let with = |body: &str| HttpResponse { body: body.into(), ..response(200) };
        assert_eq!(file_finding(file, &Ok(with("7rG3kjVbXHngiald"))), None);
        for (response, words) in [
            (Ok(with("7rG3kjVbXHngiald\n")), "not what WeCom expects"),
            (Ok(with("<!DOCTYPE html>")), "not what WeCom expects"),
            (Ok(response(404)), "HTTP 404"),
            (Ok(response(302)), "HTTP 302"),
            (Err(HttpError::Timeout), "within"),
        ] {
            assert!(file_finding(file, &response).unwrap().what.to_string().contains(words), "{response:?}");
        }
    }
}
