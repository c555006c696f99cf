//! Which requests may be sent to a second peer, and their copies.

use evenhand::Replay;
use http::{HeaderName, Method, Request, Uri};
use http_body::Body;

use crate::body::kept::KeptBody;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether a request may be executed twice, as an extension of the request. Comes before all that
/// [`HttpReplay`] would say.
///
/// ```
/// use evenhand_http::Idempotent;
///
/// let mut request = http::Request::post("http://shop/search").body(())?;
/// request.extensions_mut().insert(Idempotent(true));
/// # Ok::<(), http::Error>(())
/// ```
///
/// Calls of gRPC are all POST, so none is idempotent unless it has this extension, which tonic passes
/// on (`tonic::Request::extensions_mut`), or [`HttpReplay::idempotent_if`] says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotent(pub bool);

/// Copies requests for another attempt, and says which may be executed twice: those
///
/// - of an idempotent method by RFC 9110, section 9.2.2: GET, HEAD, OPTIONS, TRACE, PUT and DELETE;
/// - with a header `Idempotency-Key`: the server recognises a request that it has executed;
/// - for which [`idempotent_if`](Self::idempotent_if) says so;
///
/// unless an extension [`Idempotent`] says something else. A request whose body is
/// [streamed](KeptBody) is never sent twice.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct HttpReplay<F = fn(&Method, &Uri) -> bool> {
    rule: F,
}

impl HttpReplay {
    /// As RFC 9110 says.
    pub const fn new() -> Self {
        Self { rule: |_, _| false }
    }
}

impl<F> HttpReplay<F> {
    /// Requests with this method and URL may be executed twice as well. Replaces an earlier rule.
    ///
    /// ```
    /// use evenhand_http::HttpReplay;
    ///
    /// let reads = ["/shop.Shop/GetOrder", "/shop.Shop/ListOrders"];
    /// let replay = HttpReplay::new().idempotent_if(move |_, uri| reads.contains(&uri.path()));
    /// ```
    pub fn idempotent_if<G>(self, rule: G) -> HttpReplay<G>
    where
        G: Fn(&Method, &Uri) -> bool,
    {
        HttpReplay { rule }
    }
}

impl Default for HttpReplay {
    fn default() -> Self {
        Self::new()
    }
}

impl<F, B> Replay<Request<KeptBody<B>>> for HttpReplay<F>
where
    F: Fn(&Method, &Uri) -> bool,
    B: Body,
{
    fn copy(&self, request: &Request<KeptBody<B>>) -> Option<Request<KeptBody<B>>> {
        let mut copy = Request::new(request.body().copy()?);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        // A request without any is common, and then there is nothing to copy.
        if !request.headers().is_empty() {
            *copy.headers_mut() = request.headers().clone();
        }
        if !request.extensions().is_empty() {
            *copy.extensions_mut() = request.extensions().clone();
        }
        Some(copy)
    }

    fn is_idempotent(&self, request: &Request<KeptBody<B>>) -> bool {
        if let Some(Idempotent(is_idempotent)) = request.extensions().get() {
            return *is_idempotent;
        }
        request.method().is_idempotent()
            || request.headers().contains_key(IDEMPOTENCY_KEY)
            || (self.rule)(request.method(), request.uri())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    type TestRequest = Request<KeptBody<Full<Bytes>>>;

    fn request(method: &str) -> TestRequest {
        let request = Request::builder().method(method).uri("http://a/b");
        request.body(KeptBody::default()).unwrap()
    }

    #[test]
    fn methods_are_idempotent_by_the_rfc() {
        let replay = HttpReplay::new();
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
            assert!(replay.is_idempotent(&request(method)), "{method}");
        }
        for method in ["POST", "PATCH", "CONNECT", "LOCK"] {
            assert!(!replay.is_idempotent(&request(method)), "{method}");
        }
    }

    #[test]
    fn key_rule_and_extension_make_a_request_idempotent() {
        let mut keyed = request("POST");
        keyed
            .headers_mut()
            .insert("Idempotency-Key", "7".parse().unwrap());
        assert!(HttpReplay::new().is_idempotent(&keyed));
        keyed.extensions_mut().insert(Idempotent(false));
        assert!(!HttpReplay::new().is_idempotent(&keyed));

        let mut marked = request("POST");
        marked.extensions_mut().insert(Idempotent(true));
        assert!(HttpReplay::new().is_idempotent(&marked));

        let rule =
            HttpReplay::new().idempotent_if(|method, uri| method == "POST" && uri.path() == "/b");
        assert!(rule.is_idempotent(&request("POST")));
        assert!(!rule.is_idempotent(&request("PATCH")));
        let mut effect = request("GET");
        effect.extensions_mut().insert(Idempotent(false));
        assert!(!rule.is_idempotent(&effect));
    }

    #[test]
    fn copy_is_the_same_request() {
        let mut original = request("PUT");
        original.headers_mut().insert("a", "b".parse().unwrap());
        original.extensions_mut().insert(Idempotent(true));
        let copy = HttpReplay::new().copy(&original).unwrap();
        assert_eq!(copy.method(), "PUT");
        assert_eq!(copy.uri(), "http://a/b");
        assert_eq!(copy.headers(), original.headers());
        assert_eq!(copy.extensions().get(), Some(&Idempotent(true)));
    }
}
