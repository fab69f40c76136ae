//! Building a page of results from a search and a snapshot of the index.

use cache::Tag;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::build::{self, FixedStatistics};
use super::collect::{Best, Found};
use super::cursor::{Cursor, MatchMode, SortPosition};
use super::highlight::Highlight;
use super::search::{Search, TextReach};
use crate::index::{IndexSnapshot, Row};
use crate::keys;

/// A page of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// The number of products that match, on all pages.
    pub total: u64,
    /// Whether no product matched the words as written, and these products match similar words.
    pub corrected: bool,
    /// Whether these products have all words of the query, or only at least half of them.
    #[serde(rename = "match")]
    pub matched: Match,
    /// The number of matches per category, as if no category were chosen; the largest first.
    pub facets: Vec<Facet>,
    /// The products of this page, the best first.
    pub hits: Vec<Hit>,
    /// The cursor of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How many of the query's words a product of the result has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// All words except stop words.
    All,
    /// At least half of the words, because no product has all of them. Products with the most words come first. In a
    /// script without spaces, pairs of letters count as words.
    Partial,
}

/// The number of matches in one category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facet {
    /// The category.
    pub category: CategoryRef,
    /// The number of matches in the category.
    pub count: u64,
}

/// A category of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CategoryRef {
    /// The id of the category.
    pub id: i64,
    /// The name of the category.
    pub name: String,
}

/// A product that matches the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// The id of the product.
    pub id: i64,
    /// The name of the product.
    pub name: String,
    /// The price in cents.
    pub price_cents: i64,
    /// The number of pieces in stock.
    pub stock: i32,
    /// The category of the product.
    pub category: CategoryRef,
    /// The version of the product's row that this hit shows.
    pub version: i64,
    /// The name as HTML, with matches in `<b>`.
    pub name_html: String,
    /// The best part of the description as HTML, with matches in `<b>`.
    pub snippet_html: String,
}

/// A page, and the tags on which it depends.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The page.
    pub page: Page,
    /// The tags whose invalidation outdates the page.
    pub tags: Vec<Tag>,
}

/// Searches the index. Blocks until the search is done.
///
/// A later page compares words in the mode of the first one. The first page is strict. If no product matches, it allows
/// typos, then half of the query, and then both. The filter has no influence on the mode: a category without a lamp must
/// not make the search show lambs.
pub fn find(search: &Search, snapshot: &IndexSnapshot) -> tantivy::Result<Finding> {
    let mut likeness = search.cursor.map_or(MatchMode::Strict, |cursor| cursor.likeness);
    let mut found = search_index(search, likeness, snapshot)?;
    let mut reach = match likeness {
        MatchMode::Strict => TextReach::EveryWord,
        MatchMode::Typo | MatchMode::PartialTypo => TextReach::AnyText,
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

/// Searches with typos, then for partial matches, and then for partial matches with typos. The page depends on every mode
/// that was tried, even in vain, because a product may be added that this mode would have found.
fn look_further(search: &Search, snapshot: &IndexSnapshot) -> tantivy::Result<(Option<(MatchMode, Found)>, TextReach)> {
    let mut reach = TextReach::EveryWord;
    let can_have_typos = build::can_have_typos(&search.about);
    if can_have_typos {
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
    for likeness in [MatchMode::Partial, MatchMode::PartialTypo] {
        if likeness.has_typos() && !can_have_typos {
            continue;
        }
        let found = search_index(search, likeness, snapshot)?;
        if found.unfiltered > 0 {
            return Ok((Some((likeness, found)), reach));
        }
    }
    Ok((None, reach))
}

fn search_index(search: &Search, likeness: MatchMode, snapshot: &IndexSnapshot) -> tantivy::Result<Found> {
    let query = build::build(&search.about, likeness, &snapshot.fields, &snapshot.categories);
    // One more result than the page has, to know whether there is a next page.
    let after = search.cursor.map(|cursor| cursor.place);
    let best = Best { filter: search.filter, after, limit: search.limit + 1 };
    let usual = FixedStatistics { fields: snapshot.fields };
    snapshot.searcher.search_with_statistics_provider(&query, &best, &usual)
}

fn page(search: &Search, likeness: MatchMode, mut found: Found, snapshot: &IndexSnapshot) -> tantivy::Result<Page> {
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
    let matched = if likeness.is_partial() { Match::Partial } else { Match::All };
    let facets = found.facets.into_iter().map(|(id, count)| Facet { category: category(id), count });
    let mut facets: Vec<Facet> = facets.collect();
    facets.sort_by(|one, other| other.count.cmp(&one.count).then(one.category.id.cmp(&other.category.id)));
    Ok(Page { total: found.total, corrected: likeness.has_typos(), matched, facets, hits, next_cursor })
}
