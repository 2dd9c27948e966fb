//! Why the front door itself answers a request: a closed list, each with its status and code.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use crate::body::ResponseBody;
use crate::stats::Stats;

/// A reason not to serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest(&'static str),
    NotFound,
    /// The path belongs to another bind; outside it looks like [`Refusal::NotFound`].
    Withheld,
    MethodNotAllowed,
    RequestTimeout,
    BodyTooLarge,
    HeadersTooLarge,
    RateLimited {
        retry_after_s: u64,
    },
    UpgradeUnsupported,
    FileUnreadable,
    ApplicationAbsent,
    ApplicationBusy,
    ApplicationFailed,
    ApplicationTimeout,
    /// What was waited for of a live stream did not come, or too many wait.
    LiveWait,
    /// A live stream is not public, and the request shows nothing.
    GrantMissing,
    GrantExpired,
    /// The grant is of another stream, of an earlier run, or none at all.
    GrantForeign,
    /// Somebody sent this viewer away.
    ViewerKicked,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest(why) => (StatusCode::BAD_REQUEST, "bad_request", why),
            Self::NotFound | Self::Withheld => (
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing at this path",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this method is not served here",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the request's body did not arrive in time",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "the request's body is over the limit",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "the request's headers are over the limit",
            ),
            Self::RateLimited { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "too many requests from this address",
            ),
            Self::UpgradeUnsupported => (
                StatusCode::NOT_IMPLEMENTED,
                "upgrade_unsupported",
                "only WebSocket can be upgraded to",
            ),
            Self::FileUnreadable => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "file_unreadable",
                "the file cannot be read",
            ),
            Self::ApplicationAbsent => (
                StatusCode::SERVICE_UNAVAILABLE,
                "application_absent",
                "the application is not running, or still starting",
            ),
            Self::ApplicationBusy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "application_busy",
                "too many requests are under way towards the application",
            ),
            Self::ApplicationFailed => (
                StatusCode::BAD_GATEWAY,
                "application_failed",
                "the application broke off before it answered",
            ),
            Self::ApplicationTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "application_timeout",
                "the application did not answer in time",
            ),
            Self::LiveWait => (
                StatusCode::SERVICE_UNAVAILABLE,
                "live_wait",
                "the stream has not come as far as was asked for",
            ),
            Self::GrantMissing => (
                StatusCode::UNAUTHORIZED,
                "grant_missing",
                "this stream is not public: begin with its index.m3u8 and a token",
            ),
            Self::GrantExpired => (
                StatusCode::UNAUTHORIZED,
                "grant_expired",
                "the time to watch is over: begin again with the stream's index.m3u8 and a token",
            ),
            Self::GrantForeign => (
                StatusCode::FORBIDDEN,
                "grant_foreign",
                "this address was not given out for this stream by this server",
            ),
            Self::ViewerKicked => (
                StatusCode::FORBIDDEN,
                "viewer_kicked",
                "you were sent away from this stream",
            ),
        }
    }

    /// Counts the refusal under its own name.
    pub(crate) fn count(self, stats: &Stats) {
        match self {
            Self::Withheld => stats.paths_withheld.increment(),
            Self::RequestTimeout => stats.body_timeouts.increment(),
            Self::BodyTooLarge => stats.bodies_too_large.increment(),
            Self::HeadersTooLarge => stats.headers_too_large.increment(),
            Self::RateLimited { .. } => stats.rate_limited.increment(),
            Self::ApplicationAbsent => stats.application_absent.increment(),
            Self::ApplicationBusy => stats.application_busy.increment(),
            Self::ApplicationFailed => stats.application_failures.increment(),
            Self::ApplicationTimeout => stats.application_timeouts.increment(),
            Self::LiveWait => stats.live_waits_refused.increment(),
            Self::GrantMissing => stats.live_grants_missing.increment(),
            Self::GrantExpired => stats.live_grants_expired.increment(),
            Self::GrantForeign => stats.live_grants_foreign.increment(),
            Self::ViewerKicked => stats.live_kicked_refused.increment(),
            Self::BadRequest(_)
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::UpgradeUnsupported
            | Self::FileUnreadable => {}
        }
    }

    fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_s } => Some(retry_after_s),
            Self::ApplicationAbsent | Self::ApplicationBusy | Self::LiveWait => Some(1),
            _ => None,
        }
    }

    /// The JSON response; `request_id` is a valid header value of ours.
    pub(crate) fn response(self, request_id: &HeaderValue) -> Response<ResponseBody> {
        let (status, code, message) = self.parts();
        let id = request_id.to_str().unwrap_or_default();
        let json = format!(r#"{{"code":"{code}","message":"{message}","request_id":"{id}"}}"#);
        let body = Full::new(Bytes::from(json))
            .map_err(|never| match never {})
            .boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self == Self::MethodNotAllowed {
            // RFC 9110 section 15.5.6 wants the list.
            headers.insert(
                ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
        }
        response
    }
}
