//! What a stored packet becomes for one consumer: as it came, unpacked, or with its past packed in.

use crate::Redundancy;
use crate::history::Entry;

/// The payload that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it came.
    Whole,
    /// As it came, but the blocks inside are named by the consumer's payload type.
    Renamed(u8),
    /// As it came, but it names what it protects by the consumer's numbers.
    Correction,
    /// The primary block alone.
    Primary,
    /// No payload: it only fills its number, which nobody may wait for.
    Nothing,
    /// The packet, or its primary block, behind copies of the packets before it.
    Redundant(Redundancy),
}

/// The payload type and shape for a consumer with these payload types; `None`: it does not take it.
#[inline]
pub(crate) fn shape_of(
    entry: &Entry,
    payload_types: &[(u8, u8)],
    redundancy: Option<Redundancy>,
) -> Option<(u8, Shape)> {
    if entry.inside.is_none() && redundancy.is_none() {
        return Some((mapped(payload_types, entry.payload_type)?, Shape::Whole));
    }
    shape_redundant(entry, payload_types, redundancy)
}

fn shape_redundant(
    entry: &Entry,
    payload_types: &[(u8, u8)],
    redundancy: Option<Redundancy>,
) -> Option<(u8, Shape)> {
    let outer = mapped(payload_types, entry.payload_type);
    let Some(inside) = entry.inside else {
        return Some(with_past(outer?, Shape::Whole, redundancy));
    };
    let inner = mapped(payload_types, inside.payload_type);
    match (outer, inner) {
        (Some(outer), Some(_)) if inside.correction => Some((outer, Shape::Correction)),
        _ if inside.correction => None,
        // What it holds must be known to the consumer too, by the consumer's own name.
        (Some(outer), Some(inner)) if inside.uniform => Some((
            outer,
            if inner == inside.payload_type {
                Shape::Whole
            } else {
                Shape::Renamed(inner)
            },
        )),
        (_, Some(inner)) => Some(with_past(inner, Shape::Primary, redundancy)),
        (_, None) => None,
    }
}

/// The same with redundancy made, where the consumer asked for it.
fn with_past(payload_type: u8, plain: Shape, redundancy: Option<Redundancy>) -> (u8, Shape) {
    match redundancy {
        Some(asked) if asked.protects == payload_type => {
            (asked.payload_type, Shape::Redundant(asked))
        }
        _ => (payload_type, plain),
    }
}

#[inline]
fn mapped(pairs: &[(u8, u8)], from: u8) -> Option<u8> {
    let found = pairs.iter().find(|(source, _)| *source == from);
    found.map(|(_, own)| *own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{History, Inside};

    const ASKED: Redundancy = Redundancy {
        payload_type: 63,
        protects: 109,
        blocks: 2,
    };

    fn shaped(
        payload_type: u8,
        inside: Option<(u8, bool)>,
        payload_types: &[(u8, u8)],
        redundancy: Option<Redundancy>,
    ) -> Option<(u8, Shape)> {
        let mut history = History::new(16);
        history.append(1, |entry| {
            entry.payload_type = payload_type;
            entry.inside = inside.map(|(payload_type, uniform)| Inside {
                payload_type,
                uniform,
                correction: false,
                offset: 1,
            });
        });
        shape_of(history.get(0).unwrap(), payload_types, redundancy)
    }

    #[test]
    fn what_a_consumer_gets_of_redundant_and_of_plain_packets() {
        let (red, plain) = (Some((111, true)), None);
        let mixed = Some((111, false));
        let opus = &[(111, 109)][..];
        let both = &[(111, 109), (63, 64)][..];
        let same = &[(111, 111), (63, 64)][..];
        let cases = [
            (
                "kept under other names",
                63,
                red,
                both,
                None,
                Some((64, Shape::Renamed(109))),
            ),
            (
                "kept as it is",
                63,
                red,
                same,
                None,
                Some((64, Shape::Whole)),
            ),
            ("unpacked", 63, red, opus, None, Some((109, Shape::Primary))),
            (
                "blocks of several types",
                63,
                mixed,
                both,
                None,
                Some((109, Shape::Primary)),
            ),
            ("no codec in common", 63, red, &[(63, 64)][..], None, None),
            ("plain", 111, plain, both, None, Some((109, Shape::Whole))),
            (
                "made",
                111,
                plain,
                opus,
                Some(ASKED),
                Some((63, Shape::Redundant(ASKED))),
            ),
            (
                "made anew",
                63,
                red,
                opus,
                Some(ASKED),
                Some((63, Shape::Redundant(ASKED))),
            ),
            (
                "kept, not made",
                63,
                red,
                both,
                Some(ASKED),
                Some((64, Shape::Renamed(109))),
            ),
            (
                "of another codec",
                9,
                plain,
                &[(9, 9)][..],
                Some(ASKED),
                Some((9, Shape::Whole)),
            ),
        ];
        for (name, payload_type, inside, payload_types, redundancy, expected) in cases {
            let shaped = shaped(payload_type, inside, payload_types, redundancy);
            assert_eq!(shaped, expected, "{name}");
        }
    }
}
