//! HTTP's status codes.

use evenhand::Verdict;
use http::{HeaderMap, StatusCode};

use super::retry_after::retry_after;
use super::rules::{HttpClassifier, TooManyRequests};

pub(super) fn judge(rules: &HttpClassifier, status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status {
        StatusCode::REQUEST_TIMEOUT => Verdict::neutral().if_idempotent().because("408"),
        StatusCode::MISDIRECTED_REQUEST => Verdict::degraded().safe().because("421"),
        StatusCode::TOO_MANY_REQUESTS => match rules.too_many_requests {
            TooManyRequests::Caller => Verdict::healthy(),
            TooManyRequests::Peer => rules.rest(retry_after(headers)).safe().because("429"),
        },
        StatusCode::INTERNAL_SERVER_ERROR => Verdict::degraded().if_idempotent().because("500"),
        StatusCode::BAD_GATEWAY => Verdict::degraded().if_idempotent().because("502"),
        StatusCode::SERVICE_UNAVAILABLE => {
            let rest = rules.rest(retry_after(headers));
            rest.if_idempotent().because("503")
        }
        StatusCode::GATEWAY_TIMEOUT => Verdict::degraded().if_idempotent().because("504"),
        _ => Verdict::healthy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::RETRY_AFTER;
    use std::time::Duration;

    fn of(rules: &HttpClassifier, status: u16, retry_after: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        judge(rules, StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn status_tells_the_peers_fault_from_the_callers() {
        let rules = HttpClassifier::new();
        for status in [
            100, 200, 204, 301, 304, 400, 401, 403, 404, 409, 422, 429, 501, 505, 599,
        ] {
            assert_eq!(
                of(&rules, status, Some("5")),
                Verdict::healthy(),
                "{status}"
            );
        }
        for (status, reason) in [(500, "500"), (502, "502"), (503, "503"), (504, "504")] {
            let expected = Verdict::degraded().if_idempotent().because(reason);
            assert_eq!(of(&rules, status, None), expected);
        }
        assert_eq!(
            of(&rules, 421, None),
            Verdict::degraded().safe().because("421")
        );
        assert_eq!(
            of(&rules, 408, None),
            Verdict::neutral().if_idempotent().because("408")
        );
    }

    #[test]
    fn retry_after_rests_the_peer_up_to_the_longest_rest() {
        let rules = HttpClassifier::new();
        let down = Verdict::down().if_idempotent().because("503");
        let rest = |secs| down.recover_in(Duration::from_secs(secs));
        assert_eq!(of(&rules, 503, Some("7")), rest(7));
        assert_eq!(of(&rules, 503, Some("86400")), rest(60));
        let rules = rules.max_rest(Duration::from_secs(5));
        assert_eq!(of(&rules, 503, Some("7")), rest(5));
        let degraded = Verdict::degraded().if_idempotent().because("503");
        for none in ["0", "", "soon"] {
            assert_eq!(of(&rules, 503, Some(none)), degraded);
        }
        assert_eq!(
            of(&rules.max_rest(Duration::ZERO), 503, Some("7")),
            degraded
        );
    }

    #[test]
    fn too_many_requests_is_the_peers_fault_if_told() {
        let rules = HttpClassifier::new().too_many_requests(TooManyRequests::Peer);
        let rest = Verdict::down().recover_in(Duration::from_secs(7));
        assert_eq!(of(&rules, 429, Some("7")), rest.safe().because("429"));
        assert_eq!(
            of(&rules, 429, None),
            Verdict::degraded().safe().because("429")
        );
    }
}
