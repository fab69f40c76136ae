//! The entries of one keyspace in memory, and the indexes that find them by name, by end and by tag.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;

use crate::entry::{StoredEntry, StoredValue, TOKEN_LEN};
use crate::keyspace::{Key, fnv1a};

/// An estimate of what the maps need for an entry.
const OVERHEAD: u64 = 256;

/// The position of an entry. Entries are ordered by the hash of their names, so that a scan can continue after a page.
pub(super) type Place = (u64, Bytes);

#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    by_place: BTreeMap<Place, Held>,
    /// The entries in the order in which they end.
    ends: BTreeSet<(u64, Place)>,
    /// The entries that carry a tag.
    tagged: HashMap<Box<str>, HashSet<Place>>,
    weight: u64,
}

/// What a key holds, in the form in which Redis would hold it (`entry.rs`).
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) raw: Bytes,
    pub(super) ends: u64,
}

impl Held {
    pub(super) fn token(&self) -> &[u8] {
        &self.raw[..TOKEN_LEN]
    }

    pub(super) fn is_value(&self) -> bool {
        self.raw[0] == b'V'
    }

    /// Returns the version that a lease requires.
    pub(super) fn min_version(&self) -> Option<u64> {
        let rest = self.raw[TOKEN_LEN..].strip_prefix(b" least=").filter(|_| !self.is_value())?;
        std::str::from_utf8(rest).ok()?.parse().ok()
    }

    /// Returns the value with its header parsed and its body as stored.
    pub(super) fn value(&self) -> Option<StoredEntry> {
        match StoredValue::parse_header(self.raw.clone()) {
            StoredValue::Value(entry) => Some(entry),
            StoredValue::Lease | StoredValue::Unreadable => None,
        }
    }
}

impl Entries {
    /// Returns about `count` names from the hash `from` on, and the hash of the next one.
    pub(super) fn names(&self, from: u64, count: usize, now: u64) -> (Option<u64>, Vec<String>) {
        let mut rest = self.by_place.range((from, Bytes::new())..).peekable();
        let (mut names, mut last) = (Vec::new(), None);
        while let Some(((hash, name), held)) = rest.next_if(|((hash, _), _)| names.len() < count || last == Some(*hash))
        {
            last = Some(*hash);
            if held.ends > now {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        (rest.peek().map(|((hash, _), _)| *hash), names)
    }

    /// Returns how many entries carry `tag`.
    pub(super) fn tag_size(&self, tag: &str) -> usize {
        self.tagged.get(tag).map_or(0, HashSet::len)
    }

    /// Returns what a place holds, and removes what has ended.
    pub(super) fn held(&mut self, place: &Place, now: u64) -> Option<&Held> {
        if self.by_place.get(place).is_some_and(|held| held.ends <= now) {
            self.take(place);
        }
        self.by_place.get(place)
    }

    /// Returns the entries that carry `tag`.
    pub(super) fn members(&self, tag: &str, now: u64) -> Vec<Place> {
        let members = self.tagged.get(tag).into_iter().flatten();
        members.filter(|place| self.by_place.get(*place).is_some_and(|held| held.ends > now)).cloned().collect()
    }

    /// Replaces what a place holds.
    pub(super) fn put(&mut self, place: Place, held: Held) {
        self.take(&place);
        for tag in held.value().iter().flat_map(StoredEntry::tags) {
            self.tagged.entry(tag.into()).or_default().insert(place.clone());
        }
        self.weight += weight(&place, &held);
        self.ends.insert((held.ends, place.clone()));
        self.by_place.insert(place, held);
    }

    /// Removes what a place holds, and returns it.
    pub(super) fn take(&mut self, place: &Place) -> Option<Held> {
        let held = self.by_place.remove(place)?;
        self.weight -= weight(place, &held);
        self.ends.remove(&(held.ends, place.clone()));
        for tag in held.value().iter().flat_map(StoredEntry::tags) {
            if let Some(members) = self.tagged.get_mut(tag) {
                members.remove(place);
                if members.is_empty() {
                    self.tagged.remove(tag);
                }
            }
        }
        Some(held)
    }

    /// Removes up to `count` entries that have ended. Returns how many.
    pub(super) fn sweep(&mut self, count: usize, now: u64) -> usize {
        let over = self.ends.iter().take_while(|(ends, _)| *ends <= now).take(count);
        let over: Vec<Place> = over.map(|(_, place)| place.clone()).collect();
        over.iter().filter(|place| self.take(place).is_some()).count()
    }

    /// Removes the values that end first until the others weigh at most `limit`. Leases stay: each is of a load in flight.
    pub(super) fn evict(&mut self, limit: u64) {
        while self.weight > limit {
            let is_value = |place: &Place| self.by_place.get(place).is_some_and(Held::is_value);
            let Some((_, first)) = self.ends.iter().find(|(_, place)| is_value(place)).cloned() else { return };
            self.take(&first);
        }
    }
}

pub(super) fn place(key: &Key) -> Place {
    place_of(key.bytes())
}

pub(super) fn place_of(name: Bytes) -> Place {
    (fnv1a(&name), name)
}

pub(super) fn weight((_, name): &Place, held: &Held) -> u64 {
    (name.len() + held.raw.len()) as u64 + OVERHEAD
}
