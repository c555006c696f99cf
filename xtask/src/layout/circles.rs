//! Files that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::module::{FileId, Modules};

/// For each file, the files it imports from, and which names.
pub(super) type Imports = BTreeMap<FileId, BTreeMap<FileId, BTreeSet<String>>>;

/// A description of each circle.
pub(super) fn check(modules: &Modules, imports: &Imports) -> Vec<String> {
    let mut circles = Vec::new();
    let mut grouped = BTreeSet::<FileId>::new();
    for &file in imports.keys() {
        if grouped.contains(&file) {
            continue;
        }
        let circle: BTreeSet<FileId> = reachable(imports, file)
            .into_iter()
            .filter(|&other| reachable(imports, other).contains(&file))
            .collect();
        if circle.is_empty() {
            continue;
        }
        grouped.extend(&circle);
        circles.push(describe(modules, imports, &circle));
    }
    circles
}

/// The files that can be reached from this one by one import or more.
fn reachable(imports: &Imports, from: FileId) -> BTreeSet<FileId> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for &next in imports.get(&file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

fn describe(modules: &Modules, imports: &Imports, circle: &BTreeSet<FileId>) -> String {
    let mut text = format!("{} files import each other:", circle.len());
    for file in circle {
        for (to, names) in &imports[file] {
            if circle.contains(to) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let (from, to) = (modules.path(*file), modules.path(*to));
                // Writing to a string does not fail.
                let _ = write!(text, "\n  {from} -> {to}: {}", names.join(", "));
            }
        }
    }
    text
}
