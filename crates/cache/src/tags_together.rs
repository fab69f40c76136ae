//! The invalidation of the entries that carry all of several tags.

use crate::entry::StoredValue;
use crate::invalidate::{Effect, Invalidator};
use crate::keyspace::{Key, Tag};
use crate::redis::{InspectedEntry, MAX_KEYS_PER_COMMAND, Step, StoreError, TagCursor};

impl Invalidator {
    /// Invalidates the entries of one partition that carry all of `tags`: looks at those that carry the rarest one.
    ///
    /// Its fence refuses the loads in flight of all of them. What a newer load stores in the meantime may be removed as well.
    pub(crate) async fn run_intersection(
        &self, effect: Effect, partition: u16, tags: &[Tag],
    ) -> Result<u64, StoreError> {
        let mut sizes = Vec::with_capacity(tags.len());
        for tag in tags {
            sizes.push((self.store.tag_size(partition, tag).await?, tag));
        }
        let Some((_, rarest)) = sizes.into_iter().min_by_key(|(size, _)| *size) else { return Ok(0) };
        let sets = self.store.fence_tags(partition, std::slice::from_ref(rarest)).await?;
        if sets == [0] {
            return Ok(0);
        }
        let carries_all = |seen: &InspectedEntry| match &seen.held {
            StoredValue::Value(entry) => tags.iter().all(|tag| entry.tags().any(|carried| carried == tag.as_str())),
            // Another version of the program may be able to read it.
            StoredValue::Unreadable => true,
            StoredValue::Lease => false,
        };
        let (mut total, mut cursor) = (0, Some(TagCursor::first(self.store.scanned_server(partition)?)));
        while let Some(at) = cursor {
            let (next, names) = self.store.scan_tag(partition, rarest, at).await?;
            let keys: Vec<Key> = names.iter().filter_map(|name| self.store.keyspace.parse(name)).collect();
            for some in keys.chunks(MAX_KEYS_PER_COMMAND) {
                let seen = self.store.inspect(some).await?;
                let found = some.iter().zip(seen).filter(|(_, seen)| seen.as_ref().is_some_and(carries_all));
                let found: Vec<Key> = found.map(|(key, _)| key.clone()).collect();
                if !found.is_empty() {
                    total += self.run_step(effect, Step::Keys(found)).await?;
                }
            }
            cursor = next;
        }
        Ok(total)
    }
}
