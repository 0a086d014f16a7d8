//! The steps and their names, which never change, because programs read them.

use crate::message::{Template, template};

/// A step of the setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Id {
    /// The configuration file and the environment.
    Configuration,
    /// Certificate and key of the gate's own TLS listeners.
    Tls,
    /// The gate's user can read its files, and no one else can read secrets.
    Files,
    /// The authority of `listen.acme` can be reached, and can reach the gate.
    Acme,
    /// The address that people open leads to the gate.
    Origin,
    /// WeCom's domain verification file is served.
    VerificationFile,
    /// WeCom's API responds.
    WecomReachable,
    /// Corp id and secret.
    WecomSecret,
    /// WeCom accepts calls from this machine's address.
    WecomTrustedIp,
    /// The app belongs to the secret, and is enabled.
    WecomAgent,
    /// The app's OAuth domain is the origin's host.
    WecomCallbackDomain,
    /// There are members who see the app.
    WecomVisibleRange,
    /// The departments and tags in the configuration exist.
    WecomRules,
    /// NocoBase responds, and its version is known.
    NocobaseReachable,
    /// NocoBase accepts tokens signed with our secret.
    NocobaseSecret,
    /// The service account exists and has a role.
    NocobaseService,
    /// It has the permissions that it needs, and few others.
    NocobaseRights,
    /// NocoBase's own sign-up does not undermine `match_by`.
    NocobaseSignUp,
    /// There are users that members can be matched with.
    NocobaseUsers,
    /// NocoBase cannot be reached around the gate.
    NocobasePrivate,
    /// This machine's clock.
    Clock,
    /// The sign-in of one member, without its effects.
    Member,
    /// The state that several nodes share.
    Redis,
}

impl Id {
    /// The steps decided by `agent/get`, in order.
    pub(crate) const WECOM_APP: [Id; 6] = [
        Id::WecomReachable,
        Id::WecomSecret,
        Id::WecomTrustedIp,
        Id::WecomAgent,
        Id::WecomCallbackDomain,
        Id::WecomVisibleRange,
    ];
    /// In the order in which they are run.
    pub const ALL: [Id; 23] = [
        Id::Configuration,
        Id::Tls,
        Id::Files,
        Id::Acme,
        Id::Origin,
        Id::VerificationFile,
        Id::WecomReachable,
        Id::WecomSecret,
        Id::WecomTrustedIp,
        Id::WecomAgent,
        Id::WecomCallbackDomain,
        Id::WecomVisibleRange,
        Id::WecomRules,
        Id::NocobaseReachable,
        Id::NocobaseSecret,
        Id::NocobaseService,
        Id::NocobaseRights,
        Id::NocobaseSignUp,
        Id::NocobaseUsers,
        Id::NocobasePrivate,
        Id::Clock,
        Id::Member,
        Id::Redis,
    ];

    /// As written in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Id::Configuration => "configuration",
            Id::Tls => "tls",
            Id::Files => "files",
            Id::Acme => "acme",
            Id::Origin => "origin",
            Id::VerificationFile => "verification_file",
            Id::WecomReachable => "wecom_reachable",
            Id::WecomSecret => "wecom_secret",
            Id::WecomTrustedIp => "wecom_trusted_ip",
            Id::WecomAgent => "wecom_agent",
            Id::WecomCallbackDomain => "wecom_callback_domain",
            Id::WecomVisibleRange => "wecom_visible_range",
            Id::WecomRules => "wecom_rules",
            Id::NocobaseReachable => "nocobase_reachable",
            Id::NocobaseSecret => "nocobase_secret",
            Id::NocobaseService => "nocobase_service",
            Id::NocobaseRights => "nocobase_rights",
            Id::NocobaseSignUp => "nocobase_sign_up",
            Id::NocobaseUsers => "nocobase_users",
            Id::NocobasePrivate => "nocobase_private",
            Id::Clock => "clock",
            Id::Member => "member",
            Id::Redis => "redis",
        }
    }

    /// For people; programs read the name.
    pub(crate) const fn title(self) -> Template {
        match self {
            Id::Configuration => template!("Configuration"),
            Id::Tls => template!("The gate's own certificate"),
            Id::Files => template!("Files and their permissions"),
            Id::Acme => template!("Ordering of certificates (ACME)"),
            Id::Origin => template!("The address that people open"),
            Id::VerificationFile => template!("WeCom's domain verification file"),
            Id::WecomReachable => template!("Connection to WeCom"),
            Id::WecomSecret => template!("Corp id and secret"),
            Id::WecomTrustedIp => template!("Trusted IP in WeCom"),
            Id::WecomAgent => template!("The app in WeCom"),
            Id::WecomCallbackDomain => template!("Callback domain in WeCom"),
            Id::WecomVisibleRange => template!("Visible range of the app"),
            Id::WecomRules => template!("Departments, tags and roles of the rules"),
            Id::NocobaseReachable => template!("Connection to NocoBase"),
            Id::NocobaseSecret => template!("NocoBase's token secret"),
            Id::NocobaseService => template!("Service account in NocoBase"),
            Id::NocobaseRights => template!("Permissions of the service account"),
            Id::NocobaseSignUp => template!("NocoBase's own sign-up"),
            Id::NocobaseUsers => template!("Users to match members with"),
            Id::NocobasePrivate => template!("Ways around the gate"),
            Id::Clock => template!("Clock"),
            Id::Member => template!("Sign-in of one member"),
            Id::Redis => template!("Redis"),
        }
    }
}
