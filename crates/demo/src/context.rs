//! The command line of the demos, and the context of a demo: the API client, the stack, the demo's product, the printer and the claims.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use client::Entry;
use contract::{STRATEGIES, STRATEGY_NAMES, StrategyInfo};
use serde_json::Value;

use crate::claim::{Assertion, Assertions, Holds, Verdict};
use crate::demo_product::DemoProduct;
use crate::narrate::Printer;
use crate::other_services::Addresses;
use crate::product_api::{Category, Product, ProductApiClient};
use crate::stack::Stack;

/// Products before this index are left to people who try things out by hand.
const FIRST: usize = 10;

/// The options of `demo show`.
#[derive(Debug, Args)]
pub struct Options {
    /// The strategies that are shown, by default all
    #[arg(value_parser = PossibleValuesParser::new(STRATEGY_NAMES).map(|name| named(&name)))]
    pub strategies: Vec<&'static StrategyInfo>,
    /// Where the product API answers
    #[arg(long, env = "PRODUCT_API_URL", default_value = "http://127.0.0.1:8004")]
    pub product_api: String,
    /// Where the other services answer
    #[command(flatten)]
    pub other_services: Addresses,
    /// The script that runs the stack: deploy/stack
    #[arg(long, env = "STACK_SCRIPT", default_value = "deploy/stack")]
    pub stack: PathBuf,
    /// Any value: no colours
    #[arg(long, env = "NO_COLOR", hide = true)]
    pub no_color: Option<OsString>,
    /// Any value: no progress bars and no colours, even on a terminal
    #[arg(long, env = "CI", hide = true)]
    pub ci: Option<OsString>,
}

fn named(name: &str) -> &'static StrategyInfo {
    STRATEGIES.iter().find(|strategy| strategy.name == name).expect("one of the possible values")
}

/// State that is set up once and handed from demo to demo.
#[derive(Debug)]
pub(crate) struct DemoContext {
    pub shop: ProductApiClient,
    /// The stack that runs the API.
    pub stack: Stack,
    pub other_services: Addresses,
    pub say: Printer,
    pub claims: Assertions,
    pub began: Instant,
    /// The strategy of the current demo.
    pub strategy: &'static StrategyInfo,
    products: Vec<Product>,
    undo: Vec<(String, Value)>,
}

impl DemoContext {
    /// Sets the context up. Fails if the stack does not run.
    pub(crate) async fn open(options: &Options) -> Result<Self> {
        let is_set = |value: &Option<OsString>| value.as_ref().is_some_and(|value| !value.is_empty());
        let shop = ProductApiClient::open(&options.product_api, options.other_services.operations.headers()?).await?;
        let mut page = shop.read("/products?limit=100").await?.body;
        let products: Vec<Product> = serde_json::from_value(page.get_mut("products").map_or(Value::Null, Value::take))?;
        ensure!(products.len() >= 40, "the demos need 40 products, and there are {}: make reset up", products.len());
        Ok(Self {
            shop,
            stack: Stack::new(&options.stack)?,
            other_services: options.other_services.clone(),
            say: Printer::new(is_set(&options.ci), is_set(&options.no_color)),
            claims: Assertions::default(),
            began: Instant::now(),
            strategy: &STRATEGIES[0],
            products,
            undo: Vec::new(),
        })
    }

    /// Enters the demo of `strategy`, once the product API can use its Redis and has no pending invalidation.
    pub(crate) async fn enter(&mut self, strategy: &'static StrategyInfo) -> Result<()> {
        self.strategy = strategy;
        for _ in 0..500 {
            let metrics = self.shop.metrics().await?;
            let mut is_idle = true;
            for name in ["cache_breaker_open", "cache_repairs_pending"] {
                let mut series = metrics.series(name).peekable();
                ensure!(series.peek().is_some(), "the product API does not report the metric {name}");
                is_idle &= series.all(|(_, value)| value == 0.0);
            }
            if is_idle {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the product API is without its Redis; `make up` starts it")
    }

    /// Shows the entry of `subject`, filled if necessary, that stays fresh for another `life`.
    pub(crate) async fn show_entry(&self, step: &str, subject: &DemoProduct, life: Duration) -> Result<Entry> {
        self.say.step(step);
        self.say.note(&subject.to_string());
        let (read, entry) = subject.warm(life).await?;
        self.say.read(&read, "");
        self.say.redis(&subject.key(), Some(&entry));
        Ok(entry)
    }

    /// Asserts a claim that is true as long as the service can use its Redis.
    pub(crate) fn claim(&mut self, text: impl Into<String>, figure: impl Into<String>, verdict: Verdict) {
        self.assert(text.into(), figure.into(), verdict, Holds::Undisturbed);
    }

    /// Asserts that something holds in each of `of` cases, under the same condition.
    pub(crate) fn claim_each(&mut self, text: &str, count: usize, of: usize) {
        self.claim(text, format!("{count} of {of}"), Verdict::equal(of, count));
    }

    /// Asserts a claim that is always true.
    pub(crate) fn promise(&mut self, text: impl Into<String>, figure: impl Into<String>, verdict: Verdict) {
        self.assert(text.into(), figure.into(), verdict, Holds::Always);
    }

    fn assert(&mut self, text: String, figure: String, verdict: Verdict, holds: Holds) {
        self.say.claim(self.claims.add(Assertion { strategy: self.strategy.name, text, figure, verdict, holds }));
    }

    /// Records the write that undoes a change which a demo is about to make.
    pub(crate) fn undo_later(&mut self, path: impl Into<String>, original: Value) {
        self.undo.push((path.into(), original));
    }

    /// Undoes all changes, the latest first.
    pub(crate) async fn undo(&mut self) -> Result<()> {
        while let Some((path, original)) = self.undo.pop() {
            self.shop.put(&path, &original).await?;
        }
        Ok(())
    }

    /// Returns the product of the current demo, under its strategy. Each demo has a different product.
    pub(crate) fn subject(&mut self) -> Result<DemoProduct> {
        self.extra(self.strategy.number)
    }

    /// Returns further products under the strategy of the current demo, which are no demo's product.
    pub(crate) fn subjects(&mut self, count: usize) -> Result<Vec<DemoProduct>> {
        (1..=count).map(|number| self.extra(STRATEGIES.len() + number)).collect()
    }

    /// Returns two categories, each with its products (two at least).
    pub(crate) fn two_categories(&self) -> Result<[(Category, Vec<Product>); 2]> {
        let of = |category: &Category| -> Vec<Product> {
            self.products.iter().filter(|product| product.category.id == category.id).cloned().collect()
        };
        let mut shelves =
            self.products.iter().skip(FIRST).map(|product| (product.category.clone(), of(&product.category)));
        let first = shelves.find(|(_, products)| products.len() >= 2).context("no category has two products")?;
        let second = shelves.find(|(category, products)| *category != first.0 && products.len() >= 2);
        Ok([first, second.context("only one category has two products")?])
    }

    fn extra(&mut self, number: usize) -> Result<DemoProduct> {
        let product = self.products.get(FIRST + number).cloned().context("too few products")?;
        let subject = DemoProduct::new(&self.shop, self.strategy.name, product);
        self.undo_later(subject.path(), subject.original());
        Ok(subject)
    }
}
