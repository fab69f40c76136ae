//! The names of deferred invalidations, and how far each has come.

use std::collections::HashMap;
use std::hash::Hash;

use crate::keyspace::{Key, Tag};
use crate::redis::Step;

/// Pending names, each with the number of its latest invalidation: a retry that began earlier does not complete a later
/// one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingSet {
    pub(super) number: u64,
    keys: HashMap<Key, Progress>,
    tags: HashMap<Tag, Progress>,
    everything: Option<u64>,
}

/// How far the invalidations of one name have come.
///
/// A tag has entries in every partition, and each partition is recorded on its own: while the slots of a cluster migrate, they
/// are hardly ever all complete at the same time.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The number of the first invalidation that is not complete, and of the latest one.
    first: u64,
    latest: u64,
    /// For each partition the number of the latest invalidation that was carried out there; empty before the first one. A
    /// key has one partition.
    carried_out: Vec<u64>,
}

/// Deferred invalidations that a caller waits for: names, and the numbers that they had.
#[derive(Debug)]
pub(crate) struct Awaited {
    keys: Vec<(Key, u64)>,
    tags: Vec<(Tag, u64)>,
}

impl Progress {
    fn add(&mut self, number: u64) {
        if self.latest == 0 {
            self.first = number;
        }
        self.latest = number;
    }

    /// Returns whether each partition has carried out this invalidation or a later one.
    fn has_reached(&self, number: u64) -> bool {
        let is_everywhere = || {
            // The last partition is usually the one that is missing.
            let mut partitions = self.carried_out.iter().rev();
            !self.carried_out.is_empty() && partitions.all(|carried_out| *carried_out >= number)
        };
        number < self.first || is_everywhere()
    }

    /// Returns whether the latest invalidation is carried out in a partition.
    fn is_done_in(&self, partition: usize) -> bool {
        self.carried_out.get(partition).is_some_and(|carried_out| *carried_out >= self.latest)
    }

    fn advance(&mut self, partition: usize, partitions: usize, number: u64) {
        self.carried_out.resize(partitions, 0);
        self.carried_out[partition] = number.max(self.carried_out[partition]);
    }
}

impl PendingSet {
    pub(super) fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + usize::from(self.everything.is_some())
    }

    pub(super) fn tags(&self) -> usize {
        self.tags.len()
    }

    /// Returns the number of the request if a purge of the keyspace is pending.
    pub(crate) fn everything(&self) -> Option<u64> {
        self.everything
    }

    pub(super) fn names_key(&self, key: &Key) -> bool {
        self.keys.contains_key(key)
    }

    pub(super) fn names_tag(&self, tag: &str) -> bool {
        self.tags.contains_key(tag)
    }

    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = Key>, tags: impl IntoIterator<Item = Tag>) {
        for key in keys {
            self.keys.entry(key).or_default().add(self.number);
        }
        for tag in tags {
            self.tags.entry(tag).or_default().add(self.number);
        }
    }

    /// Requests a purge of the keyspace, which covers the names.
    pub(super) fn replace_by_everything(&mut self) {
        *self = Self { number: self.number, everything: Some(self.number), ..Self::default() };
    }

    /// Completes a request for a purge, unless there is a later one.
    pub(super) fn purged(&mut self, request: u64) {
        self.everything = self.everything.filter(|pending| *pending != request);
    }

    /// Returns the steps that are left, in `partitions` partitions.
    pub(crate) fn steps(&self, partitions: u16) -> Vec<Step> {
        let mut steps = Vec::new();
        for partition in 0..partitions {
            let keys: Vec<Key> = self.keys.keys().filter(|key| key.partition() == partition).cloned().collect();
            steps.extend(Step::of_keys(&keys));
            let left = self.tags.iter().filter(|(_, progress)| !progress.is_done_in(usize::from(partition)));
            let tags: Vec<Tag> = left.map(|(tag, _)| tag.clone()).collect();
            steps.extend(Step::of_tags(&tags, partition, partitions));
        }
        steps
    }

    /// Records that `steps` of `retried` were carried out, in a keyspace of `partitions` partitions. Removes the names of which
    /// nothing is left, and returns them. Names that were added again since remain.
    pub(super) fn carried_out(&mut self, retried: &Self, steps: &[Step], partitions: u16) -> (Vec<Key>, Vec<Tag>) {
        let mut completed = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Keys(keys) => {
                    completed.0.extend(advance(&mut self.keys, &retried.keys, keys, (0, 1)));
                }
                Step::Tags(partition, tags) => {
                    let place = (usize::from(*partition), usize::from(partitions));
                    completed.1.extend(advance(&mut self.tags, &retried.tags, tags, place));
                }
                Step::Older(_) => unreachable!("a deferred invalidation has no versions"),
            }
        }
        completed
    }

    /// Returns those of these names that are pending, with their numbers.
    pub(super) fn await_names(
        &self, keys: impl IntoIterator<Item = Key>, tags: impl IntoIterator<Item = Tag>,
    ) -> Awaited {
        let number_of_key = |key: Key| self.keys.get(&key).map(|progress| progress.latest).map(|number| (key, number));
        let number_of_tag = |tag: Tag| self.tags.get(&tag).map(|progress| progress.latest).map(|number| (tag, number));
        Awaited {
            keys: keys.into_iter().filter_map(number_of_key).collect(),
            tags: tags.into_iter().filter_map(number_of_tag).collect(),
        }
    }

    /// Returns whether the invalidations that were awaited are carried out. Later ones of the same names may be pending.
    pub(super) fn has_reached(&self, Awaited { keys, tags }: &Awaited) -> bool {
        self.everything.is_none()
            && keys.iter().all(|(key, number)| self.keys.get(key).is_none_or(|progress| progress.has_reached(*number)))
            && tags.iter().all(|(tag, number)| self.tags.get(tag).is_none_or(|progress| progress.has_reached(*number)))
    }
}

/// Records that the invalidations of `names` were carried out in a partition, of so many. Removes the names of which nothing is
/// left, and returns them.
fn advance<T: Clone + Eq + Hash>(
    pending: &mut HashMap<T, Progress>, retried: &HashMap<T, Progress>, names: &[T],
    (partition, partitions): (usize, usize),
) -> Vec<T> {
    let mut is_completed = |name: &&T| {
        let (Some(progress), Some(retried)) = (pending.get_mut(*name), retried.get(*name)) else { return false };
        progress.advance(partition, partitions, retried.latest);
        let is_complete = progress.has_reached(progress.latest);
        if is_complete {
            pending.remove(*name);
        }
        is_complete
    };
    names.iter().filter(|name| is_completed(name)).cloned().collect()
}
