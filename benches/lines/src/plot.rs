//! A run as a picture: rates and estimate, queue, loss, over time.

use std::fmt::Write as _;

use crate::lines::closed_loop::figures::Record;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const PANELS: [(&str, f64, f64); 3] = [
    ("Mbit/s", 40.0, 240.0),
    ("queue ms", 280.0, 360.0),
    ("loss %", 400.0, 460.0),
];
const HEIGHT: f64 = 490.0;
/// Points of the lower panels a second.
const STEPS: f64 = 5.0;

struct Curve {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// The picture as SVG.
pub(crate) fn svg(title: &str, record: &Record, seconds: f64) -> String {
    let rate = |name, colour, of: fn(&crate::lines::closed_loop::figures::Sample) -> u64| {
        let points = record.samples.iter();
        let points = points.map(|s| (s.at.as_secs_f64(), of(s) as f64 / 1e6));
        Curve {
            name,
            colour,
            points: points.collect(),
        }
    };
    let top = [
        rate("received", "#8ab", |s| s.received_bps),
        rate("line", "#222", |s| s.line_bps),
        rate("estimate", "#d33", |s| s.estimate_bps),
    ];
    let windows = || (0..(seconds * STEPS) as u32).map(|at| f64::from(at) / STEPS);
    let queue = windows().map(|at| (at, record.queue_p95_ms(at, at + 1.0 / STEPS)));
    let lost = windows().map(|at| (at, 100.0 * record.loss(at, at + 1.0 / STEPS)));
    let queue = Curve {
        name: "p95",
        colour: "#36c",
        points: queue.collect(),
    };
    let lost = Curve {
        name: "lost",
        colour: "#c60",
        points: lost.collect(),
    };
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' \
         font-family='sans-serif' font-size='11'><rect width='100%' height='100%' fill='#fff'/>\
         <text x='{LEFT}' y='20' font-size='14'>{title}</text>"
    );
    for (panel, curves) in PANELS.iter().zip([&top[..], &[queue], &[lost]]) {
        draw(&mut out, *panel, curves, seconds);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, (unit, top, bottom): (&str, f64, f64), curves: &[Curve], seconds: f64) {
    let all = curves.iter().flat_map(|curve| &curve.points);
    let most = all.fold(0.0_f64, |most, (_, value)| most.max(*value));
    let most = if most > 0.0 { most * 1.1 } else { 1.0 };
    let right = WIDTH - 20.0;
    let x = |at: f64| LEFT + (right - LEFT) * at / seconds;
    let y = |value: f64| bottom - (bottom - top) * (value / most).min(1.0);
    let _ = write!(out, "<text x='4' y='{}'>{unit}</text>", top + 4.0);
    for share in [0.0, 0.5, 1.0] {
        let value = most * share;
        let at = y(value);
        let _ = write!(
            out,
            "<path d='M{LEFT} {at:.1}H{right}' stroke='#ddd'/><text x='{}' y='{:.1}' \
             text-anchor='end'>{value:.1}</text>",
            LEFT - 4.0,
            at + 4.0
        );
    }
    for tick in 0..=(seconds / 5.0) as u32 {
        let at = f64::from(tick) * 5.0;
        let _ = write!(
            out,
            "<text x='{:.1}' y='{}' text-anchor='middle' fill='#888'>{at}</text>",
            x(at),
            bottom + 13.0
        );
    }
    for (index, curve) in curves.iter().enumerate() {
        let mut path = String::new();
        for (index, (at, value)) in curve.points.iter().enumerate() {
            let letter = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", x(*at), y(*value));
        }
        let _ = write!(
            out,
            "<path d='{path}' fill='none' stroke='{0}' stroke-width='1.3'/>\
             <text x='{1}' y='{2}' fill='{0}'>{3}</text>",
            curve.colour,
            LEFT + 10.0 + 70.0 * index as f64,
            top - 4.0,
            curve.name
        );
    }
}
