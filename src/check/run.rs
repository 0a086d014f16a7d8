//! The order of the steps, and what each waits for.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;

use super::clock::Sample;
use super::http::{Http, HttpError};
use super::nocobase::{Api, is_healthy};
use super::printer::Printer;
use super::report::{Finding, Report, Step, StepOutcome, Verdict};
use super::steps::Id;
use super::users::Users;
use super::{clock, files, member, nocobase, origin, private, redis, rights, tls, users, wecom};
use crate::config::{Config, ConfigError, ConfigErrors, Loaded, WeComEntry};
use crate::error::Failure;
use crate::nocobase::{About, Accounts, Minter, NocoBase};
use crate::wecom::{Client, WeComError};

/// Longest time for one step. Every request has a limit of its own; a step may make several.
const LIMIT: Duration = Duration::from_secs(30);

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Send no request: configuration and files only.
    pub offline: bool,
    /// Whose sign-in to try: `[ENTRY/]USERID`.
    pub member: Option<String>,
    /// Take these steps alone, and print nothing after them; empty: take all.
    pub only: Vec<Id>,
}

/// Takes all steps; each is handed to the printer as it begins and as it ends.
pub async fn run(
    loaded: &Result<Loaded, ConfigErrors>,
    options: &Options,
    printer: Option<&mut Printer>,
) -> std::io::Result<Report> {
    let only = options.only.clone();
    let mut steps = Steps { done: Vec::new(), only, printer, gone: Ok(()) };
    steps.add(Id::Configuration, None, configuration(loaded));
    let config = loaded.as_ref().ok().map(|l| &l.config);
    if let Some(config) = config {
        steps.add(Id::Tls, None, tls::check(config, SystemTime::now()));
        let named = loaded.as_ref().map(|l| l.files.as_slice()).unwrap_or_default();
        steps.add(Id::Files, None, files::check(named));
        if options.offline {
            for id in Id::ALL.into_iter().skip(3) {
                steps.add(id, None, Verdict::skipped("--offline"));
            }
        } else {
            online(config, options, &mut steps).await;
        }
    }
    let Steps { done, printer, gone, .. } = steps;
    let report = Report::new(done, config);
    if let Some(printer) = printer {
        gone?;
        if options.only.is_empty() {
            printer.end(&report)?;
        }
    }
    Ok(report)
}

/// The steps that have been taken.
struct Steps<'a> {
    done: Vec<Step>,
    /// [`Options::only`].
    only: Vec<Id>,
    printer: Option<&'a mut Printer>,
    gone: std::io::Result<()>,
}

impl Steps<'_> {
    fn wants(&self, id: Id) -> bool {
        self.only.is_empty() || self.only.contains(&id)
    }

    fn begin(&mut self, id: Id, entry: Option<&str>) {
        if self.wants(id)
            && let Some(printer) = &mut self.printer
        {
            printer.begin(id, entry);
        }
    }

    fn end(&mut self, id: Id, entry: Option<&str>, verdict: Verdict) {
        if !self.wants(id) {
            return;
        }
        let step = Step::new(id, entry, verdict);
        if let Some(printer) = &mut self.printer
            && self.gone.is_ok()
        {
            self.gone = printer.done(&step);
        }
        self.done.push(step);
    }

    fn add(&mut self, id: Id, entry: Option<&str>, verdict: Verdict) {
        self.begin(id, entry);
        self.end(id, entry, verdict);
    }

    /// Works on a step, but not for ever.
    /// One that is not wanted counts as passed.
    async fn take(&mut self, id: Id, entry: Option<&str>, work: impl Future<Output = Verdict>) -> bool {
        if !self.wants(id) {
            return true;
        }
        self.begin(id, entry);
        let verdict = tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| too_slow());
        let passed = verdict.outcome != StepOutcome::Failed;
        self.end(id, entry, verdict);
        passed
    }
}

fn too_slow() -> Verdict {
    let what = format!("not done after {} seconds: given up", LIMIT.as_secs());
    Verdict::failed("time", what, "see whether the network, WeCom or NocoBase is slow, and check again")
}

/// The first step: is the configuration right?
pub(super) fn configuration(loaded: &Result<Loaded, ConfigErrors>) -> Verdict {
    match loaded {
        Ok(Loaded { warnings, .. }) if warnings.is_empty() => Verdict::ok(""),
        Ok(Loaded { warnings, .. }) => {
            let finding = |warning: &String| {
                let (about, what) = warning.split_once(": ").unwrap_or(("", warning));
                Finding::new(about, what, "")
            };
            Verdict::found(StepOutcome::Warning, warnings.iter().map(finding).collect())
        }
        Err(errors) => {
            let of = |e: &ConfigError| Finding {
                about: e.key.clone(),
                value: e.value.clone(),
                place: e.place.clone(),
                what: e.problem.clone(),
                remedy: e.remedy.clone(),
            };
            Verdict::found(StepOutcome::Failed, errors.0.iter().map(of).collect())
        }
    }
}

async fn online(config: &Config, options: &Options, steps: &mut Steps<'_>) {
    let http = match Http::new(None) {
        Ok(http) => http,
        Err(why) => {
            let remedy = "install the root certificates of this system (Debian: ca-certificates)";
            steps.add(Id::Origin, None, Verdict::failed("TLS", why, remedy));
            return;
        }
    };
    let mut there = false;
    steps
        .take(Id::Origin, None, async {
            let (verdict, found) = origin::check(&http, config).await;
            there = found;
            verdict
        })
        .await;
    let mut samples = Vec::new();
    let mut clients = Vec::new();
    for entry in &config.wecom {
        let name = (config.wecom.len() > 1).then_some(entry.name.as_str());
        steps.take(Id::VerificationFile, name, origin::files(&http, config, entry, there)).await;
        let client = wecom_entry(config, entry, name, steps).await;
        if steps.wants(Id::Clock) {
            samples.extend(wecom_clock(entry).await);
        }
        clients.extend(client.map(|c| (entry.name.as_str(), c)));
    }
    let minter = Arc::new(Minter::new(config.nocobase.jwt_secret.expose_secret()));
    let caller = match NocoBase::new(&config.upstream, &config.nocobase, minter) {
        Ok(nocobase) => Arc::new(nocobase),
        // A checked configuration gives no such client, so this does not happen.
        Err(failure) => {
            let verdict = Verdict::failed("nocobase", failure.to_string(), "correct [nocobase]");
            steps.add(Id::NocobaseReachable, None, verdict);
            return;
        }
    };
    let api = Api { nocobase: &caller, config };
    let nocobase = nocobase_steps(&api, steps, &mut samples).await;
    steps.take(Id::NocobasePrivate, None, private::check(&http, config)).await;
    steps.add(Id::Clock, None, clock::verdict(&samples));
    steps
        .take(Id::Member, None, async {
            let Some(wanted) = &options.member else {
                return Verdict::skipped(
                    "--member USERID tries the sign-in of a member, without writing anything",
                );
            };
            if !nocobase.healthy {
                return Verdict::skipped("NocoBase failed");
            }
            let (entry, userid) = match member::choose(config, wanted) {
                Ok(chosen) => chosen,
                Err(verdict) => return verdict,
            };
            let client = clients.iter().find(|(name, _)| *name == entry.name).map(|(_, c)| c);
            let accounts = Accounts::new(caller.clone(), &config.nocobase);
            match client {
                Some(client) => {
                    let way = member::look(client, &accounts, entry, userid).await;
                    let name = match (&way, nocobase.node) {
                        (member::Way::Admitted(_, Ok(preview)), Some(node)) => {
                            member::name_of(&api, node, preview).await
                        }
                        _ => None,
                    };
                    member::verdict(&way, userid, config, name.as_deref(), nocobase.users.as_ref())
                }
                None => Verdict::skipped("WeCom failed"),
            }
        })
        .await;
    steps
        .take(Id::Redis, None, async {
            match &config.session.redis {
                Some(redis) => {
                    redis::verdict(redis, &crate::shared::probe(redis, &config.origin.url()).await)
                }
                None => Verdict::skipped("session.redis is empty: each node works alone"),
            }
        })
        .await;
}

/// WeCom's side of one entry; the client, where WeCom takes its calls.
async fn wecom_entry(
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
            let verdict = Verdict::failed("wecom.http_proxy", error.without_url().to_string(), "correct it");
            steps.end(Id::WecomReachable, name, verdict);
            return None;
        }
    };
    let answer = tokio::time::timeout(LIMIT, client.agent()).await;
    let answer = answer.unwrap_or(Err(WeComError::unreachable(crate::wecom::Call::Agent)));
    // The gate's own client says only that there was no answer.
    let plain = match &answer {
        Err(error) if error.failure() == Failure::WeComUnreachable && entry.api_base.scheme() == "https" => {
            match Http::new(entry.http_proxy.as_ref()) {
                Ok(http) => http.get(entry.api_base.as_str()).await.err() == Some(HttpError::Plain),
                Err(_) => false,
            }
        }
        _ => false,
    };
    let verdicts = wecom::verdicts(&answer, entry, &config.origin.authority(), plain);
    for (i, (id, verdict)) in verdicts.into_iter().enumerate() {
        if i > 0 {
            steps.begin(id, name);
        }
        steps.end(id, name, verdict);
    }
    if answer.is_err() {
        steps.add(Id::WecomRules, name, Verdict::skipped("WeCom failed"));
        return None;
    }
    steps
        .take(Id::WecomRules, name, async {
            if wecom::has_rules(entry) {
                let answer = match client.check_rules().await {
                    Ok(()) => client.check_roles().await,
                    wrong => wrong,
                };
                wecom::rules(answer, entry)
            } else {
                Verdict::skipped(
                    "allow_departments, allow_tags and roles are empty: every member who sees the app may sign in",
                )
            }
        })
        .await;
    Some(client)
}

/// WeCom's clock, from any response.
async fn wecom_clock(entry: &WeComEntry) -> Option<Sample> {
    let http = Http::new(entry.http_proxy.as_ref()).ok()?;
    let theirs = http.get(entry.api_base.as_str()).await.ok()?.date?;
    Some(Sample { who: entry.api_base.host_str()?.to_owned(), theirs, ours: SystemTime::now() })
}

/// What NocoBase's steps have found for those that follow.
#[derive(Default)]
struct NocoBaseFound<'a> {
    /// None of those failed that a sign-in depends on.
    healthy: bool,
    /// A node that answers.
    node: Option<&'a str>,
    users: Option<Users>,
}

/// NocoBase's steps.
async fn nocobase_steps<'a>(
    api: &Api<'a>,
    steps: &mut Steps<'_>,
    samples: &mut Vec<Sample>,
) -> NocoBaseFound<'a> {
    let mut node = None;
    steps
        .take(Id::NocobaseReachable, None, async {
            let mut nodes = Vec::new();
            for name in &api.config.upstream.nodes {
                let answer = api.ask(name, "__health_check", None, None).await;
                if let Some(theirs) = answer.as_ref().ok().and_then(|a| a.date) {
                    samples.push(Sample { who: name.clone(), theirs, ours: SystemTime::now() });
                }
                if is_healthy(&answer) {
                    node.get_or_insert(name.as_str());
                }
                nodes.push((name.clone(), answer));
            }
            let about = match node {
                Some(node) => api.nocobase.about(node).await,
                None => About::default(),
            };
            let origin = &api.config.origin;
            let origin = format!("{}://{}", origin.scheme(), origin.authority());
            nocobase::reachable(&nodes, &api.config.nocobase.public_path, &origin, &about)
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
            steps.add(id, None, Verdict::skipped("nocobase_reachable failed"));
        }
        return NocoBaseFound::default();
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
    let by_token = matches!(api.config.nocobase.service, crate::config::ServiceAccount::Token(_));
    let service = if secret || by_token {
        let work = async {
            let answer = api.ask(node, "auth:check", token.as_deref(), None).await;
            nocobase::service(&answer, &api.config.nocobase.service)
        };
        steps.take(Id::NocobaseService, None, work).await
    } else {
        steps.add(Id::NocobaseService, None, Verdict::skipped("nocobase_secret failed"));
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
            steps.add(Id::NocobaseRights, None, Verdict::skipped("nocobase_service failed"));
            false
        }
    };
    steps
        .take(Id::NocobaseSignUp, None, async {
            let answer = api.ask(node, "authenticators:publicList", None, Some(&serde_json::json!({}))).await;
            nocobase::sign_up(&answer, &api.config.nocobase.match_by)
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
    NocoBaseFound { healthy: secret && service && rights, node: Some(node), users: counted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::links::tests::two;
    use crate::config::load_str;

    #[test]
    fn every_error_of_the_configuration_is_a_finding() {
        let verdict = configuration(&load_str("oirgin = 'x'", []));
        assert_eq!(verdict.outcome, StepOutcome::Failed);
        assert!(verdict.findings.iter().any(|f| f.about == "oirgin" && f.remedy == "did you mean `origin`?"));
    }

    #[test]
    fn warnings_do_not_fail() {
        let mut loaded =
            Loaded { config: two(), warnings: vec!["origin: is plain http".into()], files: vec![] };
        let verdict = configuration(&Ok(loaded.clone()));
        assert_eq!((verdict.outcome, verdict.findings[0].about.as_str()), (StepOutcome::Warning, "origin"));
        loaded.warnings.clear();
        assert_eq!(configuration(&Ok(loaded)).outcome, StepOutcome::Ok);
    }

    #[tokio::test]
    async fn offline_asks_nobody_and_still_names_every_step() {
        let loaded = Ok(Loaded { config: two(), warnings: vec![], files: vec![] });
        let options = Options { offline: true, ..Options::default() };
        let report = run(&loaded, &options, None).await.unwrap();
        assert!(report.ok && report.links.len() == 2);
        let names: Vec<_> = report.steps.iter().map(|s| s.name).collect();
        assert_eq!(names, Id::ALL.map(Id::name));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_never_ends_is_given_up() {
        let mut steps = Steps { done: Vec::new(), only: Vec::new(), printer: None, gone: Ok(()) };
        assert!(!steps.take(Id::Origin, None, std::future::pending()).await);
        assert!(steps.done[0].findings[0].what.contains("30 seconds"));
    }
}
