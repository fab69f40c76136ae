//! How a process joins its consumer group, and where the group begins.

use tracing::{info, warn};

use super::backfill::BackfillResult;
use super::group::Group;
use super::history::HistoryCheck;
use super::reactor::BatchOutcome;
use super::recent::RecentEvents;
use super::scripts::StreamState;
use super::session::SessionEnd;
use super::stream::Stream;
use super::{EventHandler, Position, Resync};
use crate::log::LogPosition;

impl<R: EventHandler> Group<R> {
    /// Ensures that the group exists, and that it is not ahead of a service that stores its position.
    ///
    /// The order prevents loss. The consumer first queries the stream's state, then drops data that cannot be trusted,
    /// then creates the group at the queried position. The drop compensates for every event before that position, and
    /// the group delivers every later event. A process that dies in between leaves no group whose missed events are
    /// uncompensated.
    pub(super) async fn join(&mut self, stream: &Stream) -> Result<(), SessionEnd> {
        let run_id = stream.run_id().await?;
        let changed = self.run_id.as_ref().is_some_and(|known| *known != run_id);
        let look = stream.stream_state(self.name, 0).await?;
        if changed {
            self.reactor.resync(Resync::RedisChanged).await?;
            self.last = None;
        }
        // Read after the query: every event that the group is past was applied before.
        let position = self.reactor.position().await?;
        self.knows_position = position.is_some();
        match position {
            Some(position) if !look.group => self.last = Some(self.begin_after(stream, &look, position).await?),
            None if !look.group => self.last = self.begin_with_what_comes(stream, &look, changed).await?,
            Some(position) => {
                // Not the group's position, but the position that the service has stored.
                self.last = self.last.filter(|_| self.run_id.is_some()).or(Some(position.mark()));
                self.rewind(stream, &look, position).await?;
            }
            None => {}
        }
        self.run_id = Some(run_id);
        info!(
            group = self.name,
            after = self.last.map(|last| last.seq),
            existed = look.group,
            "the consumer has joined its group"
        );
        Ok(())
    }

    /// Compares the group with the service's own position, if the service stores one.
    pub(super) async fn compare_with_position(&mut self, stream: &Stream) -> Result<(), SessionEnd> {
        let look = stream.stream_state(self.name, 0).await?;
        match self.reactor.position().await? {
            Some(position) if look.group => self.rewind(stream, &look, position).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Moves the group back to the service's position. The service stores its position before the consumer
    /// acknowledges. So a service whose position is below the acknowledged number has lost events: its database was
    /// restored.
    async fn rewind(&mut self, stream: &Stream, look: &StreamState, position: Position) -> Result<(), SessionEnd> {
        if position.seq >= look.done {
            return Ok(());
        }
        warn!(
            group = self.name,
            acknowledged = look.done,
            position = position.seq,
            "the database of this service has lost events that were acknowledged; the group delivers them again"
        );
        // The recently applied events of this process are no longer applied in the restored database.
        self.reactor.applied = Some(RecentEvents::default());
        stream.rewind(self.name, position.seq).await?;
        self.last = Some(position.mark());
        Ok(())
    }

    /// Creates the group at the service's position.
    async fn begin_after(
        &mut self,
        stream: &Stream,
        look: &StreamState,
        position: Position,
    ) -> Result<LogPosition, SessionEnd> {
        let mut from = position.mark();
        // A stream that continues in the same epoch has the same history. If the log is unavailable, the history is
        // unknown; then the first event of another epoch triggers the comparison again.
        let is_same = look.epoch == position.newest.epoch && position.newest.seq <= look.last;
        if !is_same && self.reactor.compare(position.newest, None).await == HistoryCheck::Other {
            from = self.resync_and_restart(Resync::OtherHistory, from).await?;
        }
        // A gap between the position and the stream would go unnoticed until the next event.
        if !look.contains(from.seq + 1) {
            let mut outcome = BatchOutcome::default();
            let (reached, backfilled) = self.reactor.backfill_to_head(from, &mut outcome).await?;
            from = reached;
            match backfilled {
                BackfillResult::Done => {}
                BackfillResult::Diverged => from = self.resync_and_restart(Resync::OtherHistory, from).await?,
                BackfillResult::Missing => {
                    from = self.resync_and_restart(Resync::Gap, from).await?;
                    // The remaining events are available in the stream. The group reads them, although the resync has
                    // already compensated for them.
                    let rest = if look.first > 0 { look.first - 1 } else { look.last };
                    if rest > from.seq {
                        self.reactor.skip(rest).await?;
                        from = rest.into();
                    }
                }
            }
            self.reactor.resync_after_loss(&mut outcome).await?;
            self.reactor.write(stream, &self.session.dead_letters, &outcome).await?;
        }
        stream.create(self.name, from.seq).await?;
        Ok(from)
    }

    /// Resyncs. Returns the service's position afterwards.
    async fn resync_and_restart(&mut self, why: Resync, before: LogPosition) -> Result<LogPosition, SessionEnd> {
        self.reactor.resync(why).await?;
        let position = self.reactor.position().await?;
        Ok(position.map_or(before, |position| position.mark()))
    }

    /// Creates the group at the end of the stream, for a service that does not know which events it has missed.
    async fn begin_with_what_comes(
        &mut self,
        stream: &Stream,
        look: &StreamState,
        dropped: bool,
    ) -> Result<Option<LogPosition>, SessionEnd> {
        if !dropped {
            self.reactor.resync(Resync::NewGroup).await?;
        }
        stream.create(self.name, look.last).await?;
        // A stream without events may begin with any number.
        Ok((look.last > 0).then_some(LogPosition { seq: look.last, epoch: look.epoch }))
    }
}
