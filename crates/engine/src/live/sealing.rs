//! A program that is to be encrypted otherwise.

use super::encryption;
use super::thread::LiveThread;
use crate::failure::Failure;
use crate::values::{CommandResult, ErrorCode, StreamEncryption};

impl LiveThread {
    /// Encrypt from the next segment on; an error where a track cannot be.
    pub(super) fn set_encryption(
        &mut self,
        wish: StreamEncryption,
    ) -> Result<CommandResult, Failure> {
        let encryption = encryption(wish.encryption)?;
        let running = self.running.get_mut(&wish.packager);
        let running = running.ok_or_else(|| Failure::not_found("packager", wish.packager))?;
        let changed = running.program.encrypt(encryption);
        changed.map_err(|error| Failure::new(ErrorCode::Unsupported, error.to_string()))?;
        Ok(CommandResult::Done {})
    }
}
