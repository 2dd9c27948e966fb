//! Keyframes are asked for as any receiver does it.

use roomtone_rtp::rtcp::{CompoundWriter, Pli};

use crate::shard::Batch;

/// Requests for keyframes, as the shard reads them.
pub(super) fn requests(packager: u64, ssrcs: &[u32]) -> Batch {
    let mut batch = Batch {
        to: packager,
        ..Batch::default()
    };
    for ssrc in ssrcs {
        let mut space = [0; 16];
        let mut writer = CompoundWriter::new(&mut space);
        let request = Pli {
            sender_ssrc: 0,
            media_ssrc: *ssrc,
        };
        if writer.push(&request).is_ok() {
            let len = writer.finish();
            batch.bytes.extend_from_slice(&space[..len]);
            batch.packets.push((len as u32, true));
        }
    }
    batch
}
