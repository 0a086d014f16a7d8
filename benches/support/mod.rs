//! Shared by several benchmarks.

use wecom_gate::session::Member;

/// A signed-in member.
pub(crate) fn member() -> Member {
    Member {
        entry: "wecom".into(),
        corp_id: "ww0123456789abcdef".into(),
        userid: "ZhangSan".into(),
        name: "张三".into(),
        user_id: 42,
    }
}
