//! The tests that the documentation names exist.
//!
//! `tests_of` collects the tests of the workspace, `page` the names in a page.

mod page;
#[cfg(test)]
mod tests;
mod tests_of;

use std::error::Error;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use tests_of::Tests;

/// Every name in ARCHITECTURE.md or below `docs` that no test in this workspace has.
///
/// # Errors
///
/// If a page or a source file cannot be read or parsed, or if no page names any test.
pub(crate) fn check(workspace: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let tests = Tests::read(workspace)?;
    let mut pages = vec![workspace.join("ARCHITECTURE.md")];
    for entry in WalkDir::new(workspace.join("docs")).sort_by_file_name() {
        pages.push(entry?.into_path());
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    let mut problems = Vec::new();
    let mut checked = 0;
    for page in pages {
        let text = fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
        let shown = page.strip_prefix(workspace).unwrap_or(&page).display();
        for (line, name) in page::names(&text) {
            checked += 1;
            if !tests.has(&name) {
                problems.push(format!("{shown}:{line}: no test is named `{name}`"));
            }
        }
    }
    if checked == 0 {
        return Err("no page names a test".into());
    }
    Ok(problems)
}
