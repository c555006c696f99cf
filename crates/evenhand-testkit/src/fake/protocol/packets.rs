//! The bodies of packets: length-encoded values, OK, ERR, EOF, columns and statements; and a reader
//! for what a client sends.

use crate::fake::faults::ErrPacket;
use crate::fake::value::{Column, Kind};

/// Bits of a session's status that clients look at.
pub(crate) mod status {
    pub(crate) const IN_TRANSACTION: u16 = 1;
    pub(crate) const AUTOCOMMIT: u16 = 2;
    pub(crate) const MORE_RESULTS: u16 = 8;
}

/// Writes a length-encoded integer.
pub(crate) fn put_lenenc_int(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=250 => out.push(bytes[0]),
        251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Writes a length-encoded string.
pub(crate) fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc_int(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// OK, in answer to a command.
pub(crate) fn ok(affected_rows: u64, status: u16) -> Vec<u8> {
    ok_body(0x00, affected_rows, status)
}

/// What ends a list of rows: an OK with EOF's header where the client knows CLIENT_DEPRECATE_EOF,
/// else an EOF.
pub(crate) fn end_of_rows(deprecate_eof: bool, status: u16) -> Vec<u8> {
    if deprecate_eof {
        ok_body(0xfe, 0, status)
    } else {
        eof(status)
    }
}

/// EOF, for clients without CLIENT_DEPRECATE_EOF.
pub(crate) fn eof(status: u16) -> Vec<u8> {
    let mut body = vec![0xfe, 0, 0];
    body.extend_from_slice(&status.to_le_bytes());
    body
}

fn ok_body(header: u8, affected_rows: u64, status: u16) -> Vec<u8> {
    let mut body = vec![header];
    put_lenenc_int(&mut body, affected_rows);
    put_lenenc_int(&mut body, 0); // last insert id
    body.extend_from_slice(&status.to_le_bytes());
    body.extend_from_slice(&[0, 0]); // warnings
    body
}

/// ERR with its SQLSTATE, as it stands everywhere after the greeting.
pub(crate) fn err(error: &ErrPacket) -> Vec<u8> {
    let mut body = vec![0xff];
    body.extend_from_slice(&error.code.to_le_bytes());
    body.push(b'#');
    body.extend(
        error
            .sqlstate
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(5),
    );
    body.extend_from_slice(error.message.as_bytes());
    body
}

/// ERR in place of the greeting: without SQLSTATE, for what the client can do is not known yet.
pub(crate) fn err_as_greeting(error: &ErrPacket) -> Vec<u8> {
    let mut body = vec![0xff];
    body.extend_from_slice(&error.code.to_le_bytes());
    body.extend_from_slice(error.message.as_bytes());
    body
}

/// The definition of a column or of a parameter.
pub(crate) fn column(column: &Column) -> Vec<u8> {
    const UTF8MB4: u16 = 45;
    const BINARY: u16 = 63;
    const UNSIGNED: u16 = 32;
    const BINARY_FLAG: u16 = 128;
    let (kind, charset, flags) = match column.kind {
        Kind::Int => (field::LONGLONG, BINARY, BINARY_FLAG),
        Kind::UInt => (field::LONGLONG, BINARY, BINARY_FLAG | UNSIGNED),
        Kind::Float => (field::FLOAT, BINARY, BINARY_FLAG),
        Kind::Double => (field::DOUBLE, BINARY, BINARY_FLAG),
        Kind::Text => (field::VAR_STRING, UTF8MB4, 0),
        Kind::Bytes => (field::BLOB, BINARY, BINARY_FLAG),
    };
    let mut body = Vec::new();
    put_lenenc_bytes(&mut body, b"def");
    for empty in ["", "", ""] {
        put_lenenc_bytes(&mut body, empty.as_bytes()); // schema, table, original table
    }
    put_lenenc_bytes(&mut body, column.name.as_bytes());
    put_lenenc_bytes(&mut body, b""); // original name
    body.push(0x0c); // length of what follows
    body.extend_from_slice(&charset.to_le_bytes());
    body.extend_from_slice(&1024u32.to_le_bytes()); // display length
    body.push(kind);
    body.extend_from_slice(&flags.to_le_bytes());
    body.push(0x1f); // decimals: not fixed
    body.extend_from_slice(&[0, 0]);
    body
}

/// The head of the answer to a PREPARE.
pub(crate) fn prepared(id: u32, columns: usize, params: usize) -> Vec<u8> {
    let mut body = vec![0x00];
    body.extend_from_slice(&id.to_le_bytes());
    body.extend_from_slice(&(columns as u16).to_le_bytes());
    body.extend_from_slice(&(params as u16).to_le_bytes());
    body.extend_from_slice(&[0, 0, 0]); // filler, warnings
    body
}

/// Types of columns and parameters, by their numbers in the protocol.
pub(crate) mod field {
    pub(crate) const TINY: u8 = 0x01;
    pub(crate) const SHORT: u8 = 0x02;
    pub(crate) const LONG: u8 = 0x03;
    pub(crate) const FLOAT: u8 = 0x04;
    pub(crate) const DOUBLE: u8 = 0x05;
    pub(crate) const NULL: u8 = 0x06;
    pub(crate) const TIMESTAMP: u8 = 0x07;
    pub(crate) const LONGLONG: u8 = 0x08;
    pub(crate) const INT24: u8 = 0x09;
    pub(crate) const DATE: u8 = 0x0a;
    pub(crate) const TIME: u8 = 0x0b;
    pub(crate) const DATETIME: u8 = 0x0c;
    pub(crate) const YEAR: u8 = 0x0d;
    pub(crate) const BLOB: u8 = 0xfc;
    pub(crate) const VAR_STRING: u8 = 0xfd;
}

/// Reads a body from front to back; `None` where it is too short.
#[derive(Debug)]
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        Some(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    /// Up to a zero byte, which is skipped; or all there is.
    pub(crate) fn null_terminated(&mut self) -> &'b [u8] {
        match self.0.iter().position(|byte| *byte == 0) {
            Some(end) => {
                let text = &self.0[..end];
                self.0 = &self.0[end + 1..];
                text
            }
            None => std::mem::take(&mut self.0),
        }
    }

    pub(crate) fn lenenc_bytes(&mut self) -> Option<&'b [u8]> {
        let length = match self.u8()? {
            0xfc => u64::from(self.u16()?),
            0xfd => {
                let [a, b, c] = self.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            0xfe => u64::from_le_bytes(self.array()?),
            small => u64::from(small),
        };
        self.take(usize::try_from(length).ok()?)
    }
}
