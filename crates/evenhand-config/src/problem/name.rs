//! How a name from the file is shown in a message.
//!
//! Names are the one thing from a file that messages repeat, so a name that may hold a password is not
//! shown: someone who writes a url where an alias belongs finds out without leaking it.

/// The name as TOML would write a key, or `***` if it is an address by mistake.
pub(crate) fn shown(name: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if is_an_address(name) {
        "***".to_owned()
    } else if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// The path of a key inside the table at `path`; an empty path is the document.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        shown(key)
    } else {
        format!("{path}.{}", shown(key))
    }
}

/// Names, as a list in a message.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(shown).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// What is wrong with a name as the alias of a database.
pub(crate) fn alias_problem(alias: &str) -> Option<&'static str> {
    if alias.trim().is_empty() {
        Some("empty alias: give the database a name")
    } else if is_an_address(alias) {
        // An alias shows up in logs and events.
        Some("an alias is a name, not an address: `://` and `@` cannot be in it")
    } else {
        None
    }
}

/// Whether the text looks like a url, or like a user and password in front of a host.
pub(crate) fn is_an_address(text: &str) -> bool {
    text.contains("://") || text.contains('@')
}

/// Whether the text looks like the name of a variable of the environment.
pub(crate) fn is_a_variable(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.bytes().all(fits) && text.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_toml_would_write_it() {
        assert_eq!(child("", "databases"), "databases");
        assert_eq!(child("databases", "db-0_a"), "databases.db-0_a");
        assert_eq!(child("databases", "a.b"), "databases.\"a.b\"");
        assert_eq!(child("databases", ""), "databases.\"\"");
    }

    #[test]
    fn a_name_cannot_break_the_line_of_a_message() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
    }

    #[test]
    fn an_address_is_not_shown() {
        assert_eq!(shown("mysql://app:secret@h"), "***");
        assert_eq!(shown("app:secret@h"), "***");
        assert_eq!(shown("mysql://h/?password=secret"), "***");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(list([]), "none");
        assert_eq!(list(["a", "b c"]), "a, \"b c\"");
    }
}
