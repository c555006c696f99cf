//! Which files a file's code imports from: the files that define what its paths name.
//!
//! A `use` declaration counts, unless it is a re-export: that one counts only if the file's own code
//! uses the name. An import through a re-export is one from the file that defines the item. A path
//! that ends at a module is no import; what is taken from the module is.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemUse, Macro, Path, Visibility};

use super::circles::Imports;
use super::module::{FileId, ModuleId, Modules, attributes, is_test_only, names};

/// The imports of all files.
pub(super) fn imports(modules: &Modules) -> Imports {
    let mut imports = Imports::new();
    for (id, module) in modules.all.iter().enumerate() {
        let mut paths = Paths::default();
        for item in &module.items {
            paths.visit_item(item);
        }
        let declared = module.uses.iter().filter(|import| !import.is_reexport);
        let declared = declared.map(|import| import.path.clone());
        for path in declared.chain(paths.found) {
            // A path that ends at a module takes nothing from it yet.
            if let Some(Found::Item(file, name)) = find(modules, id, &path, &mut Vec::new())
                && file != module.file
            {
                let from = imports.entry(module.file).or_default();
                from.entry(file).or_default().insert(name);
            }
        }
    }
    imports
}

/// The paths that the code of a module names.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            let names = segments.map(|segment| segment.ident.to_string());
            self.found.push(names.collect());
        }
        visit::visit_path(self, path);
    }

    /// A `use` in a function.
    fn visit_item_use(&mut self, declaration: &'ast ItemUse) {
        let uses = names(declaration).into_iter();
        self.found.extend(uses.map(|import| import.path));
    }

    /// What a macro is given is not parsed, but it names paths all the same.
    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.visit_path(&invocation.path);
        paths_in(invocation.tokens.clone(), &mut self.found);
    }

    // Neither names anything that is used.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

fn paths_in(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    found.push(std::mem::take(&mut path));
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            token => {
                found.push(std::mem::take(&mut path));
                colons = 0;
                if let TokenTree::Group(group) = token {
                    paths_in(group.stream(), found);
                }
            }
        }
    }
    found.push(path);
    found.retain(|path| !path.is_empty());
}

/// What a path names: an item, by its file and its name there, or a module.
enum Found {
    Item(FileId, String),
    Module(ModuleId),
}

/// The names that are being looked up, as re-exports may refer to each other.
type Seen = Vec<(ModuleId, String)>;

fn find(modules: &Modules, module: ModuleId, path: &[String], seen: &mut Seen) -> Option<Found> {
    let (first, rest) = path.split_first()?;
    let start = match first.as_str() {
        "crate" => 0,
        "self" => module,
        "super" => modules.all[module].parent?,
        _ => {
            return match lookup(modules, module, first, seen)? {
                Found::Module(child) => within(modules, child, rest, seen),
                item => Some(item),
            };
        }
    };
    within(modules, start, rest, seen)
}

/// What the rest of a path names in a module of this crate.
fn within(modules: &Modules, module: ModuleId, path: &[String], seen: &mut Seen) -> Option<Found> {
    let Some((first, rest)) = path.split_first() else {
        return Some(Found::Module(module));
    };
    if first == "super" {
        return within(modules, modules.all[module].parent?, rest, seen);
    }
    match lookup(modules, module, first, seen) {
        Some(Found::Module(child)) => within(modules, child, rest, seen),
        Some(item) => Some(item),
        // A re-export from another crate is no item of this one.
        None if is_imported(modules, module, first) => None,
        // What a macro defines.
        None => Some(Found::Item(modules.all[module].file, first.clone())),
    }
}

fn is_imported(modules: &Modules, module: ModuleId, name: &str) -> bool {
    let uses = &modules.all[module].uses;
    uses.iter()
        .any(|import| import.name.as_deref() == Some(name))
}

/// What a name stands for in a module.
fn lookup(modules: &Modules, module: ModuleId, name: &str, seen: &mut Seen) -> Option<Found> {
    let key = (module, name.to_owned());
    if seen.contains(&key) {
        return None;
    }
    let here = &modules.all[module];
    if let Some(&child) = here.children.get(name) {
        return Some(Found::Module(child));
    }
    if here.defines.iter().any(|defined| defined == name) {
        return Some(Found::Item(here.file, name.to_owned()));
    }
    seen.push(key);
    let named = here
        .uses
        .iter()
        .filter(|import| import.name.as_deref() == Some(name));
    let mut found = named
        .map(|import| find(modules, module, &import.path, seen))
        .find(Option::is_some)
        .flatten();
    if found.is_none() {
        let globs = here.uses.iter().filter(|import| import.name.is_none());
        for import in globs {
            if let Some(Found::Module(from)) = find(modules, module, &import.path, seen) {
                found = found.or_else(|| lookup(modules, from, name, seen));
            }
        }
    }
    seen.pop();
    found
}
