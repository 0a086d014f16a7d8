//! The order of it all: ask and try, plan, show, do, check, say what is left.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::account::Administrator;
use super::answers::{Answers, Existing, Needs};
use super::ask::Terminal;
use super::document::{self, Setting, Settings};
use super::error::InitError;
use super::files::{self, Owner};
use super::finder;
use super::given::{Given, Language, Policy};
use super::plan::{self, Action, InNocoBase, State};
use super::texts::Texts;
use super::console;
use crate::check::{self, Id, Options, Printer, Step, StepOutcome};
use crate::config::{self, Loaded};
use crate::nocobase::{Minter, NocoBase};

/// Steps whose failure does not stop `init`: they are about WeCom's console, or about what stands in front of the gate, and
/// both come later.
const LATER: [Id; 5] = [
    Id::Origin,
    Id::VerificationFile,
    Id::WecomTrustedIp,
    Id::WecomCallbackDomain,
    Id::WecomVisibleRange,
];
/// The steps that try the answers about WeCom.
const WECOM: [Id; 6] = [
    Id::WecomReachable,
    Id::WecomSecret,
    Id::WecomTrustedIp,
    Id::WecomAgent,
    Id::WecomCallbackDomain,
    Id::WecomVisibleRange,
];
const ORIGIN: &str = "https://nocobase.example.com";

/// The files in the folder.
struct Paths {
    folder: PathBuf,
    conf: PathBuf,
    jwt_secret: PathBuf,
    secret: PathBuf,
    session_key: PathBuf,
}

impl Paths {
    fn of(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self {
            folder: folder.to_owned(),
            conf: at("wecom-gate.toml"),
            jwt_secret: at("app_key"),
            secret: at("secret"),
            session_key: at("session.key"),
        }
    }
}

/// Sets everything up. Returns whether the gate can be started: `check` found nothing but what is left to do elsewhere.
///
/// # Errors
/// An answer is missing or wrong, or something cannot be made.
pub async fn run(given: &Given, env: &[(String, String)]) -> Result<bool, InitError> {
    let folder = std::path::absolute(&given.dir).map_err(|e| InitError::file(&given.dir, e))?;
    let paths = Paths::of(&folder);
    let owner = Owner::of_caller(&given.group)?;
    let text = match std::fs::read_to_string(&paths.conf) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(InitError::file(&paths.conf, e)),
    };
    let not_toml = || InitError::file(&paths.conf, "is not TOML: correct it, or move it away");
    let existing = Existing::read(text.as_deref()).ok_or_else(not_toml)?;
    let texts = Texts::of(given.lang.unwrap_or_else(|| Language::of(env)));
    let terminal = if given.yes { None } else { Some(Terminal::of(env).ok_or(InitError::NoTerminal)?) };
    let interview = Interview { given, env, existing: &existing, terminal, texts, paths: &paths };
    interview.complete_for_yes()?;
    if interview.terminal.is_some() {
        say(texts.intro)?;
    }

    let mut answers = interview.begin();
    interview.origin(&mut answers).await?;
    interview.node(&mut answers).await?;
    interview.jwt_secret(&mut answers).await?;
    let trial = trial(&answers)?;
    let minter = Arc::new(Minter::new(trial.config.nocobase.jwt_secret.expose_secret()));
    let client = NocoBase::new(&trial.config.upstream, &trial.config.nocobase, minter);
    let client = client.map_err(|failure| InitError::System(failure.to_string()))?;
    let node = answers.node.clone();
    let administrator = interview.administrator(&client, &node).await?;
    // From here on the administrator's session ends whatever happens.
    let done = rest(&interview, answers, &administrator, owner, text.as_deref()).await;
    administrator.sign_out().await;
    done
}

async fn rest(
    interview: &Interview<'_>,
    mut answers: Answers,
    administrator: &Administrator<'_>,
    owner: Owner,
    text: Option<&str>,
) -> Result<bool, InitError> {
    let Interview { given, existing, paths, texts, .. } = interview;
    interview.wecom(&mut answers).await?;
    interview.policy(&mut answers, administrator).await?;

    let needs = Needs::of(answers.policy, existing);
    let found = administrator.look(existing.number("nocobase", "service_user")).await?;
    let session_key = SessionKey::of(existing, paths)?;
    let actions = actions(needs, &found, &answers, owner, paths, &session_key, text)?;
    say(if actions.is_empty() { texts.nothing_to_do } else { texts.to_do })?;
    for action in &actions {
        say(&format!("  - {action}"))?;
    }
    if given.dry_run {
        say(texts.dry_run)?;
        return Ok(true);
    }
    if let Some(terminal) = interview.terminal.as_ref().filter(|_| !actions.is_empty())
        && !terminal.confirm(texts.go, true)?
    {
        return Err(InitError::Declined);
    }

    let mut user = found.user.as_ref().map(|(id, _)| *id);
    for action in &actions {
        if let Some(made) = administrator.carry_out(action).await? {
            user = Some(made);
        }
        let user = user.unwrap_or_default();
        on_disk(action, user, &answers, owner, paths, &session_key, text)?;
    }
    say(&format!("\n{}\n", texts.made))?;
    let loaded = config::load(Some(&paths.conf), interview.env.iter().cloned());
    let options = Options { only: Id::ALL.to_vec(), ..Options::default() };
    let report = check::run(&loaded, &options, Some(&mut Printer::default())).await?;
    if let Ok(Loaded { config, .. }) = &loaded
        && let (Some(links), Some(listens)) =
            (report.links.first(), config.listen.http.first().or(config.listen.https.first()))
    {
        let steps = console::steps(texts, links, &report.steps, &paths.conf, &listens.to_string());
        say(steps.trim_end())?;
    }
    Ok(stopping(&report.steps).is_none())
}

/// The first failure that is nobody else's business.
fn stopping(steps: &[Step]) -> Option<&Step> {
    let later = |step: &Step| LATER.iter().any(|id| id.name() == step.name);
    steps.iter().find(|s| s.outcome == StepOutcome::Failed && !later(s))
}

/// What to do about the session key.
enum SessionKey {
    /// The configuration has its own; it stays.
    Elsewhere,
    /// In the folder.
    Here(SecretSlice<u8>),
}

impl SessionKey {
    fn of(existing: &Existing, paths: &Paths) -> Result<Self, InitError> {
        let named = existing.text("session", "keys_file").map(PathBuf::from);
        if existing.has_any("session", "keys") || named.is_some_and(|path| path != paths.session_key) {
            return Ok(Self::Elsewhere);
        }
        // A key that can be used is never replaced: it would sign everybody out.
        match std::fs::read(&paths.session_key) {
            Ok(key) if files::are_session_keys(&key) => Ok(Self::Here(key.into())),
            _ => Ok(Self::Here((files::new_session_key()? + "\n").into_bytes().into())),
        }
    }
}

/// The whole plan.
fn actions(
    needs: Needs,
    found: &InNocoBase,
    answers: &Answers,
    owner: Owner,
    paths: &Paths,
    session_key: &SessionKey,
    text: Option<&str>,
) -> Result<Vec<Action>, InitError> {
    let mut actions = plan::in_nocobase(needs, found);
    let state = |path: &Path, want: &[u8]| owner.file_state(path, |have| have == want);
    let mut in_folder = vec![
        (paths.jwt_secret.clone(), state(&paths.jwt_secret, answers.jwt_secret.expose_secret())?),
        (paths.secret.clone(), state(&paths.secret, secret_line(&answers.secret).as_bytes())?),
    ];
    if let SessionKey::Here(key) = session_key {
        in_folder.push((paths.session_key.clone(), state(&paths.session_key, key.expose_secret())?));
    }
    // The configuration comes last: where it is, everything that it names is there, too.
    let user = found.user.as_ref().map(|(id, _)| *id);
    let wanted = user.and_then(|user| document::filled_in(text, &settings(answers, user, paths, session_key)));
    let conf = match (wanted, text) {
        (Some(wanted), _) => state(&paths.conf, wanted.as_bytes())?,
        (None, Some(_)) => State::Different,
        (None, None) => State::Missing,
    };
    in_folder.push((paths.conf.clone(), conf));
    let folder = owner.folder_state(&paths.folder)?;
    actions.extend(plan::in_folder((paths.folder.clone(), folder), in_folder));
    Ok(actions)
}

/// Does one of the actions on files.
fn on_disk(
    action: &Action,
    user: u64,
    answers: &Answers,
    owner: Owner,
    paths: &Paths,
    session_key: &SessionKey,
    text: Option<&str>,
) -> Result<(), InitError> {
    match action {
        Action::MakeFolder { path } => owner.make_folder(path),
        Action::ProtectFolder { path } => owner.protect_folder(path),
        Action::Protect { path } => owner.protect_file(path),
        Action::Write { path, .. } => {
            let content: SecretSlice<u8> = if *path == paths.jwt_secret {
                answers.jwt_secret.clone()
            } else if *path == paths.secret {
                secret_line(&answers.secret).into_bytes().into()
            } else if let (SessionKey::Here(key), true) = (session_key, *path == paths.session_key) {
                key.clone()
            } else {
                let filled = document::filled_in(text, &settings(answers, user, paths, session_key));
                let strange = || InitError::file(path, "has another shape than a configuration: move it away");
                filled.ok_or_else(strange)?.into_bytes().into()
            };
            owner.write(path, &content)
        }
        _ => Ok(()),
    }
}

fn secret_line(secret: &SecretString) -> String {
    format!("{}\n", secret.expose_secret())
}

/// The keys that `init` sets.
fn settings(answers: &Answers, user: u64, paths: &Paths, session_key: &SessionKey) -> Settings {
    let file = |path: &Path| Setting::Text(path.display().to_string());
    let mut all: Settings = vec![("", "origin", Setting::Text(answers.origin.clone()))];
    if let Some(listen) = &answers.listen {
        all.push(("listen", "http", Setting::List(vec![listen.clone()])));
    }
    all.push(("upstream", "nodes", Setting::List(vec![answers.node.clone()])));
    all.extend([
        ("nocobase", "jwt_secret", Setting::Removed),
        ("nocobase", "jwt_secret_file", file(&paths.jwt_secret)),
        ("nocobase", "service_token", Setting::Removed),
        ("nocobase", "service_token_file", Setting::Removed),
        ("nocobase", "service_user", Setting::Number(user)),
    ]);
    if !answers.public_path.is_empty() {
        all.push(("nocobase", "public_path", Setting::Text(answers.public_path.clone())));
    }
    all.extend([
        ("nocobase", "auto_create_user", Setting::Flag(answers.policy == Policy::Create)),
        ("wecom", "corp_id", Setting::Text(answers.corp_id.clone())),
        ("wecom", "agent_id", Setting::Text(answers.agent_id.clone())),
        ("wecom", "secret", Setting::Removed),
        ("wecom", "secret_file", file(&paths.secret)),
    ]);
    if let Some(name) = &answers.verify_file {
        all.push(("wecom", "verify_files", Setting::List(vec![name.clone()])));
    }
    all.extend(answers.urls.iter().map(|(key, url)| ("wecom", *key, Setting::Text(url.clone()))));
    if let Some(proxies) = &answers.trusted_proxies {
        all.push(("access", "trusted_proxies", Setting::List(proxies.clone())));
    }
    if let SessionKey::Here(_) = session_key {
        all.push(("session", "keys", Setting::Removed));
        all.push(("session", "keys_file", file(&paths.session_key)));
    }
    all
}

/// Asks the questions, and tries the answers.
struct Interview<'a> {
    given: &'a Given,
    env: &'a [(String, String)],
    existing: &'a Existing,
    /// `None`: `--yes`.
    terminal: Option<Terminal>,
    texts: &'static Texts,
    paths: &'a Paths,
}

impl Interview<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone())
    }

    /// A secret out of a file or the environment.
    fn given_secret(&self, file: Option<&Path>, variable: &str) -> Result<Option<SecretString>, InitError> {
        let Some(path) = file else { return Ok(self.variable(variable).map(Into::into)) };
        let text = std::fs::read_to_string(path).map_err(|e| InitError::file(path, e))?;
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned().into()))
    }

    fn password(&self) -> Result<Option<SecretString>, InitError> {
        self.given_secret(self.given.nocobase_password_file.as_deref(), "WECOM_GATE_INIT_NOCOBASE_PASSWORD")
    }

    /// The app's secret: given, or the one that the configuration has.
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

    /// Everything that `--yes` cannot do without, at once.
    fn complete_for_yes(&self) -> Result<(), InitError> {
        if self.terminal.is_some() {
            return Ok(());
        }
        let Given { origin, corp_id, agent_id, nocobase_account, .. } = self.given;
        let known = |given: &Option<String>, section, key| given.is_some() || self.existing.text(section, key).is_some();
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

    /// What needs no question.
    fn begin(&self) -> Answers {
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

    /// The answer: what was given, else what is asked for, with this default; `--yes` takes the default.
    fn line(&self, given: Option<String>, question: &str, default: Option<String>) -> Result<String, InitError> {
        match (given, &self.terminal) {
            (Some(given), _) => Ok(given),
            (None, Some(terminal)) => terminal.line(question, default.as_deref()),
            (None, None) => default.ok_or(InitError::NoTerminal),
        }
    }

    /// After an answer that was found wrong: whether to go on all the same.
    fn go_on_all_the_same(&self) -> Result<bool, InitError> {
        match &self.terminal {
            Some(terminal) => Ok(!terminal.confirm(self.texts.again, true)?),
            None => Err(InitError::Refused),
        }
    }

    async fn origin(&self, answers: &mut Answers) -> Result<(), InitError> {
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
                say(&format!("  {}", self.texts.later))?;
            }
            return Ok(());
        }
    }

    async fn node(&self, answers: &mut Answers) -> Result<(), InitError> {
        let mut given = self.given.nocobase.clone();
        let default = self.existing.first("upstream", "nodes").unwrap_or_else(|| "127.0.0.1:13000".into());
        loop {
            answers.node = self.line(given.take(), self.texts.node, Some(default.clone()))?;
            if self.shown_wrong(answers)? {
                self.refuse()?;
                continue;
            }
            let steps = self.attempt(answers, &[Id::NocobaseReachable]).await?;
            if stopping(&steps).is_none() || self.go_on_all_the_same()? {
                return Ok(());
            }
        }
    }

    /// NocoBase's secret: given, in the configuration, or found on this machine; the first one that NocoBase accepts.
    async fn jwt_secret(&self, answers: &mut Answers) -> Result<(), InitError> {
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
            candidates.extend(self.existing.text("nocobase", "jwt_secret").map(|t| inline("nocobase.jwt_secret", t)));
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
                    say(&format!("  {problem}"))?;
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

    /// Whether NocoBase accepts a token that is signed with this secret, which is an answer from then on.
    async fn accepts(&self, answers: &mut Answers, candidate: finder::Candidate) -> Result<bool, InitError> {
        answers.jwt_secret = candidate.secret;
        let options =
            Options { only: vec![Id::NocobaseReachable, Id::NocobaseSecret], ..Options::default() };
        let report = check::run(&Ok(trial(answers)?), &options, None).await?;
        let accepted = |s: &Step| s.name == Id::NocobaseSecret.name() && s.outcome != StepOutcome::Failed && s.outcome != StepOutcome::Skipped;
        let Some(step) = report.steps.iter().find(|s| accepted(s)) else { return Ok(false) };
        let detail = format!("{} {}", self.texts.secret_found, candidate.from);
        Printer::default().done(&Step { detail, ..step.clone() })?;
        Ok(true)
    }

    async fn administrator<'a>(
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
                Err(problem) if self.terminal.is_some() => say(&format!("  {problem}"))?,
                Err(problem) => return Err(problem),
            }
        }
    }

    async fn wecom(&self, answers: &mut Answers) -> Result<(), InitError> {
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
            let given = first && (self.given.secret_file.is_some() || self.variable("WECOM_GATE_INIT_SECRET").is_some());
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
            let steps = self.attempt(answers, &WECOM).await?;
            if stopping(&steps).is_none() {
                if steps.iter().any(|s| s.outcome == StepOutcome::Failed) {
                    say(&format!("  {}", self.texts.later))?;
                }
                return Ok(());
            }
            if self.go_on_all_the_same()? {
                return Ok(());
            }
        }
    }

    async fn policy(&self, answers: &mut Answers, administrator: &Administrator<'_>) -> Result<(), InitError> {
        let existing = self.existing.flag("nocobase", "auto_create_user");
        let default = if existing == Some(true) { Policy::Create } else { Policy::Match };
        answers.policy = match (self.given.accounts, &self.terminal) {
            (Some(policy), _) => policy,
            (None, None) => default,
            (None, Some(terminal)) => {
                let (count, all) = administrator.phones().await?;
                let matching = self.texts.policy_match.replace("{count}", &count.to_string());
                let options = [
                    matching.replace("{all}", &all.to_string()),
                    self.texts.policy_create.to_owned(),
                ];
                match terminal.choose(self.texts.policy, &options, usize::from(default == Policy::Create))? {
                    0 => Policy::Match,
                    _ => Policy::Create,
                }
            }
        };
        Ok(())
    }

    /// Takes these steps of `check`, and shows them.
    async fn attempt(&self, answers: &Answers, only: &[Id]) -> Result<Vec<Step>, InitError> {
        let options = Options { only: only.to_vec(), ..Options::default() };
        let report = check::run(&Ok(trial(answers)?), &options, Some(&mut Printer::default())).await?;
        Ok(report.steps)
    }

    /// Whether an answer has a wrong shape, which is shown then.
    fn shown_wrong(&self, answers: &Answers) -> Result<bool, InitError> {
        let Err(errors) = answers.trial() else { return Ok(false) };
        for error in &errors.0 {
            say(&format!("  {error}"))?;
        }
        Ok(true)
    }

    /// After an answer of a wrong shape there is another question, or the end.
    fn refuse(&self) -> Result<(), InitError> {
        if self.terminal.is_some() { Ok(()) } else { Err(InitError::Refused) }
    }
}

/// As the configuration reads secrets out of files: text loses the newlines at its end, bytes stay as they are.
fn as_config_reads(mut secret: Vec<u8>) -> SecretSlice<u8> {
    let end = secret.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |i| i + 1);
    let is_text = secret.get(..end).is_some_and(|text| text.iter().all(|b| matches!(b, b' '..=b'~')));
    if is_text {
        secret.truncate(end);
    }
    secret.into()
}

fn trial(answers: &Answers) -> Result<Loaded, InitError> {
    answers.trial().map_err(|errors| InitError::System(errors.to_string()))
}

/// Prints a line.
fn say(text: &str) -> Result<(), InitError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
