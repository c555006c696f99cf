//! Problems with the lines that they are about.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Problems, Severity, Site};

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
            Site::Text { masked, .. } => {
                let span = AnnotationKind::Primary.span(within_a_line(text, masked));
                title.element(Snippet::source(text).annotation(span))
            }
            Site::Variable(_) => title.element(
                Level::NOTE.message("it comes from the environment, and overrides the file"),
            ),
        };
        shown.push(renderer.render(&[group]));
    }
    shown.join("\n\n")
}

/// The part of a span that is on its first line, on letters' boundaries.
fn within_a_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let line = text[start..end].find('\n').unwrap_or(end - start);
    start..start + line
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
