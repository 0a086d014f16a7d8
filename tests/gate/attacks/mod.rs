//! What attackers send. Everything goes to the binary over sockets, and the upstream tells what came through.

mod applications;
mod caching;
mod cookie_bombs;
mod cross_site_request;
mod fail_closed;
mod header_spoofing;
mod http2;
mod limits;
mod login_csrf;
mod logout;
mod open_redirect;
mod ops;
mod password;
mod path_confusion;
mod pingora;
mod redis;
mod rules;
mod secrets_in_logs;
mod session_fixation;
mod sign_in_floods;
mod smuggling;
mod stray_codes;
mod tls;
mod verdicts;
mod websocket;
mod wecom_data;
