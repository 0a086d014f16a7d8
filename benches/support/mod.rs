//! What several benchmarks need.

use wecom_gate::session::Member;

/// A member who is signed in.
pub(crate) fn member() -> Member {
    Member {
        entry: "wecom".into(),
        corp_id: "ww0123456789abcdef".into(),
        userid: "ZhangSan".into(),
        name: "张三".into(),
        user_id: 42,
    }
}
