//! The sources as tokens: which paths each file names, outside its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::root;

/// The binary's own crate: `src/main.rs` and the modules that it declares.
const BINARY: &str = "main";

/// How the binary and the other packages of the workspace name the library.
const LIBRARY: &str = "wecom_gate";

/// Segments of a path, from the root of the library (or, beginning with [`BINARY`], of the binary).
pub(crate) type Segments = Vec<String>;

/// A path that a file names outside its tests.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub(crate) target: Segments,
    /// In a `use` declaration: the name that it brings into the file.
    pub(crate) binds: Option<String>,
    /// That declaration is `pub`, with any visibility.
    pub(crate) public: bool,
}

/// One file of the sources.
pub(crate) struct Source {
    /// Relative to the repository, such as `src/proxy/phases.rs`.
    pub(crate) path: String,
    pub(crate) mentions: Vec<Mention>,
    /// Every identifier outside `use` declarations.
    pub(crate) identifiers: BTreeSet<String>,
}

pub(crate) type Sources = BTreeMap<Segments, Source>;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// `src/proxy/mod.rs` is `proxy`, `src/cli.rs` is `main::cli`, as the binary declares it.
fn module_of(path: &str, of_binary: &BTreeSet<String>) -> Segments {
    let inner = path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    let mut segments: Segments = inner.split('/').map(str::to_owned).collect();
    if segments == ["lib"] {
        return Vec::new();
    }
    if segments.last().unwrap() == "mod" {
        segments.pop();
    }
    if of_binary.contains(&segments[0]) {
        segments.insert(0, BINARY.to_owned());
    }
    segments
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => {
            Some(group.stream().into_iter().collect())
        }
        _ => None,
    }
}

/// Is this the content of a `#[...]` attribute that restricts an item to tests?
fn only_for_tests(attribute: &[TokenTree]) -> bool {
    let condition = group(attribute.get(1), Delimiter::Parenthesis).unwrap_or_default();
    let all = TokenStream::from_iter(condition).to_string();
    let words: BTreeSet<&str> = all.split(|c: char| !c.is_alphanumeric()).collect();
    is_ident(attribute.first(), "cfg") && words.contains("test") && !words.contains("not")
}

/// The tokens without items for tests; the names of modules among those.
fn without_tests(tokens: Vec<TokenTree>) -> (Vec<TokenTree>, BTreeSet<String>) {
    let (mut kept, mut test_modules, mut at) = (Vec::new(), BTreeSet::new(), 0);
    while at < tokens.len() {
        let attribute = is_punct(tokens.get(at), '#')
            .then(|| group(tokens.get(at + 1), Delimiter::Bracket))
            .flatten()
            .filter(|attribute| only_for_tests(attribute));
        if attribute.is_none() {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += 2;
        while at < tokens.len() {
            if is_ident(tokens.get(at), "mod") && is_punct(tokens.get(at + 2), ';') {
                test_modules.extend(ident(tokens.get(at + 1)));
            }
            let end = is_punct(tokens.get(at), ';') || group(tokens.get(at), Delimiter::Brace).is_some();
            at += 1;
            if end {
                break;
            }
        }
    }
    (kept, test_modules)
}

/// Reads the tokens of one file.
struct Reader<'a> {
    /// The module that `self` refers to.
    here: Segments,
    modules: &'a BTreeSet<Segments>,
    /// Names that `use` declarations import.
    bound: BTreeMap<String, Segments>,
    mentions: Vec<Mention>,
    identifiers: BTreeSet<String>,
}

impl Reader<'_> {
    fn binary(&self) -> bool {
        self.here.first().is_some_and(|s| s == BINARY)
    }

    /// What the first segment of a path refers to; `None`: something outside this package, or local.
    fn start(&self, first: &str) -> Option<Segments> {
        let child = |name: &str| [self.here.as_slice(), &[name.to_owned()]].concat();
        match first {
            LIBRARY => Some(Vec::new()),
            "crate" if self.binary() => Some(vec![BINARY.to_owned()]),
            "crate" => Some(Vec::new()),
            "self" => Some(self.here.clone()),
            "super" => Some(self.here.split_last()?.1.to_vec()),
            name if self.modules.contains(&child(name)) => Some(child(name)),
            name => self.bound.get(name).cloned(),
        }
    }

    /// Reads `a::b::{c, d as e}` from this position. Returns the position after it.
    fn path(
        &mut self,
        tokens: &[TokenTree],
        mut at: usize,
        base: Option<Segments>,
        public: Option<bool>,
    ) -> usize {
        let mut path = base;
        let mut last = None;
        loop {
            if let Some(name) = ident(tokens.get(at)) {
                path = match path {
                    None => match self.start(&name) {
                        Some(start) => Some(start),
                        None => return self.skip(tokens, at, public),
                    },
                    Some(mut path) if name == "super" => {
                        path.pop();
                        Some(path)
                    }
                    Some(path) if name == "self" => Some(path),
                    Some(mut path) => {
                        path.push(name.clone());
                        Some(path)
                    }
                };
                if name != "self" || last.is_none() {
                    last = path.as_ref().and_then(|p| p.last().cloned());
                }
                at += 1;
            } else if public.is_some()
                && let Some(inner) = group(tokens.get(at), Delimiter::Brace)
            {
                for part in inner.split(|t| is_punct(Some(t), ',')).filter(|part| !part.is_empty()) {
                    self.path(part, 0, path.clone(), public);
                }
                return at + 1;
            } else {
                // `*`, a generic, or the end.
                break;
            }
            if is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
                at += 2;
            } else {
                break;
            }
        }
        if public.is_some() && is_ident(tokens.get(at), "as") {
            last = ident(tokens.get(at + 1));
            at += 2;
        }
        if let Some(target) = path {
            let glob = is_punct(tokens.get(at), '*');
            let binds = public.and(if glob { None } else { last });
            if let Some(name) = &binds {
                self.bound.insert(name.clone(), target.clone());
            }
            self.mentions.push(Mention { target, binds, public: public == Some(true) });
        }
        at
    }

    /// Skips a path that leads out of this package.
    fn skip(&mut self, tokens: &[TokenTree], mut at: usize, public: Option<bool>) -> usize {
        if public.is_none() {
            self.identifiers.extend(ident(tokens.get(at)));
            return at + 1;
        }
        while at < tokens.len() && !is_punct(tokens.get(at), ';') {
            at += 1;
        }
        at
    }

    fn read(&mut self, tokens: &[TokenTree], pass: Scan) {
        let mut at = 0;
        while at < tokens.len() {
            let after_path = at >= 1
                && (is_punct(tokens.get(at - 1), ':') && at >= 2 && is_punct(tokens.get(at - 2), ':')
                    || is_punct(tokens.get(at - 1), '.'));
            if is_ident(tokens.get(at), "use") {
                let end = (at..tokens.len()).find(|i| is_punct(tokens.get(*i), ';')).unwrap_or(tokens.len());
                let public = at > 0
                    && (is_ident(tokens.get(at - 1), "pub") || at > 1 && is_ident(tokens.get(at - 2), "pub"));
                if pass == Scan::Imports {
                    self.path(&tokens[..end], at + 1, None, Some(public));
                }
                at = end + 1;
            } else if is_ident(tokens.get(at), "mod")
                && let (Some(name), Some(inner)) =
                    (ident(tokens.get(at + 1)), group(tokens.get(at + 2), Delimiter::Brace))
            {
                self.here.push(name);
                self.read(&inner, pass);
                self.here.pop();
                at += 3;
            } else if is_ident(tokens.get(at), "pub")
                && group(tokens.get(at + 1), Delimiter::Parenthesis).is_some()
            {
                // `pub(in crate::x)` is not a use.
                at += 2;
            } else if let Some(TokenTree::Group(inner)) = tokens.get(at) {
                self.read(&inner.stream().into_iter().collect::<Vec<_>>(), pass);
                at += 1;
            } else if ident(tokens.get(at)).is_some() && !after_path && pass == Scan::Uses {
                let leads_on = is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':');
                if leads_on {
                    let name = ident(tokens.get(at)).unwrap();
                    self.identifiers.insert(name);
                    at = self.path(tokens, at, None, None);
                } else {
                    self.identifiers.extend(ident(tokens.get(at)));
                    at += 1;
                }
            } else {
                at += 1;
            }
        }
    }
}

/// Imports first: other paths are resolved with them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Imports,
    Uses,
}

/// Every file of `src` except tests.
pub(crate) fn sources() -> Sources {
    let mut paths = Vec::new();
    rust_files(&root().join("src"), &mut paths);
    let tokens: BTreeMap<String, (Vec<TokenTree>, BTreeSet<String>)> = paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let short = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            (short, without_tests(tokens.into_iter().collect()))
        })
        .collect();
    let declared = |tokens: &[TokenTree]| -> BTreeSet<String> {
        let pairs = tokens.windows(3).filter(|w| is_ident(w.first(), "mod") && is_punct(w.get(2), ';'));
        pairs.filter_map(|w| ident(w.get(1))).collect()
    };
    let mut of_binary = declared(&tokens["src/main.rs"].0);
    of_binary.insert(BINARY.to_owned());
    let mut tests = BTreeSet::new();
    for (path, (_, test_modules)) in &tokens {
        let module = module_of(path, &of_binary);
        tests
            .extend(test_modules.iter().map(|name| [module.as_slice(), std::slice::from_ref(name)].concat()));
    }
    let modules: BTreeMap<Segments, &String> = tokens
        .keys()
        .map(|path| (module_of(path, &of_binary), path))
        .map(
            |(module, path)| {
                if module == [BINARY, BINARY] { (vec![BINARY.to_owned()], path) } else { (module, path) }
            },
        )
        .filter(|(module, _)| !(0..=module.len()).any(|n| tests.contains(&module[..n])))
        .collect();
    let names: BTreeSet<Segments> = modules.keys().cloned().collect();
    let read = |(module, path): (&Segments, &&String)| {
        let mut reader = Reader {
            here: module.clone(),
            modules: &names,
            bound: BTreeMap::new(),
            mentions: Vec::new(),
            identifiers: BTreeSet::new(),
        };
        reader.read(&tokens[*path].0, Scan::Imports);
        reader.read(&tokens[*path].0, Scan::Uses);
        let source =
            Source { path: (*path).clone(), mentions: reader.mentions, identifiers: reader.identifiers };
        (module.clone(), source)
    };
    modules.iter().map(read).collect()
}
