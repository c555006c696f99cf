//! A string that must not be seen by accident.
//!
//! Whoever needs the text asks for it by name, with [`Secret::expose`]; every other way to it is
//! closed. There is no `Display`, and `Debug` prints `***`, so that a plan can be logged as a whole.
//! It guards against leaks through logs and messages, not against someone who reads the memory of
//! the process.

use std::fmt;

/// A password, or a text that may hold one.
///
/// ```
/// use evenhand_config::Secret;
///
/// let secret = Secret::from("hunter2");
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself. Whoever calls this keeps it out of logs and messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn no_plan_shows_a_secret() {
        let text = "[databases.a]\nurl = 'mysql://app:hunter2@h'\n\
                    [databases.b]\nhost = 'h'\npassword = 'hunter2'\n\
                    [databases.d]\npeers = ['a', 'b']";
        let config: Config = text.parse().unwrap();
        let database = config.balanced("d").unwrap();
        for shown in [
            format!("{config:?} {config:#?}"),
            format!("{database:?} {database:#?}"),
            format!("{:?} {:?}", database.peers[0], database.peers[1]),
            format!(
                "{:?} {:?}",
                database.peers[0].address, database.peers[1].address
            ),
            format!("{:?}", Secret::from("hunter2".to_owned())),
        ] {
            assert!(shown.contains("***"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn no_error_shows_a_secret() {
        let url = "mysql://app:hunter2@h";
        // Every way to get a value, a key or a line of TOML wrong that holds a secret.
        for text in [
            "[databases.a]\nurl = 'mysql://app:hunter2@a,b'".to_owned(),
            "[databases.a]\nurl = 'mysql://app:hunter2@h:hunter2'".to_owned(),
            "[databases.a]\nurl = 'mysql://app:hun/hunter2@h'".to_owned(),
            "[databases.a]\nurl = 'mysql://app:hunter2@'".to_owned(),
            "[databases.a]\nurl = 'hunter2://h'".to_owned(),
            "[databases.a]\nurl = 'app:hunter2@h'".to_owned(),
            "[databases.a]\nhost = 'app:hunter2@h'".to_owned(),
            "[databases.a]\nhost = 'h'\nurl = 'mysql://hunter2'".to_owned(),
            "[databases.a]\nhost = 'h'\npasword = 'hunter2'".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = ['hunter2']".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = { hunter2 = 'hunter2' }".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = hunter2".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = \"hunter2".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = 'hunter2' 'hunter2'".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = 'x'\npassword = 'hunter2'".to_owned(),
            "[databases.a]\nhost = 'h'\npassword = \"\"\"\nhunter2\n\"\"\" # hunter2\nport = 0"
                .to_owned(),
            "[databases.a]\nhost = 'h'\nport = 0 # not hunter2".to_owned(),
            "[databases.a]\nhost = 'h'\npassword_env = 'hunter2'".to_owned(),
            "[databases.a]\nhost = 'h'\npassword_file = 'hunter2'".to_owned(),
            format!("[databases.a]\n'{url}' = 1"),
            format!("[databases.'{url}']\nhost = ''"),
            format!("'{url}' = 1"),
            format!("[databases.d]\npeers = ['{url}', '{url}']"),
            format!("[databases.d]\npeers = '{url}'"),
            format!("[databases.d]\npeers = []\ncheck_interval = '{url}'"),
            format!("[databases]\na = '{url}'"),
        ] {
            let error = text.parse::<Config>().unwrap_err();
            let shown = format!("{error} {error:?} {error:#?} {}", error.report());
            assert!(!shown.contains("hunter2"), "{shown}\nfor:\n{text}");
        }
    }
}
