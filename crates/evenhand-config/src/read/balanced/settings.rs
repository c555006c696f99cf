//! The settings that one table gives.

use crate::plan::{Settings, for_each_setting};
use crate::read::context::Context;
use crate::read::value;
use crate::tree::Table;

macro_rules! define_reader {
    ($($(#[$doc:meta])+ $name:ident: $type:ty = $row:tt;)+) => {
        /// The settings that a table gives.
        pub(in crate::read) fn read(table: &Table, cx: &mut Context<'_>) -> Settings {
            Settings { $($name: value::read(table, stringify!($name), cx),)+ }
        }
    };
}
for_each_setting!(define_reader);
