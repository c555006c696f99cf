//! Tests of the table and of classifiers, and the document made from the table.

mod classifier;
mod document;
mod table;

use mysql_async::{Error, ServerError};

use super::{Classifier, Rules};

fn server(code: u16, message: &str) -> Error {
    Error::Server(ServerError {
        code,
        message: message.into(),
        state: "HY000".into(),
    })
}

fn rules(writable: bool) -> Rules {
    Rules {
        classifier: Classifier::default(),
        writable,
    }
}
