//! The layout of the crates' source: imports between files run one way, and files and folders stay
//! small.
//!
//! `module` reads a crate's module tree, `resolve` finds the file that defines a path, `circles`
//! groups the files that import each other, and `size` counts lines and files.

mod circles;
mod module;
mod resolve;
mod size;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs;
use std::path::Path;

use module::Modules;

/// Every problem with the `src` folders of the crates in this folder.
///
/// # Errors
///
/// If a source file cannot be read or parsed.
pub(crate) fn check(crates: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(crates)? {
        folders.push(entry?.path());
    }
    folders.sort();
    let mut problems = Vec::new();
    let mut checked = 0;
    for folder in folders {
        let root = folder.join("src/lib.rs");
        if root.is_file() {
            problems.extend(check_crate(&folder, &root)?);
            checked += 1;
        }
    }
    if checked == 0 {
        return Err(format!("no crate in {}", crates.display()).into());
    }
    Ok(problems)
}

fn check_crate(folder: &Path, root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut problems = size::check(&folder.join("src"))?;
    let modules = Modules::read(root)?;
    let imports = resolve::imports(&modules);
    problems.extend(circles::check(&modules, &imports));
    Ok(problems)
}
