//! Commands: a name, a number to answer to, and values (RTMP section 7.1.1).

use bytes::{Bytes, BytesMut};

use crate::{AmfError, Kind, Message, Value, read_values};

/// One command or its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `connect`, `_result`, ...
    pub name: String,
    /// The answer names it; 0 wants none.
    pub transaction: f64,
    /// The first value: an object or nothing.
    pub object: Value,
    /// The others.
    pub arguments: Vec<Value>,
}

impl Command {
    /// One that wants no answer, or is one.
    pub fn new(name: &str, transaction: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            transaction,
            object,
            arguments,
        }
    }

    /// Read a message of a command. One in AMF3 begins with a byte that says that AMF0 follows.
    pub fn read(message: &Message) -> Result<Self, AmfError> {
        let payload = amf0_of(message);
        let mut values = read_values(payload)?.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(AmfError::NoCommand);
        };
        let transaction = match values.next() {
            Some(Value::Number(number)) => number,
            // Commands that want no answer come without a number from some.
            Some(Value::Null | Value::Undefined) | None => 0.0,
            Some(_) => return Err(AmfError::NoCommand),
        };
        Ok(Self {
            name,
            transaction,
            object: values.next().unwrap_or(Value::Null),
            arguments: values.collect(),
        })
    }

    /// The bytes of it.
    pub fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        Value::from(self.name.as_str()).write(&mut out);
        Value::Number(self.transaction).write(&mut out);
        self.object.write(&mut out);
        for argument in &self.arguments {
            argument.write(&mut out);
        }
        out.freeze()
    }

    /// The text of an argument, counted from 0.
    pub fn text(&self, at: usize) -> Option<&str> {
        self.arguments.get(at).and_then(Value::as_str)
    }
}

/// The values of a message, without the byte that AMF3 puts before AMF0.
pub(crate) fn amf0_of(message: &Message) -> &[u8] {
    match (message.kind, message.payload.first()) {
        (Kind::CommandAmf3 | Kind::DataAmf3, Some(0)) => &message.payload[1..],
        _ => &message.payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(kind: Kind, payload: Bytes) -> Message {
        Message {
            kind,
            stream: 0,
            timestamp: 0,
            payload,
        }
    }

    #[test]
    fn a_command_reads_as_it_was_written() {
        let command = Command::new(
            "publish",
            5.0,
            Value::Null,
            vec!["cam".into(), "live".into()],
        );
        let message = carried(Kind::Command, command.write());
        assert_eq!(Command::read(&message), Ok(command));
    }

    #[test]
    fn a_command_of_amf3_is_one_of_amf0_behind_a_zero() {
        let command = Command::new("connect", 1.0, Value::object([]), vec![]);
        let payload = [&[0][..], &command.write()].concat().into();
        assert_eq!(
            Command::read(&carried(Kind::CommandAmf3, payload)),
            Ok(command)
        );
    }

    #[test]
    fn what_does_not_begin_with_a_name_is_no_command() {
        let message = carried(Kind::Command, Bytes::from_static(&[5]));
        assert_eq!(Command::read(&message), Err(AmfError::NoCommand));
    }
}
