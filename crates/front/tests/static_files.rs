//! Pages from disk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hyper::{Request, StatusCode};
use roomtone_front::{Front, StaticDir};
use support::{Client, Setup, address, counter, full, read_to_end};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const PAGE: &str = "<!doctype html><title>page</title>";

/// Serves a small tree at `/` and one at `/assets`.
fn setup() -> Setup {
    let mut setup = Setup::new();
    let web = setup.directory.path().join("web");
    let assets = setup.directory.path().join("other");
    for dir in ["sub", ".git", "empty"] {
        fs::create_dir_all(web.join(dir)).unwrap();
    }
    fs::create_dir(&assets).unwrap();
    fs::write(web.join("index.html"), PAGE).unwrap();
    fs::write(web.join("watch.html"), PAGE).unwrap();
    fs::write(web.join("sub/index.html"), PAGE).unwrap();
    fs::write(web.join("sp ace.txt"), "space").unwrap();
    fs::write(web.join(".git/config"), "hidden").unwrap();
    fs::write(assets.join("app.js"), "0123456789").unwrap();
    fs::write(setup.directory.path().join("secret.txt"), "secret").unwrap();
    symlink(
        setup.directory.path().join("secret.txt"),
        web.join("link.txt"),
    )
    .unwrap();
    setup.config.static_dirs = vec![dir("/", &web), dir("/assets", &assets)];
    setup
}

fn dir(prefix: &str, directory: &Path) -> StaticDir {
    StaticDir {
        prefix: prefix.into(),
        directory: directory.into(),
    }
}

async fn client(front: &Front) -> Client {
    Client::http1(address(front, "http")).await
}

#[tokio::test]
async fn files_have_their_types() {
    let setup = setup();
    let front = setup.start();
    let mut client = client(&front).await;
    for (path, media_type, text) in [
        ("/", "text/html; charset=utf-8", PAGE),
        ("/index.html?x=1", "text/html; charset=utf-8", PAGE),
        ("/watch", "text/html; charset=utf-8", PAGE),
        ("/sub/", "text/html; charset=utf-8", PAGE),
        ("/sp%20ace.txt", "text/plain; charset=utf-8", "space"),
        (
            "/assets/app.js",
            "text/javascript; charset=utf-8",
            "0123456789",
        ),
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(reply.headers["content-type"], media_type, "{path}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert_eq!(reply.text, text, "{path}");
    }
    assert_eq!(counter(&front, "static_responses"), 6);
}

#[tokio::test]
async fn a_directory_without_its_slash_is_redirected_within_the_server() {
    let setup = setup();
    let front = setup.start();
    let mut client = client(&front).await;
    for path in ["/sub", "//sub"] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(reply.headers["location"], "/sub/");
    }
}

#[tokio::test]
async fn a_current_copy_is_not_sent_again() {
    let setup = setup();
    let front = setup.start();
    let mut client = client(&front).await;
    let first = client.get("/assets/app.js").await;
    let tag = first.headers["etag"].to_str().unwrap();
    let date = first.headers["last-modified"].to_str().unwrap();
    for condition in [("if-none-match", tag), ("if-modified-since", date)] {
        let reply = client.get_with("/assets/app.js", &[condition]).await;
        assert_eq!(reply.status, StatusCode::NOT_MODIFIED, "{condition:?}");
        assert_eq!(reply.text, "");
        assert_eq!(reply.headers["etag"], tag);
    }
    fs::write(
        setup.config.static_dirs[1].directory.join("app.js"),
        "changed",
    )
    .unwrap();
    let reply = client
        .get_with("/assets/app.js", &[("if-none-match", tag)])
        .await;
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (StatusCode::OK, "changed")
    );
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let setup = setup();
    let front = setup.start();
    let request = Request::head("/assets/app.js")
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    let reply = client(&front).await.reply(request).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.headers["content-length"], "10");
    assert_eq!(reply.text, "");
}

#[tokio::test]
async fn a_range_is_a_part() {
    let setup = setup();
    let front = setup.start();
    let mut client = client(&front).await;
    let reply = client
        .get_with("/assets/app.js", &[("range", "bytes=2-4")])
        .await;
    assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(reply.headers["content-range"], "bytes 2-4/10");
    assert_eq!(reply.text, "234");
    let reply = client
        .get_with("/assets/app.js", &[("range", "bytes=10-")])
        .await;
    assert_eq!(reply.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(reply.headers["content-range"], "bytes */10");
    let stale = [("range", "bytes=2-4"), ("if-range", "\"other\"")];
    let reply = client.get_with("/assets/app.js", &stale).await;
    assert_eq!((reply.status, reply.text.len()), (StatusCode::OK, 10));
}

#[tokio::test]
async fn a_large_file_streams_whole() {
    let setup = setup();
    let text: String = (0..300_000_u32)
        .map(|n| char::from(b'a' + (n % 26) as u8))
        .collect();
    fs::write(setup.config.static_dirs[1].directory.join("big.txt"), &text).unwrap();
    let front = setup.start();
    let mut client = client(&front).await;
    assert_eq!(client.get("/assets/big.txt").await.text, text);
    let reply = client
        .get_with("/assets/big.txt", &[("range", "bytes=100000-299999")])
        .await;
    assert_eq!(reply.text, text[100_000..]);
}

#[tokio::test]
async fn nothing_outside_the_directory_is_served() {
    let setup = setup();
    let front = setup.start();
    // Raw, since clients tidy paths themselves.
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/assets/../../secret.txt",
        "//etc/passwd",
        "/.git/config",
        "/link.txt",
        "/sub/%00",
    ] {
        let mut stream = TcpStream::connect(address(&front, "http")).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        // What is not found is the absent application's, hence 503.
        let refused = ["HTTP/1.1 400", "HTTP/1.1 404", "HTTP/1.1 503"];
        assert!(
            refused.iter().any(|start| answer.starts_with(start)),
            "{path}: {answer}"
        );
        for content in ["secret\n", "hidden", "root:"] {
            assert!(!answer.contains(content), "{path}: {answer}");
        }
        assert!(!answer.ends_with("secret"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn what_is_not_on_disk_is_the_applications() {
    let setup = setup();
    let _application = setup.application();
    let front = setup.start();
    let mut client = client(&front).await;
    for path in ["/api/v1", "/empty", "/index.html/x", "/link.txt"] {
        assert_eq!(client.get(path).await.text, format!("application: {path}"));
    }
}

#[tokio::test]
async fn a_file_takes_no_post() {
    let setup = setup();
    let front = setup.start();
    let request = Request::post("/index.html")
        .header("host", "front.test")
        .body(full("x"))
        .unwrap();
    let reply = client(&front).await.reply(request).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.headers["allow"], "GET, HEAD");
}

#[test]
fn a_directory_that_is_not_there_is_an_error_of_the_start() {
    let setup = Setup::with(|config| config.static_dirs = vec![dir("/", Path::new("/not/there"))]);
    let error = Front::start(&setup.config).err().unwrap();
    assert_eq!(error.code(), "io");
    assert!(error.to_string().contains("/not/there"), "{error}");
}
