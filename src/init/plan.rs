//! What has to be done: wanted and current state in, a list of actions out. Pure, so that `--dry-run` shows exactly what would
//! happen.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::answers::Needs;

/// The gate's role in NocoBase.
pub(super) const ROLE: &str = "wecom_gate";
/// Its user.
pub(super) const USER: &str = "wecom-gate";
/// What the role may do besides its permissions on tables: nothing.
pub(super) const SNIPPETS: [&str; 3] = ["!pm", "!pm.*", "!ui.*"];

/// Actions of a permission and the fields of each. No fields: all (except for `view`, where it means almost none).
pub(super) type Fields = BTreeMap<String, Vec<String>>;

/// Permissions on one table, as a row in NocoBase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    /// The row's key.
    pub(super) id: String,
    pub(super) table: String,
    /// This row applies; otherwise the role's general permissions do.
    pub(super) own: bool,
    pub(super) fields: Fields,
}

/// What exists in NocoBase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InNocoBase {
    /// `None`: no such role; `false`: it may do more than its listed permissions.
    pub(super) role_is_bare: Option<bool>,
    pub(super) rights: Vec<Right>,
    /// Id and roles of the gate's user.
    pub(super) user: Option<(u64, Vec<String>)>,
}

/// A file or folder, compared with its expected state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    Missing,
    /// Its content differs.
    Different,
    /// Its content is right, but its owner or mode is not.
    Exposed,
    Right,
}

/// One action. Each leaves the old or the new state behind, never something in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    MakeRole,
    RepairRole,
    GiveRights { table: &'static str, fields: Fields },
    RepairRights { id: String, table: &'static str, fields: Fields },
    RemoveDuplicate { id: String, table: String },
    MakeUser,
    SetRole { user: u64 },
    MakeFolder { path: PathBuf },
    ProtectFolder { path: PathBuf },
    Write { path: PathBuf, replaces: bool },
    Protect { path: PathBuf },
}

/// The permissions that the gate's role needs.
pub(super) fn rights(needs: Needs) -> Vec<(&'static str, Fields)> {
    let fields = |actions: &[(&str, &[&str])]| -> Fields {
        let list = |fields: &[&str]| fields.iter().map(|f| (*f).to_owned()).collect();
        actions.iter().map(|(action, fields)| ((*action).to_owned(), list(fields))).collect()
    };
    let mut users = fields(&[("view", &["id", "username", "nickname", "phone", "email"])]);
    if needs.create_users {
        users.extend(fields(&[("create", &["nickname", "username", "phone", "email"])]));
    }
    if needs.create_users && (needs.default_roles || needs.role_rules) {
        users.entry("create".into()).or_default().push("roles".into());
    }
    if needs.role_rules {
        users.entry("view".into()).or_default().push("roles".into());
        users.extend(fields(&[("update", &["roles"])]));
    }
    if needs.profiles {
        let update = users.entry("update".into()).or_default();
        update.extend(["nickname", "email"].map(str::to_owned));
    }
    vec![
        ("users", users),
        (
            "usersAuthenticators",
            fields(&[("view", &["uuid", "authenticator", "userId", "nickname", "meta"]), ("create", &[])]),
        ),
        ("issuedTokens", fields(&[("view", &["id", "jti", "userId", "signInTime"]), ("create", &[])])),
    ]
}

/// Whether these fields of an action are sufficient.
fn covers(action: &str, have: &[String], want: &[String]) -> bool {
    if action != "view" && have.is_empty() {
        return true;
    }
    (!want.is_empty() || have.is_empty()) && want.iter().all(|f| have.contains(f))
}

/// Adds what is missing to what exists: permissions that someone has added are kept.
fn merged(have: &Fields, want: &Fields) -> Fields {
    let mut all = have.clone();
    for (action, fields) in want {
        match all.get_mut(action) {
            Some(own) if covers(action, own, fields) => {}
            Some(own) if fields.is_empty() => own.clear(),
            Some(own) => {
                let missing: Vec<_> = fields.iter().filter(|f| !own.contains(f)).cloned().collect();
                own.extend(missing);
            }
            None => {
                all.insert(action.clone(), fields.clone());
            }
        }
    }
    all
}

/// What is missing in NocoBase.
pub(super) fn in_nocobase(needs: Needs, found: &InNocoBase) -> Vec<Action> {
    let mut actions = Vec::new();
    match found.role_is_bare {
        None => actions.push(Action::MakeRole),
        Some(false) => actions.push(Action::RepairRole),
        Some(true) => {}
    }
    for (table, fields) in rights(needs) {
        let mut rows = found.rights.iter().filter(|r| r.table == table);
        match rows.next() {
            None => actions.push(Action::GiveRights { table, fields }),
            Some(row) => {
                // NocoBase keeps the rows of a deleted role, but ignores them until they are written again.
                let forgotten = found.role_is_bare.is_none();
                let merged = merged(&row.fields, &fields);
                if forgotten || !row.own || merged != row.fields {
                    actions.push(Action::RepairRights { id: row.id.clone(), table, fields: merged });
                }
            }
        }
        let duplicate =
            |row: &Right| Action::RemoveDuplicate { id: row.id.clone(), table: row.table.clone() };
        actions.extend(rows.map(duplicate));
    }
    match &found.user {
        None => actions.push(Action::MakeUser),
        Some((user, roles)) if *roles != [ROLE] || found.role_is_bare.is_none() => {
            actions.push(Action::SetRole { user: *user });
        }
        Some(_) => {}
    }
    actions
}

/// What is missing in the folder, in this order.
pub(super) fn in_folder(folder: (PathBuf, FileState), files: Vec<(PathBuf, FileState)>) -> Vec<Action> {
    let (path, state) = folder;
    let mut actions = match state {
        FileState::Missing => vec![Action::MakeFolder { path }],
        FileState::Exposed | FileState::Different => vec![Action::ProtectFolder { path }],
        FileState::Right => Vec::new(),
    };
    actions.extend(files.into_iter().filter_map(|(path, state)| match state {
        FileState::Missing => Some(Action::Write { path, replaces: false }),
        FileState::Different => Some(Action::Write { path, replaces: true }),
        FileState::Exposed => Some(Action::Protect { path }),
        FileState::Right => None,
    }));
    actions
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeRole => write!(f, "NocoBase: make the role {ROLE}"),
            Self::RepairRole => write!(f, "NocoBase: take from the role {ROLE} what it may do in general"),
            Self::GiveRights { table, fields } => {
                write!(f, "NocoBase: give the role {ROLE} rights to {table}: {}", names(fields))
            }
            Self::RepairRights { table, fields, .. } => {
                write!(f, "NocoBase: repair the rights of the role {ROLE} to {table}: {}", names(fields))
            }
            Self::RemoveDuplicate { table, .. } => {
                write!(f, "NocoBase: remove a second row of rights of the role {ROLE} to {table}")
            }
            Self::MakeUser => {
                write!(f, "NocoBase: make the user {USER} with the role {ROLE}, without a password")
            }
            Self::SetRole { user } => write!(f, "NocoBase: give user {user} the role {ROLE}, and no other"),
            Self::MakeFolder { path } => write!(f, "make the folder {}", path.display()),
            Self::ProtectFolder { path } => {
                write!(f, "correct owner and mode of the folder {}", path.display())
            }
            Self::Write { path, replaces: false } => write!(f, "write {}", path.display()),
            Self::Write { path, replaces: true } => write!(f, "change {}", path.display()),
            Self::Protect { path } => write!(f, "correct owner and mode of {}", path.display()),
        }
    }
}

fn names(fields: &Fields) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCH: Needs =
        Needs { create_users: false, default_roles: false, role_rules: false, profiles: false };

    fn complete(needs: Needs) -> InNocoBase {
        let rights = rights(needs).into_iter().enumerate().map(|(i, (table, fields))| Right {
            id: i.to_string(),
            table: table.into(),
            own: true,
            fields,
        });
        InNocoBase { role_is_bare: Some(true), rights: rights.collect(), user: Some((2, vec![ROLE.into()])) }
    }

    fn shown(actions: &[Action]) -> Vec<String> {
        actions.iter().map(Action::to_string).collect()
    }

    #[test]
    fn from_nothing_everything_and_a_second_time_nothing() {
        let all = in_nocobase(MATCH, &InNocoBase::default());
        assert_eq!(shown(&all)[0], "NocoBase: make the role wecom_gate");
        assert_eq!(all.len(), 5, "{all:?}");
        for needs in [
            MATCH,
            Needs { create_users: true, ..MATCH },
            Needs { create_users: true, default_roles: true, role_rules: true, profiles: true },
        ] {
            assert_eq!(in_nocobase(needs, &complete(needs)), []);
        }
    }

    #[test]
    fn only_what_is_needed_is_granted() {
        let users = |needs| rights(needs)[0].1.clone();
        assert_eq!(users(MATCH).keys().collect::<Vec<_>>(), ["view"]);
        let creating = users(Needs { create_users: true, ..MATCH });
        assert!(!creating["create"].contains(&"roles".to_owned()));
        let profiles = users(Needs { profiles: true, role_rules: true, ..MATCH });
        assert_eq!(profiles["update"], ["roles", "nickname", "email"]);
        let rules = users(Needs { role_rules: true, ..MATCH });
        assert_eq!(rules["update"], ["roles"]);
        assert!(rules["view"].contains(&"roles".to_owned()) && !rules.contains_key("create"));
    }

    #[test]
    fn damage_is_repaired_and_added_permissions_stay() {
        let damaged = |change: &dyn Fn(&mut InNocoBase)| {
            let mut found = complete(MATCH);
            change(&mut found);
            in_nocobase(MATCH, &found)
        };
        assert_eq!(damaged(&|f| f.role_is_bare = Some(false)), [Action::RepairRole]);
        assert_eq!(damaged(&|f| f.user = None), [Action::MakeUser]);
        let more = |f: &mut InNocoBase| f.user = Some((2, vec![ROLE.into(), "admin".into()]));
        assert_eq!(damaged(&more), [Action::SetRole { user: 2 }]);
        let twice = |f: &mut InNocoBase| f.rights.push(Right { id: "9".into(), ..f.rights[0].clone() });
        assert_eq!(damaged(&twice), [Action::RemoveDuplicate { id: "9".into(), table: "users".into() }]);
        let fewer = |f: &mut InNocoBase| {
            f.rights[0].fields.insert("view".into(), vec!["id".into(), "extra".into()]);
            f.rights[0].fields.insert("update".into(), vec!["avatar".into()]);
        };
        let [Action::RepairRights { fields, .. }] = &damaged(&fewer)[..] else { panic!() };
        assert!(fields["view"].contains(&"extra".to_owned()) && fields["view"].contains(&"phone".to_owned()));
        assert_eq!(fields["update"], ["avatar"]);
        let added = |f: &mut InNocoBase| f.rights[0].fields.get_mut("view").unwrap().push("avatar".into());
        assert_eq!(damaged(&added), []);
        assert!(matches!(damaged(&|f| f.rights[1].own = false)[..], [Action::RepairRights { .. }]));
        let few = |f: &mut InNocoBase| {
            f.rights[2].fields.insert("create".into(), vec!["id".into()]).map_or((), drop)
        };
        let [Action::RepairRights { fields, .. }] = &damaged(&few)[..] else { panic!() };
        assert!(fields["create"].is_empty(), "all fields");
    }

    /// A deleted role leaves its rows behind, and NocoBase does not read them again by itself.
    #[test]
    fn a_deleted_role_is_made_again_with_its_rights() {
        let found = InNocoBase { role_is_bare: None, ..complete(MATCH) };
        let actions = in_nocobase(MATCH, &found);
        assert_eq!(actions[0], Action::MakeRole);
        let repaired = actions.iter().filter(|a| matches!(a, Action::RepairRights { .. })).count();
        assert_eq!((repaired, actions.last()), (3, Some(&Action::SetRole { user: 2 })));
    }

    #[test]
    fn files() {
        let at = PathBuf::from;
        let files = vec![
            (at("/d/new"), FileState::Missing),
            (at("/d/old"), FileState::Different),
            (at("/d/open"), FileState::Exposed),
            (at("/d/good"), FileState::Right),
        ];
        assert_eq!(
            shown(&in_folder((at("/d"), FileState::Missing), files)),
            ["make the folder /d", "write /d/new", "change /d/old", "correct owner and mode of /d/open"]
        );
        assert_eq!(in_folder((at("/d"), FileState::Right), vec![]), []);
        assert_eq!(
            shown(&in_folder((at("/d"), FileState::Exposed), vec![])),
            ["correct owner and mode of the folder /d"]
        );
    }
}
