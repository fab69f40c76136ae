//! The routes of the product API, in one table.
//!
//! Handlers parse the request, call the service and build the response. `strategies/` defines what a strategy does.

mod catalogue;
mod categories;
mod lists;
mod page_query;
mod problems;
mod products;

use actix_web::web::ServiceConfig;
use contract::{STRATEGIES, STRATEGY_NAMES};
use service::http_metrics::{resource, resource_as};
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::catalogue::{Category, CategoryPage, FeaturedList, NewProduct, Product, ProductChange, ProductPage};
use crate::strategies::Strategy;

/// One product, through a strategy.
const PRODUCT: &str = "/products/{strategy}/{id}";

/// Registers the routes. actix tries them in this order, one regular expression each, so the paths that are read most come
/// first, and each path precedes the patterns that also match it.
///
/// All methods of a path belong to one resource, so that any other method is answered with 405 and the list of the
/// allowed methods.
#[rustfmt::skip] // A table reads better with one path to a line.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    let others = STRATEGY_NAMES.into_iter().filter(|name| *name != Strategy::Explicit.name()).collect::<Vec<_>>().join("|");
    cfg.service(resource_as(&format!("/products/{{strategy:{others}}}/{{id}}"), PRODUCT).get(products::read).put(products::write))
        .service(resource("/products/{strategy:explicit}/{id}").get(products::read).put(products::write).delete(products::delete_explicit))
        .service(resource("/products/by-category/{id}").get(lists::by_category))
        .service(resource(PRODUCT).get(products::read).put(products::write)) // no such strategy
        .service(resource("/products/featured").get(lists::featured))
        .service(resource("/products/{id}").get(catalogue::read).put(catalogue::write).delete(catalogue::delete))
        .service(resource("/products").get(catalogue::page).post(catalogue::create))
        .service(resource("/categories").get(categories::all))
        .service(resource("/categories/{id}").put(categories::write));
}

/// The description of the API, served at `/openapi.json` and shown at `/docs`.
#[derive(OpenApi, Debug)]
#[openapi(
    info(
        title = "Product API",
        description = "A catalogue on Postgres, read through seven cache invalidation strategies on Redis. \
            Each strategy has entries of its own, so that the same product can be compared strategy by strategy.",
    ),
    paths(
        products::read, products::write, products::delete_explicit,
        lists::featured, lists::by_category,
        catalogue::page, catalogue::create, catalogue::read, catalogue::write, catalogue::delete,
        categories::all, categories::write,
    ),
    components(schemas(
        Product, ProductPage, NewProduct, ProductChange, Category, CategoryPage, FeaturedList,
    )),
    tags(
        (name = "strategies"),
        (name = "lists", description = "Strategies 5 and 6 on lists"),
        (name = "catalogue", description = "The truth, without a cache"),
        (name = "events", description = "What has changed"),
    ),
)]
pub(crate) struct ApiDoc;

/// Adds the summary of each strategy to the description of the tag `strategies`.
pub(crate) fn describe_strategies(openapi: &mut utoipa::openapi::OpenApi) {
    let tags = openapi.tags.iter_mut().flatten();
    for tag in tags.filter(|tag| tag.name == "strategies") {
        let summaries = STRATEGIES.map(|strategy| format!("* `{}`: {}", strategy.name, strategy.summary()));
        tag.description = Some(format!("One product, through each strategy:\n\n{}", summaries.join("\n")));
    }
}

/// Describes `/products/explicit/{id}`, which also has DELETE, apart from the other strategies.
///
/// In OpenAPI a concrete path takes precedence over a pattern that also matches it. The concrete path therefore lists
/// all its methods, and the pattern does not list this strategy.
pub(crate) fn describe_explicit(openapi: &mut utoipa::openapi::OpenApi) {
    let paths = &mut openapi.paths.paths;
    let Some(pattern) = paths.get_mut("/products/{strategy}/{id}") else { return };
    let mut concrete = pattern.clone();
    for operation in [&mut pattern.get, &mut pattern.put].into_iter().flatten() {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(strategy) = parameter
                && strategy.name == "strategy"
            {
                strategy.schema = Some(other_strategies().into());
            }
        }
    }
    for operation in [&mut concrete.get, &mut concrete.put].into_iter().flatten() {
        operation.parameters.iter_mut().for_each(|parameters| {
            parameters.retain(|parameter| !matches!(parameter, RefOr::T(parameter) if parameter.name == "strategy"));
        });
    }
    if let Some(explicit) = paths.get_mut("/products/explicit/{id}") {
        (explicit.get, explicit.put) = (concrete.get, concrete.put);
    }
}

fn other_strategies() -> Schema {
    let others = Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::Explicit);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(others.map(Strategy::name))).into()
}
