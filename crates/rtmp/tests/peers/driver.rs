//! A server on one socket, and FFmpeg or GStreamer beside it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output as Said, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use roomtone_frames::{AccessUnit, Format, annexb};
use roomtone_rtmp::{
    Client, ClientConfig, ClientEvent, Media, Output, Purpose, Refusal, Request, Server,
    ServerConfig, ServerEvent, TagError, Target, Tracks, Value,
};

/// Against hangs only: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// The body of a tag, and its time.
pub(crate) type Tag = (Media, u32, Bytes);

/// What the server says to who asks.
pub(crate) enum Answer {
    Take,
    Refuse(Refusal, &'static str),
    /// Accept, send these and end the stream.
    Play(Vec<Tag>),
}

/// What came of a connection.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) request: Option<Request>,
    pub(crate) metadata: Vec<Value>,
    pub(crate) formats: Vec<(Media, Format)>,
    pub(crate) pictures: Vec<AccessUnit>,
    pub(crate) sound: Vec<AccessUnit>,
    /// Whether the publisher said that its stream ends.
    pub(crate) stopped: bool,
}

impl Published {
    pub(crate) fn format(&self, media: Media) -> &Format {
        let of_media: Vec<_> = self.formats.iter().filter(|(of, _)| *of == media).collect();
        assert_eq!(of_media.len(), 1, "{of_media:?}");
        &of_media[0].1
    }

    pub(crate) fn units(&self, media: Media) -> &[AccessUnit] {
        match media {
            Media::Audio => &self.sound,
            Media::Video => &self.pictures,
        }
    }
}

fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Ok(named) = std::env::var("ROOMTONE_FFMPEG") {
            return named;
        }
        let asked = Command::new("python3")
            .args([
                "-c",
                "import imageio_ffmpeg as f; print(f.get_ffmpeg_exe())",
            ])
            .output()
            .expect("python3 runs");
        let path = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        assert!(
            !path.is_empty(),
            "no FFmpeg: install imageio-ffmpeg or name one in ROOMTONE_FFMPEG"
        );
        path
    })
}

/// Run a pipeline of GStreamer to its end.
pub(crate) fn gstreamer(pipeline: &str, input: &[u8]) -> Said {
    let running = Command::new("gst-launch-1.0")
        .arg("--quiet")
        .args(pipeline.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gst-launch-1.0 runs");
    finish(running, input)
}

/// Run it to its end.
pub(crate) fn ffmpeg(arguments: &[&str], input: &[u8]) -> Said {
    finish(start(arguments), input)
}

fn start(arguments: &[&str]) -> std::process::Child {
    Command::new(program())
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("FFmpeg runs")
}

fn finish(mut running: std::process::Child, input: &[u8]) -> Said {
    let mut pipe = running.stdin.take().unwrap();
    thread::scope(|scope| {
        // What it does not read is no failure of the pipe.
        scope.spawn(move || drop(pipe.write_all(input)));
        running.wait_with_output().unwrap()
    })
}

fn succeeded(said: Said) -> Vec<u8> {
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    said.stdout
}

/// A stream of FFmpeg's own container with what `source` draws, coded so.
pub(crate) fn encode(source: &[&str], coded: &[&str]) -> Vec<u8> {
    let arguments = [source, coded, &["-f", "nut", "-"]].concat();
    succeeded(ffmpeg(&arguments, &[]))
}

/// The same stream in another container.
pub(crate) fn remux(stream: &[u8], container: &str) -> Vec<u8> {
    let arguments = ["-i", "-", "-c", "copy", "-f", container, "-"];
    succeeded(ffmpeg(&arguments, stream))
}

/// The pictures that a stream decodes to, each by its digest.
pub(crate) fn pictures_in(format: &[&str], stream: &[u8]) -> Vec<String> {
    let digest = [
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ];
    let arguments = [format, &["-i", "-"], &digest].concat();
    let digests = digests_in(&succeeded(ffmpeg(&arguments, stream)));
    assert!(!digests.is_empty(), "nothing decodes");
    digests
}

/// The last column of what the digests are written as.
pub(crate) fn digests_in(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit(',').next())
        .map(|digest| digest.trim().to_owned())
        .collect()
}

/// The coded sound of a stream, all frames in a row.
pub(crate) fn sound_in(stream: &[u8]) -> Vec<u8> {
    let arguments = ["-i", "-", "-map", "0:a", "-c", "copy", "-f", "data", "-"];
    succeeded(ffmpeg(&arguments, stream))
}

/// The pictures that units decode to.
pub(crate) fn decoded(published: &Published) -> Vec<String> {
    let format = published.format(Media::Video);
    let mut stream = BytesMut::new();
    for unit in &published.pictures {
        if let Some(codec) = format.nal_codec() {
            let sets = format.parameter_sets();
            let sets = sets.iter().filter(|_| unit.keyframe).map(|set| &set[..]);
            annexb::write(codec, sets, &unit.data, &mut stream);
        } else {
            // A temporal unit of AV1 begins with a delimiter.
            stream.extend_from_slice(&[0x12, 0]);
            stream.extend_from_slice(&unit.data);
        }
    }
    let name = match format {
        Format::H264(_) => "h264",
        Format::Hevc(_) => "hevc",
        _ => "obu",
    };
    pictures_in(&["-f", name], &stream)
}

/// Run something against a server that takes one connection.
pub(crate) fn serve<R>(run: impl FnOnce(&str) -> R, answer: Answer) -> (R, Published) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(move || converse(listener.accept().unwrap().0, &answer));
        let result = run(&format!("rtmp://{address}"));
        // Where nobody came, this does, so that nobody waits.
        drop(TcpStream::connect(address));
        (result, server.join().unwrap())
    })
}

/// Publish a stream as it is coded and take it.
pub(crate) fn publish(path: &str, stream: &[u8]) -> Published {
    publish_from("0", path, stream)
}

/// The same, with times that begin at this many seconds.
pub(crate) fn publish_from(begin: &str, path: &str, stream: &[u8]) -> Published {
    let (said, published) = serve(
        |url| {
            let url = format!("{url}/{path}");
            let times = ["-output_ts_offset", begin];
            let arguments = [&["-i", "-", "-c", "copy"], &times[..], &["-f", "flv", &url]];
            ffmpeg(&arguments.concat(), stream)
        },
        Answer::Take,
    );
    succeeded(said);
    published
}

fn converse(mut socket: TcpStream, answer: &Answer) -> Published {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut server = Server::new(ServerConfig::default(), [7; 32], Instant::now());
    let mut tracks = Tracks::default();
    let mut published = Published::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(bytes) = server.poll_output() {
            if socket.write_all(&bytes).is_err() {
                return published;
            }
        }
        if server.ended().is_some() {
            linger(&socket, &mut buffer);
            return published;
        }
        let Ok(length @ 1..) = socket.read(&mut buffer) else {
            return published;
        };
        server.handle_bytes(&buffer[..length], Instant::now());
        if let Some(request) = server.poll_request() {
            published.request = Some(request);
            decide(&mut server, answer);
        }
        while let Some(event) = server.poll_event() {
            if let Err(error) = take(event, &mut tracks, &mut published) {
                server.refuse(Refusal::Unsupported, &error.to_string());
            }
        }
    }
}

/// What comes is read and thrown away until the peer leaves: a socket closed over bytes that nobody read takes back what it has sent.
fn linger(mut socket: &TcpStream, buffer: &mut [u8]) {
    if socket.shutdown(Shutdown::Write).is_ok() {
        while socket.read(buffer).is_ok_and(|length| length > 0) {}
    }
}

fn decide(server: &mut Server, answer: &Answer) {
    match answer {
        Answer::Refuse(refusal, description) => server.refuse(*refusal, description),
        Answer::Take => assert!(server.accept(Instant::now())),
        Answer::Play(tags) => {
            assert!(server.accept(Instant::now()));
            for (media, timestamp, body) in tags {
                assert!(server.send_media(*media, *timestamp, body.clone()));
            }
            server.close();
        }
    }
}

fn take(
    event: ServerEvent,
    tracks: &mut Tracks,
    published: &mut Published,
) -> Result<(), TagError> {
    match event {
        ServerEvent::Media {
            media,
            timestamp,
            body,
        } => collect(media, timestamp, &body, tracks, published)?,
        ServerEvent::Metadata(metadata) => published.metadata.push(metadata),
        ServerEvent::Data { .. } => {}
        ServerEvent::Stopped => published.stopped = true,
    }
    Ok(())
}

fn collect(
    media: Media,
    timestamp: u32,
    body: &Bytes,
    tracks: &mut Tracks,
    published: &mut Published,
) -> Result<(), TagError> {
    tracks.handle_tag(media, timestamp, body)?;
    while let Some(output) = tracks.poll_output() {
        match output {
            Output::Format(media, format) => published.formats.push((media, format)),
            Output::Unit(Media::Video, unit) => published.pictures.push(unit),
            Output::Unit(Media::Audio, unit) => published.sound.push(unit),
            Output::End(_) | Output::Text(_) => {}
        }
    }
    Ok(())
}

/// Where FFmpeg is to listen next.
fn free_url() -> (u16, String) {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    (port, format!("rtmp://127.0.0.1:{port}/live/cam"))
}

/// Have FFmpeg listen, publish these tags to it, and give what it said.
pub(crate) fn publish_to_listening(tags: &[Tag], arguments: &[&str]) -> Said {
    let (port, url) = free_url();
    let running = start(&[&["-listen", "1", "-i", &url], arguments].concat());
    send(connected(port), &url, tags);
    finish(running, &[])
}

/// Have FFmpeg listen, and play what it sends.
pub(crate) fn play_from_listening(stream: &[u8]) -> Published {
    let (port, url) = free_url();
    let sends = ["-i", "-", "-c", "copy", "-f", "flv", "-listen", "1", &url];
    let running = start(&sends);
    thread::scope(|scope| {
        let said = scope.spawn(move || finish(running, stream));
        let played = receive(connected(port), &url);
        // It ends with an error where the player leaves before the last word.
        drop(said.join().unwrap());
        played
    })
}

/// As soon as somebody listens there.
fn connected(port: u16) -> TcpStream {
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(socket) => return socket,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        thread::park_timeout(Duration::from_millis(20));
    }
}

fn send(mut socket: TcpStream, url: &str, tags: &[Tag]) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = ClientConfig::new(Target::parse(url).unwrap(), Purpose::Publish);
    let mut client = Client::new(config, [8; 32], Instant::now());
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(bytes) = client.poll_output() {
            socket.write_all(&bytes).unwrap();
        }
        if let Some(end) = client.ended() {
            assert_eq!(*end, roomtone_rtmp::ClientEnd::Closed);
            return;
        }
        let length = socket.read(&mut buffer).unwrap();
        assert!(length > 0, "FFmpeg left");
        client.handle_bytes(&buffer[..length], Instant::now());
        if client.poll_event() == Some(ClientEvent::Started) {
            for (media, timestamp, body) in tags {
                assert!(client.send_media(*media, *timestamp, body.clone()));
            }
            client.close();
        }
    }
}

fn receive(mut socket: TcpStream, url: &str) -> Published {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = ClientConfig::new(Target::parse(url).unwrap(), Purpose::Play);
    let mut client = Client::new(config, [8; 32], Instant::now());
    let mut tracks = Tracks::default();
    let mut played = Published::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(bytes) = client.poll_output() {
            socket.write_all(&bytes).unwrap();
        }
        if client.ended().is_some() {
            return played;
        }
        let Ok(length @ 1..) = socket.read(&mut buffer) else {
            return played;
        };
        client.handle_bytes(&buffer[..length], Instant::now());
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Metadata(metadata) => played.metadata.push(metadata),
                ClientEvent::Started | ClientEvent::Data { .. } => {}
                ClientEvent::Media {
                    media,
                    timestamp,
                    body,
                } => collect(media, timestamp, &body, &mut tracks, &mut played).unwrap(),
            }
        }
    }
}
