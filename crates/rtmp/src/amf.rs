//! AMF0: the values of commands and metadata (Action Message Format 0).

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::wire::Cursor;

/// How deep objects may lie in each other.
pub const MAX_DEPTH: usize = 16;
/// Values that one message may hold.
pub const MAX_VALUES: usize = 4096;

/// Why values could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmfError {
    /// They end in the midst of one.
    #[error("values are cut short")]
    Truncated,
    /// A kind that is not read, by its marker; 17 is AMF3.
    #[error("values of kind {0} are not read")]
    Marker(u8),
    /// Objects in objects beyond [`MAX_DEPTH`].
    #[error("objects lie too deep")]
    TooDeep,
    /// More than [`MAX_VALUES`].
    #[error("too many values")]
    TooMany,
    /// A command without a name or a number.
    #[error("no command")]
    NoCommand,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Every number is one of these.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text; what is no UTF-8 in it was replaced.
    String(String),
    /// Named values, in their order.
    Object(Vec<(String, Value)>),
    /// Named values, written as an associative array.
    EcmaArray(Vec<(String, Value)>),
    /// Values in a row.
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970.
    Date(f64),
    /// Nothing.
    Null,
    /// Not even nothing.
    Undefined,
}

mod marker {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const BOOLEAN: u8 = 1;
    pub(super) const STRING: u8 = 2;
    pub(super) const OBJECT: u8 = 3;
    pub(super) const NULL: u8 = 5;
    pub(super) const UNDEFINED: u8 = 6;
    pub(super) const ECMA_ARRAY: u8 = 8;
    pub(super) const OBJECT_END: u8 = 9;
    pub(super) const STRICT_ARRAY: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const LONG_STRING: u8 = 12;
    pub(super) const UNSUPPORTED: u8 = 13;
    pub(super) const XML: u8 = 15;
    pub(super) const TYPED_OBJECT: u8 = 16;
}

impl Value {
    /// An object of these members.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// The member of this name of an object or an associative array.
    pub fn member(&self, name: &str) -> Option<&Value> {
        let (Self::Object(members) | Self::EcmaArray(members)) = self else {
            return None;
        };
        members
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The text of it.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of it.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Write it behind what is there.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Number(number) => {
                out.put_u8(marker::NUMBER);
                out.put_f64(*number);
            }
            Self::Boolean(yes) => {
                out.put_u8(marker::BOOLEAN);
                out.put_u8(u8::from(*yes));
            }
            Self::String(text) => write_string(text, out),
            Self::Object(members) => {
                out.put_u8(marker::OBJECT);
                write_members(members, out);
            }
            Self::EcmaArray(members) => {
                out.put_u8(marker::ECMA_ARRAY);
                out.put_u32(members.len() as u32);
                write_members(members, out);
            }
            Self::StrictArray(values) => {
                out.put_u8(marker::STRICT_ARRAY);
                out.put_u32(values.len() as u32);
                for value in values {
                    value.write(out);
                }
            }
            Self::Date(milliseconds) => {
                out.put_u8(marker::DATE);
                out.put_f64(*milliseconds);
                out.put_u16(0);
            }
            Self::Null => out.put_u8(marker::NULL),
            Self::Undefined => out.put_u8(marker::UNDEFINED),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

fn write_string(text: &str, out: &mut BytesMut) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.put_u8(marker::STRING);
        out.put_u16(length);
    } else {
        out.put_u8(marker::LONG_STRING);
        out.put_u32(text.len() as u32);
    }
    out.put_slice(text.as_bytes());
}

fn write_members(members: &[(String, Value)], out: &mut BytesMut) {
    for (name, value) in members {
        let mut name = name.as_str();
        // A name has sixteen bits of length.
        while name.len() > usize::from(u16::MAX) {
            name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
        }
        out.put_u16(name.len() as u16);
        out.put_slice(name.as_bytes());
        value.write(out);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

/// All values of a message.
pub fn read_values(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader {
        rest: Cursor(bytes),
        left: MAX_VALUES,
    };
    let mut values = vec![];
    while !reader.rest.0.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    rest: Cursor<'a>,
    left: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        if depth > MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        self.left = self.left.checked_sub(1).ok_or(AmfError::TooMany)?;
        let marker = self.rest.u8().ok_or(AmfError::Truncated)?;
        Ok(match marker {
            marker::NUMBER => Value::Number(self.number()?),
            marker::BOOLEAN => Value::Boolean(self.rest.u8().ok_or(AmfError::Truncated)? != 0),
            marker::STRING => {
                let length = self.short()?;
                Value::String(self.text(length)?)
            }
            marker::LONG_STRING | marker::XML => {
                let length = self.long()?;
                Value::String(self.text(length)?)
            }
            marker::OBJECT => Value::Object(self.members(depth)?),
            marker::TYPED_OBJECT => {
                let length = self.short()?;
                self.text(length)?;
                Value::Object(self.members(depth)?)
            }
            marker::ECMA_ARRAY => {
                // The count is a hint; the end marker counts.
                self.long()?;
                Value::EcmaArray(self.members(depth)?)
            }
            marker::STRICT_ARRAY => {
                let count = self.long()?;
                let mut values = vec![];
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            marker::DATE => {
                let milliseconds = self.number()?;
                self.short()?;
                Value::Date(milliseconds)
            }
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
            other => return Err(AmfError::Marker(other)),
        })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        let mut members = vec![];
        loop {
            // Some encoders leave out the end of what ends the message.
            if self.rest.0.is_empty() {
                return Ok(members);
            }
            let length = self.short()?;
            if length == 0 && self.rest.0.first() == Some(&marker::OBJECT_END) {
                self.rest.u8();
                return Ok(members);
            }
            let name = self.text(length)?;
            members.push((name, self.value(depth + 1)?));
        }
    }

    fn number(&mut self) -> Result<f64, AmfError> {
        self.rest.f64().ok_or(AmfError::Truncated)
    }

    fn short(&mut self) -> Result<usize, AmfError> {
        self.rest.u16().map(usize::from).ok_or(AmfError::Truncated)
    }

    fn long(&mut self) -> Result<usize, AmfError> {
        self.rest
            .u32()
            .map(|length| length as usize)
            .ok_or(AmfError::Truncated)
    }

    fn text(&mut self, length: usize) -> Result<String, AmfError> {
        let bytes = self.rest.take(length).ok_or(AmfError::Truncated)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    fn written(value: &Value) -> Vec<u8> {
        let mut out = BytesMut::new();
        value.write(&mut out);
        out.to_vec()
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e9f64..1e9).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            "\\PC{0,12}".prop_map(Value::String),
            (0f64..2e12).prop_map(Value::Date),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let members = prop::collection::vec(("[a-z]{1,8}", inner.clone()), 0..6);
            prop_oneof![
                members.clone().prop_map(Value::Object),
                members.prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    #[test]
    fn an_object_is_written_as_the_specification_shows() {
        let value = Value::object([("app", "live".into())]);
        assert_eq!(
            written(&value),
            hex!("03 0003 617070 02 0004 6c697665 0000 09")
        );
    }

    #[test]
    fn text_beyond_sixteen_bits_is_a_long_string() {
        let value = Value::String("x".repeat(70_000));
        assert_eq!(read_values(&written(&value)), Ok(vec![value]));
    }

    #[test]
    fn an_array_without_its_end_is_taken_where_the_message_ends() {
        let bytes = hex!("08 00000001 0001 61 00 3ff0000000000000");
        let expected = Value::EcmaArray(vec![("a".to_owned(), Value::Number(1.0))]);
        assert_eq!(read_values(&bytes), Ok(vec![expected]));
    }

    #[test]
    fn amf3_within_amf0_is_refused_by_its_marker() {
        assert_eq!(read_values(&[0x11, 0x06]), Err(AmfError::Marker(0x11)));
    }

    #[test]
    fn what_lies_too_deep_or_is_too_much_is_refused() {
        let deep = [0x03, 0x00, 0x01, b'a'].repeat(40);
        assert_eq!(read_values(&deep), Err(AmfError::TooDeep));
        assert_eq!(
            read_values(&[marker::NULL; MAX_VALUES + 1]),
            Err(AmfError::TooMany)
        );
        // A count that promises more than the message has costs nothing.
        assert_eq!(
            read_values(&[marker::STRICT_ARRAY, 0xff, 0xff, 0xff, 0xff]),
            Err(AmfError::Truncated)
        );
    }

    proptest! {
        #[test]
        fn what_was_written_reads_as_it_was(values in prop::collection::vec(any_value(), 0..4)) {
            let mut out = BytesMut::new();
            for value in &values {
                value.write(&mut out);
            }
            prop_assert_eq!(read_values(&out), Ok(values));
        }

        #[test]
        fn no_bytes_upset_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_values(&bytes);
        }
    }
}
