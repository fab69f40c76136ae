//! How a process becomes a member of its group, and where the group begins.

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
    /// Sees to it that the group exists, and is not ahead of a service that stores its position.
    ///
    /// First the stream is looked at, then what cannot be trusted is dropped, then the group is created where it was
    /// looked at. So whatever happened before is made good by the dropping, whatever comes later is delivered; and a
    /// process that dies in between leaves no group behind that nobody has dropped anything for.
    pub(super) async fn join(&mut self, stream: &Stream) -> Result<(), SessionEnd> {
        let run_id = stream.run_id().await?;
        let changed = self.run_id.as_ref().is_some_and(|known| *known != run_id);
        let look = stream.stream_state(self.name, 0).await?;
        if changed {
            self.reactor.resync(Resync::RedisChanged).await?;
            self.last = None;
        }
        // After the look: what the group is past was carried out before.
        let position = self.reactor.position().await?;
        self.knows_position = position.is_some();
        match position {
            Some(position) if !look.group => self.last = Some(self.begin_after(stream, &look, position).await?),
            None if !look.group => self.last = self.begin_with_what_comes(stream, &look, changed).await?,
            Some(position) => {
                // Not where the group is, but what this service is known to have.
                self.last = self.last.filter(|_| self.run_id.is_some()).or(Some(position.mark()));
                self.rewind(stream, &look, position).await?;
            }
            None => {}
        }
        self.run_id = Some(run_id);
        info!(group = self.name, after = self.last.map(|last| last.seq), existed = look.group, "reads the stream");
        Ok(())
    }

    /// Compares the group with the service's own position, for one that stores it.
    pub(super) async fn compare_with_position(&mut self, stream: &Stream) -> Result<(), SessionEnd> {
        let look = stream.stream_state(self.name, 0).await?;
        match self.reactor.position().await? {
            Some(position) if look.group => self.rewind(stream, &look, position).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Sets the group back to where the service is. What is acknowledged was stored before; so a service that is behind
    /// what is acknowledged has lost it: its database was restored.
    async fn rewind(&mut self, stream: &Stream, look: &StreamState, position: Position) -> Result<(), SessionEnd> {
        if position.seq >= look.done {
            return Ok(());
        }
        warn!(
            group = self.name,
            acknowledged = look.done,
            position = position.seq,
            "this service has lost events that it had acknowledged; the group hands them out again"
        );
        // What this process remembers of them is no longer so.
        self.reactor.applied = Some(RecentEvents::default());
        stream.rewind(self.name, position.seq).await?;
        self.last = Some(position.mark());
        Ok(())
    }

    /// Creates the group where this service is.
    async fn begin_after(
        &mut self,
        stream: &Stream,
        look: &StreamState,
        position: Position,
    ) -> Result<LogPosition, SessionEnd> {
        let mut from = position.mark();
        // A stream that goes on in the same epoch has the same history. A log that is away cannot say; then the first
        // event of another epoch raises the question again.
        let is_same = look.epoch == position.newest.epoch && position.newest.seq <= look.last;
        if !is_same && self.reactor.compare(position.newest, None).await == HistoryCheck::Other {
            from = self.resync_and_restart(Resync::OtherHistory, from).await?;
        }
        // What the stream does not hold would not be noticed before the next event.
        if !look.contains(from.seq + 1) {
            let mut outcome = BatchOutcome::default();
            let (reached, backfilled) = self.reactor.backfill_to_head(from, &mut outcome).await?;
            from = reached;
            match backfilled {
                BackfillResult::Done => {}
                BackfillResult::Diverged => from = self.resync_and_restart(Resync::OtherHistory, from).await?,
                BackfillResult::Missing => {
                    from = self.resync_and_restart(Resync::Gap, from).await?;
                    // The rest is to be had: it is read, though the resync has made good everything that it could.
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

    /// Has everything made anew. Returns where the service is after it.
    async fn resync_and_restart(&mut self, why: Resync, before: LogPosition) -> Result<LogPosition, SessionEnd> {
        self.reactor.resync(why).await?;
        let position = self.reactor.position().await?;
        Ok(position.map_or(before, |position| position.mark()))
    }

    /// Creates the group at the stream's end, for a service that cannot say what it has missed.
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
