//! What a viewer gets on bad lines: the table, in its short form.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod lines;

use lines::World;
use lines::closed_loop::line::Line;
use lines::viewer::Feedback;

#[test]
fn on_a_line_with_room_the_best_layer_is_shown_without_a_break() {
    let line = Line {
        bps: 20_000_000,
        ..Line::default()
    };
    let mut world = World::new(line, vec![], 1);
    world.watch(Feedback::TransportWide);
    // The simple estimator begins at 1 Mbit/s and gains a twentieth a report.
    world.run(25.0);
    let viewer = &world.viewers[0];
    let record = &viewer.record;
    // On the way up the best encoding comes at half its pictures first.
    assert!(record.fps(1.0, 10.0) > 29.5, "{}", record.fps(1.0, 10.0));
    assert!(record.fps(17.0, 25.0) > 29.5, "{}", record.fps(17.0, 25.0));
    assert!(record.longest_freeze(1.0, 25.0) < 0.1);
    assert!(record.loss(0.0, 24.5) < 1e-9);
    assert_eq!(viewer.decoder.layer.unwrap().0, 2);
    assert_eq!(
        (viewer.decoder.broken, viewer.decoder.picture_breaks),
        (0, 0)
    );
    assert_eq!((viewer.plis, viewer.nacks), (0, 0));
    let rate = record.received_bps(17.0, 25.0);
    assert!((1_600_000.0..2_000_000.0).contains(&rate), "{rate}");
}
