//! Values that may be written in two ways.

use schemars::{Schema, json_schema};
use serde::{Deserialize, Serialize};

/// A number of bytes, or text such as `"1GiB"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum Size {
    Bytes(u64),
    Text(String),
}

/// A number, or `"auto"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum MaxRequests {
    Number(u32),
    Text(String),
}

pub(super) fn max_requests_schema(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "minimum": 0, "maximum": 1_000_000, "format": "count" })
}

pub(super) fn size_schema(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "minimum": 0 })
}
