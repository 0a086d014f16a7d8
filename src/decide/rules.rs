//! Rules for what passes without a session (`access.public`): method and path, never anything else (R2).
//!
//! A rule is `METHOD /path`, or a word that begins with `@` and stands for several rules. METHOD is one method, or `*` for any.
//! In the path, `*` matches any text (also none) without `/`, and `**` any text. The whole path must match. `GET` does not
//! include `HEAD`.

use super::path::canonical;

/// Longest path of a rule, wildcards not counted, in bytes.
const MAX_LITERALS: usize = 255;

const UNKNOWN_WORD: &str = "the words are @public-forms, @pwa and @mcp";

/// The rules that each word stands for, below NocoBase's public path.
const WORDS: [(&str, &[&str]); 3] = [
    // A public form: its page, the files and calls of that page, uploads and the submission (NocoBase 2.2). The last two calls
    // name any table: NocoBase accepts them only with a form's token (`X-Form-Token`), and for that form's table only.
    (
        "public-forms",
        &[
            "GET /public-forms/**",
            "GET /v/public-forms/**",
            "GET /assets/**",
            "GET /v/assets/**",
            "GET /static/**",
            "GET /global.css",
            "GET /v/global.css",
            "GET /browser-checker.js",
            "GET /v/browser-checker.js",
            "GET /favicon/**",
            "GET /v/favicon/**",
            "GET /file-placeholder/**",
            "GET /v/file-placeholder/**",
            "GET /api/app:getLang",
            "GET /api/pm:listEnabled",
            "GET /api/pm:listEnabledV2",
            "GET /api/systemSettings:get",
            "GET /api/themeConfig:list",
            "GET /api/uiLayouts:listEnabled",
            "GET /api/publicForms:getMeta/*",
            "GET /api/publicForms:getFlowModel/*",
            "POST /api/storages:check",
            "POST /api/*:publicSubmit",
            "POST /api/*:create",
        ],
    ),
    // What a browser fetches without cookies for an installed app: manifest, icons and service worker. NocoBase 2.2 has none of
    // them; a plugin or a server next to it provides them.
    (
        "pwa",
        &[
            "GET /manifest.json",
            "GET /manifest.webmanifest",
            "GET /site.webmanifest",
            "GET /sw.js",
            "GET /service-worker.js",
            "GET /favicon.ico",
            "GET /apple-touch-icon*.png",
            "GET /favicon/**",
            "GET /v/favicon/**",
            "GET /nocobase.png",
        ],
    ),
    // The discovery of NocoBase's MCP server and its authorization server; using it requires a key or a token.
    ("mcp", &["GET /api/.well-known/**"]),
];

/// Whether a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// No rule matches.
    None,
    /// A rule of a word. These open calls to anonymous visitors: no credential passes with them.
    Anonymous,
    /// A rule that is written out: the request passes unchanged.
    Unchanged,
}

/// The compiled rules. Matching takes time proportional to the length of the path, whatever the rules and the path.
#[derive(Debug, Clone, Default)]
pub struct PublicRules {
    rules: Vec<Rule>,
}

/// An invalid rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{rule}\": {problem}")]
pub struct RuleError {
    /// Which rule, counted from 0.
    pub index: usize,
    /// As written.
    pub rule: String,
    /// What is wrong with it, and what to write instead.
    pub problem: &'static str,
}

impl PublicRules {
    /// Compiles the rules, or reports all that is wrong with them. The rules of a word are below `public_path`.
    pub fn parse(rules: &[String], public_path: &str) -> Result<Self, Vec<RuleError>> {
        let (mut good, mut bad) = (Vec::with_capacity(rules.len()), Vec::new());
        for (index, rule) in rules.iter().enumerate() {
            if let Some(word) = rule.trim().strip_prefix('@') {
                match WORDS.iter().find(|(name, _)| *name == word) {
                    Some((_, rules)) => {
                        let below = |rule: &&str| Rule::parse(&rule.replacen('/', public_path, 1)).ok();
                        let below = rules.iter().filter_map(below);
                        good.extend(below.map(|rule| Rule { anonymous: true, ..rule }));
                    }
                    None => bad.push(RuleError { index, rule: rule.clone(), problem: UNKNOWN_WORD }),
                }
                continue;
            }
            match Rule::parse(rule) {
                Ok(compiled) => good.push(compiled),
                Err(problem) => bad.push(RuleError { index, rule: rule.clone(), problem }),
            }
        }
        if bad.is_empty() { Ok(PublicRules { rules: good }) } else { Err(bad) }
    }

    /// May a request with this method and canonical path pass without a session?
    pub fn matches(&self, method: &str, canonical_path: &str) -> bool {
        self.find(method, canonical_path) != Match::None
    }

    /// The same, and what may pass with it. A rule that is written out has precedence over a word.
    pub fn find(&self, method: &str, canonical_path: &str) -> Match {
        let mut found = Match::None;
        for rule in &self.rules {
            if rule.method.as_deref().is_none_or(|m| m == method)
                && rule.pattern.matches(canonical_path.as_bytes())
            {
                if !rule.anonymous {
                    return Match::Unchanged;
                }
                found = Match::Anonymous;
            }
        }
        found
    }
}

#[derive(Debug, Clone)]
struct Rule {
    /// `None`: any.
    method: Option<String>,
    pattern: Pattern,
    /// It belongs to a word.
    anonymous: bool,
}

impl Rule {
    fn parse(rule: &str) -> Result<Self, &'static str> {
        let (method, path) =
            rule.trim().split_once(' ').ok_or("write METHOD /path, for example GET /api/app:getLang")?;
        let method = match method {
            "*" => None,
            m if !m.is_empty() && m.bytes().all(|b| b.is_ascii_uppercase()) => Some(m.to_owned()),
            _ => return Err("the method must be in capital letters, or * for any"),
        };
        let path = path.trim_start();
        if path.contains(['?', '#']) {
            return Err("rules match the path only: leave out ? and # and what follows");
        }
        if path.contains("***") {
            return Err("write * (within one segment) or ** (across segments)");
        }
        let path = canonical(path).map_err(
            |_| "the path must begin with /, have no //, no . or .. segments, and percent-encode what is not ASCII",
        )?;
        let pattern = Pattern::compile(&path).ok_or("the path is longer than 255 characters")?;
        Ok(Rule { method, pattern, anonymous: false })
    }
}

/// One bit per literal character: state `i` means "the first `i` literals have matched".
type States = [u64; 4];

/// A path with wildcards as a bit-parallel automaton: a wildcard is a state that can remain active.
#[derive(Debug, Clone)]
struct Pattern {
    /// Per byte: the states that advance to the next one.
    steps: Box<[States]>,
    /// States that any byte except `/` keeps active (`*`).
    stay_in_segment: States,
    /// States that any byte keeps active (`**`).
    stay: States,
    /// Number of literals; the last state means that all of them have matched.
    literals: usize,
}

impl Pattern {
    fn compile(path: &str) -> Option<Self> {
        let mut pattern =
            Pattern { steps: vec![[0; 4]; 256].into(), stay_in_segment: [0; 4], stay: [0; 4], literals: 0 };
        let mut bytes = path.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if byte == b'*' {
                let across = bytes.next_if_eq(&b'*').is_some();
                let stay = if across { &mut pattern.stay } else { &mut pattern.stay_in_segment };
                set(stay, pattern.literals);
            } else {
                if pattern.literals == MAX_LITERALS {
                    return None;
                }
                set(pattern.steps.get_mut(usize::from(byte))?, pattern.literals);
                pattern.literals += 1;
            }
        }
        Some(pattern)
    }

    fn matches(&self, path: &[u8]) -> bool {
        let mut states: States = [1, 0, 0, 0];
        for &byte in path {
            let Some(steps) = self.steps.get(usize::from(byte)) else { return false };
            let segment = if byte == b'/' { 0 } else { u64::MAX };
            let mut carry = 0;
            let mut alive = 0;
            for (((state, step), stay), within) in
                states.iter_mut().zip(steps).zip(&self.stay).zip(&self.stay_in_segment)
            {
                let moved = *state & step;
                *state = (moved << 1) | carry | (*state & (stay | (within & segment)));
                carry = moved >> 63;
                alive |= *state;
            }
            if alive == 0 {
                return false;
            }
        }
        states.get(self.literals / 64).is_some_and(|word| word >> (self.literals % 64) & 1 == 1)
    }
}

fn set(states: &mut States, bit: usize) {
    if let Some(word) = states.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

#[cfg(test)]
mod tests;
