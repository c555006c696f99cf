//! What peers and balanced databases inherit.

use evenhand_config::{Config, Peer};

use crate::parts;

const INHERITING: &str = "
    [defaults]
    user = 'of the defaults'
    password = 'of the defaults'
    fall = 2
    rise = 2

    [databases.own]
    host = 'h'
    user = 'of the peer'
    password = ''

    [databases.bare]
    host = 'h'

    [databases.one]
    peers = ['own', 'bare']
    user = 'of one'
    rise = 3

    [databases.two]
    peers = ['bare']
    password = 'of two'
";

#[test]
fn peer_inherits_from_the_nearest_table() {
    let config = Config::parse(INHERITING, "f").unwrap();
    let login = |peer: &Peer| (parts(peer).2.to_owned(), parts(peer).3.to_owned());
    let of = |user: &str, password: &str| (user.to_owned(), password.to_owned());
    let one = config.balanced("one").unwrap();
    // An empty password hides what it would inherit.
    assert_eq!(login(&one.peers[0]), of("of the peer", ""));
    assert_eq!(one.peers[0].password_source, None);
    assert_eq!(login(&one.peers[1]), of("of one", "of the defaults"));
    let two = config.balanced("two").unwrap();
    assert_eq!(login(&two.peers[0]), of("of the defaults", "of two"));
    let alone = config.peer("bare").unwrap();
    assert_eq!(login(alone), of("of the defaults", "of the defaults"));
    assert_eq!((one.settings.fall, one.settings.rise), (Some(2), Some(3)));
    assert_eq!((two.settings.fall, two.settings.rise), (Some(2), Some(2)));
}

#[test]
fn configs_with_different_passwords_are_not_equal() {
    let other = INHERITING.replace("'of two'", "'of three'");
    let (one, other) = (Config::parse(INHERITING, "f"), Config::parse(&other, "f"));
    assert_eq!(one.as_ref().unwrap(), one.as_ref().unwrap());
    assert_ne!(one.unwrap(), other.unwrap());
}
