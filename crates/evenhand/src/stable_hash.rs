//! A hash that is the same in each process.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

/// The same in each process and with each compiler. The standard library's default hasher may change.
pub(crate) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish()
}
