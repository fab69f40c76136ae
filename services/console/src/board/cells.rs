//! The cells of the board: what was seen of each copy, and since when it lacks a committed version.

use std::collections::{BTreeMap, HashMap};

use crate::record::{Cell, CellState, Column, TruthRow};

/// Commits that are remembered for each row.
const COMMITS: usize = 256;
/// Expiries of one entry that differ by less than this, in milliseconds, are the same: two observations calculate them from
/// two clocks.
const SAME_EXPIRY: u64 = 250;

/// What was seen of a copy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Observation {
    /// It shows this version or, where a response has no version, this price.
    Held {
        version: Option<i64>,
        price_cents: Option<i64>,
        ttl_ms: Option<i64>,
        expires_at_ms: Option<u64>,
        refreshing: bool,
    },
    /// There is none.
    Absent(Option<&'static str>),
    /// A process loads or writes it.
    Loading,
    /// The cache does not answer.
    Unknown(&'static str),
}

#[derive(Debug, Default)]
pub(crate) struct Cells {
    /// When each version of a row was committed, in ms since 1970.
    commits: HashMap<i64, BTreeMap<i64, u64>>,
    cells: HashMap<(&'static str, Column), Tracked>,
}

#[derive(Clone, Debug)]
struct Tracked {
    cell: Cell,
    /// The last outdated or current version that was held, and until when: the copy may have been removed before the
    /// console learned that its version was replaced.
    held: Option<(i64, u64)>,
    /// When a tag of the row was last invalidated. The next observation shows whether that has removed this copy.
    tag_invalidated_at: Option<u64>,
}

impl Cells {
    /// Returns when `version` of a row was replaced, if it was.
    pub(crate) fn replaced_at(&self, id: i64, version: i64) -> Option<u64> {
        self.commits.get(&id)?.range(version + 1..).next().map(|(_, at)| *at)
    }

    /// Returns since when the stale copies in these columns are stale.
    pub(crate) fn stale_since(&self, columns: &[Column]) -> impl Iterator<Item = u64> {
        let cells = self.cells.iter().filter(|((_, column), _)| columns.contains(column));
        cells.filter_map(|(_, tracked)| tracked.cell.stale_since_ms)
    }

    /// Takes the latest version of a row, and returns the cells that this changes.
    pub(crate) fn committed(&mut self, row: &TruthRow) -> Vec<Cell> {
        let commits = self.commits.entry(row.id).or_default();
        let is_new = commits.insert(row.version, row.updated_at_ms).is_none();
        while commits.len() > COMMITS {
            commits.pop_first();
        }
        if !is_new {
            return Vec::new();
        }
        let (committed, commits) = (row.updated_at_ms, &self.commits);
        let mut changed = Vec::new();
        for ((strategy, _), tracked) in &mut self.cells {
            if *strategy != row.strategy {
                continue;
            }
            let before = tracked.cell.clone();
            let cell = &mut tracked.cell;
            cell.stale_for_ms = None;
            match (cell.state, cell.version) {
                (CellState::Fresh | CellState::Stale | CellState::Refreshing, Some(version))
                    if version < row.version =>
                {
                    cell.state = CellState::Stale;
                    cell.stale_since_ms =
                        commits[&row.id].range(version + 1..).next().map_or(Some(committed), |(_, at)| Some(*at));
                }
                // It was held at the commit, and is gone or replaced since.
                _ => {
                    cell.stale_for_ms = tracked
                        .held
                        .filter(|(version, until)| *version < row.version && *until >= committed)
                        .map(|(_, until)| until - committed);
                }
            }
            if *cell != before {
                changed.push(cell.clone());
            }
        }
        changed
    }

    /// Takes the time at which a tag of the row was invalidated: a copy that the next look does not find ended then.
    pub(crate) fn tag_invalidated(&mut self, strategy: &'static str, column: Column, at_ms: u64) {
        if let Some(tracked) = self.cells.get_mut(&(strategy, column)) {
            tracked.tag_invalidated_at = Some(at_ms);
        }
    }

    /// Takes what was seen of a copy, and returns its cell if that changes it.
    pub(crate) fn observe(&mut self, row: &TruthRow, column: Column, seen: &Observation, at_ms: u64) -> Option<Cell> {
        let known = self.cells.get(&(row.strategy, column));
        let ended_at = known.and_then(|tracked| tracked.tag_invalidated_at).map_or(at_ms, |at| at.min(at_ms));
        let cell = self.cell(row, column, seen, ended_at, known);
        let before = known.map(|tracked| &tracked.cell);
        let mut held = known.and_then(|tracked| tracked.held);
        if let Some(version) = before.and_then(|before| before.version) {
            held = Some((version, ended_at));
        }
        let same = before.is_some_and(|before| is_same(before, &cell));
        self.cells.insert((row.strategy, column), Tracked { cell: cell.clone(), held, tag_invalidated_at: None });
        (!same).then_some(cell)
    }

    fn cell(&self, row: &TruthRow, column: Column, seen: &Observation, at_ms: u64, known: Option<&Tracked>) -> Cell {
        let before = known.map(|tracked| &tracked.cell);
        let mut cell = Cell {
            strategy: row.strategy,
            column,
            state: CellState::Unknown,
            version: None,
            price_cents: None,
            ttl_ms: None,
            expires_at_ms: None,
            stale_since_ms: None,
            stale_for_ms: before.and_then(|before| before.stale_for_ms),
            detail: None,
        };
        match seen {
            // The copy may be stale still. When it is seen again, it counts from the same commit.
            Observation::Unknown(why) => {
                cell.stale_since_ms = before.and_then(|before| before.stale_since_ms);
                cell.detail = Some(why);
            }
            Observation::Loading => cell.state = CellState::Loading,
            Observation::Absent(why) => (cell.state, cell.detail) = (CellState::Absent, *why),
            Observation::Held { version, price_cents, ttl_ms, expires_at_ms, refreshing } => {
                // A response without a version shows the current row if it shows the current price.
                let by_price =
                    || price_cents.map(|price| if price == row.price_cents { row.version } else { row.version - 1 });
                cell.version = version.or_else(by_price);
                (cell.price_cents, cell.ttl_ms, cell.expires_at_ms) = (*price_cents, *ttl_ms, *expires_at_ms);
                let since = cell.version.and_then(|version| self.replaced_at(row.id, version));
                cell.state = match (since, refreshing) {
                    (Some(_), _) => CellState::Stale,
                    (None, true) => CellState::Refreshing,
                    (None, false) => CellState::Fresh,
                };
                cell.stale_since_ms = since;
            }
        }
        if cell.stale_since_ms.is_some() {
            cell.stale_for_ms = None;
        } else if cell.state != CellState::Unknown
            && let Some(since) = before.and_then(|before| before.stale_since_ms)
        {
            cell.stale_for_ms = Some(at_ms.saturating_sub(since));
        }
        cell
    }
}

/// Whether two cells look the same: the remaining time of one entry differs with each look.
fn is_same(one: &Cell, other: &Cell) -> bool {
    let near = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) < SAME_EXPIRY,
        (one, other) => one == other,
    };
    let without_times = |cell: &Cell| Cell { ttl_ms: None, expires_at_ms: None, ..cell.clone() };
    near(one.expires_at_ms, other.expires_at_ms) && without_times(one) == without_times(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Category;

    fn row(version: i64, updated_at_ms: u64) -> TruthRow {
        let category = Category { id: 1, name: "A".to_owned() };
        let name = "P".to_owned();
        TruthRow { strategy: "ttl", id: 13, name, version, price_cents: version * 100, updated_at_ms, category }
    }

    fn held(version: i64) -> Observation {
        let (version, price_cents, ttl_ms, expires_at_ms) = (Some(version), None, None, None);
        Observation::Held { version, price_cents, ttl_ms, expires_at_ms, refreshing: false }
    }

    #[test]
    fn copy_is_stale_from_the_commit_until_it_is_replaced() {
        let mut cells = Cells::default();
        cells.committed(&row(1, 100));
        let cell = cells.observe(&row(1, 100), Column::Redis, &held(1), 150).unwrap();
        assert_eq!((cell.state, cell.stale_since_ms), (CellState::Fresh, None));
        assert_eq!(cells.observe(&row(1, 100), Column::Redis, &held(1), 160), None, "nothing has changed");
        let [cell] = cells.committed(&row(2, 1_000)).try_into().unwrap();
        assert_eq!((cell.state, cell.stale_since_ms), (CellState::Stale, Some(1_000)));
        // A second write does not make it younger.
        let [cell] = cells.committed(&row(3, 2_000)).try_into().unwrap_or([cell]);
        assert_eq!(cell.stale_since_ms, Some(1_000));
        let cell = cells.observe(&row(3, 2_000), Column::Redis, &Observation::Absent(None), 9_500).unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Absent, Some(8_500)));
        let cell = cells.observe(&row(3, 2_000), Column::Redis, &held(3), 9_600).unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Fresh, Some(8_500)), "it stays until the next write");
        let [cell] = cells.committed(&row(4, 20_000)).try_into().unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Stale, None));
    }

    #[test]
    fn copy_that_was_removed_before_the_console_saw_the_commit_was_stale_for_that_time() {
        let mut cells = Cells::default();
        cells.committed(&row(1, 100));
        cells.observe(&row(1, 100), Column::Redis, &held(1), 150);
        cells.observe(&row(1, 100), Column::Redis, &Observation::Absent(None), 1_007);
        let [cell] = cells.committed(&row(2, 1_000)).try_into().unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Absent, Some(7)));
    }

    #[test]
    fn copy_that_a_tag_has_removed_ended_then_and_not_when_the_console_looked() {
        for (seen, stale_for) in [(Observation::Absent(None), Some(30)), (held(2), Some(30)), (held(1), None)] {
            let mut cells = Cells::default();
            cells.committed(&row(1, 100));
            cells.observe(&row(1, 100), Column::Redis, &held(1), 150);
            cells.committed(&row(2, 1_000));
            cells.tag_invalidated("ttl", Column::Redis, 1_030);
            let cell = cells.observe(&row(2, 1_000), Column::Redis, &seen, 1_200);
            assert_eq!(cell.and_then(|cell| cell.stale_for_ms), stale_for, "{seen:?}");
            // Another look has nothing to do with that invalidation.
            cells.observe(&row(2, 1_000), Column::Redis, &held(1), 1_300);
            let cell = cells.observe(&row(2, 1_000), Column::Redis, &held(2), 1_400).unwrap();
            assert_eq!(cell.stale_for_ms, Some(400), "{seen:?}");
        }
    }

    #[test]
    fn copy_that_was_removed_before_the_commit_was_not_stale() {
        let mut cells = Cells::default();
        cells.committed(&row(1, 100));
        cells.observe(&row(1, 100), Column::Redis, &held(1), 150);
        cells.observe(&row(1, 100), Column::Redis, &Observation::Absent(None), 900);
        cells.committed(&row(2, 1_000));
        let cell = cells.observe(&row(2, 1_000), Column::Redis, &held(2), 1_100).unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Fresh, None));
    }

    #[test]
    fn staleness_counts_on_while_a_copy_cannot_be_seen() {
        let mut cells = Cells::default();
        cells.committed(&row(1, 100));
        cells.observe(&row(1, 100), Column::Redis, &held(1), 150);
        cells.committed(&row(2, 1_000));
        let cell = cells.observe(&row(2, 1_000), Column::Redis, &Observation::Unknown("away"), 1_500).unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Unknown, None));
        let cell = cells.observe(&row(2, 1_000), Column::Redis, &held(2), 2_000).unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Fresh, Some(1_000)));
    }

    #[test]
    fn response_without_a_version_is_judged_by_its_price() {
        let mut cells = Cells::default();
        cells.committed(&row(1, 100));
        cells.committed(&row(2, 1_000));
        let shown = |price| Observation::Held {
            version: None,
            price_cents: Some(price),
            ttl_ms: None,
            expires_at_ms: None,
            refreshing: false,
        };
        let cell = cells.observe(&row(2, 1_000), Column::Recommendation, &shown(100), 1_100).unwrap();
        assert_eq!((cell.state, cell.stale_since_ms), (CellState::Stale, Some(1_000)));
        let cell = cells.observe(&row(2, 1_000), Column::Recommendation, &shown(200), 1_200).unwrap();
        assert_eq!((cell.state, cell.stale_for_ms), (CellState::Fresh, Some(200)));
    }
}
