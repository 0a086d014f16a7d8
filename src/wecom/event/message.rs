//! From the bytes of a callback to an [`Event`]: the envelope around the ciphertext, and the message inside.

use std::collections::HashMap;

use super::rejected::RejectedEvent;
use super::xml;
use crate::wecom::member::is_userid;

/// The events that the gate acts on (docs 90240, 90970).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The member has left the app's visible range or the company, or was disabled: end the sessions.
    Unsubscribe {
        /// The member.
        userid: String,
    },
    /// Deleted from the address book: end the sessions.
    DeleteUser {
        /// The member.
        userid: String,
    },
    /// Changed departments, or was renamed: clear the caches; with a new userid, end the old one's sessions.
    UpdateUser {
        /// The member, by the old id.
        userid: String,
        /// The new id, if it was changed.
        new_userid: Option<String>,
    },
    /// Departments or tags have changed: clear the caches.
    PartyOrTagChanged,
    /// Nothing that concerns the gate.
    Other,
}

/// An event, and a key that is the same for its repetitions: WeCom sends an event up to three times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// Sender, time and kind: the same for repetitions.
    pub key: String,
}

/// Takes the ciphertext out of its envelope: XML, or JSON if the console is set to that.
pub(super) fn encrypted(body: &[u8]) -> Result<String, RejectedEvent> {
    fields(body)?
        .remove("encrypt")
        .filter(|e| !e.is_empty())
        .ok_or(RejectedEvent::new("nothing encrypted in the body"))
}

/// Reads the decrypted message.
pub(super) fn notice(plain: &[u8]) -> Result<Notice, RejectedEvent> {
    let mut fields = fields(plain)?;
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let (kind, event, change) = (take("msgtype"), take("event"), take("changetype"));
    let (from, user, new) = (take("fromusername"), take("userid"), take("newuserid"));
    let key = format!("{from}|{}|{kind}|{event}|{change}|{user}", take("createtime"));
    let event = match (kind.as_str(), event.as_str(), change.as_str()) {
        ("event", "unsubscribe", _) if is_userid(&from) => Event::Unsubscribe { userid: from },
        ("event", "change_contact", "delete_user") if is_userid(&user) => Event::DeleteUser { userid: user },
        ("event", "change_contact", "update_user") if is_userid(&user) => {
            Event::UpdateUser { userid: user, new_userid: Some(new).filter(|n| is_userid(n)) }
        }
        ("event", "change_contact", "create_party" | "update_party" | "delete_party" | "update_tag") => {
            Event::PartyOrTagChanged
        }
        _ => Event::Other,
    };
    Ok(Notice { event, key })
}

/// Names in lower case (the XML and the JSON form spell them differently), values as text.
fn fields(bytes: &[u8]) -> Result<HashMap<String, String>, RejectedEvent> {
    let text = std::str::from_utf8(bytes).map_err(|_| RejectedEvent::new("not UTF-8"))?;
    let pairs: Vec<(String, String)> = if text.trim_start().starts_with('{') {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|_| RejectedEvent::new("not the JSON of a callback"))?;
        object.into_iter().filter_map(|(name, value)| Some((name, scalar(value)?))).collect()
    } else {
        xml::fields(text)?.into_iter().collect()
    };
    let count = pairs.len();
    let fields: HashMap<String, String> =
        pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    // Two spellings of one name: ambiguous.
    if fields.len() == count { Ok(fields) } else { Err(RejectedEvent::new("a field occurs twice")) }
}

fn scalar(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
