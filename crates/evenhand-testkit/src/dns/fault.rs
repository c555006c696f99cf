//! What a name server may do in place of answering.

/// What a name server does with the queries for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// `SERVFAIL`: it could not find out.
    ServFail,
    /// `NXDOMAIN`: there is no such name.
    NxDomain,
    /// `NODATA`: the name exists, without such records.
    Empty,
    /// It says nothing.
    Silent,
}
