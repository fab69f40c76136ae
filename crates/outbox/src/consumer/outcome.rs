//! What remains to be done after a batch.

use super::dead_letter::DeadLetter;
use crate::log::LogPosition;

/// What remains to be done after a batch.
#[derive(Debug, Default)]
pub(super) struct BatchOutcome {
    /// The dead letters to write before the consumer acknowledges the batch.
    pub(super) dead_letters: Vec<DeadLetter>,
    /// The position that a [`Resync`](super::Resync) has set: no event after it was applied.
    pub(super) from: Option<LogPosition>,
}

impl BatchOutcome {
    /// Adds a dead letter. There is one for each event, even if both the stream and the log have an unreadable copy.
    pub(super) fn set_aside(&mut self, letter: DeadLetter) {
        match self.dead_letters.iter_mut().find(|known| known.id == letter.id) {
            Some(known) => known.loses_data |= letter.loses_data,
            None => self.dead_letters.push(letter),
        }
    }

    /// Returns whether a dead letter stands for an event that the effects lack.
    pub(super) fn loses_data(&self) -> bool {
        self.dead_letters.iter().any(|letter| letter.loses_data)
    }
}
