//! How long files are, and how many files a folder has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

const MAX_LINES: usize = 400;
const MAX_FILES: usize = 12;

pub(super) fn check(src: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut problems = Vec::new();
    let mut files_in = BTreeMap::<_, usize>::new();
    for entry in WalkDir::new(src).sort_by_file_name() {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let lines = fs::read_to_string(path)?.lines().count();
        if lines > MAX_LINES {
            let path = path.display();
            problems.push(format!("{path}: {lines} lines, {MAX_LINES} are allowed"));
        }
        if let Some(folder) = path.parent() {
            *files_in.entry(folder.to_owned()).or_default() += 1;
        }
    }
    for (folder, files) in files_in {
        if files > MAX_FILES {
            let folder = folder.display();
            problems.push(format!("{folder}: {files} files, {MAX_FILES} are allowed"));
        }
    }
    Ok(problems)
}
