//! The handshake: the greeting, what the client answers, and the check of a password by
//! `mysql_native_password`.
//!
//! Neither TLS nor compression is announced, and both forms of ending a list of rows are known.

use std::hash::{BuildHasher, Hasher, RandomState};

use sha1::{Digest, Sha1};

use super::packets::{Reader, status};
use crate::fake::faults::ErrPacket;

/// What client and server can do, as bits.
pub(crate) mod capability {
    pub(crate) const LONG_PASSWORD: u32 = 1;
    pub(crate) const FOUND_ROWS: u32 = 1 << 1;
    pub(crate) const LONG_FLAG: u32 = 1 << 2;
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const TRANSACTIONS: u32 = 1 << 13;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const MULTI_STATEMENTS: u32 = 1 << 16;
    pub(crate) const MULTI_RESULTS: u32 = 1 << 17;
    pub(crate) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;

    pub(crate) const ANNOUNCED: u32 = LONG_PASSWORD
        | FOUND_ROWS
        | LONG_FLAG
        | CONNECT_WITH_DB
        | PROTOCOL_41
        | TRANSACTIONS
        | SECURE_CONNECTION
        | MULTI_STATEMENTS
        | MULTI_RESULTS
        | PS_MULTI_RESULTS
        | PLUGIN_AUTH
        | PLUGIN_AUTH_LENENC;
}

const PLUGIN: &[u8] = b"mysql_native_password";

/// The random bytes that a password is hashed with, one set for each connection.
pub(crate) type Nonce = [u8; 20];

/// Printable bytes only: a zero would end the nonce early.
pub(crate) fn nonce() -> Nonce {
    let mut nonce = [0; 20];
    for chunk in nonce.chunks_mut(8) {
        // Every RandomState has different keys, so an empty hash is a random number.
        let random = RandomState::new().build_hasher().finish().to_le_bytes();
        for (byte, random) in chunk.iter_mut().zip(random) {
            *byte = b'!' + random % 90;
        }
    }
    nonce
}

/// The first packet of a connection: protocol 10.
pub(crate) fn greeting(version: &str, id: u32, nonce: &Nonce, capabilities: u32) -> Vec<u8> {
    const UTF8MB4: u8 = 45;
    let [low0, low1, high0, high1] = capabilities.to_le_bytes();
    let mut body = vec![10];
    body.extend_from_slice(version.as_bytes());
    body.push(0);
    body.extend_from_slice(&id.to_le_bytes());
    body.extend_from_slice(&nonce[..8]);
    body.push(0);
    body.extend_from_slice(&[low0, low1]);
    body.push(UTF8MB4);
    body.extend_from_slice(&status::AUTOCOMMIT.to_le_bytes());
    body.extend_from_slice(&[high0, high1]);
    body.push(nonce.len() as u8 + 1);
    body.extend_from_slice(&[0; 10]);
    body.extend_from_slice(&nonce[8..]);
    body.push(0);
    body.extend_from_slice(PLUGIN);
    body.push(0);
    body
}

/// What a client says in answer to the greeting, or in COM_CHANGE_USER.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) capabilities: u32,
    pub(crate) user: String,
    pub(crate) database: Option<String>,
    scrambled: Vec<u8>,
}

impl Login {
    /// Reads the answer to the greeting; `None` if it is malformed.
    pub(crate) fn parse(body: &[u8]) -> Option<Login> {
        let mut body = Reader(body);
        let capabilities = body.u32()?;
        body.take(4 + 1 + 23)?; // longest packet, character set, filler
        let user = text(body.null_terminated());
        let scrambled = if capabilities & capability::PLUGIN_AUTH_LENENC != 0 {
            body.lenenc_bytes()?
        } else if capabilities & capability::SECURE_CONNECTION != 0 {
            let length = body.u8()?;
            body.take(usize::from(length))?
        } else {
            body.null_terminated()
        };
        let scrambled = scrambled.to_vec();
        let database = (capabilities & capability::CONNECT_WITH_DB != 0)
            .then(|| text(body.null_terminated()))
            .filter(|name| !name.is_empty());
        Some(Login {
            capabilities,
            user,
            database,
            scrambled,
        })
    }

    /// Reads COM_CHANGE_USER, after its command byte.
    pub(crate) fn parse_change_user(body: &[u8], capabilities: u32) -> Option<Login> {
        let mut body = Reader(body);
        let user = text(body.null_terminated());
        let length = body.u8()?;
        let scrambled = body.take(usize::from(length))?.to_vec();
        let database = Some(text(body.null_terminated())).filter(|name| !name.is_empty());
        Some(Login {
            capabilities,
            user,
            database,
            scrambled,
        })
    }

    /// Whether this user may come in.
    ///
    /// # Errors
    /// 1045 28000, if an account is given and this is not it.
    pub(crate) fn check(&self, account: Option<&Account>, nonce: &Nonce) -> Result<(), ErrPacket> {
        let Some(account) = account else {
            return Ok(());
        };
        if account.user == self.user && scramble(&account.password, nonce) == self.scrambled {
            return Ok(());
        }
        let with = if self.scrambled.is_empty() {
            "NO"
        } else {
            "YES"
        };
        Err(ErrPacket::new(
            1045,
            "28000",
            format!(
                "Access denied for user '{}'@'127.0.0.1' (using password: {with})",
                self.user
            ),
        ))
    }
}

/// The only user that may log in.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))); nothing for an empty password.
fn scramble(password: &str, nonce: &Nonce) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password);
    let mixed = Sha1::new()
        .chain_update(nonce)
        .chain_update(Sha1::digest(once))
        .finalize();
    once.iter().zip(mixed).map(|(a, b)| a ^ b).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
