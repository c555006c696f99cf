//! The tests of a workspace, by their paths.

use std::error::Error;
use std::fs;
use std::path::{Component, Path};

use syn::{Attribute, Item};
use walkdir::WalkDir;

/// Folders with source files.
const FOLDERS: [&str; 5] = ["crates", "tests", "examples", "benches", "xtask"];
/// Parts of a path that a page may leave out.
const LEFT_OUT: [&str; 6] = ["crates", "src", "tests", "mod", "lib", "main"];

/// A path for each test: the crate's folder, the modules, the function.
pub(super) struct Tests(Vec<Vec<String>>);

impl Tests {
    pub(super) fn read(workspace: &Path) -> Result<Self, Box<dyn Error>> {
        let mut tests = Self(Vec::new());
        let folders = FOLDERS.map(|folder| workspace.join(folder));
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            for entry in WalkDir::new(folder).sort_by_file_name() {
                let entry = entry?;
                let path = entry.path();
                if path.extension().is_some_and(|extension| extension == "rs") {
                    let shown = path.strip_prefix(workspace)?;
                    let text = fs::read_to_string(path);
                    let text = text.map_err(|e| format!("{}: {e}", shown.display()))?;
                    let file = syn::parse_file(&text);
                    let file = file.map_err(|e| format!("{}: {e}", shown.display()))?;
                    tests.add(&file.items, &mut modules_of(shown));
                    tests.add_without_harness(&file.items, shown);
                }
            }
        }
        Ok(tests)
    }

    fn add(&mut self, items: &[Item], path: &mut Vec<String>) {
        for item in items {
            match item {
                Item::Fn(function) if function.attrs.iter().any(is_test) => {
                    let name = function.sig.ident.to_string();
                    self.0.push(path.iter().cloned().chain([name]).collect());
                }
                Item::Mod(module) => {
                    if let Some((_, items)) = &module.content {
                        let name = module.ident.to_string();
                        let depth = path.len();
                        path.extend(Some(name).filter(|name| !is_left_out(name)));
                        self.add(items, path);
                        path.truncate(depth);
                    }
                }
                _ => {}
            }
        }
    }

    /// A file of tests with a `main` runs its functions without attributes.
    fn add_without_harness(&mut self, items: &[Item], path: &Path) {
        let functions = items.iter().filter_map(|item| match item {
            Item::Fn(function) if function.sig.inputs.is_empty() => Some(&function.sig.ident),
            _ => None,
        });
        let names: Vec<String> = functions.map(ToString::to_string).collect();
        let is_of_tests = path.components().any(|part| part.as_os_str() == "tests");
        if is_of_tests && names.iter().any(|name| name == "main") {
            let modules = modules_of(path);
            let with_modules = |name| modules.iter().cloned().chain([name]).collect();
            let functions = names.into_iter().filter(|name| name != "main");
            self.0.extend(functions.map(with_modules));
        }
    }

    /// Whether this is the end of a test's path or a part of it.
    pub(super) fn has(&self, name: &str) -> bool {
        let segments: Vec<&str> = name.split("::").filter(|name| !is_left_out(name)).collect();
        !segments.is_empty()
            && self
                .0
                .iter()
                .any(|path| path.windows(segments.len()).any(|part| part == segments))
    }
}

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.contains(&name)
}

/// The modules above the items of this file.
fn modules_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    });
    names.filter(|name| !is_left_out(name)).collect()
}

/// `#[test]`, `#[tokio::test]` and the like.
fn is_test(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "test")
}
