//! What the page says about each strategy: its page in docs/strategies, and its code, both as they were compiled.

use actix_web::HttpResponse;
use actix_web::web::{Path, ServiceConfig};
use contract::{STRATEGIES, STRATEGY_NAMES, StrategyInfo};
use serde::Serialize;
use service::http_metrics::resource;
use service::problem::Problem;
use utoipa::ToSchema;

macro_rules! sources {
    ($($number:literal, $name:ident, $variant:ident, $own:expr, $other:expr;)*) => {
        /// The code of each strategy, in the order of their numbers.
        const SOURCES: [&str; STRATEGY_NAMES.len()] =
            [$(include_str!(concat!("../../product-api/src/strategies/", stringify!($name), ".rs"))),*];
    };
}
contract::for_each_strategy!(sources);

/// A strategy, explained.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    name: &'static str,
    title: &'static str,
    number: usize,
    /// What it does, what it guarantees, and what it costs.
    sentences: Vec<String>,
    /// Its source file.
    code: &'static str,
    /// The path of that file.
    file: String,
    good_for: Option<String>,
    bad_for: Option<String>,
    /// Its whole page, in Markdown.
    page_markdown: &'static str,
}

/// Mounts the route.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(resource("/explain/{strategy}").get(explain));
}

/// Returns what a strategy is, its code, and what it is for.
#[utoipa::path(get, path = "/explain/{strategy}", tag = "page", params(("strategy" = String, Path)),
    responses((status = 200, body = Explanation), (status = 404, body = Problem)))]
pub(crate) async fn explain(name: Path<String>) -> Result<HttpResponse, Problem> {
    let found = STRATEGIES.iter().zip(SOURCES).find(|(strategy, _)| strategy.name == *name);
    let (strategy, code) = found.ok_or_else(|| {
        Problem::not_found(format!("There is no such strategy; there are {}.", STRATEGY_NAMES.join(", ")))
    })?;
    Ok(HttpResponse::Ok().json(explanation(strategy, code)))
}

fn explanation(strategy: &StrategyInfo, code: &'static str) -> Explanation {
    let paragraph = |title: &str| paragraph(strategy.page, title);
    let sentences = [Some(strategy.summary().to_owned()), paragraph("Guarantee"), paragraph("Cost")];
    Explanation {
        name: strategy.name,
        title: strategy.title(),
        number: strategy.number,
        sentences: sentences.into_iter().flatten().collect(),
        code,
        file: format!("services/product-api/src/strategies/{}.rs", strategy.name),
        good_for: paragraph("Use it for"),
        bad_for: paragraph("Not for"),
        page_markdown: strategy.page,
    }
}

/// Returns the paragraph that begins with `**title**`, without its title and its line breaks.
fn paragraph(page: &str, title: &str) -> Option<String> {
    let start = format!("**{title}**");
    let found = page.split("\n\n").find(|paragraph| paragraph.starts_with(&start))?;
    let text = found[start.len()..].trim_start_matches([':', ' ']).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    let first = letters.next()?;
    Some(first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_has_three_sentences_code_and_a_purpose() {
        for (strategy, code) in STRATEGIES.iter().zip(SOURCES) {
            let explained = explanation(strategy, code);
            assert_eq!(explained.sentences.len(), 3, "{}: {:?}", strategy.name, explained.sentences);
            assert!(code.contains("fn read") && code.contains("fn write"), "{}", strategy.name);
            assert!(explained.good_for.is_some() && explained.bad_for.is_some(), "{}", strategy.name);
        }
    }
}
