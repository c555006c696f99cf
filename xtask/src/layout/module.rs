//! A crate's module tree as its source has it, without what exists only in tests.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemMod, ItemUse, Meta, UseTree, Visibility};

/// The number of a source file.
pub(super) type FileId = usize;
/// The number of a module.
pub(super) type ModuleId = usize;

/// All modules of a crate. The first is the crate's root.
pub(super) struct Modules {
    files: Vec<PathBuf>,
    pub(super) all: Vec<Module>,
}

/// A module: a file, or a part of one.
pub(super) struct Module {
    pub(super) file: FileId,
    pub(super) parent: Option<ModuleId>,
    pub(super) children: BTreeMap<String, ModuleId>,
    /// The names of the items that are defined here, other than modules.
    pub(super) defines: Vec<String>,
    pub(super) uses: Vec<Use>,
    pub(super) items: Vec<Item>,
}

/// One name of a `use` declaration.
pub(super) struct Use {
    pub(super) path: Vec<String>,
    /// What it is called here. A glob has no name.
    pub(super) name: Option<String>,
    pub(super) is_reexport: bool,
}

impl Modules {
    /// Reads the crate whose root is this file.
    pub(super) fn read(root: &Path) -> Result<Self, Box<dyn Error>> {
        let mut modules = Self {
            files: Vec::new(),
            all: Vec::new(),
        };
        let folder = root.parent().unwrap_or(root).to_owned();
        modules.read_file(root, &folder, None)?;
        Ok(modules)
    }

    /// A file's path as it is shown, beginning with the name of the crate's folder.
    pub(super) fn path(&self, file: FileId) -> String {
        let path = &self.files[file];
        let crates = self.files[0].ancestors().nth(3);
        let shown = crates.and_then(|crates| path.strip_prefix(crates).ok());
        shown.unwrap_or(path).display().to_string()
    }

    fn read_file(
        &mut self,
        path: &Path,
        children: &Path,
        parent: Option<ModuleId>,
    ) -> Result<ModuleId, Box<dyn Error>> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let parsed = syn::parse_file(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = self.files.len();
        self.files.push(path.to_owned());
        self.add(parsed.items, file, children, parent)
    }

    /// Adds a module with these items. The files of its submodules are in the folder `children`.
    fn add(
        &mut self,
        items: Vec<Item>,
        file: FileId,
        children: &Path,
        parent: Option<ModuleId>,
    ) -> Result<ModuleId, Box<dyn Error>> {
        let id = self.all.len();
        self.all.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            defines: Vec::new(),
            uses: Vec::new(),
            items: Vec::new(),
        });
        for item in items {
            if is_test_only(attributes(&item)) {
                continue;
            }
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let child = self.add_submodule(module, file, children, id)?;
                    self.all[id].children.insert(name, child);
                }
                Item::Use(declaration) => self.all[id].uses.extend(names(&declaration)),
                item => {
                    self.all[id].defines.extend(defined_name(&item));
                    self.all[id].items.push(item);
                }
            }
        }
        Ok(id)
    }

    fn add_submodule(
        &mut self,
        module: ItemMod,
        file: FileId,
        children: &Path,
        parent: ModuleId,
    ) -> Result<ModuleId, Box<dyn Error>> {
        let name = module.ident.to_string();
        let folder = children.join(&name);
        if let Some((_, items)) = module.content {
            return self.add(items, file, &folder, Some(parent));
        }
        let flat = folder.with_extension("rs");
        let path = if flat.is_file() {
            flat
        } else {
            folder.join("mod.rs")
        };
        self.read_file(&path, &folder, Some(parent))
    }
}

/// Whether the item exists only in tests.
pub(super) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return attribute.path().is_ident("test");
        };
        let condition = list.tokens.to_string();
        let words = || condition.split(|c: char| !c.is_alphanumeric() && c != '_');
        let says = |word| words().any(|other| other == word);
        list.path.is_ident("cfg") && says("test") && !says("not") && !says("any")
    })
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// The names that a `use` declaration brings in.
pub(super) fn names(declaration: &ItemUse) -> Vec<Use> {
    let is_reexport = !matches!(declaration.vis, Visibility::Inherited);
    let mut uses = Vec::new();
    flatten(&declaration.tree, &mut Vec::new(), is_reexport, &mut uses);
    uses
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, is_reexport: bool, uses: &mut Vec<Use>) {
    let mut add = |last: Option<String>, name: Option<String>| {
        let mut path = prefix.clone();
        path.extend(last.filter(|last| last != "self"));
        let name = match name.as_deref() {
            Some("self") => path.last().cloned(),
            _ => name,
        };
        uses.push(Use {
            path,
            name,
            is_reexport,
        });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, is_reexport, uses);
            prefix.pop();
        }
        UseTree::Name(name) => add(Some(name.ident.to_string()), Some(name.ident.to_string())),
        UseTree::Rename(name) => add(Some(name.ident.to_string()), Some(name.rename.to_string())),
        UseTree::Glob(_) => add(None, None),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, is_reexport, uses);
            }
        }
    }
}
