//! The order of the steps, and what each depends on.

mod nocobase;
mod progress;
mod wecom;

use std::sync::Arc;
use std::time::SystemTime;

use secrecy::ExposeSecret;

use super::http::Http;
use super::nocobase::Api;
use super::printer::Printer;
use super::report::{Finding, Report, StepOutcome, Verdict};
use super::steps::Id;
use super::{acme, clock, files, member, origin, private, redis, tls};
use crate::config::{Config, ConfigError, ConfigErrors, Loaded};
use crate::message::{Message, message};
use crate::nocobase::{Accounts, Minter, NocoBase};
use progress::Steps;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Send no request: configuration and files only.
    pub offline: bool,
    /// Whose sign-in to try: `[ENTRY/]USERID`.
    pub member: Option<String>,
    /// Run only these steps, and print nothing after them; empty: run all.
    pub only: Vec<Id>,
}

/// Runs all steps; reports to the printer when each begins and ends.
pub async fn run(
    loaded: &Result<Loaded, ConfigErrors>,
    options: &Options,
    printer: Option<&mut Printer>,
) -> std::io::Result<Report> {
    let only = options.only.clone();
    let mut steps = Steps { done: Vec::new(), only, printer, application: None, gone: Ok(()) };
    steps.add(Id::Configuration, None, configuration(loaded));
    let config = loaded.as_ref().ok().map(|l| &l.config);
    if let Some(config) = config {
        steps.add(Id::Tls, None, tls::check(config, SystemTime::now()));
        for app in config.nocobase.apps.iter().filter(|app| app.host.is_some()) {
            steps.application = Some(format!("apps/{}", app.name));
            steps.add(Id::Tls, None, tls::check(&config.of_application(app), SystemTime::now()));
            steps.application = None;
        }
        let named = loaded.as_ref().map(|l| l.files.as_slice()).unwrap_or_default();
        let written = files::Written {
            audit_file: config.log.audit_file.as_deref(),
            acme_cache: config.listen.acme.as_ref().map(|acme| acme.cache.as_path()),
        };
        steps.add(Id::Files, None, files::check(named, &written));
        if options.offline {
            for id in Id::ALL.into_iter().skip(3) {
                steps.add(id, None, Verdict::skipped(Message::verbatim("--offline")));
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

/// The first step: is the configuration valid? The console leaves it out, because the gate runs with this configuration: what is
/// wrong with one is not translated.
pub(super) fn configuration(loaded: &Result<Loaded, ConfigErrors>) -> Verdict {
    match loaded {
        Ok(Loaded { warnings, .. }) if warnings.is_empty() => Verdict::ok(Message::default()),
        Ok(Loaded { warnings, .. }) => {
            let finding = |warning: &String| {
                let (about, what) = warning.split_once(": ").unwrap_or(("", warning));
                Finding::new(about, Message::verbatim(what), Message::default())
            };
            Verdict::found(StepOutcome::Warning, warnings.iter().map(finding).collect())
        }
        Err(errors) => {
            let of = |e: &ConfigError| Finding {
                about: e.key.clone(),
                value: e.value.clone(),
                place: e.place.clone(),
                what: Message::verbatim(&e.problem),
                remedy: Message::verbatim(&e.remedy),
            };
            Verdict::found(StepOutcome::Failed, errors.0.iter().map(of).collect())
        }
    }
}

async fn online(config: &Config, options: &Options, steps: &mut Steps<'_>) {
    let http = match Http::new(None) {
        Ok(http) => http,
        Err(why) => {
            let remedy = message!("install the root certificates of this system (Debian: ca-certificates)");
            steps.add(Id::Origin, None, Verdict::failed("TLS", Message::verbatim(why), remedy));
            return;
        }
    };
    steps.take(Id::Acme, None, acme::check(&http, config)).await;
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
        let client = wecom::entry(config, entry, name, steps).await;
        if steps.wants(Id::Clock) {
            samples.extend(wecom::clock(entry).await);
        }
        clients.extend(client.map(|c| (entry.name.as_str(), c)));
    }
    let minter = Arc::new(Minter::new(config.nocobase.jwt_secret.expose_secret()));
    let caller = match NocoBase::new(&config.upstream, &config.nocobase, minter) {
        Ok(nocobase) => Arc::new(nocobase),
        // A validated configuration cannot produce such a client, so this does not happen.
        Err(failure) => {
            let what = Message::verbatim(failure.to_string());
            let verdict = Verdict::failed("nocobase", what, message!("correct [nocobase]"));
            steps.add(Id::NocobaseReachable, None, verdict);
            return;
        }
    };
    let api = Api { nocobase: &caller, config };
    let nocobase = nocobase::steps(&api, steps, &mut samples).await;
    for app in &config.nocobase.apps {
        application_steps(&http, &config.of_application(app), steps).await;
    }
    steps.take(Id::NocobasePrivate, None, private::check(&http, config)).await;
    steps.add(Id::Clock, None, clock::verdict(&samples));
    steps
        .take(Id::Member, None, async {
            let Some(wanted) = &options.member else {
                return Verdict::skipped(message!(
                    "--member USERID tries the sign-in of a member, without writing anything"
                ));
            };
            if !nocobase.healthy {
                return Verdict::skipped(message!("NocoBase failed"));
            }
            let (entry, userid) = match member::choose(config, wanted) {
                Ok(chosen) => chosen,
                Err(verdict) => return verdict,
            };
            let client = clients.iter().find(|(name, _)| *name == entry.name).map(|(_, c)| c);
            let accounts = Accounts::new(caller.clone(), &config.nocobase);
            match client {
                Some(client) => {
                    let way = member::preview(client, &accounts, entry, userid).await;
                    let name = match (&way, nocobase.node) {
                        (member::MemberCheck::Admitted(_, Ok(preview)), Some(node)) => {
                            member::name_of(&api, node, preview).await
                        }
                        _ => None,
                    };
                    member::verdict(&way, userid, config, name.as_deref(), nocobase.users.as_ref())
                }
                None => Verdict::skipped(message!("WeCom failed")),
            }
        })
        .await;
    steps
        .take(Id::Redis, None, async {
            match &config.session.redis {
                Some(redis) => {
                    let lists = config.access.has_admins();
                    redis::verdict(redis, &crate::shared::probe(redis, &config.origin.url(), lists).await)
                }
                None => Verdict::skipped(message!("session.redis is empty: each node works alone")),
            }
        })
        .await;
}

/// The steps for one of `nocobase.apps`: NocoBase's, and if it has its own host name, those about that name and about WeCom.
async fn application_steps(http: &Http, config: &Config, steps: &mut Steps<'_>) {
    let minter = Arc::new(Minter::new(config.nocobase.jwt_secret.expose_secret()));
    let Ok(nocobase) = NocoBase::new(&config.upstream, &config.nocobase, minter) else { return };
    steps.application = Some(format!("apps/{}", config.nocobase.app));
    if config.nocobase.own_host {
        let mut there = false;
        steps
            .take(Id::Origin, None, async {
                let (verdict, found) = origin::check(http, config).await;
                there = found;
                verdict
            })
            .await;
        for entry in &config.wecom {
            let name = Some(entry.name.as_str());
            steps.take(Id::VerificationFile, name, origin::files(http, config, entry, there)).await;
            wecom::entry(config, entry, name, steps).await;
        }
    }
    nocobase::steps(&Api { nocobase: &Arc::new(nocobase), config }, steps, &mut Vec::new()).await;
    steps.application = None;
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
        assert!(
            verdict
                .findings
                .iter()
                .any(|f| f.about == "oirgin" && f.remedy == Message::verbatim("did you mean `origin`?"))
        );
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
    async fn offline_sends_no_request_and_names_every_step() {
        let loaded = Ok(Loaded { config: two(), warnings: vec![], files: vec![] });
        let options = Options { offline: true, ..Options::default() };
        let report = run(&loaded, &options, None).await.unwrap();
        assert!(report.ok && report.links.len() == 2);
        let names: Vec<_> = report.steps.iter().map(|s| s.name).collect();
        assert_eq!(names, Id::ALL.map(Id::name));
    }
}
