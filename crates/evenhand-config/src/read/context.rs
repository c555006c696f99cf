//! What every check needs.

use std::path::PathBuf;

use crate::problem::{Finding, Report, name};
use crate::sources::Sources;
use crate::tree::{Format, Item, Table};

/// What every check needs.
pub(super) struct Context<'a> {
    pub(super) report: Report<'a>,
    pub(super) format: Format,
    pub(super) sources: &'a Sources,
    /// The files that the configuration names, in the order in which they were found.
    pub(super) inputs: Vec<PathBuf>,
}

impl Context<'_> {
    /// Remembers a file that the configuration was read from.
    pub(super) fn add_input(&mut self, path: PathBuf) {
        if !self.inputs.contains(&path) {
            self.inputs.push(path);
        }
    }

    /// A value as a table. `None` if it is not one, which is reported.
    pub(super) fn table<'t>(&mut self, item: &'t Item) -> Option<&'t Table> {
        let table = item.table();
        if table.is_none() {
            self.wrong_type(item, self.format.table());
        }
        table
    }

    /// Reports that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, item: &Item, expected: impl Into<String>) {
        let found = item.type_name(self.format);
        let finding = Finding::new("").expected(expected).found(found);
        self.report.value_error(&item.location, finding);
    }

    /// A key in backticks, as the file spells it.
    pub(super) fn spell(&self, key: &str) -> String {
        format!("`{}`", name::shown(&self.format.spell(key)))
    }
}
