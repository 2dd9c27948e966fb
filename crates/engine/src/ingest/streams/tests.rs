//! Streams that are pointed at each other.

use roomtone_sfu::WallClock;

use super::*;
use crate::live;
use crate::values::ErrorCode;

const CAM: (&str, u64) = ("cam", 10);
const SPARE: (&str, u64) = ("spare", 20);
const THIRD: (&str, u64) = ("third", 30);

struct Scene {
    streams: Streams,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        Self {
            streams: Streams::new(live::handle().0),
            now: Instant::now(),
        }
    }

    /// Its encoder begins to send this, and its lists are there.
    fn begin(&mut self, (name, packager): (&str, u64), kinds: &[bool]) {
        let config = ProgramConfig {
            run: "r".to_owned(),
            window_us: 0,
            part_us: None,
            encryption: None,
            clock: WallClock {
                at: self.now,
                ntp: 0,
            },
        };
        let publisher = packager + 5;
        let streams = &mut self.streams;
        let given = streams.begin(name, publisher, packager, config, self.now);
        assert_eq!(given, Some(packager));
        for is_video in kinds {
            let id = packager + 1 + u64::from(*is_video);
            assert_eq!(streams.add_track(name, id, *is_video), Some(id));
        }
        assert!(streams.board(name).begin(kinds.len()));
    }

    fn refused(&mut self, (name, _): (&str, u64), source: Option<u64>) -> (ErrorCode, String) {
        let failure = self.streams.point(name, source).unwrap_err();
        (failure.code, failure.message)
    }

    fn overdue(&self, after: Duration) -> Vec<String> {
        let mut names = self.streams.overdue(self.now + after);
        names.sort();
        names
    }
}

#[test]
fn who_shows_another_s_is_shown_by_none_and_none_is_in_a_circle() {
    let mut scene = Scene::new();
    for stream in [CAM, SPARE, THIRD] {
        scene.begin(stream, &[true, false]);
    }
    scene.streams.point(CAM.0, Some(SPARE.1)).unwrap();
    for (stream, source) in [(SPARE, CAM), (THIRD, CAM), (SPARE, THIRD)] {
        let (code, message) = scene.refused(stream, Some(source.1));
        assert_eq!(code, ErrorCode::WrongState, "{message}");
    }
    // One may be shown by several, and any shows its own again.
    scene.streams.point(THIRD.0, Some(SPARE.1)).unwrap();
    scene.streams.point(SPARE.0, Some(SPARE.1)).unwrap();
    scene.streams.point(CAM.0, None).unwrap();
    scene.streams.point(THIRD.0, Some(CAM.1)).unwrap();
    assert_eq!(
        scene.refused(CAM, Some(77)),
        (
            ErrorCode::NotFound,
            Failure::not_found("stream of packager", 77).message
        )
    );
}

#[test]
fn an_encoder_that_is_away_or_sends_less_is_not_shown() {
    let mut scene = Scene::new();
    scene.begin(CAM, &[true, false]);
    scene.begin(SPARE, &[false]);
    let (code, message) = scene.refused(CAM, Some(SPARE.1));
    assert_eq!(
        (code, &message[..]),
        (ErrorCode::Unsupported, "the other sends no video")
    );
    // Of more what is listed is shown.
    scene.streams.point(SPARE.0, Some(CAM.1)).unwrap();
    scene.streams.lose(SPARE.0, scene.now);
    assert_eq!(scene.refused(SPARE, None).0, ErrorCode::WrongState);
    scene.streams.lose(CAM.0, scene.now);
    assert_eq!(scene.refused(SPARE, Some(CAM.1)).0, ErrorCode::WrongState);
}

#[test]
fn one_that_is_shown_ends_when_its_encoder_is_gone_and_who_shows_it_waits_no_longer() {
    let mut scene = Scene::new();
    scene.begin(CAM, &[true]);
    scene.begin(SPARE, &[true]);
    scene.streams.point(CAM.0, Some(SPARE.1)).unwrap();
    scene.streams.lose(CAM.0, scene.now);
    assert!(scene.overdue(GRACE).is_empty());
    scene.streams.lose(SPARE.0, scene.now);
    assert_eq!(scene.overdue(GRACE), [SPARE.0]);
    assert_eq!(scene.streams.end(SPARE.0), Some(SPARE.1));
    assert_eq!(scene.overdue(GRACE), [CAM.0]);
}
