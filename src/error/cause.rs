//! What is known about the cause of a failure. It is passed up together with the failure, so that the code responsible for the
//! whole task (a sign-in, a recheck) writes one line with all of it.

use super::{Failure, Level, line_due};

/// An error's text with those of its causes: the outermost often says only that a request failed.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

/// What an operator needs to know. Never a secret, a phone number or an e-mail address (R27).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// What happened, in words; empty if the label says enough.
    pub(crate) reason: String,
    /// The call of WeCom's or NocoBase's API.
    pub(crate) call: Option<String>,
    /// The NocoBase node.
    pub(crate) base: Option<String>,
    /// HTTP status of the response.
    pub(crate) status: Option<u16>,
    /// NocoBase's error code.
    pub(crate) answer: Option<&'static str>,
    /// Which error WeCom returned.
    pub(crate) class: Option<&'static str>,
    /// WeCom's error code.
    pub(crate) errcode: Option<i64>,
    /// WeCom's error message, without anything secret.
    pub(crate) errmsg: Option<String>,
    /// What to do.
    pub(crate) remedy: Option<String>,
    /// The configured service account.
    pub(crate) service_user: Option<String>,
    /// NocoBase users that match.
    pub(crate) users: Option<String>,
    /// The key by which they match.
    pub(crate) by: Option<String>,
    /// The WeCom userid that the matching user is bound to.
    pub(crate) bound_to: Option<String>,
    /// Columns of NocoBase's table.
    pub(crate) fields: Option<String>,
}

/// Writes a log line with this level: these fields, then everything that is known about the cause.
macro_rules! log_cause {
    (@line $line:ident, $cause:ident, [$($field:tt)*], $message:literal) => {
        tracing::$line!(
            $($field)*
            call = $cause.call,
            base = $cause.base,
            status = $cause.status,
            answer = $cause.answer,
            class = $cause.class,
            errcode = $cause.errcode,
            errmsg = $cause.errmsg,
            remedy = $cause.remedy,
            service_user = $cause.service_user,
            users = $cause.users,
            by = $cause.by,
            bound_to = $cause.bound_to,
            fields = $cause.fields,
            $message
        )
    };
    ($level:expr, $cause:expr, [$($field:tt)*], $message:literal) => {{
        let cause: &$crate::error::Cause = &$cause;
        match $level {
            $crate::error::Level::Debug => $crate::error::log_cause!(@line debug, cause, [$($field)*], $message),
            $crate::error::Level::Info => $crate::error::log_cause!(@line info, cause, [$($field)*], $message),
            $crate::error::Level::Warn => $crate::error::log_cause!(@line warn, cause, [$($field)*], $message),
            $crate::error::Level::Error => $crate::error::log_cause!(@line error, cause, [$($field)*], $message),
        }
    }};
}
pub(crate) use log_cause;

/// A failure, and what is known about its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailureWithCause {
    /// The failure.
    pub(crate) failure: Failure,
    /// Its cause; empty if the failure says enough.
    pub(crate) cause: Box<Cause>,
}

impl FailureWithCause {
    /// Puts both together.
    pub(crate) fn new(failure: Failure, cause: Cause) -> Self {
        FailureWithCause { failure, cause: Box::new(cause) }
    }

    /// Writes a log line, and returns the failure: for tasks that have no line of their own for the cause.
    pub(crate) fn logged(self) -> Failure {
        let (label, reason) = (self.failure.response().label, &self.cause.reason);
        let level = match self.failure.response().level {
            Level::Error | Level::Warn if line_due("cause", self.failure).is_none() => Level::Debug,
            level => level,
        };
        log_cause!(level, self.cause, [label,], "{reason}");
        self.failure
    }
}

impl From<Failure> for FailureWithCause {
    fn from(failure: Failure) -> Self {
        FailureWithCause::new(failure, Cause::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_with_all_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Layer>>);
        let all = Layer("top", Some(Box::new(Layer("middle", Some(Box::new(Layer("bottom", None)))))));
        assert_eq!(with_causes(&all), "top: middle: bottom");
        assert_eq!(with_causes(&Layer("alone", None)), "alone");
    }
}
