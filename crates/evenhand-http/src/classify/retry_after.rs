//! The header `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// For how long a server asks to be left alone; zero if the time has passed.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds are a long time, too.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(
            of("99999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
        let read = of(&httpdate::fmt_http_date(in_an_hour)).unwrap();
        assert!((3500..=3600).contains(&read.as_secs()), "{read:?}");
        assert_eq!(of("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in ["", "-1", "1.5", "+3", "soon", "1s"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
