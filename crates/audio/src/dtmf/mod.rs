//! DTMF: sixteen digits as tones in the sound (ITU-T Q.23, Q.24) and as events beside it
//! (RFC 4733).

mod detector;
mod event;
mod generator;
mod receiver;
mod sender;

pub use detector::{Detector, Heard};
pub use event::{EVENT_LEN, EventPayload};
pub use generator::Generator;
pub use receiver::{EventReceiver, ReceivedEvent, ReceiverCounters};
pub use sender::{EventSender, MAX_QUEUED_DIGITS, OutgoingEvent, QueueFull};

/// Row frequencies, in hertz (Q.23).
const ROWS_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];

/// Column frequencies, in hertz (Q.23).
const COLUMNS_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// The digits by row and column.
const KEYPAD: [[u8; 4]; 4] = [*b"123A", *b"456B", *b"789C", *b"*0#D"];

/// The digits by event code (RFC 4733 table 7).
const CODES: &[u8; 16] = b"0123456789*#ABCD";

/// One of the sixteen digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digit(u8);

impl Digit {
    /// The digit of a character: 0 to 9, `*`, `#`, A to D in either case.
    pub fn from_char(character: char) -> Option<Self> {
        let wanted = u8::try_from(character).ok()?.to_ascii_uppercase();
        let code = CODES.iter().position(|&known| known == wanted)?;
        Some(Self(code as u8))
    }

    /// The digit of an event code, 0 to 15; others are no digits.
    pub const fn from_event(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// Its event code, 0 to 15.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// Its character.
    pub const fn to_char(self) -> char {
        CODES[self.0 as usize] as char
    }

    /// All sixteen, in the order of their event codes.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16).map(Self)
    }

    fn at(row: usize, column: usize) -> Option<Self> {
        Self::from_char(KEYPAD[row][column].into())
    }

    /// Its row and column frequency, in hertz.
    pub fn tones_hz(self) -> [f64; 2] {
        let wanted = CODES[usize::from(self.0)];
        let place = |row: &[u8; 4]| row.iter().position(|&known| known == wanted);
        let found = (0..4).find_map(|row| place(&KEYPAD[row]).map(|column| (row, column)));
        let (row, column) = found.unwrap_or_default();
        [ROWS_HZ[row], COLUMNS_HZ[column]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_characters_and_event_codes() {
        let all: String = Digit::all().map(Digit::to_char).collect();
        assert_eq!(all, "0123456789*#ABCD");
        for digit in Digit::all() {
            assert_eq!(Digit::from_char(digit.to_char()), Some(digit));
            assert_eq!(Digit::from_event(digit.event()), Some(digit));
        }
        assert_eq!(Digit::from_char('d'), Digit::from_event(15));
        assert_eq!(Digit::from_event(16), None);
        assert_eq!(Digit::from_char('E'), None);
        assert_eq!(Digit::from_char('é'), None);
    }

    #[test]
    fn a_digit_has_the_tones_of_its_row_and_column() {
        let tones = |character| {
            let tones_hz = Digit::from_char(character).unwrap().tones_hz();
            tones_hz.map(|hz| hz as u32)
        };
        assert_eq!(tones('1'), [697, 1_209]);
        assert_eq!(tones('0'), [941, 1_336]);
        assert_eq!(tones('D'), [941, 1_633]);
        assert_eq!(tones('6'), [770, 1_477]);
    }
}
