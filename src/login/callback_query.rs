//! The query of WeCom's redirect.

/// `state` and `code` from the query. A repeated parameter is refused: it would be unclear which one counts.
pub(super) struct CallbackQuery {
    pub(super) state: Option<String>,
    pub(super) code: Code,
}

/// The code from WeCom.
pub(super) enum Code {
    None,
    One(String),
    Several,
}

impl CallbackQuery {
    pub(super) fn read(query: &str) -> CallbackQuery {
        let mut params = CallbackQuery { state: None, code: Code::None };
        let mut states = 0;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "state" => {
                    states += 1;
                    params.state = Some(value.into_owned());
                }
                "code" => {
                    params.code = match params.code {
                        Code::None if value.is_empty() => Code::None,
                        Code::None => Code::One(value.into_owned()),
                        _ => Code::Several,
                    }
                }
                _ => {}
            }
        }
        if states != 1 {
            params.state = None;
        }
        params
    }
}
