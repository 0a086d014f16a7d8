//! Errors of WeCom's API: number, text, hint.

use std::net::IpAddr;

use serde_json::{Value, json};

/// Why an API call is refused: WeCom's errcode, and a text if it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fail {
    pub(crate) code: i64,
    pub(crate) text: Option<String>,
}

/// A refusal with this errcode.
pub(crate) fn fail(code: i64) -> Fail {
    Fail { code, text: None }
}

impl Fail {
    /// The response body, in the official form (docs 92520, 90930).
    pub(crate) fn body(&self, ip: IpAddr, now_ms: i64, serial: u64) -> Value {
        let code = self.code;
        let text = self.text.as_deref().unwrap_or_else(|| text_of(code));
        let hint =
            format!("{}_{}_{:032x}", now_ms / 1000, serial % 100, u128::from(serial) * 0x9e37_79b9_7f4a_7c15);
        json!({
            "errcode": code,
            "errmsg": format!(
                "{text}, hint: [{hint}], from ip: {ip}, more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
            ),
        })
    }
}

/// WeCom's English text for an errcode; clients must not rely on it (docs 90664, 90313).
fn text_of(code: i64) -> &'static str {
    match code {
        -1 => "system busy",
        40001 => "invalid credential",
        40003 => "invalid userid",
        40013 => "invalid corpid",
        40014 => "invalid access_token",
        40029 => "invalid code",
        40056 => "invalid agentid",
        40063 => "some parameters are empty",
        40068 => "invalid tagid",
        40091 => "provider_secret is invalid",
        41001 => "access_token missing",
        41002 => "corpid missing",
        41004 => "corpsecret missing",
        41008 => "code missing",
        41009 => "userid missing",
        41011 => "agentid missing",
        42001 => "access_token expired",
        42003 => "code expired",
        42022 => "code has been used",
        43001 => "require GET method",
        43002 => "require POST method",
        45009 => "api freq out of limit",
        45031 => "corpsecret is not safe, please reset it",
        45033 => "api concurrent out of limit",
        47001 => "data format error",
        48002 => "api forbidden",
        48006 => "api forbidden for long time no use",
        50001 => "redirect_uri unauthorized",
        50002 => "userid not in the range of permission",
        50003 => "agent disabled",
        60003 => "department not found",
        60011 => "no privilege to access/modify contact/party/agent",
        60020 => "not allow to access from your ip",
        60021 => "userid not in app perm",
        60031 => "agent is forbidden to call api",
        60111 => "userid not found",
        60123 => "invalid party id",
        81011 => "no permission to modify tag",
        84014 => "user_ticket expired",
        84015 => "invalid user_ticket",
        84090 => "user_ticket missing",
        301002 => "no privilege to access this agent",
        _ => "error",
    }
}
