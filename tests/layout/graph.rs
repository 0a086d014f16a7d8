//! Which file uses which.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Segments, Sources};

/// The module whose file defines what this path means, and whether the path is that module itself.
fn resolve(sources: &Sources, target: &[String], depth: usize) -> (Segments, bool) {
    let known = (0..=target.len()).rev().find(|n| sources.contains_key(&target[..*n])).unwrap_or(0);
    let (module, rest) = target.split_at(known);
    let Some(next) = rest.first().filter(|_| depth < 10) else { return (module.to_vec(), rest.is_empty()) };
    let exported = sources.get(module).and_then(|source| {
        source.mentions.iter().find(|m| m.binds.as_ref() == Some(next) && m.target != target)
    });
    match exported {
        Some(mention) => resolve(sources, &[mention.target.as_slice(), &rest[1..]].concat(), depth + 1),
        None => (module.to_vec(), false),
    }
}

/// What each module's file uses of others, with the path by which it names it.
pub(crate) fn arrows(sources: &Sources) -> BTreeMap<Segments, BTreeMap<Segments, String>> {
    let mut all = BTreeMap::new();
    for (module, source) in sources {
        let mut used = BTreeMap::new();
        for mention in &source.mentions {
            // A re-exported name is not a use.
            let passed_on = mention.public
                && mention.binds.as_ref().is_some_and(|name| !source.identifiers.contains(name));
            let (target, is_module) = resolve(sources, &mention.target, 0);
            // Uses of an imported module are counted where they occur.
            if !(passed_on || is_module && mention.binds.is_some()) && target != *module {
                used.entry(target).or_insert_with(|| mention.target.join("::"));
            }
        }
        all.insert(module.clone(), used);
    }
    all
}

/// Groups of files that use each other in a cycle: strongly connected components with more than one file.
pub(crate) fn cycles(arrows: &BTreeMap<Segments, BTreeMap<Segments, String>>) -> Vec<BTreeSet<Segments>> {
    let reach = |from: &Segments| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = open.pop() {
            for to in arrows[&next].keys() {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let reachable: BTreeMap<&Segments, BTreeSet<Segments>> = arrows.keys().map(|m| (m, reach(m))).collect();
    let mut found: Vec<BTreeSet<Segments>> = Vec::new();
    for (module, there) in &reachable {
        if there.contains(*module) && !found.iter().any(|cycle| cycle.contains(*module)) {
            found.push(there.iter().filter(|other| reachable[*other].contains(*module)).cloned().collect());
        }
    }
    found
}
