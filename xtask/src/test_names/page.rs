//! The names of tests in a page.
//!
//! A code span that is a path of lowercase identifiers names a test or a module of tests
//!
//! - in parentheses, in a section whose heading ends with "promises",
//! - elsewhere if it has several segments and the last has at least three words, so that
//!   `tokio::time` is none.

/// The names and their lines, which count from 1.
pub(super) fn names(text: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let mut lists_tests = false;
    let mut is_code = false;
    let mut depth = 0_usize;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        if line.starts_with('#') {
            lists_tests = line.ends_with("promises");
        }
        // A parenthesis that is never closed ends with its paragraph.
        if line.trim().is_empty() || line.starts_with('#') {
            depth = 0;
        }
        for (part, piece) in line.split('`').enumerate() {
            let is_span = part % 2 == 1;
            if !is_span {
                for c in piece.chars() {
                    match c {
                        '(' => depth += 1,
                        ')' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                }
            } else if is_path(piece) && (lists_tests && depth > 0 || is_long(piece)) {
                names.push((index + 1, piece.to_owned()));
            }
        }
    }
    names
}

fn is_path(span: &str) -> bool {
    span.split("::").all(|segment| {
        segment.starts_with(|c: char| c.is_ascii_lowercase())
            && segment
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

fn is_long(path: &str) -> bool {
    path.rsplit_once("::")
        .is_some_and(|(_, last)| last.matches('_').count() >= 2)
}
