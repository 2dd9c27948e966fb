//! What all depacketizers of video share: packets make pictures, and a lost one takes along all that refers to it.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::depacketize::{Dropped, MAX_UNIT_BYTES, Payload};
use crate::{AccessUnit, NalCodec, NalKind};

/// What stands before a NAL unit.
const LENGTH_BYTES: usize = 4;

/// The picture under way, and those that are ready.
#[derive(Debug)]
pub(super) struct Assembly {
    expected: Option<u64>,
    timestamp: Option<i64>,
    /// What a container has of the picture so far.
    data: BytesMut,
    contents: Contents,
    /// Where the length of a fragmented NAL unit stands.
    fragment_at: Option<usize>,
    state: Picture,
    /// Nothing can be decoded before the first keyframe, nor behind a picture that was lost.
    waits_for_keyframe: bool,
    /// Decoding began at the last keyframe: leading pictures refer to what was before.
    skips_leading: bool,
    ready: VecDeque<AccessUnit>,
    dropped: Dropped,
}

/// What was seen of the picture so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Contents {
    /// Decoding may begin here.
    pub keyframe: bool,
    /// There is any part of a picture.
    pub has_frame: bool,
    /// What a decoder must be told was said.
    pub has_sets: bool,
    /// It is shown before the keyframe it follows, and may refer to pictures before that (RASL).
    pub is_leading: bool,
}

/// What is wrong with the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Picture {
    #[default]
    Whole,
    Incomplete,
    Malformed,
    TooLarge,
}

impl Default for Assembly {
    fn default() -> Self {
        Self {
            expected: None,
            timestamp: None,
            data: BytesMut::new(),
            contents: Contents::default(),
            fragment_at: None,
            state: Picture::default(),
            waits_for_keyframe: true,
            skips_leading: false,
            ready: VecDeque::new(),
            dropped: Dropped::default(),
        }
    }
}

impl Assembly {
    /// A packet comes; where it is of another picture, the one before is over. False where packets are missing before it.
    pub(super) fn begin(&mut self, payload: &Payload<'_>) -> bool {
        let gap = self
            .expected
            .is_some_and(|expected| expected != payload.sequence);
        self.expected = Some(payload.sequence + 1);
        if gap {
            // Nobody knows to which picture the missing one belonged: to the one under way, or to the one that now begins.
            self.spoil(Picture::Incomplete);
        }
        if self
            .timestamp
            .is_some_and(|timestamp| timestamp != payload.timestamp)
        {
            self.finish();
            if gap {
                self.spoil(Picture::Incomplete);
            }
        }
        self.timestamp = Some(payload.timestamp);
        !gap
    }

    /// Whether a packet of this timestamp is of the picture under way.
    pub(super) fn is_of(&self, timestamp: i64) -> bool {
        self.timestamp == Some(timestamp)
    }

    /// What was seen of the picture so far.
    pub(super) fn contents(&mut self) -> &mut Contents {
        &mut self.contents
    }

    pub(super) fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    pub(super) fn wants_keyframe(&self) -> bool {
        self.waits_for_keyframe
    }

    pub(super) fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Add a NAL unit behind its length.
    pub(super) fn append_nal(&mut self, nal: &[u8]) {
        if self.fits(nal.len()) {
            self.data.put_u32(nal.len() as u32);
            self.data.put_slice(nal);
        }
    }

    /// Let `write` add so many bytes, if there is room.
    pub(super) fn append(&mut self, bytes: usize, write: impl FnOnce(&mut BytesMut)) {
        if self.fits(bytes) {
            write(&mut self.data);
        }
    }

    /// A NAL unit comes in fragments; this is its header.
    pub(super) fn begin_fragment(&mut self, header: &[u8]) {
        self.fragment_at = Some(self.data.len());
        self.data.put_u32(0);
        self.data.put_slice(header);
    }

    /// A fragment, and whether it is the last; then the NAL unit comes back where it is none of a picture's.
    pub(super) fn add_fragment(
        &mut self,
        data: &[u8],
        ends: bool,
        codec: NalCodec,
    ) -> Option<Bytes> {
        let Some(at) = self.fragment_at else {
            self.spoil(Picture::Incomplete);
            return None;
        };
        if self.fits(data.len()) {
            self.data.put_slice(data);
        }
        if !ends {
            return None;
        }
        self.fragment_at = None;
        let begin = at + LENGTH_BYTES;
        let length = (self.data.len() - begin) as u32;
        self.data[at..begin].copy_from_slice(&length.to_be_bytes());
        self.contents.keyframe |= codec.is_recovery_point(&self.data[begin..]);
        let kind = codec.kind(&self.data[begin..]);
        kind.is_some_and(|kind| kind.is_set() || kind == NalKind::Delimiter)
            .then(|| self.data.split_off(at).split_off(LENGTH_BYTES).freeze())
    }

    /// A fragmented NAL unit that had no end makes the picture incomplete.
    pub(super) fn close_fragment(&mut self) {
        if self.fragment_at.take().is_some() {
            self.spoil(Picture::Incomplete);
        }
    }

    /// Whether so many bytes have room.
    pub(super) fn fits(&mut self, more: usize) -> bool {
        let fits = self.data.len() + more <= MAX_UNIT_BYTES;
        if !fits {
            self.spoil(Picture::TooLarge);
        }
        fits
    }

    /// The first reason stays.
    pub(super) fn spoil(&mut self, why: Picture) {
        if self.state == Picture::Whole {
            self.state = why;
        }
    }

    /// The picture is over.
    pub(super) fn finish(&mut self) {
        self.close_fragment();
        let data: Bytes = self.data.split().freeze();
        let contents = std::mem::take(&mut self.contents);
        let state = std::mem::take(&mut self.state);
        let Some(timestamp) = self.timestamp.take() else {
            return;
        };
        match state {
            Picture::Whole if !contents.has_frame => return, // parameter sets alone
            Picture::Whole if contents.is_leading && self.skips_leading => {
                self.dropped.undecodable += 1;
                return;
            }
            Picture::Whole if contents.keyframe || !self.waits_for_keyframe => {
                if contents.keyframe {
                    self.skips_leading = self.waits_for_keyframe;
                }
                self.waits_for_keyframe = false;
                self.ready.push_back(AccessUnit {
                    dts: timestamp,
                    pts: timestamp,
                    keyframe: contents.keyframe,
                    data,
                });
                return;
            }
            Picture::Whole => self.dropped.undecodable += 1,
            Picture::Incomplete => self.dropped.incomplete += 1,
            Picture::Malformed => self.dropped.malformed += 1,
            Picture::TooLarge => self.dropped.too_large += 1,
        }
        self.waits_for_keyframe = true;
    }
}
