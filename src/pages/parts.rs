//! Keys of `texts/*/parts.ftl`.

use super::lang::text_keys;

text_keys! {
    SIGN_IN = "button-sign-in",
    SIGN_IN_AGAIN = "button-sign-in-again",
    SIGN_IN_WITH = "button-sign-in-with",
    WECOM = "wecom-name",
    SCAN = "scan",
    COPY = "button-copy",
    COPIED = "button-copied",
    OR = "or",
    SESSION_OVER = "session-over",
    CLOSED_FOR_OTHERS = "closed-for-others",
    TRY_AGAIN = "button-try-again",
    START = "button-start",
    SIGN_OUT = "button-sign-out",
    STAY = "button-stay",
    PASSWORD = "link-password",
    ACCOUNT_ABOUT = "account-about",
    ACCOUNT_MEMBER = "account-member",
    ACCOUNT_NAME = "account-name",
    ACCOUNT_PASSWORD = "account-password",
    LINK = "button-link",
    RELOADS = "reloads",
    SUPPORT = "support",
    SUPPORT_CODE = "support-code",
    SUPPORT_REQUEST = "support-request",
    SUPPORT_TIME = "support-time",
}
