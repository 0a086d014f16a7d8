//! For unit tests: a client of the NocoBase stand-in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nocobase_standin::SECRET;

use super::{Minter, NocoBase};
use crate::config::{self, MatchBy, ServiceAccount, TokenDelivery};
use crate::error::{Failure, FailureWithCause};

/// A result without the cause of its failure.
pub(crate) trait Plain<T> {
    fn plain(self) -> Result<T, Failure>;
}

impl<T> Plain<T> for Result<T, FailureWithCause> {
    fn plain(self) -> Result<T, Failure> {
        self.map_err(|failed| failed.failure)
    }
}

/// `[nocobase]` as most tests have it.
pub(crate) fn rules(match_by: &[MatchBy], auto_create_user: bool) -> config::NocoBase {
    config::NocoBase {
        jwt_secret: SECRET.as_bytes().to_vec().into(),
        service: ServiceAccount::User(1),
        app: "main".into(),
        beside_others: false,
        own_host: false,
        apps: Vec::new(),
        public_path: "/".into(),
        token_delivery: TokenDelivery::Sealed,
        match_by: match_by.to_vec(),
        auto_create_user,
        default_roles: Vec::new(),
        update_profile: Vec::new(),
        link_by_password: false,
        identity_headers: false,
    }
}

/// A client for these nodes.
pub(crate) fn client(nodes: &[SocketAddr], rules: &config::NocoBase) -> NocoBase {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let upstream = config::Upstream {
        nodes: nodes.iter().map(SocketAddr::to_string).collect(),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
        health_interval: Duration::from_secs(2),
        max_requests: config::MaxRequests::Auto,
    };
    NocoBase::new(&upstream, rules, Arc::new(Minter::new(SECRET.as_bytes()))).unwrap()
}
