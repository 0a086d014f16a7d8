//! The steps about NocoBase.

use std::time::SystemTime;

use super::progress::Steps;
use crate::check::clock::Sample;
use crate::check::nocobase::{self, Api, is_healthy};
use crate::check::report::{StepOutcome, Verdict};
use crate::check::rights;
use crate::check::steps::Id;
use crate::check::users::{self, Users};
use crate::config::ServiceAccount;
use crate::nocobase::About;

/// Results of these steps that later ones need.
#[derive(Default)]
pub(super) struct NocoBaseSteps<'a> {
    /// No step has failed that a sign-in depends on.
    pub(super) healthy: bool,
    /// A node that responds.
    pub(super) node: Option<&'a str>,
    pub(super) users: Option<Users>,
}

/// Runs the steps about NocoBase.
pub(super) async fn steps<'a>(
    api: &Api<'a>,
    steps: &mut Steps<'_>,
    samples: &mut Vec<Sample>,
) -> NocoBaseSteps<'a> {
    let mut node = None;
    steps
        .take(Id::NocobaseReachable, None, async {
            let mut nodes = Vec::new();
            for name in &api.config.upstream.nodes {
                let response = api.ask(name, "__health_check", None, None).await;
                if let Some(theirs) = response.as_ref().ok().and_then(|a| a.date) {
                    samples.push(Sample { who: name.clone(), theirs, ours: SystemTime::now() });
                }
                if is_healthy(&response) {
                    node.get_or_insert(name.as_str());
                }
                nodes.push((name.clone(), response));
            }
            let about = match node {
                Some(node) => api.nocobase.about(node).await,
                None => About::default(),
            };
            let origin = &api.config.origin;
            let origin = format!("{}://{}", origin.scheme(), origin.authority());
            nocobase::reachable(&nodes, &api.config.nocobase, &origin, &about)
        })
        .await;
    let Some(node) = node else {
        for id in [
            Id::NocobaseSecret,
            Id::NocobaseService,
            Id::NocobaseRights,
            Id::NocobaseSignUp,
            Id::NocobaseUsers,
        ] {
            steps.add(id, None, Verdict::after_failed(Id::NocobaseReachable));
        }
        return NocoBaseSteps::default();
    };
    let secret = steps
        .take(Id::NocobaseSecret, None, async {
            let token = api.session_token();
            let verdict = nocobase::secret(&api.ask(node, "auth:check", token.as_deref(), None).await);
            match api.service_token().filter(|_| verdict.outcome == StepOutcome::Ok) {
                Some(token) => {
                    let policy = api.ask(node, nocobase::TOKEN_POLICY, Some(&token), None).await;
                    nocobase::with_policy(verdict, &policy)
                }
                None => verdict,
            }
        })
        .await;
    let token = api.service_token();
    let by_token = matches!(api.config.nocobase.service, ServiceAccount::Token(_));
    let service = if secret || by_token {
        let work = async {
            let response = api.ask(node, "auth:check", token.as_deref(), None).await;
            nocobase::service(&response, &api.config.nocobase)
        };
        steps.take(Id::NocobaseService, None, work).await
    } else {
        steps.add(Id::NocobaseService, None, Verdict::after_failed(Id::NocobaseSecret));
        false
    };
    let rights = match token.as_deref().filter(|_| service) {
        Some(token) => {
            let work = async {
                let role = api.ask(node, "roles:check", Some(token), None).await.ok();
                let role = role.filter(|a| a.status == 200).and_then(|a| a.json().get("data").cloned());
                let mut tries = Vec::new();
                for right in rights::needed(api.config) {
                    let tried = rights::attempt(api, node, token, &right).await;
                    tries.push((right, tried));
                }
                let roles = rights::roles(api, node, token).await;
                rights::verdict(&tries, role.as_ref(), roles.as_ref())
            };
            steps.take(Id::NocobaseRights, None, work).await
        }
        None => {
            steps.add(Id::NocobaseRights, None, Verdict::after_failed(Id::NocobaseService));
            false
        }
    };
    steps
        .take(Id::NocobaseSignUp, None, async {
            let response =
                api.ask(node, "authenticators:publicList", None, Some(&serde_json::json!({}))).await;
            nocobase::sign_up(&response, &api.config.nocobase)
        })
        .await;
    let mut counted = None;
    steps
        .take(Id::NocobaseUsers, None, async {
            if let Some(token) = token.as_deref().filter(|_| service) {
                counted = users::count(api, node, token).await;
            }
            users::verdict(counted.as_ref(), &api.config.nocobase)
        })
        .await;
    NocoBaseSteps { healthy: secret && service && rights, node: Some(node), users: counted }
}
