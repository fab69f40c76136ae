//! How a process becomes a member of its group.

use tracing::info;

use super::effects::Aftermath;
use super::group::Group;
use super::repair::Fetched;
use super::scripts::Look;
use super::session::Trouble;
use super::stream::Stream;
use super::{React, Resync};

impl<R: React> Group<R> {
    /// Sees to it that the group exists.
    ///
    /// First the stream is looked at, then what cannot be trusted is dropped, then the group is created where it was
    /// looked at. So whatever happened before is made good by the dropping, whatever comes later is delivered; and a
    /// process that dies in between leaves no group behind that nobody has dropped anything for.
    pub(super) async fn join(&mut self, stream: &Stream) -> Result<(), Trouble> {
        let run_id = stream.run_id().await?;
        let changed = self.run_id.as_ref().is_some_and(|known| *known != run_id);
        let look = stream.look(self.name, 0).await?;
        if changed {
            self.effects.resync(Resync::RedisChanged).await?;
            self.last = None;
        }
        if !look.group {
            self.last = match self.effects.position().await? {
                Some(position) => Some(self.begin_after(stream, &look, position).await?),
                None => self.begin_with_what_comes(stream, &look, changed).await?,
            };
        } else if self.run_id.is_none() {
            // Not where the group is, but what this service is known to have.
            self.last = self.effects.position().await?;
        }
        self.run_id = Some(run_id);
        info!(group = self.name, after = self.last, existed = look.group, "reads the stream");
        Ok(())
    }

    /// Creates the group where this service is.
    async fn begin_after(&mut self, stream: &Stream, look: &Look, mut position: u64) -> Result<u64, Trouble> {
        // What the stream does not hold would not be noticed before the next event.
        if !look.holds(position + 1) {
            let mut aftermath = Aftermath::default();
            position = match self.effects.catch_up(position, &mut aftermath).await? {
                (reached, Fetched::Done) => reached,
                (_, Fetched::Missing) => {
                    self.effects.resync(Resync::Gap).await?;
                    look.last
                }
            };
            self.effects.poison(&mut aftermath).await?;
            self.effects.write(stream, &self.session.dead_letters, &aftermath).await?;
        }
        stream.create(self.name, position).await?;
        Ok(position)
    }

    /// Creates the group at the stream's end, for a service that cannot say what it has missed.
    async fn begin_with_what_comes(
        &mut self,
        stream: &Stream,
        look: &Look,
        dropped: bool,
    ) -> Result<Option<u64>, Trouble> {
        if !dropped {
            self.effects.resync(Resync::NewGroup).await?;
        }
        stream.create(self.name, look.last).await?;
        // A stream without events may begin with any number.
        Ok((look.last > 0).then_some(look.last))
    }
}
