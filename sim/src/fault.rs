//! Faults on demand: what a call to a path does instead of its normal behaviour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One fault. The oldest one that matches a call is applied; once used up, it is removed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Path of the API or page, e.g. `/cgi-bin/gettoken`; `*`: every path except the control API.
    pub path: String,
    /// Only calls that have these parameters in their query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// This many calls are not affected at first.
    #[serde(default)]
    pub skip: u32,
    /// Applies to this many calls; `None`: until it is cleared.
    #[serde(default)]
    pub count: Option<u32>,
    /// Wait first, in milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
    /// What happens then.
    #[serde(default)]
    pub kind: FaultKind,
}

/// What happens to a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Only the latency.
    #[default]
    None,
    /// WeCom's error with this number; the call is not processed.
    Errcode(i64),
    /// This HTTP status with an empty body; not processed.
    Status(u16),
    /// 200 with an HTML page (a captive portal, a proxy's error page); not processed.
    Html,
    /// 200 with this body; not processed.
    Body(String),
    /// This response; not processed.
    Response(CannedResponse),
    /// No response ever; not processed.
    Hang,
    /// The connection is cut; not processed.
    Drop,
    /// Processed, then the connection is cut: the caller cannot know.
    Lost,
    /// Processed; the response ends in the middle of its JSON.
    Truncated,
}

/// A response that does not come from WeCom's application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedResponse {
    /// HTTP status.
    pub status: u16,
    /// Target of a redirect.
    #[serde(default)]
    pub location: Option<String>,
    /// The body, sent as JSON whatever its content.
    #[serde(default)]
    pub body: String,
}

impl FaultKind {
    /// This status with this body.
    pub fn response(status: u16, body: impl Into<String>) -> FaultKind {
        FaultKind::Response(CannedResponse { status, location: None, body: body.into() })
    }

    /// The HTTP status of the replacement response; 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        match self {
            FaultKind::Status(status) | FaultKind::Response(CannedResponse { status, .. }) => *status,
            FaultKind::Html | FaultKind::Body(_) => 200,
            _ => 0,
        }
    }
}

impl Fault {
    /// A fault for every call to `path`.
    pub fn new(path: &str, kind: FaultKind) -> Fault {
        Fault { path: path.to_owned(), kind, ..Fault::default() }
    }

    /// The next `count` calls fail with `errcode`.
    pub fn errcode(path: &str, errcode: i64, count: u32) -> Fault {
        Fault { count: Some(count), ..Fault::new(path, FaultKind::Errcode(errcode)) }
    }

    /// Every call takes this much longer.
    pub fn latency(path: &str, milliseconds: u64) -> Fault {
        Fault { latency_ms: milliseconds, ..Fault::new(path, FaultKind::None) }
    }

    /// Only for this many calls.
    #[must_use]
    pub fn times(self, count: u32) -> Fault {
        Fault { count: Some(count), ..self }
    }

    /// Only after this many calls.
    #[must_use]
    pub fn after(self, skip: u32) -> Fault {
        Fault { skip, ..self }
    }

    /// Only for calls with this parameter.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Fault {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    fn fits(&self, path: &str, query: &str) -> bool {
        let has = |(name, value): (&String, &String)| {
            url::form_urlencoded::parse(query.as_bytes()).any(|(n, v)| n == *name && v == *value)
        };
        (self.path == "*" || self.path == path) && self.params.iter().all(has)
    }
}

/// Finds the fault for this call, and counts it.
pub(crate) fn take(faults: &mut Vec<Fault>, path: &str, query: &str) -> Option<Fault> {
    let mut hit = None;
    for f in faults.iter_mut().filter(|f| f.fits(path, query)) {
        if f.skip > 0 {
            f.skip -= 1;
        } else if f.count != Some(0) {
            f.count = f.count.map(|n| n - 1);
            hit = Some(f.clone());
            break;
        }
    }
    faults.retain(|f| f.count != Some(0));
    hit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_wait_count_and_go() {
        let mut all = vec![Fault::errcode("/a", 42001, 2).after(1), Fault::errcode("*", -1, 1)];
        let kinds: Vec<_> = (0..5).map(|_| take(&mut all, "/a", "").map(|f| f.kind)).collect();
        let code = |n| Some(FaultKind::Errcode(n));
        assert_eq!(kinds, [code(-1), code(42001), code(42001), None, None]);
        assert!(all.is_empty());
    }

    #[test]
    fn another_path_is_left_alone() {
        let mut all = vec![Fault::new("/a", FaultKind::Hang)];
        assert!(take(&mut all, "/b", "").is_none());
        assert!(take(&mut all, "/a", "").is_some());
        assert_eq!(all.len(), 1, "without a count it stays");
    }

    #[test]
    fn a_fault_for_some_parameters_leaves_other_calls_alone() {
        let mut all = vec![Fault::new("/a", FaultKind::Hang).with_param("id", "a b").with_param("x", "1")];
        for query in ["", "id=a+b", "id=a&x=1", "x=1"] {
            assert!(take(&mut all, "/a", query).is_none(), "{query}");
        }
        assert!(take(&mut all, "/a", "y=2&x=1&id=a%20b").is_some());
    }
}
