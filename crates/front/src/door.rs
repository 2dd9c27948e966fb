//! One request, from any HTTP version, to one response.
//!
//! All versions call [`Door::handle`]: a request with a boxed body in, a response with a boxed body out. Live streams and static files are answered here, all else by the application.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::header::{
    ALT_SVC, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, Uri, Version};
use roomtone_hls::Shelf;

use crate::body::{LimitedBody, RequestBody, ResponseBody};
use crate::config::{self, FrontConfig, Limits};
use crate::error::FrontError;
use crate::forwarded::{self, Client, Scheme};
use crate::front::Alive;
use crate::headers::{self, RequestIds};
use crate::live::{self, Live};
use crate::network::Network;
use crate::paths;
use crate::rate::{ConnectionPlace, RateLimiter};
use crate::refusal::Refusal;
use crate::static_files::StaticFiles;
use crate::stats::Stats;
use crate::tunnel::{self, Asked, Kind, Terms};
use crate::upstream::Application;

/// Everything requests share.
pub(crate) struct Door {
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    trusted: Vec<Network>,
    /// Prefixes that some bind serves alone.
    exclusive: Vec<String>,
    pub(crate) live: Option<Live>,
    static_files: StaticFiles,
    application: Arc<Application>,
    rates: RateLimiter,
    request_ids: RequestIds,
}

/// Where a request came in.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) scheme: Scheme,
    pub(crate) entrance: Arc<Entrance>,
    /// Held by tunnels, which outlive the HTTP connection they came by.
    pub(crate) connection: Arc<OpenConnection>,
}

/// What an open connection holds; the gauge goes down last, when the place is free again.
pub(crate) struct OpenConnection {
    _place: ConnectionPlace,
    _alive: Alive,
    _gauge: OpenGauge,
}

impl OpenConnection {
    pub(crate) fn new(place: ConnectionPlace, alive: Alive, stats: &Arc<Stats>) -> Arc<Self> {
        stats.connections_open.increment();
        Arc::new(Self {
            _place: place,
            _alive: alive,
            _gauge: OpenGauge(Arc::clone(stats)),
        })
    }
}

struct OpenGauge(Arc<Stats>);

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.connections_open.decrement();
        if std::thread::panicking() {
            self.0.connection_panics.increment();
        }
    }
}

/// One bind, as requests see it.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) name: HeaderValue,
    pub(crate) only: Vec<String>,
    /// Says where the same is served by HTTP/3 (RFC 7838), if it is.
    pub(crate) alternative: Option<HeaderValue>,
}

impl Door {
    pub(crate) fn new(config: &FrontConfig, live: Option<Arc<Shelf>>) -> Result<Self, FrontError> {
        let stats = Arc::new(Stats::default());
        let limits = config.limits.clone();
        let application = Application::new(config.application.clone(), &limits, Arc::clone(&stats));
        let rates = RateLimiter::new(
            limits.requests_per_second,
            limits.request_burst,
            limits.max_rate_addresses,
            Instant::now(),
        );
        Ok(Self {
            trusted: config.trusted_proxies.clone(),
            exclusive: config
                .binds
                .iter()
                .flat_map(|bind| bind.only.clone())
                .collect(),
            live: live.map(|shelf| Live::new(shelf, config)).transpose()?,
            static_files: StaticFiles::new(&config.static_dirs)?,
            application,
            rates,
            request_ids: RequestIds::new(),
            limits,
            stats,
        })
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Answers one request; never fails.
    pub(crate) async fn handle(
        &self,
        peer: &Peer,
        mut request: Request<RequestBody>,
    ) -> Response<ResponseBody> {
        let version = request.version();
        match version {
            Version::HTTP_3 => self.stats.requests_http3.increment(),
            Version::HTTP_2 => self.stats.requests_http2.increment(),
            _ => self.stats.requests_http1.increment(),
        }
        let host = settle_host(&mut request);
        let client =
            forwarded::resolve(request.headers(), peer.address, peer.scheme, &self.trusted);
        let id = self.request_ids.id_for(request.headers(), client.by_proxy);
        let answer = match host {
            Ok(()) => self.answer(peer, &client, &id, request).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = answer.unwrap_or_else(|refusal| {
            refusal.count(&self.stats);
            refusal.response(&id)
        });
        response.headers_mut().insert(headers::REQUEST_ID, id);
        if let Some(alternative) = &peer.entrance.alternative
            && version != Version::HTTP_3
            && !client.by_proxy
        {
            let alternative = alternative.clone();
            response.headers_mut().insert(ALT_SVC, alternative);
        }
        self.stats.count_response(response.status());
        response
    }

    async fn answer(
        &self,
        peer: &Peer,
        client: &Client,
        id: &HeaderValue,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        self.check_rate(client.address)?;
        self.check_headers(request.headers())?;
        let kind = tunnel::kind(&request);
        if kind == Kind::Unsupported {
            return Err(Refusal::UpgradeUnsupported);
        }
        if request.method() == Method::TRACE {
            return Err(Refusal::MethodNotAllowed);
        }
        let raw_path = request.uri().path();
        let path = paths::decode(raw_path)
            .filter(|path| path.starts_with('/'))
            .ok_or(Refusal::BadRequest(
                "the path is not valid percent-encoded UTF-8",
            ))?;
        self.check_entrance(&peer.entrance, &path)?;
        if kind == Kind::Plain {
            let asked = live::Asked {
                method: request.method(),
                path: &path,
                query: request.uri().query(),
                headers: request.headers(),
                address: client.address,
            };
            if let Some(live) = &self.live
                && let Some(response) = live.serve(asked, id, &self.stats).await
            {
                self.stats.live_responses.increment();
                return Ok(response);
            }
            let served = self
                .static_files
                .serve(request.method(), raw_path, &path, request.headers())
                .await;
            if let Some(response) = served {
                self.stats.static_responses.increment();
                return response;
            }
        }
        let request = for_application(request, peer, client, id)?;
        match kind {
            Kind::WebSocket(asked) => self.open_tunnel(peer, request, asked).await,
            Kind::Plain | Kind::Unsupported => self.proxy(request).await,
        }
    }

    fn check_rate(&self, address: IpAddr) -> Result<(), Refusal> {
        let verdict = self.rates.admit(address, Instant::now());
        if verdict.overflow {
            self.stats.rate_table_overflows.increment();
        }
        match verdict.wait {
            None => Ok(()),
            Some(wait) => Err(Refusal::RateLimited {
                retry_after_s: whole_seconds(wait),
            }),
        }
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let fits = headers.len() <= self.limits.max_headers
            && headers::total_bytes(headers) <= self.limits.max_header_bytes;
        if fits {
            Ok(())
        } else {
            Err(Refusal::HeadersTooLarge)
        }
    }

    fn check_entrance(&self, entrance: &Entrance, path: &str) -> Result<(), Refusal> {
        let is_under = |prefix: &String| paths::is_under(path, prefix);
        let is_served = if entrance.only.is_empty() {
            !self.exclusive.iter().any(is_under)
        } else {
            entrance.only.iter().any(is_under)
        };
        if is_served {
            Ok(())
        } else {
            Err(Refusal::Withheld)
        }
    }

    async fn proxy(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let limit = self.limits.max_body_bytes;
        if hyper::body::Body::size_hint(request.body()).lower() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        let stall = config::timeout(self.limits.body_timeout_ms);
        let (head, body) = request.into_parts();
        let (body, progress) = LimitedBody::new(body, limit, stall);
        let request = Request::from_parts(head, body.boxed_unsync());
        let mut response = self.application.send(request, &progress).await?;
        headers::remove_hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    async fn open_tunnel(
        &self,
        peer: &Peer,
        mut request: Request<RequestBody>,
        asked: Asked,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let client = hyper::upgrade::on(&mut request);
        tunnel::prepare(&mut request, asked);
        let (response, place) = self.application.send_upgrade(request).await?;
        let terms = Terms {
            idle: config::timeout(self.limits.tunnel_idle_timeout_ms),
            stats: Arc::clone(&self.stats),
            guard: (place, Arc::clone(&peer.connection)),
        };
        Ok(tunnel::answer(client, response, asked, terms))
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Makes `Host` say where the request was sent: in HTTP/2 and 3, and with an absolute target, the target's authority
/// decides (RFC 9113 section 8.3.1, RFC 9114 section 4.3.1, RFC 9112 section 3.2.2).
fn settle_host(request: &mut Request<RequestBody>) -> Result<(), Refusal> {
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::try_from(authority.as_str())
            .map_err(|_| Refusal::BadRequest("the authority is not valid"))?;
        request.headers_mut().insert(HOST, host);
    }
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() != Version::HTTP_10) {
        return Err(Refusal::BadRequest("a request needs exactly one Host"));
    }
    Ok(())
}

/// The request as the application gets it: HTTP/1.1, our word on who asks, nothing of this hop.
fn for_application(
    mut request: Request<RequestBody>,
    peer: &Peer,
    client: &Client,
    id: &HeaderValue,
) -> Result<Request<RequestBody>, Refusal> {
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(target.unwrap_or(PathAndQuery::from_static("/")));
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    if headers.contains_key(TRANSFER_ENCODING) {
        // The length was overridden, and would smuggle a request (RFC 9112 section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
    headers::remove_hop_by_hop(headers);
    join_cookies(headers)?;
    forwarded::rewrite(headers, client);
    headers.insert(headers::REQUEST_ID, id.clone());
    headers.insert(headers::BIND, peer.entrance.name.clone());
    if !headers.contains_key(HOST) {
        headers.insert(
            HOST,
            client
                .host
                .clone()
                .unwrap_or(HeaderValue::from_static("localhost")),
        );
    }
    Ok(request)
}

/// HTTP/2 and 3 may split cookies over several fields; towards HTTP/1.1 they are one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Refusal> {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
        .map_err(|_| Refusal::BadRequest("the cookies are not valid"))?;
    headers.insert(COOKIE, joined);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_one_connection_and_is_counted() {
        let stats = Arc::new(Stats::default());
        stats.connections_open.increment();
        let gauge = OpenGauge(Arc::clone(&stats));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _gauge = gauge;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(stats.connections_open.value(), 0);
        assert_eq!(stats.connection_panics.value(), 1);
    }
}
