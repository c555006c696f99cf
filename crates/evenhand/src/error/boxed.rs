//! Errors of any type as one type that is itself an error.

use std::error::Error as StdError;
use std::fmt;

type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of any type, boxed. Unlike `Box<dyn Error + Send + Sync>` it is a `std::error::Error`
/// itself, so [`Error<BoxedError>`](crate::Error) is one, too.
///
/// It adds nothing to the error in it: `Display`, `Debug` and `source` are those of that error. The
/// `source` of an [`Error<BoxedError>`](crate::Error) is the error in the box.
///
/// [`BoxErrorsLayer`](crate::BoxErrorsLayer) makes a service's errors `BoxedError`s.
///
/// ```
/// use std::io;
/// use evenhand::BoxedError;
///
/// let error = BoxedError::new(io::Error::from(io::ErrorKind::ConnectionRefused));
/// let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
/// assert_eq!(kind, Some(io::ErrorKind::ConnectionRefused));
/// ```
pub struct BoxedError(BoxError);

impl BoxedError {
    /// Boxes an error. A box in it is not boxed again.
    pub fn new(error: impl Into<BoxError>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(boxed) => *boxed,
            Err(error) => Self(error),
        }
    }

    /// The error in the box.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0
    }

    /// Takes the error out of the box.
    #[must_use]
    pub fn into_inner(self) -> BoxError {
        self.0
    }

    /// Whether the error in the box is an `E`.
    #[must_use]
    pub fn is<E: StdError + 'static>(&self) -> bool {
        self.0.is::<E>()
    }

    /// The error in the box, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl From<BoxError> for BoxedError {
    fn from(error: BoxError) -> Self {
        Self::new(error)
    }
}

impl fmt::Debug for BoxedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BoxedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for BoxedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// The error itself, without the box that only makes it an error.
pub(super) fn unboxed<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    match error.downcast_ref::<BoxedError>() {
        Some(boxed) => boxed.get_ref(),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::{Cause, Error, Tried};

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn box_shows_the_error_in_it() {
        let outer = Error::failed(vec![Tried::new("db0", Cause::Error(refused()))]);
        let texts = (outer.to_string(), format!("{outer:?}"));
        let boxed = BoxedError::new(outer);
        assert_eq!((boxed.to_string(), format!("{boxed:?}")), texts);
        assert_eq!(boxed.source().unwrap().to_string(), refused().to_string());
    }

    #[test]
    fn box_in_a_box_is_one_box() {
        let twice = BoxedError::new(BoxedError::new(refused()));
        assert!(twice.is::<io::Error>());
        assert!(twice.into_inner().downcast::<io::Error>().is_ok());
    }

    #[test]
    fn box_need_not_hold_an_error_type() {
        assert_eq!(
            BoxedError::new("the pool is empty").to_string(),
            "the pool is empty"
        );
    }
}
