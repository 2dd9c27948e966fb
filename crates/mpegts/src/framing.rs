//! Frames that say how long they are, out of payloads that begin and end anywhere.

/// What the bytes at the front say of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// More of them are needed.
    More,
    /// No frame begins here.
    Bad,
    /// One of this many bytes begins here.
    Bytes(usize),
}

/// What is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole frame; the time where it is the first that begins in its payload.
    Frame(&'a [u8], Option<i64>),
    /// Bytes that were no frame.
    Garbage,
}

/// Finds frames. Limits: one frame, which the measure bounds.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    carry: Vec<u8>,
    /// Behind garbage one header is not enough to be believed.
    hunting: bool,
}

impl Framer {
    /// Take a payload; `time` is that of the first frame that begins in it.
    pub(crate) fn push(
        &mut self,
        payload: &[u8],
        mut time: Option<i64>,
        measure: impl Fn(&[u8]) -> Measure,
        mut take: impl FnMut(Found<'_>),
    ) {
        let mut joined = std::mem::take(&mut self.carry);
        let begins = joined.len();
        let bytes = if begins == 0 {
            payload
        } else {
            joined.extend_from_slice(payload);
            &joined
        };
        let mut at = 0;
        while at < bytes.len() {
            match measure(&bytes[at..]) {
                Measure::Bytes(length) if self.is_confirmed(&bytes[at..], length, &measure) => {
                    let Some(frame) = bytes.get(at..at + length) else {
                        break;
                    };
                    let its = if at >= begins { time.take() } else { None };
                    take(Found::Frame(frame, its));
                    self.hunting = false;
                    at += length.max(1);
                }
                Measure::More => break,
                Measure::Bytes(_) | Measure::Bad => {
                    if !self.hunting {
                        take(Found::Garbage);
                    }
                    self.hunting = true;
                    at += 1;
                }
            }
        }
        self.carry = bytes[at..].to_vec();
    }

    /// What is carried is given up; true where there was something.
    pub(crate) fn lose(&mut self) -> bool {
        let lost = !self.carry.is_empty();
        self.carry.clear();
        lost
    }

    /// Bytes carried over.
    pub(crate) fn len(&self) -> usize {
        self.carry.len()
    }

    fn is_confirmed(
        &self,
        bytes: &[u8],
        length: usize,
        measure: &impl Fn(&[u8]) -> Measure,
    ) -> bool {
        !self.hunting
            || bytes
                .get(length..)
                .is_none_or(|next| measure(next) != Measure::Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame: 9, its length, ...
    fn measure(bytes: &[u8]) -> Measure {
        match bytes {
            [9, length, ..] if *length >= 2 => Measure::Bytes(*length as usize),
            [] | [9] => Measure::More,
            _ => Measure::Bad,
        }
    }

    fn read(payloads: &[(&[u8], i64)]) -> Vec<(Vec<u8>, Option<i64>)> {
        let mut framer = Framer::default();
        let mut seen = Vec::new();
        for (payload, time) in payloads {
            framer.push(payload, Some(*time), measure, |found| {
                seen.push(match found {
                    Found::Frame(frame, time) => (frame.to_vec(), time),
                    Found::Garbage => (vec![], None),
                });
            });
        }
        seen
    }

    #[test]
    fn a_time_belongs_to_the_first_frame_that_begins_in_its_payload() {
        let seen = read(&[(&[9, 3, 1, 9], 10), (&[4, 2, 2, 9, 2, 9, 2], 20)]);
        let expected = [
            (vec![9, 3, 1], Some(10)),
            (vec![9, 4, 2, 2], None),
            (vec![9, 2], Some(20)),
            (vec![9, 2], None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn garbage_is_told_once_and_a_frame_behind_it_has_to_be_followed_by_another() {
        let seen = read(&[(&[1, 1, 9, 3, 5, 7, 9, 2, 9, 2], 10)]);
        assert_eq!(
            seen,
            [(vec![], None), (vec![9, 2], Some(10)), (vec![9, 2], None)]
        );
    }
}
