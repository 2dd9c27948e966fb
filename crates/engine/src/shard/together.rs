//! Several commands done in one turn: one message each way where they would have been many.

use super::Shard;
use super::commands::Answered;
use crate::failure::Failure;
use crate::values::{Command, CommandResult, ErrorCode};

/// Set in an id that stands for what an earlier command opens; the rest is the place of that command.
const OPENED: u64 = 1 << 63;
/// Commands done together: media waits for all of them.
const MAX_TOGETHER: usize = 64;

impl Shard {
    /// Does one after another until one fails. What was done before it stays: who asked closes it, or goes on.
    pub(super) fn do_together(&mut self, request: u64, commands: Vec<Command>) -> Answered {
        if commands.len() > MAX_TOGETHER {
            return Err(Failure::new(
                ErrorCode::Limit,
                format!("more than {MAX_TOGETHER} commands at once"),
            ));
        }
        let mut results = Vec::with_capacity(commands.len());
        let mut opened = Vec::with_capacity(commands.len());
        for mut command in commands {
            let done = put_in(&mut command, &opened).and_then(|()| self.execute(request, command));
            match done {
                Ok(result) => {
                    let result = result.unwrap_or(CommandResult::Done {});
                    opened.push(id_in(&result));
                    results.push(result);
                }
                Err(failure) => {
                    results.push(failure.into());
                    break;
                }
            }
        }
        Ok(Some(CommandResult::DoneTogether { results }))
    }
}

/// Puts the ids of what was opened into the places where they are stood for. Commands that are answered by another
/// shard, or that may be done later, are refused.
fn put_in(command: &mut Command, opened: &[Option<u64>]) -> Result<(), Failure> {
    match command {
        // Another one might belong on another shard.
        Command::OpenRouter { .. } if opened.is_empty() => Ok(()),
        Command::OpenPlainTransport { router: id, .. }
        | Command::ConnectPlainTransport { transport: id, .. }
        | Command::Produce { transport: id, .. } => stand_in(id, opened),
        Command::Consume {
            transport,
            producer,
            ..
        } => {
            stand_in(transport, opened)?;
            producer.as_mut().map_or(Ok(()), |id| stand_in(id, opened))
        }
        _ => Err(Failure::unsupported(
            "only a router, plain transports, producers and consumers are opened together",
        )),
    }
}

fn stand_in(id: &mut u64, opened: &[Option<u64>]) -> Result<(), Failure> {
    if *id & OPENED != 0 {
        let place = *id & !OPENED;
        let found = usize::try_from(place).ok().and_then(|at| opened.get(at));
        *id = found
            .copied()
            .flatten()
            .ok_or_else(|| Failure::invalid(format!("command {place} has opened nothing")))?;
    }
    Ok(())
}

/// The id of what a command has opened.
fn id_in(result: &CommandResult) -> Option<u64> {
    match *result {
        CommandResult::RouterOpened { router: id, .. }
        | CommandResult::PlainTransportOpened { transport: id, .. }
        | CommandResult::Produced { producer: id }
        | CommandResult::Consumed { consumer: id, .. } => Some(id),
        _ => None,
    }
}
