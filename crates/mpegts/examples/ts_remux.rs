//! Takes a transport stream apart and writes it again: `ts_remux < IN > OUT`. Tests give the result to foreign readers.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use roomtone_frames::{AccessUnit, Format};
use roomtone_mpegts::{Demuxer, Event, Muxer, MuxerConfig, TrackId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut stream = Vec::new();
    std::io::stdin().read_to_end(&mut stream)?;
    let mut demuxer = Demuxer::default();
    demuxer.handle_bytes(&stream);
    demuxer.finish();
    let mut formats: BTreeMap<TrackId, Format> = BTreeMap::new();
    let mut units: Vec<(TrackId, AccessUnit)> = Vec::new();
    while let Some(event) = demuxer.poll_event() {
        match event {
            Event::Format { track, format } => {
                formats.entry(track).or_insert(format);
            }
            Event::Unit { track, unit } => units.push((track, unit)),
            _ => {}
        }
    }
    let mut muxer = Muxer::new(MuxerConfig::default());
    let mut tracks = BTreeMap::new();
    for (track, format) in &formats {
        tracks.insert(*track, muxer.add_track(format.clone(), None)?);
    }
    units.sort_by_key(|(track, unit)| {
        unit.dts * 90_000
            / formats
                .get(track)
                .map_or(1, |format| i64::from(format.clock_rate()))
    });
    let mut out = std::io::stdout().lock();
    for (track, unit) in &units {
        muxer.handle_unit(tracks[track], unit)?;
        while let Some(datagram) = muxer.poll_rest() {
            out.write_all(&datagram)?;
        }
    }
    Ok(())
}
