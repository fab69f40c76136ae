//! One pass over all matches: their number in total and per category, and the best of them after the cursor.
//!
//! The category facet counts matches as if no category were chosen, so it shows what another choice would find.

use std::collections::{BTreeMap, BinaryHeap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::cursor::SortPosition;
use super::search::Filter;

/// Scores are rounded to steps of 1/10,000, so that the order in which their parts were added makes no difference.
const STEPS: Score = 10_000.0;

/// Matches of categories with ids below this are counted in an array.
const SMALL: usize = 1_024;

/// The collector of the best matches.
pub struct Best {
    /// The filter that applies in addition to the words.
    pub filter: Filter,
    /// Results up to this position are counted but not returned.
    pub after: Option<SortPosition>,
    /// The maximum number of results to return.
    pub limit: usize,
}

/// The matches of a search.
#[derive(Debug, Default)]
pub struct Found {
    /// The number of products that match the words, before the filter.
    pub unfiltered: u64,
    /// The number of products that match the words and the filter.
    pub total: u64,
    /// The number of matches per category, as if no category were chosen.
    pub facets: BTreeMap<i64, u64>,
    /// The best matches, in order.
    pub best: Vec<(SortPosition, DocAddress)>,
}

/// The columns of a segment, and its matches.
pub struct InSegment {
    ids: Column<i64>,
    categories: Column<i64>,
    prices: Column<i64>,
    segment: SegmentOrdinal,
    filter: Filter,
    after: Option<SortPosition>,
    limit: usize,
    found: Found,
    /// Matches per category with a small id, as most ids are. A map would be the most expensive part of the pass.
    counts: Vec<u64>,
    // The heap has the worst of the best matches on top.
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
