//! A peer's address: scheme and authority.

use std::fmt;
use std::str::FromStr;

use evenhand::{Peers, PeersError};
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};

/// Where a peer is: the scheme, `http` or `https`, and the authority of its URLs. The target of each
/// peer of a set that is balanced over HTTP.
///
/// ```
/// use evenhand_http::BaseUrl;
///
/// let base: BaseUrl = "http://10.0.0.1:8080".parse()?;
/// assert_eq!(base.to_string(), "http://10.0.0.1:8080");
/// assert!("http://10.0.0.1/shop".parse::<BaseUrl>().is_err(), "it has no path");
/// # Ok::<(), evenhand_http::BaseUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
}

impl BaseUrl {
    /// `http` or `https`.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The host, and the port if it is not the scheme's own.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The port: the scheme's own if the URL names none.
    pub fn port(&self) -> u16 {
        let default = if self.scheme == Scheme::HTTPS {
            443
        } else {
            80
        };
        self.authority.port_u16().unwrap_or(default)
    }

    /// This base with the path and query of `uri`; with the path `/` if it has none.
    fn join(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = parts
            .path_and_query
            .or(Some(PathAndQuery::from_static("/")));
        // All three parts are there, which is all that could be missing.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Directs a request to this peer. Where `keep_host` is set, its `Host` is kept, or is the authority of
    /// the caller's URL.
    pub(crate) fn direct<B>(&self, request: &mut Request<B>, keep_host: bool) {
        if !keep_host {
            request.headers_mut().remove(HOST);
        } else if !request.headers().contains_key(HOST)
            && let Some(authority) = request.uri().authority()
            // An authority has no character that a header may not have.
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            request.headers_mut().insert(HOST, host);
        }
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = self.join(uri);
        // The version is that of the connection, not of the request: one that a gateway got over
        // HTTP/2 may go on over HTTP/1.1.
        *request.version_mut() = Version::HTTP_11;
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let uri: Uri = text.parse().map_err(|_| BaseUrlError(Problem::NoUrl))?;
        uri.try_into()
    }
}

impl TryFrom<Uri> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(uri: Uri) -> Result<Self, BaseUrlError> {
        let has_path = uri.path() != "/" && !uri.path().is_empty();
        let parts = uri.into_parts();
        let has_query = parts
            .path_and_query
            .is_some_and(|path| path.query().is_some());
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            _ => return Err(BaseUrlError(Problem::Scheme)),
        };
        let authority = parts.authority.ok_or(BaseUrlError(Problem::NoUrl))?;
        if authority.as_str().contains('@') {
            return Err(BaseUrlError(Problem::User));
        }
        if has_path || has_query {
            return Err(BaseUrlError(Problem::Path));
        }
        Ok(Self { scheme, authority })
    }
}

impl TryFrom<&str> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: &str) -> Result<Self, BaseUrlError> {
        text.parse()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// A text that is not the base URL of a peer. Does not show the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseUrlError(Problem);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    NoUrl,
    Scheme,
    User,
    Path,
}

impl fmt::Display for BaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::NoUrl => "not a URL such as `http://10.0.0.1:8080`",
            Problem::Scheme => "a peer's URL starts with `http://` or `https://`",
            Problem::User => "a peer's URL has no user: set the header `Authorization` instead",
            Problem::Path => "a peer's URL has neither path nor query: requests bring theirs",
        })
    }
}

impl std::error::Error for BaseUrlError {}

/// A set of the peers at these base URLs, each named by its authority, such as `10.0.0.1:8080`.
///
/// For other names use [`Peers::new`] with pairs of name and [`BaseUrl`].
///
/// ```
/// let peers = evenhand_http::peers(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])?;
/// assert_eq!(peers.len(), 2);
/// # Ok::<(), evenhand_http::InvalidPeers>(())
/// ```
///
/// # Errors
///
/// [`InvalidPeers`] if a text is no base URL, or two have the same authority.
pub fn peers<Url: AsRef<str>>(
    urls: impl IntoIterator<Item = Url>,
) -> Result<Peers<BaseUrl>, InvalidPeers> {
    let parse = |(index, url): (usize, Url)| match url.as_ref().parse::<BaseUrl>() {
        Ok(base) => Ok((base.authority.to_string(), base)),
        Err(error) => Err(InvalidPeers::Url { index, error }),
    };
    let peers: Result<Vec<_>, _> = urls.into_iter().enumerate().map(parse).collect();
    Peers::new(peers?).map_err(InvalidPeers::Peers)
}

/// A list of base URLs that makes no peer set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPeers {
    /// One of them is no base URL.
    #[non_exhaustive]
    Url {
        /// Its index in the list.
        index: usize,
        /// What is wrong with it.
        error: BaseUrlError,
    },
    /// They are no peer set.
    Peers(PeersError),
}

impl fmt::Display for InvalidPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { index, .. } => write!(f, "the URL at index {index} is not valid"),
            Self::Peers(_) => f.write_str("the URLs make no peer set"),
        }
    }
}

impl std::error::Error for InvalidPeers {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Url { error, .. } => error,
            Self::Peers(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directed(uri: &str, host: Option<&str>, keep_host: bool) -> Request<()> {
        let base: BaseUrl = "https://peer:8443".parse().unwrap();
        let mut request = Request::new(());
        *request.uri_mut() = uri.parse().unwrap();
        *request.version_mut() = Version::HTTP_2;
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host.parse().unwrap());
        }
        base.direct(&mut request, keep_host);
        request
    }

    #[test]
    fn request_gets_the_peers_scheme_and_authority_and_keeps_its_path() {
        for uri in ["/a/b?c=d", "http://shop.example/a/b?c=d"] {
            let request = directed(uri, None, false);
            assert_eq!(request.uri(), "https://peer:8443/a/b?c=d");
            assert_eq!(request.headers().get(HOST), None);
            assert_eq!(request.version(), Version::HTTP_11);
        }
        assert_eq!(
            directed("http://shop.example", None, false).uri(),
            "https://peer:8443/"
        );
    }

    #[test]
    fn host_is_kept_as_told() {
        let host = |request: Request<()>| request.headers().get(HOST).cloned();
        assert_eq!(host(directed("/", Some("a"), false)), None);
        assert_eq!(
            host(directed("http://shop.example/", None, true)).unwrap(),
            "shop.example"
        );
        assert_eq!(
            host(directed("http://shop.example/", Some("a"), true)).unwrap(),
            "a"
        );
        assert_eq!(host(directed("/", None, true)), None);
    }

    #[test]
    fn only_a_base_url_names_a_peer() {
        for good in ["http://a", "https://a:1/", "http://[::1]:80"] {
            assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a:80",
            "/a",
            "ftp://a",
            "http://u:secret@a",
            "http://a/b",
            "http://a?b",
        ] {
            let error = bad.parse::<BaseUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        assert_eq!("https://a".parse::<BaseUrl>().unwrap().port(), 443);
    }

    #[test]
    fn invalid_peers_are_told_by_their_place() {
        let error = peers(["http://a", "b"]).unwrap_err();
        assert!(matches!(error, InvalidPeers::Url { index: 1, .. }));
        assert!(matches!(
            peers(["http://a", "http://a"]),
            Err(InvalidPeers::Peers(_))
        ));
    }
}
