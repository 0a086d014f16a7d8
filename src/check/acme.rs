//! Can a certificate be ordered? The authority's directory responds, and port 80 of each name is served by the gate.

use super::http::{Http, HttpError, HttpResponse};
use super::report::{Finding, StepOutcome, Verdict};
use crate::config::Config;
use crate::message::message;

/// A path for which the gate responds with 401 and its own header to a client without a session.
const PROBE: &str = "/wecom-gate/me";

/// The step. From outside, the authority may see something other than this machine does.
pub(super) async fn check(http: &Http, config: &Config) -> Verdict {
    let Some(acme) = &config.listen.acme else {
        return Verdict::skipped(message!("listen.acme is not set: the gate orders no certificate"));
    };
    let directory = acme.directory.as_str();
    if let Some(finding) = directory_finding(directory, &http.get(directory).await) {
        return Verdict::found(StepOutcome::Failed, vec![finding]);
    }
    let origin = config.origin.url();
    let host = acme.directory.host_str().unwrap_or_default();
    if config.listen.http.is_empty() {
        return Verdict::ok(message!(
            "{host} can be reached; it will ask on port 443 (tls-alpn-01), which is not tried here",
            host
        ));
    }
    let mut findings = Vec::new();
    for domain in &acme.domains {
        let response = http.get(&format!("http://{domain}{PROBE}")).await;
        findings.extend(port_finding(domain, &origin, &response));
    }
    if findings.is_empty() {
        let names = acme.domains.join(", ");
        return Verdict::ok(message!(
            "{host} can be reached, and port 80 of {names} leads here",
            host,
            names
        ));
    }
    Verdict::found(StepOutcome::Warning, findings)
}

fn directory_finding(directory: &str, response: &Result<HttpResponse, HttpError>) -> Option<Finding> {
    let what = match response {
        Ok(a) if a.status == 200 && a.json().get("newOrder").is_some_and(|url| url.is_string()) => {
            return None;
        }
        Ok(a) if a.status == 200 => message!("what it responds with is no ACME directory"),
        Ok(a) => a.shown(),
        Err(trouble) => trouble.message(),
    };
    let remedy = message!(
        "correct the address, or let this machine connect to it; the authority of a company needs its root certificate among \
         those of this system"
    );
    Some(Finding {
        value: Some(format!("{directory:?}")),
        ..Finding::new("listen.acme.directory", what, remedy)
    })
}

/// Is plain HTTP served by the gate? With `listen.redirect_http` it redirects to its origin.
fn port_finding(domain: &str, origin: &str, response: &Result<HttpResponse, HttpError>) -> Option<Finding> {
    let redirected = format!("{origin}{PROBE}");
    let url = format!("http://{domain}");
    let what = match response {
        Ok(a) if a.from_gate || a.location.as_deref() == Some(&redirected) => return None,
        Ok(a) => {
            message!("something other than this gate answers at {url}: HTTP {status}", url, status = a.status)
        }
        Err(trouble) => {
            message!("{url} cannot be reached from this machine: {why}", url, why = trouble.message())
        }
    };
    let remedy = message!(
        "the authority asks there (and on port 443, after a failure): lead port 80 of this name to the gate's plain HTTP listener \
         (DNS, firewall, a proxy in front); if the gate does not run yet, start it and check again"
    );
    Some(Finding::new("listen.acme.domains", what, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse { status, body: body.into(), ..HttpResponse::default() }
    }

    #[test]
    fn what_a_directory_is() {
        let look = |response| {
            directory_finding("https://ca.test/dir", &response)
                .map(|f| f.what.to_string())
                .unwrap_or_default()
        };
        assert_eq!(look(Ok(response(200, r#"{"newOrder": "https://ca.test/order"}"#))), "");
        for (response, words) in [
            (Ok(response(200, "<html>")), "no ACME directory"),
            (Ok(response(200, r#"{"newOrder": 1}"#)), "no ACME directory"),
            (Ok(response(404, r#"{"newOrder": "x"}"#)), "HTTP 404"),
            (Err(HttpError::Tls), "certificate"),
        ] {
            assert!(look(response).contains(words), "{words}");
        }
    }

    #[test]
    fn what_responds_on_port_80() {
        let look = |response| {
            port_finding("nb.test", "https://nb.test", &response)
                .map(|f| f.what.to_string())
                .unwrap_or_default()
        };
        let redirect = |to: &str| HttpResponse { location: Some(to.into()), ..response(308, "") };
        assert_eq!(look(Ok(HttpResponse { from_gate: true, ..response(401, "") })), "");
        assert_eq!(look(Ok(redirect("https://nb.test/wecom-gate/me"))), "");
        for (response, words) in [
            (Ok(redirect("https://other.test/wecom-gate/me")), "something other"),
            (Ok(response(200, "")), "HTTP 200"),
            (Err(HttpError::Connect), "no connection"),
        ] {
            assert!(look(response).contains(words), "{words}");
        }
    }
}
