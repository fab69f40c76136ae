//! How a process becomes a member of its group.

use tracing::info;

use super::effects::Aftermath;
use super::group::Group;
use super::repair::Fetched;
use super::session::Trouble;
use super::stream::Stream;
use super::{React, Resync};

impl<R: React> Group<R> {
    /// Sees to it that the group exists.
    ///
    /// First the position is read, then everything is dropped, then the group is created at that position. So whatever
    /// happened before is made good by the dropping, whatever comes later is delivered; and a process that dies in
    /// between leaves no group behind that nobody has dropped anything for.
    pub(super) async fn join(&mut self, stream: &Stream) -> Result<(), Trouble> {
        let run_id = stream.run_id().await?;
        let changed = self.run_id.as_ref().is_some_and(|known| *known != run_id);
        let look = stream.look(self.name, 0).await?;
        if look.group {
            if changed {
                self.last = None;
                self.effects.resync(Resync::RedisChanged).await?;
            } else if self.run_id.is_none() {
                // Not where the group is, but what this service is known to have.
                self.last = self.from;
            }
        } else if let (Some(from), None) = (self.from, &self.run_id) {
            let mut position = from;
            // What the stream does not hold would not be noticed before the next event.
            if !look.holds(from + 1) {
                let mut aftermath = Aftermath::default();
                position = match self.effects.catch_up(from, &mut aftermath).await? {
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
            self.last = Some(position);
        } else {
            let why = if changed { Resync::RedisChanged } else { Resync::NewGroup };
            self.effects.resync(why).await?;
            stream.create(self.name, look.last).await?;
            // A stream without events may begin with any number.
            self.last = (look.last > 0).then_some(look.last);
        }
        self.run_id = Some(run_id);
        info!(group = self.name, after = self.last, existed = look.group, "reads the stream");
        Ok(())
    }
}
