//! The questions: each is asked until its answer is accepted, and each answer is tried immediately with the steps of `check`.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::account::Administrator;
use super::answers::{Answers, Existing};
use super::ask::Terminal;
use super::error::InitError;
use super::finder;
use super::given::{Given, Policy};
use super::paths::Paths;
use super::print::print_line;
use super::texts::Texts;
use crate::check::{self, Id, Options, Printer, Step, StepOutcome};
use crate::config::Loaded;
use crate::message::Message;
use crate::nocobase::NocoBase;

/// Steps whose failure does not stop `init`: they concern WeCom's console, or the proxy in front of the gate, and both come
/// later.
const LATER: [Id; 5] =
    [Id::Origin, Id::VerificationFile, Id::WecomTrustedIp, Id::WecomCallbackDomain, Id::WecomVisibleRange];
/// From the example; never a real value.
const ORIGIN: &str = "https://nocobase.example.com";

/// Asks the questions, and tries the answers.
pub(super) struct Interview<'a> {
    pub(super) given: &'a Given,
    pub(super) env: &'a [(String, String)],
    pub(super) existing: &'a Existing,
    /// `None`: `--yes`.
    pub(super) terminal: Option<Terminal>,
    pub(super) texts: &'static Texts,
    pub(super) paths: &'a Paths,
}

impl Interview<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone())
    }

    /// A secret from a file or the environment.
    fn given_secret(&self, file: Option<&Path>, variable: &str) -> Result<Option<SecretString>, InitError> {
        let Some(path) = file else { return Ok(self.variable(variable).map(Into::into)) };
        let text = std::fs::read_to_string(path).map_err(|e| InitError::file(path, e))?;
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned().into()))
    }

    fn password(&self) -> Result<Option<SecretString>, InitError> {
        self.given_secret(self.given.nocobase_password_file.as_deref(), "WECOM_GATE_INIT_NOCOBASE_PASSWORD")
    }

    /// The app's secret: given, or from the configuration.
    fn present_secret(&self) -> Result<Option<SecretString>, InitError> {
        let given = self.given_secret(self.given.secret_file.as_deref(), "WECOM_GATE_INIT_SECRET")?;
        if given.is_some() {
            return Ok(given);
        }
        let inline = self.existing.text("wecom", "secret").map(Into::into);
        let file = self.existing.text("wecom", "secret_file").map(PathBuf::from);
        let file = file.filter(|path| path.exists()).or_else(|| {
            // An interrupted run has written the secret, but no configuration.
            Some(self.paths.secret.clone()).filter(|path| path.exists())
        });
        match (inline, file) {
            (Some(inline), _) => Ok(Some(inline)),
            (None, Some(path)) => self.given_secret(Some(&path), ""),
            (None, None) => Ok(None),
        }
    }

    /// Reports all options that `--yes` needs, at once.
    pub(super) fn complete_for_yes(&self) -> Result<(), InitError> {
        if self.terminal.is_some() {
            return Ok(());
        }
        let Given { origin, corp_id, agent_id, nocobase_account, .. } = self.given;
        let known = |given: &Option<String>, section, key| {
            given.is_some() || self.existing.text(section, key).is_some()
        };
        let missing: Vec<&'static str> = [
            (known(origin, "", "origin"), "--origin"),
            (nocobase_account.is_some(), "--nocobase-account"),
            (self.password()?.is_some(), "--nocobase-password-file (or WECOM_GATE_INIT_NOCOBASE_PASSWORD)"),
            (known(corp_id, "wecom", "corp_id"), "--corp-id"),
            (known(agent_id, "wecom", "agent_id"), "--agent-id"),
            (self.present_secret()?.is_some(), "--secret-file (or WECOM_GATE_INIT_SECRET)"),
        ]
        .into_iter()
        .filter_map(|(known, name)| (!known).then_some(name))
        .collect();
        if missing.is_empty() { Ok(()) } else { Err(InitError::Missing(missing)) }
    }

    /// The answers that need no question.
    pub(super) fn begin(&self) -> Answers {
        let Given { listen, trusted_proxy, .. } = self.given;
        let fresh = !self.existing.is_there();
        let url = |given: &Option<String>, key: &'static str| {
            given.clone().or_else(|| self.existing.text("wecom", key)).map(|url| (key, url))
        };
        let urls = [
            url(&self.given.api_base, "api_base"),
            url(&self.given.authorize_url, "authorize_url"),
            url(&self.given.web_login_url, "web_login_url"),
        ];
        Answers {
            origin: String::new(),
            listen: listen.clone().or_else(|| fresh.then(|| "127.0.0.1:8080".into())),
            trusted_proxies: match trusted_proxy.is_empty() {
                false => Some(trusted_proxy.clone()),
                true => fresh.then(|| vec!["127.0.0.1".into()]),
            },
            node: String::new(),
            public_path: self
                .given
                .public_path
                .clone()
                .or_else(|| self.existing.text("nocobase", "public_path"))
                .unwrap_or_default(),
            jwt_secret: Vec::new().into(),
            corp_id: String::new(),
            agent_id: String::new(),
            secret: String::new().into(),
            policy: Policy::Match,
            verify_file: self.given.verify_file.clone(),
            urls: urls.into_iter().flatten().collect(),
        }
    }

    /// The answer: the given one, otherwise asked for with this default; `--yes` uses the default.
    fn line(
        &self,
        given: Option<String>,
        question: &str,
        default: Option<String>,
    ) -> Result<String, InitError> {
        match (given, &self.terminal) {
            (Some(given), _) => Ok(given),
            (None, Some(terminal)) => terminal.line(question, default.as_deref()),
            (None, None) => default.ok_or(InitError::NoTerminal),
        }
    }

    /// After a wrong answer: whether to continue with it.
    fn continue_anyway(&self) -> Result<bool, InitError> {
        match &self.terminal {
            Some(terminal) => Ok(!terminal.confirm(self.texts.again, true)?),
            None => Err(InitError::Refused),
        }
    }

    pub(super) async fn origin(&self, answers: &mut Answers) -> Result<(), InitError> {
        let mut given = self.given.origin.clone();
        let default = self.existing.text("", "origin").filter(|o| o != ORIGIN);
        loop {
            answers.origin = self.line(given.take(), self.texts.origin, default.clone())?;
            if self.shown_wrong(answers)? {
                self.refuse()?;
                continue;
            }
            let steps = self.attempt(answers, &[Id::Origin]).await?;
            if steps.iter().any(|s| s.outcome == StepOutcome::Failed) {
                print_line(&format!("  {}", self.texts.later))?;
            }
            return Ok(());
        }
    }

    pub(super) async fn node(&self, answers: &mut Answers) -> Result<(), InitError> {
        let mut given = self.given.nocobase.clone();
        let default = self.existing.first("upstream", "nodes").unwrap_or_else(|| "127.0.0.1:13000".into());
        loop {
            answers.node = self.line(given.take(), self.texts.node, Some(default.clone()))?;
            if self.shown_wrong(answers)? {
                self.refuse()?;
                continue;
            }
            let steps = self.attempt(answers, &[Id::NocobaseReachable]).await?;
            if stopping(&steps).is_none() || self.continue_anyway()? {
                return Ok(());
            }
        }
    }

    /// NocoBase's secret: given, in the configuration, or found on this machine; the first one that NocoBase accepts.
    pub(super) async fn jwt_secret(&self, answers: &mut Answers) -> Result<(), InitError> {
        let mut candidates = Vec::new();
        let of_file = |path: &Path| -> Result<finder::Candidate, InitError> {
            let secret = std::fs::read(path).map_err(|e| InitError::file(path, e))?;
            Ok(finder::Candidate { from: path.display().to_string(), secret: as_config_reads(secret) })
        };
        let inline = |from: &str, text: String| finder::Candidate {
            from: from.to_owned(),
            secret: text.into_bytes().into(),
        };
        if let Some(path) = &self.given.jwt_secret_file {
            candidates.push(of_file(path)?);
        } else if let Some(text) = self.variable("WECOM_GATE_INIT_JWT_SECRET") {
            candidates.push(inline("WECOM_GATE_INIT_JWT_SECRET", text));
        } else {
            candidates.extend(
                self.existing.text("nocobase", "jwt_secret").map(|t| inline("nocobase.jwt_secret", t)),
            );
            let file = self.existing.text("nocobase", "jwt_secret_file").map(PathBuf::from);
            candidates.extend(file.and_then(|path| of_file(&path).ok()));
            candidates.extend(finder::candidates(self.given.nocobase_dir.as_deref()));
        }
        for candidate in candidates {
            if self.accepts(answers, candidate).await? {
                return Ok(());
            }
        }
        loop {
            let Some(terminal) = &self.terminal else {
                let problem = "NocoBase's secret was not found, or NocoBase does not accept what was found; give \
                               --nocobase-dir, --jwt-secret-file or WECOM_GATE_INIT_JWT_SECRET: the content of NocoBase's \
                               storage/apps/main/jwt_secret.dat where that file exists, else APP_KEY of its .env";
                return Err(InitError::Option { option: "--jwt-secret-file", problem: problem.into() });
            };
            let path = terminal.line(self.texts.secret_file, None)?;
            let candidate = if path == "-" {
                let secret = terminal.secret(self.texts.app_key, false)?;
                Some(inline("APP_KEY", secret.expose_secret().to_owned()))
            } else {
                let read = of_file(Path::new(&path));
                if let Err(problem) = &read {
                    print_line(&format!("  {problem}"))?;
                }
                read.ok()
            };
            let Some(candidate) = candidate else { continue };
            if self.accepts(answers, candidate).await? {
                return Ok(());
            }
            self.attempt(answers, &[Id::NocobaseReachable, Id::NocobaseSecret]).await?;
        }
    }

    /// Whether NocoBase accepts a token signed with this secret, which then becomes the answer.
    async fn accepts(&self, answers: &mut Answers, candidate: finder::Candidate) -> Result<bool, InitError> {
        answers.jwt_secret = candidate.secret;
        let options = Options { only: vec![Id::NocobaseReachable, Id::NocobaseSecret], ..Options::default() };
        let report = check::run(&Ok(trial(answers)?), &options, None).await?;
        let accepted = |s: &Step| {
            s.name == Id::NocobaseSecret.name()
                && s.outcome != StepOutcome::Failed
                && s.outcome != StepOutcome::Skipped
        };
        let Some(step) = report.steps.iter().find(|s| accepted(s)) else { return Ok(false) };
        let detail = Message::verbatim(format!("{} {}", self.texts.secret_found, candidate.from));
        Printer::default().done(&Step { detail, ..step.clone() })?;
        Ok(true)
    }

    pub(super) async fn administrator<'a>(
        &self,
        client: &'a NocoBase,
        node: &'a str,
    ) -> Result<Administrator<'a>, InitError> {
        let mut given = self.given.nocobase_account.clone();
        let mut password = self.password()?;
        loop {
            let account = self.line(given.take(), self.texts.account, None)?;
            let password = match (password.take(), &self.terminal) {
                (Some(password), _) => password,
                (None, Some(terminal)) => terminal.secret(self.texts.password, false)?,
                (None, None) => return Err(InitError::NoTerminal),
            };
            match Administrator::sign_in(client, node, &account, &password).await {
                Ok(administrator) => return Ok(administrator),
                Err(problem) if self.terminal.is_some() => print_line(&format!("  {problem}"))?,
                Err(problem) => return Err(problem),
            }
        }
    }

    pub(super) async fn wecom(&self, answers: &mut Answers) -> Result<(), InitError> {
        let (mut corp_id, mut agent_id) = (self.given.corp_id.clone(), self.given.agent_id.clone());
        let mut first = true;
        loop {
            let default = |answer: &str, key| {
                Some(answer.to_owned()).filter(|a| !a.is_empty()).or_else(|| self.existing.text("wecom", key))
            };
            let default_corp = default(&answers.corp_id, "corp_id");
            answers.corp_id = self.line(corp_id.take(), self.texts.corp_id, default_corp)?;
            let default_agent = default(&answers.agent_id, "agent_id");
            answers.agent_id = self.line(agent_id.take(), self.texts.agent_id, default_agent)?;
            let present = self.present_secret()?;
            let given = first
                && (self.given.secret_file.is_some() || self.variable("WECOM_GATE_INIT_SECRET").is_some());
            answers.secret = match (&self.terminal, present) {
                (Some(terminal), present) if !given => {
                    let question = if present.is_some() { self.texts.secret_kept } else { self.texts.secret };
                    let typed = terminal.secret(question, present.is_some())?;
                    if typed.expose_secret().is_empty() { present.unwrap_or(typed) } else { typed }
                }
                (_, present) => present.unwrap_or_default(),
            };
            first = false;
            if self.shown_wrong(answers)? {
                self.refuse()?;
                continue;
            }
            let steps = self.attempt(answers, &Id::WECOM_APP).await?;
            if stopping(&steps).is_none() {
                if steps.iter().any(|s| s.outcome == StepOutcome::Failed) {
                    print_line(&format!("  {}", self.texts.later))?;
                }
                return Ok(());
            }
            if self.continue_anyway()? {
                return Ok(());
            }
        }
    }

    pub(super) async fn policy(
        &self,
        answers: &mut Answers,
        administrator: &Administrator<'_>,
    ) -> Result<(), InitError> {
        let existing = self.existing.flag("nocobase", "auto_create_user");
        let default = if existing == Some(true) { Policy::Create } else { Policy::Match };
        answers.policy = match (self.given.accounts, &self.terminal) {
            (Some(policy), _) => policy,
            (None, None) => default,
            (None, Some(terminal)) => {
                let (count, all) = administrator.phones().await?;
                let matching = self.texts.policy_match.replace("{count}", &count.to_string());
                let options =
                    [matching.replace("{all}", &all.to_string()), self.texts.policy_create.to_owned()];
                match terminal.choose(self.texts.policy, &options, usize::from(default == Policy::Create))? {
                    0 => Policy::Match,
                    _ => Policy::Create,
                }
            }
        };
        Ok(())
    }

    /// Runs these steps of `check`, and shows them.
    async fn attempt(&self, answers: &Answers, only: &[Id]) -> Result<Vec<Step>, InitError> {
        let options = Options { only: only.to_vec(), ..Options::default() };
        let report = check::run(&Ok(trial(answers)?), &options, Some(&mut Printer::default())).await?;
        Ok(report.steps)
    }

    /// Whether an answer has the wrong form, which is then shown.
    fn shown_wrong(&self, answers: &Answers) -> Result<bool, InitError> {
        let Err(errors) = answers.trial() else { return Ok(false) };
        for error in &errors.0 {
            print_line(&format!("  {error}"))?;
        }
        Ok(true)
    }

    /// After an answer of the wrong form: asks again, or ends.
    fn refuse(&self) -> Result<(), InitError> {
        if self.terminal.is_some() { Ok(()) } else { Err(InitError::Refused) }
    }
}

/// The first failure that cannot be left for later.
pub(super) fn stopping(steps: &[Step]) -> Option<&Step> {
    let later = |step: &Step| LATER.iter().any(|id| id.name() == step.name);
    steps.iter().find(|s| s.outcome == StepOutcome::Failed && !later(s))
}

/// As the configuration reads secrets from files: text loses trailing newlines, bytes stay as they are.
fn as_config_reads(mut secret: Vec<u8>) -> SecretSlice<u8> {
    let end = secret.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |i| i + 1);
    let is_text = secret.get(..end).is_some_and(|text| text.iter().all(|b| matches!(b, b' '..=b'~')));
    if is_text {
        secret.truncate(end);
    }
    secret.into()
}

/// A configuration with these answers.
pub(super) fn trial(answers: &Answers) -> Result<Loaded, InitError> {
    answers.trial().map_err(|errors| InitError::System(errors.to_string()))
}
