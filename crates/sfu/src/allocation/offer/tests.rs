use roomtone_rtp::extensions::LayerAllocation;

use super::*;

const SECOND: u64 = 1_000_000;
const START: u64 = 5 * SECOND;

fn window(active: bool, packets: u64, bitrate: u64) -> Window<'static> {
    Window {
        active,
        packets,
        bitrate,
        layers: &[],
    }
}

fn costs(offer: &Offer) -> Vec<u64> {
    offer.layers().iter().map(|layer| layer.bps).collect()
}

#[test]
fn what_was_not_measured_is_guessed() {
    let mut offer = Offer::new(false, 3, 0);
    assert_eq!(costs(&offer), [150_000, 450_000, 1_350_000]);
    for encoding in 0..2 {
        offer.set_active(encoding, true, 0);
    }
    let windows = [
        window(true, 0, 0),
        window(true, 50, 600_000 - 50 * OVERHEAD_BITS),
        window(false, 0, 0),
    ];
    offer.close_window(&windows, SECOND, START);
    assert_eq!(costs(&offer), [200_000, 600_000, 1_800_000]);
    offer.refresh(6 * SECOND, START);
    assert_eq!(costs(&offer).len(), 2, "the top never came");
    assert_eq!(costs(&Offer::new(true, 1, 0)), [AUDIO_GUESS_BPS]);
}

#[test]
fn what_never_came_is_waited_for_again_but_each_time_later() {
    let mut offer = Offer::new(false, 3, 0);
    let mut begun = Vec::new();
    let mut seen = 3;
    for at in 1..200 {
        let (now_us, flows) = (at * SECOND, at >= 8);
        if flows {
            offer.set_active(0, true, now_us);
            offer.set_active(1, true, now_us);
        }
        let packets = if flows { at } else { 0 };
        let sent = window(flows, packets, 300_000);
        // Nobody wants it while it is not offered, and who does not get it wants another.
        if offer.layers().len() < 3 {
            offer.expect(2, now_us);
        }
        offer.close_window(&[sent, sent, window(false, 0, 0)], now_us, START);
        if offer.layers().len() == 3 && seen < 3 {
            begun.push(at);
        }
        seen = offer.layers().len();
    }
    let apart: Vec<_> = begun.windows(2).map(|two| two[1] - two[0]).collect();
    // Six seconds each time, and 5, 10, 20 and so on between them.
    assert_eq!(apart, [11, 16, 26, 46, 86], "{begun:?}");
    offer.set_active(2, true, 200 * SECOND);
    let mut sent = [window(true, 500, 300_000); 3];
    offer.close_window(&sent, 201 * SECOND, START);
    // What has come once is asked for whenever there is room.
    sent[2] = window(false, 500, 0);
    offer.close_window(&sent, 202 * SECOND, START);
    assert_eq!(offer.layers().len(), 2);
    offer.expect(2, 203 * SECOND);
    offer.close_window(&sent, 203 * SECOND, START);
    assert_eq!(offer.layers().len(), 3);
}

#[test]
fn the_cost_has_the_packets_own_overhead_in_it() {
    let mut offer = Offer::new(false, 1, 0);
    offer.set_active(0, true, 0);
    offer.close_window(&[window(true, 100, 400_000)], SECOND, START);
    assert_eq!(costs(&offer), [400_000 + 100 * OVERHEAD_BITS]);
}

#[test]
fn a_stream_that_began_within_the_window_is_not_taken_for_a_slow_one() {
    let mut offer = Offer::new(false, 1, 0);
    offer.set_active(0, true, SECOND / 2);
    offer.close_window(&[window(true, 1, 200_000)], SECOND, START);
    assert_eq!(costs(&offer), [400_000 + 2 * OVERHEAD_BITS]);
    let mut offer = Offer::new(false, 1, 0);
    offer.set_active(0, true, SECOND * 9 / 10);
    offer.close_window(&[window(true, 1, 1_000)], SECOND, START);
    assert_eq!(costs(&offer), [SINGLE_GUESS_BPS], "too short to tell");
}

#[test]
fn one_window_is_no_rise_two_are() {
    let mut rate = Smoothed::default();
    let mut shown = vec![];
    for window in [800, 1_600, 800, 1_600, 1_500, 700] {
        rate.add(window);
        shown.push(rate.bps.unwrap());
    }
    assert_eq!(shown, [800, 800, 800, 800, 1_500, 1_400]);
}

#[test]
fn layers_of_a_stream_share_its_cost() {
    let rates = [
        (0, 0, 100, 15),
        (0, 1, 150, 30),
        (1, 0, 300, 15),
        (1, 1, 400, 30),
    ];
    let rates = rates.map(|(spatial, temporal, kbps, fps)| LayerCost {
        spatial,
        temporal,
        bps: kbps * 1_000,
        fps,
    });
    let mut offer = Offer::new(false, 1, 0);
    offer.set_active(0, true, 0);
    // Half of the packets, with their overhead, are needed by nobody who is given the best.
    let shown = Window {
        layers: &rates,
        ..window(true, 1_000, 800_000)
    };
    offer.close_window(&[shown], SECOND, START);
    let overhead = |kbps: u64| kbps * (800_000 + 1_000 * OVERHEAD_BITS) / 800;
    assert_eq!(costs(&offer), [100, 150, 300, 400].map(overhead));
    let layers = offer.layers();
    assert_eq!(
        (layers[0].size, layers[3].size),
        (Some((640, 360)), Some(FULL))
    );
    assert_eq!(layers[2].fps, Some(15));
    assert_eq!(offer.tops(layers[0].target), (1, 1));
}

#[test]
fn the_publisher_tells_sizes_and_rates() {
    let layer = |stream, width, kbps| LayerAllocation {
        stream,
        spatial: 0,
        temporal_layers: 1,
        target_kbps: [kbps, 0, 0, 0],
        resolution: Some(LayerResolution {
            width,
            height: width * 3 / 4,
            max_framerate: 25,
        }),
    };
    let layers = [layer(0, 320, 200), layer(1, 640, 700)];
    let told = VideoLayersAllocation::new(1, 2, &layers).unwrap();
    let mut offer = Offer::new(false, 2, 0);
    offer.on_told(1, &told);
    assert!(offer.refresh(0, START));
    let shown: Vec<_> = offer
        .layers()
        .iter()
        .map(|l| (l.bps, l.size, l.fps))
        .collect();
    let expected = [
        (200_000, Some((320, 240)), Some(25)),
        (700_000, Some((640, 480)), Some(25)),
    ];
    assert_eq!(shown, expected);
    assert!(!offer.refresh(0, START), "nothing new");
    // Signalled from the top down.
    let mut offer = Offer::new(false, 2, 0);
    offer.on_told(0, &told);
    offer.refresh(0, START);
    assert_eq!(costs(&offer), [700_000, 200_000]);
}

#[test]
fn what_was_switched_off_can_be_had_again() {
    let mut offer = Offer::new(false, 2, 0);
    offer.set_active(0, true, 0);
    offer.set_active(1, true, 0);
    let on = [window(true, 0, 0), window(true, 100, 964_800)];
    offer.close_window(&on, SECOND, START);
    let off = [window(true, 0, 0), window(false, 100, 0)];
    offer.close_window(&off, 2 * SECOND, START);
    assert_eq!(costs(&offer).len(), 1);
    offer.expect(1, 2 * SECOND);
    offer.refresh(2 * SECOND, START);
    assert_eq!(costs(&offer), [333_333, 1_000_000], "at what it cost");
}
