//! Calls as the service account, and the tokens for them.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::call::Call;
use super::error_mapping::{bad_response, data_of, denied, session_token_refused, token_code, unexpected};
use super::{NocoBase, Service, now_s};
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::error_body::{Code, ErrorBody};
use crate::nocobase::{Minted, UserId};

/// The result of a call as the service account to which NocoBase responded.
#[derive(Debug)]
pub(in crate::nocobase) enum ServiceOutcome {
    /// `data` of a 2xx response; `Null` if there is none.
    Data(Value),
    /// 400: the values were not accepted (for example a duplicate). The reasons are in the language of the request and without
    /// codes, so no decision can depend on them.
    Rejected(ErrorBody),
}

impl NocoBase {
    /// Registers a session (`sid` = the `jti` of its tokens, a UUID), so that NocoBase knows and renews it. If it is registered
    /// already, that is a success: the same sign-in may arrive twice.
    pub(crate) async fn register_session(
        &self,
        sid: &str,
        user: UserId,
        entry: &str,
        sign_in_ms: u64,
    ) -> Result<(), FailureWithCause> {
        let row = json!({
            "id": sid, "jti": sid, "signInTime": sign_in_ms, "issuedTime": sign_in_ms,
            "userId": user, "authenticator": entry,
        });
        let create = Call::post("issuedTokens:create", Some(row));
        let ServiceOutcome::Rejected(why) = self.service(&create).await? else { return Ok(()) };
        // Probably "id already exists", but the wording depends on version and language, so look it up.
        let list = Call::get("issuedTokens:list")
            .query("filter", json!({ "id": sid }).to_string())
            .query("fields", "id")
            .query("pageSize", "1");
        match self.service(&list).await? {
            ServiceOutcome::Data(Value::Array(rows)) if !rows.is_empty() => Ok(()),
            _ => Err(bad_response(&create, 400, &why.summary())),
        }
    }

    /// The user behind the gate's own calls. `None`: `service_token` does not reveal it.
    pub(crate) fn service_user(&self) -> Option<UserId> {
        match &self.service {
            Service::User(id) => Some(*id),
            Service::Token(token) => {
                self.minter.verify(token.expose_secret(), now_s()).ok().map(|found| found.user_id)
            }
        }
    }

    /// A token of the service account: the configured one, or one minted for the configured user.
    pub(crate) fn service_token(&self) -> Result<SecretString, Failure> {
        match &self.service {
            Service::Token(token) => Ok(token.clone()),
            Service::User(id) => Ok(self.minter.service(*id, now_s())?.as_str().into()),
        }
    }

    /// A token of a session unknown to NocoBase, for the service account or, if that is not known, for user 1: shows whether
    /// NocoBase accepts the gate's signature.
    pub(crate) fn trial_token(&self) -> Result<Minted, Failure> {
        let user = self.service_user().or_else(|| UserId::new(1)).ok_or(Failure::Internal)?;
        let (now, sid) = (now_s(), uuid::Uuid::new_v4().to_string());
        self.minter.session(user, &sid, now.saturating_mul(1000), now)
    }

    /// A call whose response is a list.
    pub(in crate::nocobase) async fn service_list(
        &self,
        call: &Call<'_>,
    ) -> Result<Vec<Value>, FailureWithCause> {
        match self.service(call).await? {
            ServiceOutcome::Data(Value::Array(rows)) => Ok(rows),
            ServiceOutcome::Data(_) => Err(bad_response(call, 200, "no list in the response")),
            ServiceOutcome::Rejected(why) => Err(bad_response(call, 400, &why.summary())),
        }
    }

    /// A call as the service account.
    pub(in crate::nocobase) async fn service(
        &self,
        call: &Call<'_>,
    ) -> Result<ServiceOutcome, FailureWithCause> {
        let token = self.service_token()?;
        let response = self.send(token.expose_secret(), call).await?;
        match response.status {
            200..=299 => Ok(ServiceOutcome::Data(data_of(call, &response)?)),
            400 => Ok(ServiceOutcome::Rejected(ErrorBody::parse(&response.body).unwrap_or_default())),
            401 => Err(self.service_refused(call, token_code(&response))),
            403 => Err(denied(call)),
            _ => Err(unexpected(call, &response)),
        }
    }

    /// NocoBase does not accept the service account's token.
    fn service_refused(&self, call: &Call<'_>, code: Option<Code>) -> FailureWithCause {
        let refused = |failure, reason: &str, service_user: Option<UserId>| {
            let mut failed = call.failed(failure, reason);
            failed.cause.answer = Some(code.map_or("401", Code::as_str));
            failed.cause.service_user = service_user.map(|id| id.to_string());
            failed
        };
        match (&self.service, code) {
            (Service::Token(_), Some(Code::InvalidToken)) => refused(
                Failure::NocoBaseSecretWrong,
                "NocoBase does not accept nocobase.service_token: create a new API key in NocoBase",
                None,
            ),
            (Service::Token(_), _) => refused(
                Failure::NocoBaseServiceDenied,
                "nocobase.service_token has been revoked, or its user deleted: create a new API key in NocoBase",
                None,
            ),
            (Service::User(id), Some(Code::NotExistUser)) => refused(
                Failure::NocoBaseServiceDenied,
                "nocobase.service_user is not a user of this NocoBase",
                Some(*id),
            ),
            (Service::User(_), code) => session_token_refused(call, code),
        }
    }
}
