//! How messages show names and words from the file.
//!
//! Messages repeat names, so a name that may contain a password is not shown, such as a URL in place of an
//! alias.

/// The name as a TOML key, or `***` if it is an address.
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

/// The path of a key in the table at `path`; the path of the document is empty.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        shown(key)
    } else {
        format!("{path}.{}", shown(key))
    }
}

/// A list of names.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(shown).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// A value in a message. Only short plain texts are shown: anything else may be a password.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " ._%+-".contains(letter);
    if text.chars().count() <= 32 && text.chars().all(plain) {
        format!("\"{text}\"")
    } else {
        "a string".to_owned()
    }
}

/// What is wrong with the alias of a database.
pub(crate) fn alias_problem(alias: &str) -> Option<&'static str> {
    if alias.trim().is_empty() {
        Some("empty alias: give the database a name")
    } else if is_an_address(alias) {
        // Logs and events show aliases.
        Some("an alias is a name, not an address: it cannot contain `://` or `@`")
    } else {
        None
    }
}

/// Whether the text looks like a URL, or like a login before a host.
pub(crate) fn is_an_address(text: &str) -> bool {
    text.contains("://") || text.contains('@')
}

/// Whether the text looks like the name of an environment variable.
pub(crate) fn is_a_variable(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.bytes().all(fits) && text.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_in_toml() {
        assert_eq!(child("", "databases"), "databases");
        assert_eq!(child("databases", "db-0_a"), "databases.db-0_a");
        assert_eq!(child("databases", "a.b"), "databases.\"a.b\"");
        assert_eq!(child("databases", ""), "databases.\"\"");
    }

    #[test]
    fn shown_name_has_no_line_break() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
    }

    #[test]
    fn shown_name_hides_addresses() {
        assert_eq!(shown("mysql://app:secret@h"), "***");
        assert_eq!(shown("app:secret@h"), "***");
        assert_eq!(shown("mysql://h/?password=secret"), "***");
    }

    #[test]
    fn empty_list_is_none() {
        assert_eq!(list([]), "none");
        assert_eq!(list(["a", "b c"]), "a, \"b c\"");
    }
}
