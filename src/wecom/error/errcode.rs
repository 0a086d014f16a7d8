//! What WeCom's error codes mean: one table from `errcode` to class.

/// A call to WeCom's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// `gettoken` (doc 91039).
    GetToken,
    /// `auth/getuserinfo` (doc 91023).
    UserInfo,
    /// `auth/getuserdetail` (doc 95833).
    UserDetail,
    /// `user/get` (doc 90196).
    UserGet,
    /// `user/list` (doc 90201).
    UserList,
    /// `department/simplelist` (doc 95350).
    Departments,
    /// `department/get` (doc 95351).
    Department,
    /// `tag/get` (doc 90213).
    Tag,
    /// `agent/get` (doc 90227).
    Agent,
}

impl Call {
    /// Stable name for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Call::GetToken => "gettoken",
            Call::UserInfo => "getuserinfo",
            Call::UserDetail => "getuserdetail",
            Call::UserGet => "user/get",
            Call::UserList => "user/list",
            Call::Departments => "department/simplelist",
            Call::Department => "department/get",
            Call::Tag => "tag/get",
            Call::Agent => "agent/get",
        }
    }
}

/// The class of an error, which decides how it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// System busy: at most three attempts.
    Transient,
    /// The access token has expired: refresh it, repeat once.
    Token,
    /// The code is used, expired or unknown: start the sign-in again, once.
    Code,
    /// This person is not allowed: deny, end the session.
    User,
    /// An operator must act; never repeated in a loop.
    Config,
    /// Rate limit: back off.
    Rate,
    /// The `user_ticket` is used up: a new OAuth round.
    Detail,
    /// The gate made an invalid request.
    Bug,
    /// No response, or none in time.
    Transport,
    /// Codes for third-party apps, which the gate is not.
    ThirdParty,
    /// Not JSON, not the documented fields, or a code that is not in the table.
    BadAnswer,
}

impl Class {
    /// Stable name for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Token => "token",
            Class::Code => "code",
            Class::User => "user",
            Class::Config => "config",
            Class::Rate => "rate",
            Class::Detail => "detail",
            Class::Bug => "bug",
            Class::Transport => "transport",
            Class::ThirdParty => "third_party",
            Class::BadAnswer => "bad_answer",
        }
    }
}

/// The codes that matter for signing in (doc 90313), sorted. [`classify`] handles those whose meaning depends on the call.
pub(super) const TABLE: &[(i64, Class)] = &[
    (-1, Class::Transient),
    (40001, Class::Token), // from gettoken: Config
    (40003, Class::User),
    (40013, Class::Config),
    (40014, Class::Token),
    (40029, Class::Code),
    (40056, Class::Config),
    (40057, Class::Config),
    (40058, Class::Bug), // a parameter is refused; the meaning depends on the call
    (40063, Class::Bug),
    (40068, Class::Config),
    (40078, Class::Code),
    (40082, Class::ThirdParty),
    (40091, Class::Config),
    (40163, Class::Code), // not in WeCom's list; "code been used" of official accounts
    (41001, Class::Token),
    (41002, Class::Bug), // from gettoken: Config
    (41004, Class::Bug), // from gettoken: Config
    (41008, Class::Bug), // from getuserinfo: Code
    (41009, Class::Bug),
    (41011, Class::Bug),
    (42001, Class::Token),
    (42003, Class::Code),
    (42009, Class::ThirdParty),
    (42022, Class::Code),
    (43009, Class::Config),
    (45009, Class::Rate),
    (45031, Class::Config),
    (45033, Class::Rate),
    (46004, Class::User),
    (48001, Class::Config),
    (48002, Class::Config),
    (48004, Class::Config),
    (48006, Class::Config),
    (48009, Class::Config),
    (48010, Class::Transport),
    (50001, Class::Config),
    (50002, Class::User),
    (50003, Class::Config),
    (50006, Class::Config),
    (60003, Class::Config),
    (60011, Class::User), // from department and tag calls: Config
    (60020, Class::Config),
    (60021, Class::User),
    (60031, Class::Config),
    (60111, Class::User),
    (60123, Class::Config),
    (80001, Class::Config),
    (81011, Class::Config),
    (84014, Class::Detail),
    (84015, Class::Detail),
    (84025, Class::Bug),
    (84090, Class::Detail),
    (85004, Class::Config),
    (85005, Class::Config),
    (85111, Class::Config),
    (301002, Class::Config),
];

/// The class of `errcode` (not 0) in the response to `call`.
pub(in crate::wecom) fn classify(call: Call, errcode: i64) -> Class {
    match (call, errcode) {
        // If the request for a token is refused, refreshing the token cannot help.
        (Call::GetToken, 40001 | 40014 | 41001 | 41002 | 41004 | 42001) => Class::Config,
        // The values come from the configuration, or from the browser.
        (Call::GetToken | Call::Departments | Call::Tag | Call::Agent, 40058 | 40063) => Class::Config,
        (Call::UserInfo, 40058 | 40063 | 41008) => Class::Code,
        // For display only; it is not an error if the app cannot see it.
        (Call::Department, 60003 | 60011 | 60123) => Class::User,
        // A department or tag that the app may not read: the rule is wrong, not the member.
        (Call::Departments | Call::Tag | Call::Agent, 60011) => Class::Config,
        // Nothing that a list is refused for says anything about a person.
        (Call::UserList, _) if in_table(errcode) == Class::User => Class::Config,
        _ => in_table(errcode),
    }
}

fn in_table(errcode: i64) -> Class {
    TABLE
        .binary_search_by_key(&errcode, |row| row.0)
        .ok()
        .and_then(|i| TABLE.get(i))
        .map_or(Class::BadAnswer, |row| row.1)
}
