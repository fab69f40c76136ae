//! What a demo works with: the shop, the stack, a product of its own, somebody to tell it, and somebody to judge it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::claim::{Assertion, Assertions, Holds, Verdict};
use super::demo_product::DemoProduct;
use super::narrate::Printer;
use super::other_services::Addresses;
use super::product_api::{Category, Product, ProductApiClient};
use super::stack::Stack;
use super::{Demo, Options};

/// The products before this one are left to people who try things out by hand.
const FIRST: usize = 10;

/// What is set up once, and handed from demo to demo.
#[derive(Debug)]
pub(super) struct DemoContext {
    /// The API.
    pub shop: ProductApiClient,
    /// What it stands on.
    pub stack: Stack,
    /// The services beside it.
    pub neighbours: Addresses,
    /// Who tells it.
    pub say: Printer,
    /// What was claimed so far.
    pub claims: Assertions,
    /// When the run began.
    pub began: Instant,
    demo: Demo,
    products: Vec<Product>,
    undo: Vec<(String, Value)>,
}

impl DemoContext {
    /// Sets it up, if the stack runs.
    pub(super) async fn open(options: &Options) -> Result<Self> {
        let is_set = |value: &Option<std::ffi::OsString>| value.as_ref().is_some_and(|value| !value.is_empty());
        let shop = ProductApiClient::open(&options.product_api, options.neighbours.operations.headers()?).await?;
        let mut page = shop.read("/products?limit=100").await?.body;
        let products: Vec<Product> = serde_json::from_value(page.get_mut("products").map_or(Value::Null, Value::take))?;
        ensure!(products.len() >= 40, "the demos need 40 products, and there are {}: make reset up", products.len());
        Ok(Self {
            shop,
            stack: Stack::new(&options.stack)?,
            neighbours: options.neighbours.clone(),
            say: Printer::new(is_set(&options.ci), is_set(&options.no_color)),
            claims: Assertions::default(),
            began: Instant::now(),
            demo: Demo::Ttl,
            products,
            undo: Vec::new(),
        })
    }

    /// Makes `demo` the one whose claims follow, once the stack is in a state to be shown.
    pub(super) async fn enter(&mut self, demo: Demo) -> Result<()> {
        self.demo = demo;
        for _ in 0..500 {
            let metrics = self.shop.metrics().await?;
            if metrics.sum("cache_breaker_open", &[]) + metrics.sum("cache_repairs_pending", &[]) == 0.0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the product API is without its Redis; `make up` starts it")
    }

    /// Prints the head of the demo.
    pub(super) fn title(&self, about: &str) {
        self.say.title(self.demo.number(), self.demo.name(), about);
    }

    /// Asserts something that is true as long as the service can use its Redis.
    pub(super) fn claim(&mut self, text: impl Into<String>, figure: impl Into<String>, verdict: Verdict) {
        self.assert(text.into(), figure.into(), verdict, Holds::Undisturbed);
    }

    /// Asserts something that is always true.
    pub(super) fn promise(&mut self, text: impl Into<String>, figure: impl Into<String>, verdict: Verdict) {
        self.assert(text.into(), figure.into(), verdict, Holds::Always);
    }

    fn assert(&mut self, text: String, figure: String, verdict: Verdict, holds: Holds) {
        self.say.claim(self.claims.add(Assertion { strategy: self.demo.name(), text, figure, verdict, holds }));
    }

    /// Keeps the write that takes back what a demo is about to change.
    pub(super) fn undo_later(&mut self, path: impl Into<String>, original: Value) {
        self.undo.push((path.into(), original));
    }

    /// Takes back what was changed, the last change first.
    pub(super) async fn undo(&mut self) -> Result<()> {
        while let Some((path, original)) = self.undo.pop() {
            self.shop.put(&path, &original).await?;
        }
        Ok(())
    }

    /// The product of `demo`, under its strategy; each demo has another one.
    pub(super) fn subject(&mut self, demo: Demo) -> Result<DemoProduct> {
        self.extra(demo, demo.number())
    }

    /// More products under the strategy of `demo`, which no other demo has.
    pub(super) fn subjects(&mut self, demo: Demo, count: usize) -> Result<Vec<DemoProduct>> {
        (1..=count).map(|number| self.extra(demo, Demo::ALL.len() + number)).collect()
    }

    /// Two categories, the products of the first (two at least), and those of the second.
    pub(super) fn two_categories(&self) -> Result<[(Category, Vec<Product>); 2]> {
        let of = |category: &Category| -> Vec<Product> {
            self.products.iter().filter(|product| product.category.id == category.id).cloned().collect()
        };
        let mut shelves =
            self.products.iter().skip(FIRST).map(|product| (product.category.clone(), of(&product.category)));
        let first = shelves.find(|(_, products)| products.len() >= 2).context("no category has two products")?;
        let second = shelves.find(|(category, products)| *category != first.0 && products.len() >= 2);
        Ok([first, second.context("only one category has two products")?])
    }

    fn extra(&mut self, demo: Demo, number: usize) -> Result<DemoProduct> {
        let product = self.products.get(FIRST + number).cloned().context("too few products")?;
        let subject = DemoProduct::new(&self.shop, demo.name(), product);
        self.undo_later(subject.path(), subject.original());
        Ok(subject)
    }
}
