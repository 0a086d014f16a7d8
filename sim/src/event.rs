//! Events to an app's receive-message URL: signed, encrypted, delivered (docs 90930, 90968, 90240).

use std::time::Duration;

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use crate::data::App;
use crate::error::SimError;
use crate::state::random;

/// EncodingAESKey may end in unused bits; the strict engine would refuse it.
const KEY_ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// What happened to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A member was added to the visible range.
    Subscribe {
        /// The member.
        userid: String,
    },
    /// A member left the visible range or the company, or was disabled.
    Unsubscribe {
        /// The member.
        userid: String,
    },
    /// `change_contact`: deleted.
    DeleteUser {
        /// The member.
        userid: String,
    },
    /// `change_contact`: another department, or another userid.
    UpdateUser {
        /// The member; the old userid if there is a new one.
        userid: String,
        /// The new userid.
        #[serde(default)]
        new_userid: Option<String>,
        /// The current departments.
        #[serde(default)]
        departments: Vec<u64>,
    },
    /// `change_contact`: a department changed.
    UpdateParty {
        /// Its id.
        id: u64,
    },
    /// `change_contact`: a tag changed.
    UpdateTag {
        /// Its id.
        id: u64,
    },
    /// Any plaintext, for tests with bad input.
    Raw {
        /// The XML.
        xml: String,
    },
}

/// What is wrong with an event, for tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// Nothing.
    #[default]
    None,
    /// Signed with another token.
    Signature,
    /// For another company (receiveid).
    Receiver,
    /// Signed an hour ago.
    Stale,
}

/// The result of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// How often it was sent: more than once only after a connection failure or a timeout.
    pub attempts: u32,
    /// HTTP status of the response.
    pub status: Option<u16>,
    /// Body of the response.
    pub body: String,
    /// 200 with an empty body or `success` (events), or with the decrypted text (verification).
    pub accepted: bool,
}

/// `msg_signature`: SHA-1 over token, timestamp, nonce and ciphertext, sorted; lower-case hex.
pub fn sign(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    let mut parts = [token, timestamp, nonce, encrypt];
    parts.sort_unstable();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Encrypts a message: 16 random bytes, length, message, receiveid; AES-256-CBC, padded to 32 bytes.
///
/// `None` if the key is not an EncodingAESKey.
pub fn seal(aes_key: &str, prefix: &[u8; 16], message: &str, receiveid: &str) -> Option<String> {
    let key: [u8; 32] = KEY_ENGINE.decode(format!("{aes_key}=")).ok()?.try_into().ok()?;
    let iv: [u8; 16] = key.first_chunk().copied()?;
    let mut plain = Vec::with_capacity(64 + message.len() + receiveid.len());
    plain.extend_from_slice(prefix);
    plain.extend_from_slice(&u32::try_from(message.len()).ok()?.to_be_bytes());
    plain.extend_from_slice(message.as_bytes());
    plain.extend_from_slice(receiveid.as_bytes());
    let pad = 32 - plain.len() % 32;
    plain.resize(plain.len() + pad, u8::try_from(pad).ok()?);
    let length = plain.len();
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into());
    Some(STANDARD.encode(cipher.encrypt_padded::<NoPadding>(&mut plain, length).ok()?))
}

impl Event {
    /// The plaintext XML.
    pub fn xml(&self, corp: &str, agent: u64, now: i64) -> String {
        let head = |from: &str| {
            format!(
                "<xml><ToUserName><![CDATA[{corp}]]></ToUserName><FromUserName><![CDATA[{from}]]></FromUserName>\
                 <CreateTime>{now}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
            )
        };
        let app_event = |from: &str, event: &str| {
            format!(
                "{}<Event><![CDATA[{event}]]></Event><EventKey></EventKey><AgentID>{agent}</AgentID></xml>",
                head(from)
            )
        };
        let contact = |change: &str, fields: String| {
            format!(
                "{}<Event><![CDATA[change_contact]]></Event><ChangeType>{change}</ChangeType>{fields}</xml>",
                head("sys")
            )
        };
        match self {
            Event::Subscribe { userid } => app_event(userid, "subscribe"),
            Event::Unsubscribe { userid } => app_event(userid, "unsubscribe"),
            Event::DeleteUser { userid } => {
                contact("delete_user", format!("<UserID><![CDATA[{userid}]]></UserID>"))
            }
            Event::UpdateUser { userid, new_userid, departments } => {
                let mut fields = format!("<UserID><![CDATA[{userid}]]></UserID>");
                if let Some(new) = new_userid {
                    fields.push_str(&format!("<NewUserID><![CDATA[{new}]]></NewUserID>"));
                }
                if !departments.is_empty() {
                    let list: Vec<String> = departments.iter().map(u64::to_string).collect();
                    fields.push_str(&format!("<Department><![CDATA[{}]]></Department>", list.join(",")));
                }
                contact("update_user", fields)
            }
            Event::UpdateParty { id } => contact("update_party", format!("<Id>{id}</Id>")),
            Event::UpdateTag { id } => contact("update_tag", format!("<TagId>{id}</TagId>")),
            Event::Raw { xml } => xml.clone(),
        }
    }
}

/// A message to send: the address with its signature, and the ciphertext.
struct Sealed {
    url: String,
    encrypt: String,
}

fn prepare(
    corp: &str,
    app: &App,
    plain: &str,
    forged: Forgery,
    now: i64,
    echo: bool,
) -> Result<Sealed, SimError> {
    if app.event_token.is_empty() {
        return Err(SimError::Unknown("the app has no event_token"));
    }
    let receiver = if forged == Forgery::Receiver { "wwffffffffffffffff" } else { corp };
    let mut prefix = [0_u8; 16];
    prefix.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    let encrypt = seal(&app.event_aes_key, &prefix, plain, receiver)
        .ok_or(SimError::Unknown("event_aes_key is not 43 characters of base64"))?;
    let timestamp = if forged == Forgery::Stale { now - 3600 } else { now }.to_string();
    let nonce = random("", 16);
    let token = if forged == Forgery::Signature { "anotherToken" } else { &app.event_token };
    let signature = sign(token, &timestamp, &nonce, &encrypt);
    let mut query = Serializer::new(String::new());
    query
        .append_pair("msg_signature", &signature)
        .append_pair("timestamp", &timestamp)
        .append_pair("nonce", &nonce);
    if echo {
        query.append_pair("echostr", &encrypt);
    }
    Ok(Sealed { url: format!("{}?{}", app.events(), query.finish()), encrypt })
}

/// Timing of deliveries: pause between attempts, longest wait for a response.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) retry: Duration,
    pub(crate) timeout: Duration,
}

/// Sends an event as WeCom does: up to three attempts, another only if there was no response at all.
pub(crate) async fn send(
    http: &reqwest::Client,
    corp: &str,
    app: &App,
    event: &Event,
    forged: Forgery,
    now: i64,
    timing: Timing,
) -> Result<Delivery, SimError> {
    let sealed = prepare(corp, app, &event.xml(corp, app.agent_id, now), forged, now, false)?;
    let body = format!(
        "<xml><ToUserName><![CDATA[{corp}]]></ToUserName><AgentID><![CDATA[{}]]></AgentID>\
         <Encrypt><![CDATA[{}]]></Encrypt></xml>",
        app.agent_id, sealed.encrypt
    );
    let mut delivery = Delivery::default();
    while delivery.attempts < 3 {
        if delivery.attempts > 0 {
            tokio::time::sleep(timing.retry).await;
        }
        delivery.attempts += 1;
        let request = http.post(&sealed.url).timeout(timing.timeout).header("content-type", "text/xml");
        if let Ok(response) = request.body(body.clone()).send().await {
            delivery.status = Some(response.status().as_u16());
            delivery.body = response.text().await.unwrap_or_default();
            delivery.accepted =
                delivery.status == Some(200) && matches!(delivery.body.as_str(), "" | "success");
            break;
        }
    }
    Ok(delivery)
}

/// What the console does when an administrator saves the URL: a GET whose response must be the plaintext.
pub(crate) async fn verify(
    http: &reqwest::Client,
    corp: &str,
    app: &App,
    forged: Forgery,
    now: i64,
) -> Result<Delivery, SimError> {
    let plain = random("", 19);
    let sealed = prepare(corp, app, &plain, forged, now, true)?;
    let mut delivery = Delivery { attempts: 1, ..Delivery::default() };
    // WeCom waits one second here.
    if let Ok(response) = http.get(&sealed.url).timeout(Duration::from_secs(1)).send().await {
        delivery.status = Some(response.status().as_u16());
        delivery.body = response.text().await.unwrap_or_default();
        delivery.accepted = delivery.status == Some(200) && delivery.body == plain;
    }
    Ok(delivery)
}
