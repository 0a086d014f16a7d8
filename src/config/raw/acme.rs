use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[listen.acme]`; all its keys have defaults.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Acme {
    /// Host names of the certificate; empty: the host of `origin`, and each `host` of `[[nocobase.apps]]`. No wildcards.
    pub domains: Vec<String>,
    /// Where the authority may write to about the account (its contact).
    pub email: String,
    /// Address of the authority's ACME directory.
    pub directory: String,
    /// Folder for the account's key, the certificate and its key, which the gate's user alone can read. It is created.
    pub cache: String,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            email: String::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            cache: "/var/lib/wecom-gate/acme".into(),
        }
    }
}
