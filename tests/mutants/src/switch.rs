//! Writes a source file that contains every mutant, inactive: `crate::mutant(7)` is true in a process started with `MUTANT=7`.
//!
//! `a == b` becomes `(if crate::mutant(7) { (a) != (b) } else { a == b })`, and a function gets `if crate::mutant(8) { return None; }` as its
//! first statement. One build then serves all mutants, where cargo-mutants needs one each.

use std::{collections::HashMap, ops::Range};

use proc_macro2::LineColumn;
use serde::Deserialize;
use syn::{spanned::Spanned, visit::Visit};

/// One mutant, as in the output of `cargo mutants --list --json`.
#[derive(Clone, Deserialize)]
pub struct Mutant {
    pub name: String,
    pub file: String,
    pub genre: String,
    pub replacement: String,
    pub span: Place,
}

#[derive(Clone, Deserialize)]
pub struct Place {
    pub start: Position,
}

/// Both from 1, as in cargo-mutants.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Hash)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// Source text with the mutants in it.
pub struct Switched {
    pub text: String,
    /// Which bytes of `text` belong to which mutants: those of its replacement, then those of the whole expression.
    pub regions: Vec<(Range<usize>, Vec<usize>)>,
    /// Mutants that cannot be written in this way, and why.
    pub not_tried: Vec<(usize, &'static str)>,
}

/// The syntax node that a mutant changes.
#[derive(Clone)]
enum Node {
    /// An operator with its operands (none on the left: a unary one).
    Operator { whole: Range<usize>, left: Option<Range<usize>>, right: Range<usize>, chained: bool },
    /// The first statement of a function.
    Body { start: usize, constant: bool, hidden: bool },
    /// A match arm: its guard, or where one would begin. Is there no other arm for its pattern?
    Arm { guard: Option<Range<usize>>, end_of_pattern: usize, needed: bool },
    /// The condition of an arm.
    Guard { whole: Range<usize>, chained: bool },
    /// `field: value` in a literal with `..base`.
    Field { value: Range<usize>, instead: String, prefix: String },
}

/// A place where text is inserted: before `range` if that is empty, around it otherwise.
struct Site {
    range: Range<usize>,
    /// Of two with the same range, the lower one is outside.
    rank: u8,
    prefix: String,
    choices: Vec<(usize, String)>,
}

/// Inserts `mutants` (with their numbers) into `source`.
pub fn switch(source: &str, mutants: &[(usize, &Mutant)]) -> Result<Switched, syn::Error> {
    let mut finder = Finder {
        lines: line_starts(source),
        source,
        nodes: HashMap::new(),
        function: (false, false),
        catches_all: false,
    };
    finder.visit_file(&syn::parse_file(source)?);

    let mut sites: HashMap<(usize, usize, u8), Site> = HashMap::new();
    let mut not_tried = Vec::new();
    for (id, mutant) in mutants {
        let kind = kind_of(&mutant.genre);
        let Some(node) = finder.nodes.get(&(kind, mutant.span.start)) else {
            not_tried.push((*id, "not found in the source"));
            continue;
        };
        match site_of(source, node, mutant) {
            Ok((range, rank, prefix, choice)) => sites
                .entry((range.start, range.end, rank))
                .or_insert(Site { range, rank, prefix, choices: Vec::new() })
                .choices
                .push((*id, choice)),
            Err(reason) => not_tried.push((*id, reason)),
        }
    }
    let mut sites: Vec<Site> = sites.into_values().collect();
    sites.sort_by_key(|site| {
        (site.range.start, !site.range.is_empty(), std::cmp::Reverse(site.range.end), site.rank)
    });
    let mut out = Switched { text: String::with_capacity(source.len() * 3), regions: Vec::new(), not_tried };
    write(source, 0..source.len(), &sites, &mut out);
    // Innermost first.
    out.regions.sort_by_key(|(range, _)| range.len());
    Ok(out)
}

type Written = (Range<usize>, u8, String, String);

fn site_of(source: &str, node: &Node, mutant: &Mutant) -> Result<Written, &'static str> {
    let text = |range: &Range<usize>| source[range.clone()].to_string();
    match node {
        Node::Operator { chained: true, .. } | Node::Guard { chained: true, .. } => {
            Err("in a const function or a chain with `let`")
        }
        Node::Operator { whole, left: Some(left), right, .. } => {
            let choice = format!("({}) {} ({})", text(left), mutant.replacement, text(right));
            Ok((whole.clone(), 2, String::new(), choice))
        }
        Node::Operator { whole, left: None, right, .. } => Ok((whole.clone(), 2, String::new(), text(right))),
        Node::Body { constant: true, .. } => Err("in a const function"),
        Node::Body { hidden: true, .. } => Err("returns `impl Trait`"),
        Node::Body { start, .. } => {
            let choice = format!("return {};", mutant.replacement);
            Ok((*start..*start, 0, String::new(), choice))
        }
        Node::Arm { guard: Some(guard), .. } => Ok((guard.clone(), 1, String::new(), "false".into())),
        Node::Arm { guard: None, needed: true, .. } => Err("E0004"),
        Node::Arm { guard: None, end_of_pattern: at, .. } => Ok((*at..*at, 1, String::new(), String::new())),
        Node::Guard { whole, .. } => Ok((whole.clone(), 1, String::new(), mutant.replacement.clone())),
        Node::Field { value, instead, prefix } => Ok((value.clone(), 1, prefix.clone(), instead.clone())),
    }
}

/// Writes `range` of the source with its sites, which are sorted: an outer one before those inside.
fn write(source: &str, range: Range<usize>, mut sites: &[Site], out: &mut Switched) {
    let mut at = range.start;
    while let Some((site, rest)) = sites.split_first() {
        out.text.push_str(&source[at..site.range.start]);
        at = site.range.end;
        let begin = out.text.len();
        if site.range.is_empty() {
            for (id, choice) in &site.choices {
                let from = out.text.len();
                out.text.push_str(&if site.rank == 0 {
                    format!("if crate::mutant({id}) {{ {choice} }} ")
                } else {
                    format!(" if !crate::mutant({id}) ")
                });
                out.regions.push((from..out.text.len(), vec![*id]));
            }
            sites = rest;
            continue;
        }
        out.text.push_str(&site.prefix);
        out.text.push('(');
        for (id, choice) in &site.choices {
            out.text.push_str(&format!("if crate::mutant({id}) {{ "));
            let from = out.text.len();
            out.text.push_str(choice);
            out.regions.push((from..out.text.len(), vec![*id]));
            out.text.push_str(" } else ");
        }
        out.text.push_str("{ ");
        let inside = rest.iter().take_while(|inner| inner.range.start < site.range.end).count();
        write(source, site.range.clone(), &rest[..inside], out);
        out.text.push_str(" })");
        out.regions.push((begin..out.text.len(), site.choices.iter().map(|(id, _)| *id).collect()));
        sites = &rest[inside..];
    }
    out.text.push_str(&source[at..range.end]);
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Operator,
    Body,
    Arm,
    Guard,
    Field,
}

fn kind_of(genre: &str) -> Kind {
    match genre {
        "FnValue" => Kind::Body,
        "MatchArm" => Kind::Arm,
        "MatchArmGuard" => Kind::Guard,
        "StructField" => Kind::Field,
        _ => Kind::Operator,
    }
}

/// Finds the nodes that mutants may refer to, by start position.
struct Finder<'a> {
    source: &'a str,
    lines: Vec<usize>,
    nodes: HashMap<(Kind, Position), Node>,
    /// Is the function const; does it return `impl Trait`?
    function: (bool, bool),
    /// Does the `match` have another arm that matches everything?
    catches_all: bool,
}

fn line_starts(source: &str) -> Vec<usize> {
    std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

impl Finder<'_> {
    fn byte(&self, at: LineColumn) -> usize {
        let start = self.lines[at.line - 1];
        self.source[start..]
            .char_indices()
            .nth(at.column)
            .map_or(self.source.len(), |(bytes, _)| start + bytes)
    }

    fn range(&self, node: &impl Spanned) -> Range<usize> {
        let span = node.span();
        self.byte(span.start())..self.byte(span.end())
    }

    fn put(&mut self, kind: Kind, at: LineColumn, node: Node) {
        self.nodes.insert((kind, Position { line: at.line, column: at.column + 1 }), node);
    }

    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let hidden = match &signature.output {
            syn::ReturnType::Type(_, kind) => self.source[self.range(kind)].contains("impl "),
            syn::ReturnType::Default => false,
        };
        self.function = (signature.constness.is_some(), hidden);
        if let Some(first) = block.stmts.first() {
            let at = first.span().start();
            let node = Node::Body { start: self.byte(at), constant: self.function.0, hidden };
            self.put(Kind::Body, at, node);
        }
    }
}

/// Is there a `let` that binds names for later code?
fn has_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

fn matches_all(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        // Variants begin with a capital.
        syn::Pat::Ident(name) => name.ident.to_string().starts_with(char::is_lowercase),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let before = self.function;
        self.body(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
        self.function = before;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let before = self.function;
        self.body(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
        self.function = before;
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        let before = self.function;
        if let Some(block) = &item.default {
            self.body(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
        self.function = before;
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let chained = has_let(&binary.left) || has_let(&binary.right) || self.function.0;
        let node = Node::Operator {
            whole: self.range(binary),
            left: Some(self.range(&binary.left)),
            right: self.range(&binary.right),
            chained,
        };
        self.put(Kind::Operator, binary.op.span().start(), node);
        syn::visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let node = Node::Operator {
            whole: self.range(unary),
            left: None,
            right: self.range(&unary.expr),
            chained: self.function.0,
        };
        self.put(Kind::Operator, unary.op.span().start(), node);
        syn::visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, whole: &'ast syn::ExprMatch) {
        let before = self.catches_all;
        self.visit_expr(&whole.expr);
        for arm in &whole.arms {
            self.catches_all = whole
                .arms
                .iter()
                .any(|other| !std::ptr::eq(arm, other) && other.guard.is_none() && matches_all(&other.pat));
            self.visit_arm(arm);
        }
        self.catches_all = before;
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| self.range(guard));
        let end_of_pattern = self.range(&arm.pat).end;
        self.put(
            Kind::Arm,
            arm.span().start(),
            Node::Arm { guard: guard.clone(), end_of_pattern, needed: !self.catches_all },
        );
        if let (Some((_, condition)), Some(whole)) = (&arm.guard, guard) {
            let node = Node::Guard { whole, chained: has_let(condition) || self.function.0 };
            self.put(Kind::Guard, condition.span().start(), node);
        }
        syn::visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        if let Some(base) = &literal.rest {
            let base = match &self.source[self.range(base)] {
                "Default::default()" => {
                    format!("<{} as Default>::default()", &self.source[self.range(&literal.path)])
                }
                other => format!("({other})"),
            };
            for field in &literal.fields {
                let name = self.range(&field.member);
                let name = &self.source[name];
                let node = Node::Field {
                    value: self.range(&field.expr),
                    instead: format!("{base}.{name}"),
                    prefix: if field.colon_token.is_some() { String::new() } else { format!("{name}: ") },
                };
                self.put(Kind::Field, field.span().start(), node);
            }
        }
        syn::visit::visit_expr_struct(self, literal);
    }
}
