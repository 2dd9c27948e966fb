//! What a packager says of itself when it is asked.

use std::time::Instant;

use super::program::Program;
use super::track::Track;
use crate::values::{Report, StatValue};

/// A report of pairs.
macro_rules! report {
    ($($name:literal: $value:expr),* $(,)?) => {
        Report::from([$(($name.to_owned(), StatValue::from($value))),*])
    };
}

/// One of the packager, one of each track.
pub(super) fn reports(program: &Program, now: Instant) -> Vec<Report> {
    let mut own = report! {
        "type": "packager-core", "begun": program.channel.is_some(), "packetsIgnored": program.ignored,
        "cuesTold": program.cues.told, "cuesRepeated": program.cues.repeated, "cuesDropped": program.cues.dropped,
    };
    if let Some(channel) = &program.channel {
        own.extend(channel.with(|packager| {
            let (cadence, holding) = (packager.cadence(), packager.holding());
            let (text, tags) = (packager.text_figures(), packager.tag_figures());
            let waiting = &program.waiting;
            report! {
                "unitsLate": packager.late(), "unitsRefused": packager.refused,
                "forcedCuts": packager.forced_cuts, "lostBoundaries": packager.lost_boundaries,
                "targetDuration": cadence.map(|one| one.target_duration_s),
                "partTargetMs": cadence.map(|one| one.part_target_us / 1000),
                "bytesHeld": holding.memory, "bytesStored": holding.stored,
                "segmentsForgotten": packager.forgotten,
                "textLines": text.lines, "textLate": text.late, "textDropped": text.dropped + waiting.lines_dropped,
                "tagsListed": tags.listed, "tagsDropped": tags.dropped + waiting.tags_dropped,
            }
        }));
        own.insert("readersWaiting".into(), channel.waiting().into());
    }
    let mut reports = vec![own];
    reports.extend(program.tracks.iter().map(|track| of_track(track, now)));
    reports.extend(program.jobs.iter().map(|job| {
        let figures = job.figures;
        report! {
            "id": job.id.to_string(), "type": "packager-transcoder", "connected": job.connected,
            "declared": job.declared, "unitsSent": figures.sent, "unitsSkipped": figures.skipped,
            "unitsMade": figures.made, "timesLost": figures.lost,
        }
    }));
    reports
}

/// How tracks of a source lie on the timeline, those that are made of others not counted; the timeline itself first.
pub(super) fn sync(program: &Program) -> Vec<Report> {
    let mended = program.timeline.mended();
    let mut reports = vec![report! {
        "type": "packager-timeline", "raised": mended.raised, "refusedReports": mended.refused_reports,
        "discontinuities": mended.discontinuities,
    }];
    let ms = |ns: Option<i64>| ns.map(|ns| ns as f64 / 1e6);
    for track in program.tracks.iter().filter(|track| !track.is_made()) {
        let alignment = track.number.and_then(|at| program.timeline.alignment(at));
        let alignment = alignment.unwrap_or_default();
        reports.push(report! {
            "type": "packager-alignment", "name": track.name.as_str(), "video": track.is_video(),
            "sharedClock": track.is_whole(), "clockTied": track.is_tied(),
            "errorMs": ms(alignment.error_ns), "lateMs": ms(alignment.late_ns),
            "shiftMs": ms(Some(alignment.shift_ns)),
            "driftPpm": alignment.drift.map(|(parts, _)| parts),
            "driftOverS": alignment.drift.map(|(_, over)| over as f64 / 1e9),
        });
    }
    reports
}

fn of_track(track: &Track, now: Instant) -> Report {
    let figures = track.figures;
    let since =
        |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at).as_millis() as u64);
    report! {
        "id": track.id.to_string(), "type": "packager-track", "name": track.name.as_str(),
        "codec": track.format.as_ref().map(roomtone_frames::Format::codec_string),
        "carried": track.place.is_some(), "vacant": track.vacant,
        "packetsReceived": figures.packets, "bytesReceived": figures.bytes, "packetsIgnored": figures.ignored,
        "packetsLost": track.reorder.lost, "packetsLate": track.reorder.late,
        "units": figures.units, "keyframes": figures.keyframes, "unitsDropped": track.dropped(),
        "unitsForgotten": figures.forgotten, "keyframesAsked": figures.keyframes_asked,
        "breaks": figures.breaks, "silentFrames": track.silent_frames(), "clockTied": track.is_tied(),
        "sinceKeyframeMs": since(track.last_keyframe), "sincePacketMs": since(track.last_packet),
    }
}
