//! A cache per thread, with the entries that the thread has returned most recently. A read from it takes no lock, and
//! changes no reference count that another core changes at the same time.
//!
//! A front holds copies. The snapshot of a copy decides whether it may be returned, as for any entry in memory. Each key has
//! one place in the front. An entry is copied there when two reads of this place in a row are reads of its key, so a key
//! that is read once costs no copy.

use std::cell::RefCell;

use bytes::Bytes;

use super::Held;
use super::validity::Snapshot;
use crate::entry::StoredEntry;

/// The places of a front: a power of two.
const SIZE: usize = 256;
/// The maximum size of an entry, in bytes. So the copies of a thread take at most 1 MiB, which the weight of the memory
/// does not include.
const MAX_LEN: usize = 4_096;

#[derive(Default)]
struct Place {
    copy: Option<Copy>,
    /// The memory and the slot of the key that was read here last and had no copy.
    last: Option<(u64, u16)>,
}

struct Copy {
    memory: u64,
    key: Bytes,
    held: Held,
}

thread_local! {
    static FRONT: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// Returns the entry of a key in this slot of this memory, if the thread has a copy that is still valid.
pub(super) fn get(
    (memory, slot): (u64, u16), key: &[u8], is_valid: impl FnOnce(Snapshot) -> bool,
) -> Option<StoredEntry> {
    FRONT.with_borrow(|front| {
        let copy = front.get(usize::from(slot) % SIZE)?.copy.as_ref()?;
        let is_current = copy.memory == memory && copy.key == key && is_valid(copy.held.snapshot);
        is_current.then(|| copy.held.entry.clone())
    })
}

/// Keeps a copy of an entry from the memory of the process, if the previous read of its place was for the same slot.
/// The copy replaces the one in that place.
pub(super) fn keep((memory, slot): (u64, u16), key: &[u8], held: &Held) {
    FRONT.with_borrow_mut(|front| {
        if front.is_empty() {
            front.resize_with(SIZE, Place::default);
        }
        let place = &mut front[usize::from(slot) % SIZE];
        let again = place.last.replace((memory, slot)) == Some((memory, slot));
        if again && held.entry.len() <= MAX_LEN {
            let held = Held { entry: held.entry.deep_copy(), ..*held };
            place.copy = Some(Copy { memory, key: Bytes::copy_from_slice(key), held });
        }
    });
}
