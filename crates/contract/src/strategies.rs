//! The strategies of the product API, one line each.
//!
//! From this list come the enum, the routes, the settings and the caches of the product API, the subjects of the
//! checker, the demos, the cases of the benchmarks and the rows of the README's table. The file of a strategy is
//! `services/product-api/src/strategies/{name}.rs`, and its page is `docs/strategies/{number}-{name}.md`.

/// Passes the list to the macro `$with`. Each line has the number, the name, the variant of the enum, and the
/// [`Staleness`](crate::Staleness) after a write through the strategy and after any other write.
#[macro_export]
macro_rules! for_each_strategy {
    ($with:ident) => {
        $with! {
            1, ttl,          Ttl,          Seconds(10), Seconds(10);
            2, explicit,     Explicit,     Never,       Seconds(300);
            3, writethrough, Writethrough, Never,       Seconds(300);
            4, events,       Events,       Delivery,    Delivery;
            5, swr,          Swr,          Seconds(60), Seconds(60);
            6, tags,         Tags,         Never,       Delivery;
            7, production,   Production,   Never,       Delivery;
        }
    };
}

/// For how long a read may return the old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// Not at all, once the write is acknowledged.
    Never,
    /// Until the event of the write is delivered.
    Delivery,
    /// For this many seconds, the TTL of an entry, plus the time of its load.
    Seconds(u64),
}

/// A strategy, as clients and tools see it.
#[derive(Clone, Copy, Debug)]
pub struct StrategyInfo {
    /// The position, from 1 on.
    pub number: usize,
    /// The name in paths, keys and settings.
    pub name: &'static str,
    /// The page that explains it, in Markdown.
    pub page: &'static str,
    /// After an acknowledged write through the strategy.
    pub own: Staleness,
    /// After any other write.
    pub other: Staleness,
}

macro_rules! list {
    ($($number:literal, $name:ident, $variant:ident, $own:expr, $other:expr;)*) => {
        /// The names of the strategies, in the order of their numbers.
        pub const STRATEGY_NAMES: [&str; [$($number),*].len()] = [$(stringify!($name)),*];

        /// The strategies, in the order of their numbers.
        pub static STRATEGIES: [StrategyInfo; STRATEGY_NAMES.len()] = {
            use Staleness::{Delivery, Never, Seconds};
            [$(StrategyInfo {
                number: $number,
                name: stringify!($name),
                page: include_str!(concat!("../../../docs/strategies/", $number, "-", stringify!($name), ".md")),
                own: $own,
                other: $other,
            }),*]
        };
    };
}
for_each_strategy!(list);

impl StrategyInfo {
    /// Returns the title: what follows the colon in the page's first line, `# Strategy 1: TTL`.
    pub fn title(&self) -> &'static str {
        self.page.lines().next().and_then(|line| line.split_once(": ")).map_or(self.name, |(_, title)| title)
    }

    /// Returns the page's third line: the sentence that README, demos and API description quote.
    pub fn summary(&self) -> &'static str {
        self.page.lines().nth(2).unwrap_or_default()
    }

    /// Returns whether the entries end by time alone, whichever process writes.
    pub fn is_by_time(&self) -> bool {
        matches!(self.own, Staleness::Seconds(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_of_each_strategy_begins_with_its_number_and_a_summary_of_one_sentence() {
        for (index, strategy) in STRATEGIES.iter().enumerate() {
            let StrategyInfo { number, name, page, .. } = strategy;
            assert_eq!(*number, index + 1, "{name}");
            let heading = format!("# Strategy {number}: {}", strategy.title());
            assert_eq!(page.lines().take(4).collect::<Vec<_>>(), [&heading, "", strategy.summary(), ""], "{name}");
            let summary = strategy.summary();
            assert!(summary.ends_with('.') && !summary.contains(". ") && summary.len() < 140, "{name}: {summary}");
        }
    }
}
