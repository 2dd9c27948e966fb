//! The lines the relay takes on its standard input.

use std::time::Duration;

use roomtone_netem::LinkConfig;

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print what both links have done.
    Counters,
    /// Change a direction.
    Change(Direction, Vec<(String, String)>),
}

/// Which way datagrams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

/// Reads a line.
pub(crate) fn parse(line: &str) -> Result<Command, String> {
    let mut words = line.split_whitespace();
    let direction = match words.next() {
        Some("counters") => return Ok(Command::Counters),
        Some("up") => Direction::Up,
        Some("down") => Direction::Down,
        other => return Err(format!("not a command: {}", other.unwrap_or(""))),
    };
    let changes = words.map(|word| {
        word.split_once('=')
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .ok_or_else(|| format!("not KEY=VALUE: {word}"))
    });
    Ok(Command::Change(
        direction,
        changes.collect::<Result<_, _>>()?,
    ))
}

/// The configuration with the changes of a line.
pub(crate) fn apply(
    mut config: LinkConfig,
    changes: &[(String, String)],
) -> Result<LinkConfig, String> {
    for (key, value) in changes {
        let number = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|number| *number >= 0.0 && number.is_finite())
                .ok_or_else(|| format!("not a number: {key}={value}"))
        };
        let time = |text: &str| number(text).map(|ms| Duration::from_secs_f64(ms / 1_000.0));
        match key.as_str() {
            "rate_bps" if value == "none" => config.rate_bps = None,
            "rate_bps" => config.rate_bps = Some(number(value)? as u64),
            "delay_ms" => config.delay = time(value)?,
            "jitter_ms" => config.jitter = time(value)?,
            "loss" => config.loss = number(value)?,
            "loss_burst" => config.loss_burst = number(value)?,
            "duplicate" => config.duplicate = number(value)?,
            "reorder" => config.reorder = number(value)?,
            "queue_ms" if value == "none" => config.queue_delay = None,
            "queue_ms" => config.queue_delay = Some(time(value)?),
            _ => return Err(format!("no such setting: {key}")),
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_changes_what_it_names_and_nothing_else() {
        let Ok(Command::Change(Direction::Down, changes)) =
            parse("down rate_bps=600000 delay_ms=25 queue_ms=200")
        else {
            panic!("not understood");
        };
        let changed = apply(LinkConfig::default(), &changes).unwrap();
        let expected = LinkConfig {
            rate_bps: Some(600_000),
            delay: Duration::from_millis(25),
            queue_delay: Some(Duration::from_millis(200)),
            ..LinkConfig::default()
        };
        assert_eq!(changed, expected);
        let free = apply(changed, &[("rate_bps".into(), "none".into())]).unwrap();
        assert_eq!(free.rate_bps, None);
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for line in ["", "sideways loss=1", "up loss"] {
            assert!(parse(line).is_err(), "{line}");
        }
        for (key, value) in [("loss", "much"), ("delay_ms", "-1"), ("colour", "1")] {
            let changes = [(key.to_owned(), value.to_owned())];
            assert!(apply(LinkConfig::default(), &changes).is_err(), "{key}");
        }
    }
}
