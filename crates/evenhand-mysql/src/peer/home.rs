//! The schema in which each caller begins. The server keeps that of a `USE` in a reset, so it would reach the
//! next caller.

use mysql_async::{Opts, OptsBuilder};

/// Fails if a schema is selected.
const NO_SCHEMA: &str = "SELECT (SELECT 1 FROM (SELECT 1 UNION SELECT 2) AS two \
                         WHERE DATABASE() IS NOT NULL)";

/// The statement that brings a session back to its schema, or fails if it cannot. `None` if statements of the
/// options' own choose the schema.
pub(super) fn home(opts: &Opts) -> Option<String> {
    let own = opts.init().iter().chain(opts.setup());
    if own.into_iter().any(|statement| has_use(statement)) {
        return None;
    }
    match opts.db_name().filter(|name| !name.is_empty()) {
        Some(name) => Some(format!("USE `{}`", name.replace('`', "``"))),
        None if opts.after_connect().is_some() => None,
        None => Some(NO_SCHEMA.to_owned()),
    }
}

fn has_use(statement: &str) -> bool {
    let mut words = statement.split(|c: char| !c.is_ascii_alphabetic());
    words.any(|word| word.eq_ignore_ascii_case("USE"))
}

/// The same options, with the statement first among those that follow a reset.
pub(super) fn with_home(opts: &Opts, home: &str) -> Opts {
    let mut setup = opts.setup().to_vec();
    // The driver begins with the last.
    setup.push(home.to_owned());
    OptsBuilder::from_opts(opts.clone()).setup(setup).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> OptsBuilder {
        OptsBuilder::from_opts(Opts::from_url(url).unwrap())
    }

    #[test]
    fn a_session_goes_back_to_its_own_schema() {
        let home = |opts: OptsBuilder| super::home(&opts.into());
        assert_eq!(home(of("mysql://h/a%60b")).unwrap(), "USE `a``b`");
        assert_eq!(home(of("mysql://h")).unwrap(), NO_SCHEMA);
        let named = of("mysql://h/d").init(vec!["SET NAMES utf8mb4"]);
        assert_eq!(home(named).unwrap(), "USE `d`");
    }

    #[test]
    fn a_schema_that_the_options_choose_is_left_alone() {
        let home = |opts: OptsBuilder| super::home(&opts.into());
        assert_eq!(home(of("mysql://h/d").init(vec!["use `e`"])), None);
        assert_eq!(
            home(of("mysql://h").setup(vec!["SET @a = 1", "USE e"])),
            None
        );
        let hook = of("mysql://h").after_connect(|_| Box::pin(async { Ok(()) }));
        assert_eq!(home(hook), None);
    }

    #[test]
    fn it_is_the_first_statement_after_a_reset() {
        let opts = Opts::from(of("mysql://h/d").setup(vec!["SET @a = 1"]));
        assert_eq!(
            with_home(&opts, "USE `d`").setup(),
            ["SET @a = 1", "USE `d`"]
        );
    }
}
