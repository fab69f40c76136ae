//! A page of results, from a search and a snapshot of the index.

use cache::Tag;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::build::{self, FixedStatistics};
use super::collect::{Best, Found};
use super::cursor::{Cursor, MatchMode, SortPosition};
use super::highlight::Highlight;
use super::search::{Search, TextReach};
use crate::index::{Row, Snapshot};
use crate::keys;

/// A page of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// How many products match, on all pages.
    pub total: u64,
    /// Whether nothing matched the words, and these are products whose words are nearly those.
    pub corrected: bool,
    /// Whether these products have all words of the query, or only most of them.
    #[serde(rename = "match")]
    pub matched: Match,
    /// How many matches are in each category, as if no category were chosen; the largest first.
    pub facets: Vec<Facet>,
    /// The products of this page, the best first.
    pub hits: Vec<Hit>,
    /// Pass it on to get the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How many of the query's words a product of the result has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// All that carry a meaning.
    All,
    /// At least half of them, the products with most of them first: no product has all. Of a word in a script without
    /// spaces, the pairs of its letters count.
    Partial,
}

/// A category of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facet {
    /// The category.
    pub category: CategoryRef,
    /// Matches in it.
    pub count: u64,
}

/// A category as results show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CategoryRef {
    /// Its id.
    pub id: i64,
    /// What it is called.
    pub name: String,
}

/// A product that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// Its id.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// The price in cents.
    pub price_cents: i64,
    /// Pieces on the shelf.
    pub stock: i32,
    /// The category it is in.
    pub category: CategoryRef,
    /// The version of the row that this shows.
    pub version: i64,
    /// The name as HTML, matches in `<b>`.
    pub name_html: String,
    /// The best part of the description as HTML, matches in `<b>`.
    pub snippet_html: String,
}

/// A page, and what it depends on.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The page.
    pub page: Page,
    /// The tags of what can outdate it.
    pub tags: Vec<Tag>,
}

/// Searches. Blocks for as long as that takes.
///
/// A later page compares words as the first one did. The first one is strict; if that finds nothing, it is content with
/// words that are nearly those, and then with half of the query. The filter has no part in that: a category that has no lamp is
/// no reason to show lambs.
pub fn find(search: &Search, snapshot: &Snapshot) -> tantivy::Result<Finding> {
    let mut likeness = search.cursor.map_or(MatchMode::Strict, |cursor| cursor.likeness);
    let mut found = search_index(search, likeness, snapshot)?;
    let mut reach = match likeness {
        MatchMode::Strict => TextReach::EveryWord,
        MatchMode::Typo => TextReach::AnyText,
        MatchMode::Partial => TextReach::AnyUnit,
    };
    if search.cursor.is_none() && found.unfiltered == 0 {
        let further;
        (further, reach) = look_further(search, snapshot)?;
        if let Some(further) = further {
            (likeness, found) = further;
        }
    }
    let page = page(search, likeness, found, snapshot)?;
    let mut tags = search.tags(reach);
    tags.extend(page.hits.iter().map(|hit| keys::product(hit.id)));
    tags.extend(page.facets.iter().map(|facet| keys::category(facet.category.id)));
    Ok(Finding { page, tags })
}

/// What a search finds that is content with less. The page depends on everything that was tried, also in vain: a product
/// may come that would have been found by it.
fn look_further(search: &Search, snapshot: &Snapshot) -> tantivy::Result<(Option<(MatchMode, Found)>, TextReach)> {
    let mut reach = TextReach::EveryWord;
    if build::can_have_typos(&search.about) {
        reach = TextReach::AnyText;
        let found = search_index(search, MatchMode::Typo, snapshot)?;
        if found.unfiltered > 0 {
            return Ok((Some((MatchMode::Typo, found)), reach));
        }
    }
    if search.about.units().is_none() {
        return Ok((None, reach));
    }
    reach = reach.max(TextReach::AnyUnit);
    let found = search_index(search, MatchMode::Partial, snapshot)?;
    Ok(((found.unfiltered > 0).then_some((MatchMode::Partial, found)), reach))
}

fn search_index(search: &Search, likeness: MatchMode, snapshot: &Snapshot) -> tantivy::Result<Found> {
    let query = build::build(&search.about, likeness, &snapshot.fields, &snapshot.categories);
    // One more than a page has, to know whether there is a next one.
    let after = search.cursor.map(|cursor| cursor.place);
    let best = Best { filter: search.filter, after, limit: search.limit + 1 };
    let usual = FixedStatistics { fields: snapshot.fields };
    snapshot.searcher.search_with_statistics_provider(&query, &best, &usual)
}

fn page(search: &Search, likeness: MatchMode, mut found: Found, snapshot: &Snapshot) -> tantivy::Result<Page> {
    let more = found.best.len() > search.limit;
    found.best.truncate(search.limit);
    let last: Option<SortPosition> = found.best.last().map(|(place, _)| *place).filter(|_| more);
    let next_cursor = last.map(|place| Cursor::new(likeness, place, &search.subject()).to_string());
    let highlight = Highlight::new(&search.about, likeness);
    let category = |id: i64| CategoryRef { id, name: snapshot.categories.get(&id).cloned().unwrap_or_default() };
    let mut hits = Vec::with_capacity(found.best.len());
    for (_, address) in found.best {
        let Row { id, name, description, price_cents, stock, category_id, version } = snapshot.row(address)?;
        hits.push(Hit {
            id,
            name_html: highlight.whole(&name),
            snippet_html: highlight.snippet(&description),
            name,
            price_cents,
            stock,
            category: category(category_id),
            version,
        });
    }
    let matched = if likeness == MatchMode::Partial { Match::Partial } else { Match::All };
    let facets = found.facets.into_iter().map(|(id, count)| Facet { category: category(id), count });
    let mut facets: Vec<Facet> = facets.collect();
    facets.sort_by(|one, other| other.count.cmp(&one.count).then(one.category.id.cmp(&other.category.id)));
    Ok(Page { total: found.total, corrected: likeness == MatchMode::Typo, matched, facets, hits, next_cursor })
}
