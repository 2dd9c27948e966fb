//! Files from disk: the web pages.

mod lookup;

use std::path::PathBuf;
use std::time::SystemTime;

use http_body_util::BodyExt;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, LAST_MODIFIED, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};

use self::lookup::{Found, OpenFile};
use crate::body::{self, ResponseBody};
use crate::conditions::{self, Part};
use crate::config::StaticDir;
use crate::error::FrontError;
use crate::file_body::FileBody;
use crate::paths;
use crate::refusal::Refusal;

/// The served directories, longest prefix first.
#[derive(Debug, Default)]
pub(crate) struct StaticFiles {
    dirs: Vec<(String, PathBuf)>,
}

impl StaticFiles {
    pub(crate) fn new(config: &[StaticDir]) -> Result<Self, FrontError> {
        let mut dirs = Vec::with_capacity(config.len());
        for dir in config {
            // The real path, so that a link inside cannot lead outside unnoticed.
            let root = dir.directory.canonicalize().map_err(|error| {
                FrontError::io(
                    format!("static directory {}", dir.directory.display()),
                    error,
                )
            })?;
            dirs.push((dir.prefix.clone(), root));
        }
        dirs.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Self { dirs })
    }

    /// The response from disk, or `None` where the request is the application's.
    pub(crate) async fn serve(
        &self,
        method: &Method,
        raw_path: &str,
        decoded_path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Response<ResponseBody>, Refusal>> {
        let (root, segments) = self.dirs.iter().find_map(|(prefix, root)| {
            Some((root.clone(), paths::remainder(decoded_path, prefix)?))
        })?;
        let Some(relative) = lookup::relative_path(&segments) else {
            return Some(Err(Refusal::NotFound));
        };
        let is_directory_url = raw_path.ends_with('/');
        let search =
            tokio::task::spawn_blocking(move || lookup::find(&root, &relative, is_directory_url));
        match search.await {
            Ok(Ok(Found::Nothing)) => None,
            Ok(Ok(Found::Directory)) => Some(Ok(redirect_to_directory(raw_path))),
            Ok(Ok(Found::File(file))) => Some(Ok(respond(method, headers, file))),
            Ok(Err(_)) | Err(_) => Some(Err(Refusal::FileUnreadable)),
        }
    }
}

/// Sends the browser to the path with a slash, from which the page's relative links are right.
fn redirect_to_directory(raw_path: &str) -> Response<ResponseBody> {
    // One slash in front: `//host/` would lead to another server.
    let location = format!("/{}/", raw_path.trim_matches('/'));
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn respond(method: &Method, headers: &HeaderMap, file: OpenFile) -> Response<ResponseBody> {
    let mut response = Response::new(body::empty());
    if method != Method::GET && method != Method::HEAD {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    describe(response.headers_mut(), &file);
    if conditions::is_not_modified(headers, &file.etag, Some(file.modified)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let (offset, len) = match conditions::part(headers, &file.etag, file.len) {
        Part::Whole => (0, file.len),
        Part::Range { first, last } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set_range(
                response.headers_mut(),
                &format!("bytes {first}-{last}/{}", file.len),
            );
            (first, last - first + 1)
        }
        Part::Unsatisfiable => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set_range(response.headers_mut(), &format!("bytes */{}", file.len));
            return response;
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    headers.insert(CONTENT_LENGTH, len.into());
    if method == Method::GET {
        *response.body_mut() = FileBody::new(file.file, offset, len).boxed_unsync();
    }
    response
}

fn describe(headers: &mut HeaderMap, file: &OpenFile) {
    if let Ok(tag) = HeaderValue::try_from(file.etag.as_str()) {
        headers.insert(ETAG, tag);
    }
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(representable(file.modified))) {
        headers.insert(LAST_MODIFIED, date);
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Kept, but asked for each time: a new version of the pages shows at once.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// An HTTP date cannot be before 1970 (`httpdate` panics there), which a file's time can.
fn representable(time: SystemTime) -> SystemTime {
    time.max(SystemTime::UNIX_EPOCH)
}

fn set_range(headers: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(CONTENT_RANGE, value);
    }
}
