//! How a process joins its consumer group, and where the group begins.

use tracing::{info, warn};

use super::backfill::BackfillResult;
use super::effects::Effects;
use super::handler::{EventHandler, Position, Resync};
use super::history::{HistoryCheck, compare};
use super::retry::{BatchOutcome, RecentEvents};
use super::session::SessionEnd;
use super::stream::{StreamReader, StreamState};
use crate::log::LogPosition;

/// What a process knows of its group. It outlives the sessions.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// The last event that was delivered to this process, or the position where the group began.
    pub(super) last: Option<LogPosition>,
    pub(super) knows_position: bool,
    /// The run id of the Redis server that the process has read from.
    run_id: Option<String>,
}

/// A group in the stream of one session, and the effects of its events.
pub(super) struct Join<'a, R> {
    pub(super) group: &'static str,
    pub(super) stream: &'a StreamReader,
    pub(super) effects: &'a mut Effects<R>,
    pub(super) membership: &'a mut Membership,
}

impl<R: EventHandler> Join<'_, R> {
    /// Ensures that the group exists, and that it is not ahead of a service that stores its position.
    ///
    /// The order prevents loss. The consumer first queries the stream's state, then drops data that cannot be trusted,
    /// then creates the group at the queried position. The drop compensates for every event before that position, and
    /// the group delivers every later event. A process that dies in between leaves no group whose missed events are
    /// uncompensated.
    pub(super) async fn join(&mut self) -> Result<(), SessionEnd> {
        let run_id = self.stream.run_id().await?;
        let changed = self.membership.run_id.as_ref().is_some_and(|known| *known != run_id);
        let state = self.stream.stream_state(self.group, 0).await?;
        if changed {
            self.effects.retry.resync(Resync::RedisChanged).await?;
            self.membership.last = None;
        }
        // Read after the query: every event that the group is past was applied before.
        let position = self.effects.retry.position().await?;
        self.membership.knows_position = position.is_some();
        match position {
            Some(position) if !state.group => self.membership.last = Some(self.begin_after(&state, position).await?),
            None if !state.group => self.membership.last = self.begin_at_end(&state, changed).await?,
            Some(position) => {
                // Not the group's position, but the position that the service has stored.
                let known = self.membership.last.filter(|_| self.membership.run_id.is_some());
                self.membership.last = known.or(Some(position.log_position()));
                self.rewind(&state, position).await?;
            }
            None => {}
        }
        self.membership.run_id = Some(run_id);
        info!(
            group = self.group,
            after = self.membership.last.map(|last| last.seq),
            existed = state.group,
            "the consumer has joined its group"
        );
        Ok(())
    }

    /// Compares the group with the service's own position, if the service stores one.
    pub(super) async fn compare_with_position(&mut self) -> Result<(), SessionEnd> {
        let state = self.stream.stream_state(self.group, 0).await?;
        match self.effects.retry.position().await? {
            Some(position) if state.group => self.rewind(&state, position).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Moves the group back to the service's position. The service stores its position before the consumer
    /// acknowledges. So a service whose position is below the acknowledged number has lost events: its database was
    /// restored.
    async fn rewind(&mut self, state: &StreamState, position: Position) -> Result<(), SessionEnd> {
        if position.seq >= state.done {
            return Ok(());
        }
        warn!(
            group = self.group,
            acknowledged = state.done,
            position = position.seq,
            "the database of this service has lost events that were acknowledged; the group delivers them again"
        );
        // The recently applied events of this process are no longer applied in the restored database.
        self.effects.retry.applied = Some(RecentEvents::default());
        self.stream.rewind(self.group, position.seq).await?;
        self.membership.last = Some(position.log_position());
        Ok(())
    }

    async fn begin_after(&mut self, state: &StreamState, position: Position) -> Result<LogPosition, SessionEnd> {
        let mut from = position.log_position();
        // A stream that continues in the same epoch has the same history. If the log is unavailable, the history is
        // unknown; then the first event of another epoch triggers the comparison again.
        let is_same = state.epoch == position.newest.epoch && position.newest.seq <= state.last;
        if !is_same && compare(&self.effects.log, position.newest, None).await == HistoryCheck::Other {
            from = self.resync_and_restart(Resync::OtherHistory, from).await?;
        }
        // A gap between the position and the stream would go unnoticed until the next event.
        if !state.contains(from.seq + 1) {
            let mut outcome = BatchOutcome::default();
            let (reached, backfilled) = self.effects.backfill(&mut outcome).until_head(from).await?;
            from = reached;
            match backfilled {
                BackfillResult::Done => {}
                BackfillResult::Diverged => from = self.resync_and_restart(Resync::OtherHistory, from).await?,
                BackfillResult::Missing => {
                    from = self.resync_and_restart(Resync::Gap, from).await?;
                    // The remaining events are available in the stream. The group reads them, although the resync has
                    // already compensated for them.
                    let rest = if state.first > 0 { state.first - 1 } else { state.last };
                    if rest > from.seq {
                        self.effects.retry.skip(rest).await?;
                        from = rest.into();
                    }
                }
            }
            self.effects.resync_after_loss(&mut outcome).await?;
            self.effects.write(Some(self.stream), &outcome).await?;
        }
        self.stream.create(self.group, from.seq).await?;
        Ok(from)
    }

    /// Resyncs. Returns the service's position afterwards.
    async fn resync_and_restart(&mut self, why: Resync, before: LogPosition) -> Result<LogPosition, SessionEnd> {
        self.effects.retry.resync(why).await?;
        let position = self.effects.retry.position().await?;
        Ok(position.map_or(before, |position| position.log_position()))
    }

    /// Creates the group at the end of the stream, for a service that does not know which events it has missed.
    async fn begin_at_end(&mut self, state: &StreamState, dropped: bool) -> Result<Option<LogPosition>, SessionEnd> {
        if !dropped {
            self.effects.retry.resync(Resync::NewGroup).await?;
        }
        self.stream.create(self.group, state.last).await?;
        // A stream without events may begin with any number.
        Ok((state.last > 0).then_some(LogPosition { seq: state.last, epoch: state.epoch }))
    }
}
