//! One pass over all matches: how many there are, how many in each category, and the best of them behind the cursor.
//!
//! The facet of categories counts matches as if no category were chosen: it shows what another choice would find.

use std::collections::{BTreeMap, BinaryHeap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::cursor::SortPosition;
use super::search::Filter;

/// A score counts in steps of 1/10,000, so that the order in which its parts were added does not show.
const STEPS: Score = 10_000.0;

/// Category ids below this are counted in an array.
const SMALL: usize = 1_024;

/// What to collect.
pub struct Best {
    /// What must hold beside the words.
    pub filter: Filter,
    /// Results up to this place are counted and not returned.
    pub after: Option<SortPosition>,
    /// So many results are returned.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Products that match the words, whatever the filter.
    pub unfiltered: u64,
    /// Products that match.
    pub total: u64,
    /// How many in each category, whichever is chosen.
    pub facets: BTreeMap<i64, u64>,
    /// The best ones, in order.
    pub best: Vec<(SortPosition, DocAddress)>,
}

/// The columns of a segment, and what was found in it.
pub struct InSegment {
    ids: Column<i64>,
    categories: Column<i64>,
    prices: Column<i64>,
    segment: SegmentOrdinal,
    filter: Filter,
    after: Option<SortPosition>,
    limit: usize,
    found: Found,
    /// Matches of each category with a small id, which is how ids mostly are: a map would be the dearest part.
    counts: Vec<u64>,
    // The worst of the best on top.
    best: BinaryHeap<(SortPosition, DocId)>,
}

impl Collector for Best {
    type Fruit = Found;
    type Child = InSegment;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<InSegment> {
        let columns = reader.fast_fields();
        Ok(InSegment {
            ids: columns.i64("id")?,
            categories: columns.i64("category")?,
            prices: columns.i64("price")?,
            segment,
            filter: self.filter,
            after: self.after,
            limit: self.limit,
            found: Found::default(),
            counts: vec![0; SMALL],
            best: BinaryHeap::with_capacity(self.limit + 1),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, found: Vec<Found>) -> tantivy::Result<Found> {
        let mut all = Found::default();
        for some in found {
            all.unfiltered += some.unfiltered;
            all.total += some.total;
            some.facets.into_iter().for_each(|(category, count)| *all.facets.entry(category).or_default() += count);
            all.best.extend(some.best);
        }
        all.best.sort_unstable_by_key(|(place, _)| *place);
        all.best.truncate(self.limit);
        Ok(all)
    }
}

impl SegmentCollector for InSegment {
    type Fruit = Found;

    fn collect(&mut self, doc: DocId, score: Score) {
        self.found.unfiltered += 1;
        let value = |column: &Column<i64>| column.first(doc).unwrap_or_default();
        let category = value(&self.categories);
        if !self.filter.passes_price(value(&self.prices)) {
            return;
        }
        match usize::try_from(category).ok().and_then(|category| self.counts.get_mut(category)) {
            Some(count) => *count += 1,
            None => *self.found.facets.entry(category).or_default() += 1,
        }
        if !self.filter.passes_category(category) {
            return;
        }
        self.found.total += 1;
        let place = SortPosition { score: (score * STEPS).round() as u32, id: value(&self.ids) };
        if self.after.is_some_and(|after| place <= after) {
            return;
        }
        if self.best.len() < self.limit {
            self.best.push((place, doc));
        } else if self.best.peek().is_some_and(|(worst, _)| place < *worst) {
            self.best.pop();
            self.best.push((place, doc));
        }
    }

    fn harvest(mut self) -> Found {
        let counts = (0..).zip(self.counts).filter(|(_, count)| *count > 0);
        self.found.facets.extend(counts);
        let address = |(place, doc)| (place, DocAddress::new(self.segment, doc));
        self.found.best = self.best.into_iter().map(address).collect();
        self.found
    }
}
