//! Problems with the lines that they are about.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Problems, Severity, Site};

/// So many bytes of a line are shown before and behind what is wrong.
const AROUND: usize = 200;

pub(super) fn render(problems: &Problems, styled: bool) -> String {
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let text = &*problems.masked;
    let mut shown = Vec::new();
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        // The place stands in the title: the masked text has other columns.
        let title = level.primary_title(problem.sentence());
        let group = match &problem.site {
            Site::Text { line, masked, .. } => {
                let (source, span) = its_line(text, masked);
                let span = AnnotationKind::Primary.span(span);
                // Only its line is handed over, so that many problems of a long text stay cheap.
                title.element(Snippet::source(source).line_start(*line).annotation(span))
            }
            Site::Variable(_) => title.element(
                Level::NOTE.message("it comes from the environment, and overrides the file"),
            ),
        };
        shown.push(renderer.render(&[group]));
    }
    shown.join("\n\n")
}

/// The line in which a span begins, and the part of the span that is on it.
fn its_line<'t>(text: &'t str, span: &Range<usize>) -> (&'t str, Range<usize>) {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
    // Of a line that nobody can read as a whole, what is around the span is enough.
    let from = from.max(boundary(text, start.saturating_sub(AROUND)));
    let end = end.min(to).min(boundary(text, start + AROUND));
    let to = to.min(boundary(text, end + AROUND));
    (&text[from..to], start - from..end - from)
}

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
    fn of_a_long_line_only_what_is_around_is_shown() {
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
    fn the_mark_stands_under_what_is_wrong_behind_what_is_masked() {
        let text = "databases = { a = { host = 'h', password = 'hunter2', prot = 1 } }";
        let report = Config::parse(text, "f").unwrap_err().report();
        let line = "1 | databases = { a = { host = 'h', password = '***', prot = *** } }";
        let mark = format!("  | {}^^^^", " ".repeat(50));
        assert!(report.contains(&format!("{line}\n{mark}")), "{report}");
        assert!(report.contains("f:1:55: "), "{report}");
    }
}
