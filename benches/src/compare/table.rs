//! Figures as a table for people (Markdown, so that it can be pasted) and as JSON for programs.

use std::fmt::Write as _;

/// Named rows of figures, one column a number of peers or a count.
pub(crate) struct Table {
    /// The key in JSON.
    key: &'static str,
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
    decimals: usize,
}

impl Table {
    pub(crate) fn new(
        key: &'static str,
        title: impl Into<String>,
        columns: impl IntoIterator<Item = String>,
        decimals: usize,
    ) -> Self {
        Self {
            key,
            title: title.into(),
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            decimals,
        }
    }

    /// `None` is for what cannot be.
    pub(crate) fn row(&mut self, name: &str, figures: impl IntoIterator<Item = Option<f64>>) {
        self.rows
            .push((name.to_owned(), figures.into_iter().collect()));
    }

    pub(crate) fn text(&self) -> String {
        let names = self.rows.iter().map(|(name, _)| name.chars().count());
        let wide = names.max().unwrap_or(0).max(3);
        let narrow = |column: &String| column.chars().count().max(8);
        let mut text = format!("{}\n\n| {:wide$} |", self.title, "");
        for column in &self.columns {
            let _ = write!(text, " {column:>0$} |", narrow(column));
        }
        let _ = write!(text, "\n| {:-<wide$} |", "");
        for column in &self.columns {
            let _ = write!(text, " {:->1$}: |", "", narrow(column) - 1);
        }
        text.push('\n');
        for (name, figures) in &self.rows {
            let _ = write!(text, "| {name:wide$} |");
            for (column, figure) in self.columns.iter().zip(figures) {
                let figure = self.figure(*figure).unwrap_or_default();
                let _ = write!(text, " {figure:>0$} |", narrow(column));
            }
            text.push('\n');
        }
        text
    }

    fn figure(&self, figure: Option<f64>) -> Option<String> {
        let figure = figure.filter(|figure| figure.is_finite())?;
        // Zero without a sign.
        let figure = if figure.abs() < 1e-9 { 0.0 } else { figure };
        Some(format!("{figure:.0$}", self.decimals))
    }

    /// `"key": [{"row": .., "column": figure, ..}, ..]`. Names here need no escapes.
    fn json(&self) -> String {
        let row = |(name, figures): &(String, Vec<Option<f64>>)| {
            let mut row = format!("{{\"row\": \"{name}\"");
            for (column, figure) in self.columns.iter().zip(figures) {
                let figure = self.figure(*figure).unwrap_or_else(|| "null".to_owned());
                let _ = write!(row, ", \"{column}\": {figure}");
            }
            row + "}"
        };
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!("  \"{}\": [\n    {}\n  ]", self.key, rows.join(",\n    "))
    }
}

/// All tables, in the form that was asked for.
pub(crate) fn print(tables: &[Table], json: bool) {
    if json {
        let tables: Vec<String> = tables.iter().map(Table::json).collect();
        println!("{{\n{}\n}}", tables.join(",\n"));
    } else {
        tables.iter().for_each(|table| println!("{}", table.text()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("ns", "Time", ["2", "10"].map(String::from), 1);
        table.row("direct", [Some(1.25), None]);
        table.row("p2c", [Some(-0.0), Some(123.0)]);
        table
    }

    #[test]
    fn text_is_markdown() {
        assert_eq!(
            table().text(),
            "Time\n\n\
             |        |        2 |       10 |\n\
             | ------ | -------: | -------: |\n\
             | direct |      1.2 |          |\n\
             | p2c    |      0.0 |    123.0 |\n"
        );
    }

    #[test]
    fn json_keeps_what_is_missing() {
        assert_eq!(
            table().json(),
            "  \"ns\": [\n    {\"row\": \"direct\", \"2\": 1.2, \"10\": null},\n    \
             {\"row\": \"p2c\", \"2\": 0.0, \"10\": 123.0}\n  ]"
        );
    }
}
