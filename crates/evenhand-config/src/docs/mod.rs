//! Documents that are made of the table of keys: a page for people, a schema for editors.

mod json;
mod reference;
mod schema;

pub use self::reference::reference;
pub use self::schema::schema;
