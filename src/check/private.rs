//! Can NocoBase be reached around the gate, at the host that people open?

use std::net::IpAddr;

use super::http::{Http, HttpError, HttpResponse};
use super::report::{Finding, StepOutcome, Verdict};
use crate::config::Config;
use crate::message::message;

/// The ports at which NocoBase would be found if its own port were published: those of its nodes, except the gate's.
fn ports(config: &Config) -> Vec<u16> {
    let own = config.origin.port.unwrap_or(if config.origin.https { 443 } else { 80 });
    let mut all: Vec<u16> = config
        .upstream
        .nodes
        .iter()
        .filter_map(|node| node.rsplit_once(':')?.1.parse().ok())
        .filter(|port| *port != own)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The step.
pub(super) async fn check(http: &Http, config: &Config) -> Verdict {
    let host = config.origin.host.as_str();
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), 0)).await;
    let addresses: Vec<IpAddr> = found.map(|all| all.map(|a| a.ip()).collect()).unwrap_or_default();
    if addresses.is_empty() {
        return Verdict::skipped(message!("the host of origin cannot be resolved"));
    }
    if addresses.iter().all(IpAddr::is_loopback) {
        return Verdict::skipped(message!("origin is a loopback address"));
    }
    let mut responses = Vec::new();
    for port in ports(config) {
        let url = format!("http://{host}:{port}{}api/__health_check", config.nocobase.public_path);
        responses.push((port, http.get(&url).await));
    }
    verdict(host, &responses)
}

fn verdict(host: &str, responses: &[(u16, Result<HttpResponse, HttpError>)]) -> Verdict {
    let open = responses.iter().filter(|(_, response)| {
        response.as_ref().is_ok_and(|a| a.status == 200 && a.body == b"ok" && !a.from_gate)
    });
    let findings: Vec<Finding> = open
        .map(|(port, _)| {
            Finding::new(
                "upstream.nodes",
                message!(
                    "NocoBase answers at {url} from here, bypassing the gate; others may be able to reach it there, too",
                    url = format!("http://{host}:{port}")
                ),
                message!(
                    "let NocoBase listen on 127.0.0.1 or a private network (Docker: publish 127.0.0.1:13000:13000, as what \
                     Docker publishes passes ufw by); if a firewall closes that port to others, nothing need be done"
                ),
            )
        })
        .collect();
    match findings.is_empty() {
        true => {
            Verdict::ok(message!("NocoBase cannot be reached at the host of origin except through the gate"))
        }
        false => Verdict::found(StepOutcome::Warning, findings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::links::tests::two;

    #[test]
    fn nocobase_reachable_around_the_gate() {
        let response =
            |status, body: &str| Ok(HttpResponse { status, body: body.into(), ..HttpResponse::default() });
        for (responses, want) in [
            (vec![], StepOutcome::Ok),
            (vec![(13000, Err(HttpError::Connect)), (13001, response(404, "x"))], StepOutcome::Ok),
            (vec![(13000, Err(HttpError::Timeout)), (13001, response(200, "ok"))], StepOutcome::Warning),
            (vec![(13000, response(200, "<html>"))], StepOutcome::Ok),
        ] {
            assert_eq!(verdict("nb.example.com", &responses).outcome, want, "{responses:?}");
        }
        let text = format!("{:?}", verdict("nb.example.com", &[(13001, response(200, "ok"))]));
        assert!(text.contains("http://nb.example.com:13001") && text.contains("ufw"), "{text}");
    }

    #[test]
    fn the_gates_own_port_is_not_tried() {
        let mut config = two();
        config.upstream.nodes = vec!["10.0.0.1:13000".into(), "10.0.0.2:13000".into(), "[::1]:8443".into()];
        assert_eq!(ports(&config), [13000], "the origin has port 8443");
    }
}
