//! Bodies: those of requests, which may be sent again, and those of responses, which tell how an
//! attempt ended.

pub(crate) mod collect;
pub(crate) mod keep;
pub(crate) mod kept;
pub(crate) mod tracked;
