//! Secrets in `Debug` and errors.

use evenhand_config::{Config, Secret};

#[test]
fn debug_of_a_config_shows_no_secret() {
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
fn errors_show_no_secret() {
    let url = "mysql://app:hunter2@h";
    // A value, a key or a line with a secret, wrong in every way.
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
