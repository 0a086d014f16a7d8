//! WeCom's API: access token, who a code belongs to, members, departments, tags, addresses of the OAuth
//! pages, and the receive-message callback.
//!
//! Must never: log a secret, a token, a code or a ticket; retry without a bound; treat `errcode` 0 as a login.
