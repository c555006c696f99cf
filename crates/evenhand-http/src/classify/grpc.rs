//! gRPC's status codes, in the head or in the trailers.

use std::time::Duration;

use evenhand::Verdict;
use http::{HeaderMap, HeaderName};

use super::retry_after::retry_after;
use super::rules::{HttpClassifier, TooManyRequests};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const RESOURCE_EXHAUSTED: u32 = 8;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const DATA_LOSS: u32 = 15;

/// The status of gRPC among these headers. One that is no number is `UNKNOWN`, as gRPC has it.
pub(crate) fn status_of(headers: &HeaderMap) -> Option<u32> {
    let value = headers.get(&GRPC_STATUS)?.to_str().ok();
    Some(value.and_then(|text| text.parse().ok()).unwrap_or(UNKNOWN))
}

/// What the status of gRPC among these headers or trailers says, if there is one.
pub(crate) fn judge(rules: &HttpClassifier, headers: &HeaderMap) -> Option<Verdict> {
    Some(match status_of(headers)? {
        UNAVAILABLE => unavailable(rules, headers).because("UNAVAILABLE"),
        UNKNOWN => Verdict::degraded().because("UNKNOWN"),
        INTERNAL => Verdict::degraded().because("INTERNAL"),
        DATA_LOSS => Verdict::degraded().because("DATA_LOSS"),
        CANCELLED => Verdict::neutral().because("CANCELLED"),
        DEADLINE_EXCEEDED => Verdict::neutral().because("DEADLINE_EXCEEDED"),
        RESOURCE_EXHAUSTED if rules.too_many_requests == TooManyRequests::Peer => {
            let rest = rules.rest(retry_after(headers));
            rest.safe().because("RESOURCE_EXHAUSTED")
        }
        _ => Verdict::healthy(),
    })
}

/// As gRPC's proposal A6 says: a pushback that is no time forbids further attempts.
fn unavailable(rules: &HttpClassifier, headers: &HeaderMap) -> Verdict {
    let Some(pushback) = headers.get("grpc-retry-pushback-ms") else {
        return Verdict::degraded().if_idempotent();
    };
    let millis = pushback
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u32>().ok());
    match millis {
        Some(millis) => rules
            .rest(Some(Duration::from_millis(millis.into())))
            .if_idempotent(),
        None => Verdict::degraded(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rules: HttpClassifier, headers: &[(&'static str, &str)]) -> Option<Verdict> {
        let headers = headers.iter();
        let headers = headers
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        judge(&rules, &headers.collect())
    }

    #[test]
    fn status_of_grpc_tells_the_peers_fault_from_the_callers() {
        let rules = HttpClassifier::new();
        let of = |status| of(rules, &[("grpc-status", status)]).unwrap();
        for status in [
            "0", "3", "5", "6", "7", "8", "9", "10", "11", "12", "16", "99",
        ] {
            assert_eq!(of(status), Verdict::healthy(), "{status}");
        }
        assert_eq!(
            of("14"),
            Verdict::degraded().if_idempotent().because("UNAVAILABLE")
        );
        assert_eq!(of("13"), Verdict::degraded().because("INTERNAL"));
        assert_eq!(of("15"), Verdict::degraded().because("DATA_LOSS"));
        for unknown in ["2", "", "x", "-1"] {
            assert_eq!(
                of(unknown),
                Verdict::degraded().because("UNKNOWN"),
                "{unknown}"
            );
        }
        assert_eq!(of("1"), Verdict::neutral().because("CANCELLED"));
        assert_eq!(of("4"), Verdict::neutral().because("DEADLINE_EXCEEDED"));
    }

    #[test]
    fn a_response_without_the_header_is_none_of_grpc() {
        assert_eq!(of(HttpClassifier::new(), &[("grpc-message", "14")]), None);
    }

    #[test]
    fn pushback_rests_the_peer_or_forbids_another_attempt() {
        let of = |pushback| {
            let headers = [("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)];
            of(HttpClassifier::new(), &headers).unwrap()
        };
        let rest = Verdict::down().recover_in(Duration::from_millis(250));
        assert_eq!(of("250"), rest.if_idempotent().because("UNAVAILABLE"));
        for never in ["-1", "soon", ""] {
            assert_eq!(of(never), Verdict::degraded().because("UNAVAILABLE"));
        }
    }

    #[test]
    fn exhausted_resources_are_the_peers_if_told() {
        let rules = HttpClassifier::new().too_many_requests(TooManyRequests::Peer);
        let expected = Verdict::degraded().safe().because("RESOURCE_EXHAUSTED");
        assert_eq!(of(rules, &[("grpc-status", "8")]), Some(expected));
    }
}
