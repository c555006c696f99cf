//! Problems with their lines of the file.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::problems::{Problems, Severity, Site};

/// The number of bytes of a line that are shown before and after the problem.
const CONTEXT: usize = 200;

impl Problems {
    /// The problems as a person wants to see them: each with its line of the file, and a mark under what is
    /// wrong. URLs, passwords and comments are masked, and so is everything else that is not known to be
    /// harmless.
    pub fn render(&self) -> String {
        render(self, &Renderer::plain())
    }

    /// Like [`render`](Self::render), with the colours of a terminal.
    pub fn render_styled(&self) -> String {
        render(self, &Renderer::styled())
    }
}

fn render(problems: &Problems, renderer: &Renderer) -> String {
    let text = problems.masked_text();
    let mut shown = Vec::new();
    for problem in problems {
        let level = match problem.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        // The title has the place, because columns differ in the masked text.
        let title = level.primary_title(problem.sentence());
        let group = match problem.site() {
            Site::Text { line, masked, .. } => {
                let (source, span) = line_of(text, masked);
                let span = AnnotationKind::Primary.span(span);
                // Only this line is passed, so that many problems in a long text stay cheap.
                title.element(Snippet::source(source).line_start(*line).annotation(span))
            }
            Site::Variable(_) => title
                .element(Level::NOTE.message("set in the environment, which overrides the file")),
        };
        shown.push(renderer.render(&[group]));
    }
    shown.join("\n\n")
}

/// The line in which a span begins, and the part of the span in that line.
fn line_of<'t>(text: &'t str, span: &Range<usize>) -> (&'t str, Range<usize>) {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
    // A long line is cut.
    let from = from.max(boundary(text, start.saturating_sub(CONTEXT)));
    let end = end.min(to).min(boundary(text, start + CONTEXT));
    let to = to.min(boundary(text, end + CONTEXT));
    (&text[from..to], start - from..end - from)
}

/// The nearest character boundary at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn render_cuts_long_lines() {
        let aliases: String = (0..1000).map(|n| format!("'größe{n}', ")).collect();
        let text = format!("databases = {{ a = {{ host = 'h' }}, d = {{ peers = [{aliases}] }} }}");
        let report = Config::parse(&text, "f").unwrap_err().report();
        let longest = report
            .lines()
            .filter(|line| line.starts_with("1 |"))
            .map(str::len)
            .max();
        assert!((50..700).contains(&longest.unwrap()), "{longest:?}");
        assert!(report.contains("no database `\"größe999\"`"));
    }

    #[test]
    fn render_marks_the_right_columns_after_masked_text() {
        let text = "databases = { a = { host = 'h', password = 'hunter2', prot = 1 } }";
        let report = Config::parse(text, "f").unwrap_err().report();
        let line = "1 | databases = { a = { host = 'h', password = '***', prot = *** } }";
        let mark = format!("  | {}^^^^", " ".repeat(50));
        assert!(report.contains(&format!("{line}\n{mark}")), "{report}");
        assert!(report.contains("f:1:55: "), "{report}");
    }
}
