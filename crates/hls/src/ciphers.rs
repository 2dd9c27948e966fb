//! By what each segment of a rendition is encrypted: that may change while the program runs, between two segments.
//!
//! A change is agreed on ahead, for a segment that no rendition has begun: discontinuities then come at the same one in
//! all of them. Keys are numbered through the whole life of a program, so that none is taken for another.

use std::collections::VecDeque;

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;

use crate::encryption::Encryption;

/// From a segment on: by this, or by nothing.
struct Era {
    since: u64,
    encryption: Option<Encryption>,
}

/// The encryptions of one rendition, one after the other.
pub(crate) struct Ciphers {
    /// The one in force is the last; there is always one.
    eras: VecDeque<Era>,
    /// What follows, and the first segment for which it may.
    coming: Option<Era>,
    /// The first key that no segment had.
    next_key: u64,
}

impl Ciphers {
    /// Those of a rendition that begins so.
    pub(crate) fn new(encryption: Option<Encryption>) -> Self {
        let first = Era {
            since: 0,
            encryption,
        };
        Self {
            eras: VecDeque::from([first]),
            coming: None,
            next_key: 0,
        }
    }

    /// By what a segment is encrypted that can still be fetched.
    pub(crate) fn of(&self, segment: u64) -> Option<&Encryption> {
        let mut eras = self.eras.iter().rev();
        eras.find(|era| era.since <= segment)?.encryption.as_ref()
    }

    /// What the open segment is encrypted by.
    pub(crate) fn open(&mut self) -> Option<&mut Encryption> {
        self.eras.back_mut()?.encryption.as_mut()
    }

    /// Whether segments that can be fetched are not all encrypted alike.
    pub(crate) fn differ(&self) -> bool {
        self.eras.len() > 1
    }

    /// From this segment on, or the first behind it that is begun, another.
    pub(crate) fn change(&mut self, since: u64, encryption: Option<Encryption>) {
        self.coming = Some(Era { since, encryption });
    }

    /// A segment begins, which is not the first.
    pub(crate) fn begin(&mut self, segment: u64) -> Result<(), Unspecified> {
        let Some(coming) = self.coming.take_if(|coming| coming.since <= segment) else {
            return Ok(());
        };
        if let Some(last) = self.open() {
            self.next_key = last.key_of(segment.saturating_sub(1)) + 1;
        }
        let first_key = self.next_key;
        let encryption = coming
            .encryption
            .map(|one| one.beginning(segment, first_key));
        self.eras.push_back(Era {
            since: segment,
            encryption: encryption.transpose()?,
        });
        Ok(())
    }

    /// What is older than this segment cannot be fetched any more.
    pub(crate) fn forget_before(&mut self, oldest: u64) {
        while self.eras.get(1).is_some_and(|next| next.since <= oldest) {
            self.eras.pop_front();
        }
    }

    /// A key that one of these segments is encrypted by.
    pub(crate) fn key(&self, number: u64, oldest: u64, newest: u64) -> Option<Bytes> {
        let ends = self.eras.iter().skip(1).map(|next| next.since - 1);
        let ends = ends.chain(std::iter::once(newest));
        self.eras.iter().zip(ends).find_map(|(era, end)| {
            let encryption = era.encryption.as_ref()?;
            let keys = encryption.key_of(era.since.max(oldest))..=encryption.key_of(end);
            keys.contains(&number).then(|| encryption.key(number))
        })
    }
}
