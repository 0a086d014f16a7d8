//! The order of everything: ask and try, plan, show, act, check, print what remains.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::account::Administrator;
use super::answers::{Answers, Existing, Needs};
use super::ask::Terminal;
use super::console;
use super::document::{self, Setting, Settings};
use super::error::InitError;
use super::files::{self, Owner};
use super::given::{Given, Language, Policy};
use super::interview::{Interview, stopping, trial};
use super::paths::Paths;
use super::plan::{self, Action, FileState, InNocoBase};
use super::print::print_line;
use super::texts::Texts;
use crate::check::{self, Id, Options, Printer};
use crate::config::{self, Loaded};
use crate::nocobase::{Minter, NocoBase};

/// Sets everything up. Returns whether the gate can be started: `check` found only what remains to be done elsewhere.
///
/// # Errors
/// An answer is missing or wrong, or something cannot be created.
pub async fn run(given: &Given, env: &[(String, String)]) -> Result<bool, InitError> {
    let given = &given.without_blanks();
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
        print_line(texts.intro)?;
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
    // From here on, the administrator's session is ended in any case.
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
    let found = administrator.existing(existing.number("nocobase", "service_user")).await?;
    let session_key = SessionKey::of(existing, paths)?;
    let actions = actions(needs, &found, &answers, owner, paths, &session_key, text)?;
    print_line(if actions.is_empty() { texts.nothing_to_do } else { texts.to_do })?;
    for action in &actions {
        print_line(&format!("  - {action}"))?;
    }
    if given.dry_run {
        print_line(texts.dry_run)?;
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
    print_line(&format!("\n{}\n", texts.made))?;
    let loaded = config::load(Some(&paths.conf), interview.env.iter().cloned());
    let options = Options { only: Id::ALL.to_vec(), ..Options::default() };
    let report = check::run(&loaded, &options, Some(&mut Printer::default())).await?;
    if let Ok(Loaded { config, .. }) = &loaded
        && let (Some(links), Some(listens)) =
            (report.links.first(), config.listen.http.first().or(config.listen.https.first()))
    {
        let steps = console::steps(texts, links, &report.steps, &paths.conf, &listens.to_string());
        print_line(steps.trim_end())?;
    }
    Ok(stopping(&report.steps).is_none())
}

/// What to do about the session key.
enum SessionKey {
    /// The configuration has one; it is kept.
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
        // A usable key is never replaced: that would sign everyone out.
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
    // The configuration is written last: once it exists, so does everything that it refers to.
    let user = found.user.as_ref().map(|(id, _)| *id);
    let wanted =
        user.and_then(|user| document::filled_in(text, &settings(answers, user, paths, session_key)));
    let conf = match (wanted, text) {
        (Some(wanted), _) => state(&paths.conf, wanted.as_bytes())?,
        (None, Some(_)) => FileState::Different,
        (None, None) => FileState::Missing,
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
                let strange =
                    || InitError::file(path, "has another shape than a configuration: move it away");
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
