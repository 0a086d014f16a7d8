//! The steps about WeCom.

use std::time::SystemTime;

use super::progress::{LIMIT, Steps};
use crate::check::clock::Sample;
use crate::check::http::{Http, HttpError};
use crate::check::report::Verdict;
use crate::check::steps::Id;
use crate::check::wecom;
use crate::config::{Config, WeComEntry};
use crate::error::Failure;
use crate::message::{Message, message};
use crate::wecom::{Client, WeComError};

/// WeCom's side of one entry; returns the client if WeCom accepts its calls.
pub(super) async fn entry(
    config: &Config,
    entry: &WeComEntry,
    name: Option<&str>,
    steps: &mut Steps<'_>,
) -> Option<Client> {
    if !steps.wants(Id::WecomReachable) {
        return None;
    }
    steps.begin(Id::WecomReachable, name);
    let client = match Client::new(entry) {
        Ok(client) => client,
        Err(error) => {
            let what = Message::verbatim(error.without_url().to_string());
            let verdict = Verdict::failed("wecom.http_proxy", what, message!("correct it"));
            steps.end(Id::WecomReachable, name, verdict);
            return None;
        }
    };
    let response = tokio::time::timeout(LIMIT, client.agent()).await;
    let response = response.unwrap_or(Err(WeComError::unreachable(crate::wecom::Call::Agent)));
    // The gate's own client only reports that there was no response.
    let plain = match &response {
        Err(error) if error.failure() == Failure::WeComUnreachable && entry.api_base.scheme() == "https" => {
            match Http::new(entry.http_proxy.as_ref()) {
                Ok(http) => http.get(entry.api_base.as_str()).await.err() == Some(HttpError::Plain),
                Err(_) => false,
            }
        }
        _ => false,
    };
    let verdicts = wecom::verdicts(&response, entry, &config.origin.authority(), plain);
    for (i, (id, verdict)) in verdicts.into_iter().enumerate() {
        if i > 0 {
            steps.begin(id, name);
        }
        steps.end(id, name, verdict);
    }
    if response.is_err() {
        steps.add(Id::WecomRules, name, Verdict::skipped(message!("WeCom failed")));
        return None;
    }
    steps
        .take(Id::WecomRules, name, async {
            if wecom::has_rules(entry) {
                let response = match client.check_rules().await {
                    Ok(()) => client.check_roles().await,
                    wrong => wrong,
                };
                wecom::rules(response, entry)
            } else {
                Verdict::skipped(message!(
                    "allow_departments, allow_tags and roles are empty: every member who sees the app may sign in"
                ))
            }
        })
        .await;
    Some(client)
}

/// WeCom's clock, from any response.
pub(super) async fn clock(entry: &WeComEntry) -> Option<Sample> {
    let http = Http::new(entry.http_proxy.as_ref()).ok()?;
    let theirs = http.get(entry.api_base.as_str()).await.ok()?.date?;
    Some(Sample { who: entry.api_base.host_str()?.to_owned(), theirs, ours: SystemTime::now() })
}
