//! Counters of everything the front door does, refuses and loses.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

/// One number that any thread may change.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// All counters; the field names are the names reported.
        #[derive(Debug, Default)]
        pub(crate) struct Stats {
            $($(#[$doc])+ pub(crate) $name: Counter,)+
        }

        impl Stats {
            /// Every counter by name, in a fixed order.
            pub(crate) fn snapshot(&self) -> Vec<(String, u64)> {
                vec![$((stringify!($name).to_owned(), self.$name.value()),)+]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections_accepted,
    /// Connections open now (gauge).
    connections_open,
    /// Connections closed because `max_connections` was reached.
    connections_refused_full,
    /// Connections closed because their address had too many.
    connections_refused_address,
    /// Failures of accept(2).
    accept_errors,
    /// Connections that did not finish their first byte, handshake or head in time.
    header_timeouts,
    /// Connections closed because they made no request for too long.
    idle_timeouts,
    /// Connections whose peer stopped taking bytes.
    write_timeouts,
    /// Connections that ended in something that is not HTTP.
    malformed_http,
    /// Connections that broke off or were reset in the middle of a request.
    connections_broken,
    /// Connections lost to a panic of ours.
    connection_panics,
    /// TLS handshakes that failed.
    tls_handshake_failures,
    /// Connections on a shared TLS port handed to the media sink.
    media_tcp_connections,
    /// Connections on a TLS port that were neither TLS nor wanted by anybody.
    not_tls_connections,
    /// QUIC connections, which carry HTTP/3, whose handshake was finished.
    quic_connections,
    /// QUIC clients that had to prove their address because too many handshakes were under way.
    quic_retries,
    /// Requests that came by HTTP/1.
    requests_http1,
    /// Requests that came by HTTP/2.
    requests_http2,
    /// Requests that came by HTTP/3.
    requests_http3,
    /// Requests being answered now (gauge).
    requests_open,
    /// Responses 1xx (switching protocols).
    responses_1xx,
    /// Responses 2xx.
    responses_2xx,
    /// Responses 3xx.
    responses_3xx,
    /// Responses 4xx.
    responses_4xx,
    /// Responses 5xx.
    responses_5xx,
    /// Requests refused for the size of their body.
    bodies_too_large,
    /// Requests whose body stalled.
    body_timeouts,
    /// Refused bodies whose rest was too long or slow to be thrown away; their connections were cut.
    bodies_abandoned,
    /// Requests refused for the size or number of their headers.
    headers_too_large,
    /// Requests refused for their rate.
    rate_limited,
    /// Requests judged by the shared bucket because the table of addresses was full.
    rate_table_overflows,
    /// Requests for a path that this bind does not serve.
    paths_withheld,
    /// Responses from disk.
    static_responses,
    /// Responses of live streams.
    live_responses,
    /// Responses of live streams from disk.
    live_stored,
    /// Requests for live streams whose file could not be read.
    live_stored_unreadable,
    /// Requests for live streams that waited for media.
    live_waits,
    /// Requests for live streams that waited longer than three target durations, or for a place to wait.
    live_waits_refused,
    /// Requests for live streams that showed no grant where one is needed.
    live_grants_missing,
    /// Requests for live streams whose grant had expired.
    live_grants_expired,
    /// Requests for live streams whose grant was of another stream or none.
    live_grants_foreign,
    /// Requests for live streams by viewers that were sent away.
    live_kicked_refused,
    /// Viewers of live streams that asked for a playlist lately (gauge).
    live_viewers,
    /// Requests of viewers that were not counted: too many were known.
    live_viewers_uncounted,
    /// Viewers of live streams that were sent away.
    live_viewers_kicked,
    /// Requests refused because the application was not there.
    application_absent,
    /// Requests refused because too many were under way towards the application.
    application_busy,
    /// Requests the application broke off.
    application_failures,
    /// Requests the application did not begin to answer in time.
    application_timeouts,
    /// WebSockets opened.
    tunnels_opened,
    /// WebSockets open now (gauge).
    tunnels_open,
    /// WebSockets closed because they were silent for too long.
    tunnel_idle_timeouts,
    /// Requests still under way when the drain's deadline passed.
    drain_cut,
}

impl Stats {
    pub(crate) fn count_response(&self, status: StatusCode) {
        match status.as_u16() / 100 {
            1 => self.responses_1xx.increment(),
            2 => self.responses_2xx.increment(),
            3 => self.responses_3xx.increment(),
            4 => self.responses_4xx.increment(),
            _ => self.responses_5xx.increment(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_every_counter_once() {
        let stats = Stats::default();
        stats.count_response(StatusCode::NOT_FOUND);
        let snapshot = stats.snapshot();
        assert!(snapshot.contains(&("responses_4xx".to_owned(), 1)));
        let names: std::collections::HashSet<_> = snapshot.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), snapshot.len());
    }
}
