//! Actions of browsers, and of the people who use them.

use arbitrary::Arbitrary;

#[derive(Debug, Arbitrary)]
pub(super) struct Input {
    /// How far the second node's clock is ahead, in seconds.
    pub(super) ahead: i16,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
pub(super) enum Step {
    /// A tab starts a sign-in.
    Begin {
        browser: u8,
        node: bool,
        rd: String,
        web: bool,
        consent: bool,
        mobile: bool,
        attempt: u8,
    },
    /// Time passes, in seconds or in tenths.
    Wait {
        amount: u16,
        seconds: bool,
    },
    /// A callback arrives.
    Callback(Arrival),
    /// Two arrive at once, at one node or two.
    Together(Arrival, Arrival),
    /// One is cancelled by its browser.
    GivenUp(Arrival),
    /// A browser loses a cookie.
    Lose {
        browser: u8,
        flow: u8,
    },
    /// A cookie changes: one of its bytes, or its name becomes that of another flow.
    Damage {
        browser: u8,
        flow: u8,
        place: u16,
        byte: u8,
    },
    Rename {
        browser: u8,
        from: u8,
        to: u8,
    },
    /// A cookie is copied from one browser to another: the gate cannot know whose it is.
    Steal {
        flow: u8,
        from: u8,
        to: u8,
    },
}

#[derive(Debug, Arbitrary, Clone)]
pub(super) struct Arrival {
    pub(super) browser: u8,
    pub(super) node: bool,
    /// Which flow's state.
    pub(super) flow: u8,
    pub(super) edit: Edit,
    pub(super) code: u8,
}

#[derive(Debug, Arbitrary, Clone)]
pub(super) enum Edit {
    None,
    Shorter,
    Longer,
    Case(u8),
    Byte(u8, char),
    Other(String),
}

pub(super) fn edited(state: &str, edit: &Edit) -> String {
    let mut chars: Vec<char> = state.chars().collect();
    match edit {
        Edit::None => {}
        Edit::Shorter => {
            chars.pop();
        }
        Edit::Longer => chars.push('a'),
        Edit::Case(at) => {
            let at = usize::from(*at) % chars.len();
            chars[at] = if chars[at].is_ascii_lowercase() {
                chars[at].to_ascii_uppercase()
            } else {
                chars[at].to_ascii_lowercase()
            };
        }
        Edit::Byte(at, c) => {
            let at = usize::from(*at) % chars.len();
            chars[at] = *c;
        }
        Edit::Other(other) => return other.clone(),
    }
    chars.into_iter().collect()
}
