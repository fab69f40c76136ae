//! The fixture of a run: its own products, and the pages that show them. The products are removed after the run. The
//! pages stay, without products.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use client::Connection;
use hyper::Method;
use serde_json::Value;

use super::judge::{CREATION, Judge};
use super::map::{Call, Map, Subject, Writing, fill, fill_text};
use super::prepared::{Prepared, Product};
use super::workload::Choice;

/// All subjects, and the call that removes their products.
#[derive(Debug)]
pub(super) struct Fixture {
    pub subjects: Vec<Prepared>,
    remove: Option<(Call, String)>,
}

impl Fixture {
    /// Creates `products` of each subject, and the pages that show them. `judge` receives their first versions.
    pub(super) async fn create(
        map: &Map, products: usize, judge: &mut Judge, mut progress: impl FnMut(u64),
    ) -> Result<Self> {
        let products = products.max(Choice::FEWEST);
        let mut maker =
            FixtureBuilder { map, connections: HashMap::new(), given: map.products.ids.clone().into_iter() };
        let (mut subjects, mut key, mut made) = (Vec::new(), 0, 0);
        for subject in &map.subjects {
            let first_key = key;
            let mut prepared = Vec::with_capacity(products);
            for _ in 0..products {
                let (product, version) = maker.product(subject, key).await?;
                judge.created(key, CREATION, version);
                prepared.push(product);
                key += 1;
                made += 1;
                progress(made);
            }
            maker.pages(subject, &mut prepared).await.with_context(|| format!("the pages of {}", subject.name))?;
            let keys = prepared.iter().zip(first_key..).map(|(product, key)| (product.id, key)).collect();
            subjects.push(Prepared {
                name: subject.name.clone(),
                promise: subject.stale,
                choice: Choice::of(prepared.len()),
                products: prepared,
                first_key,
                nodes: (map.services[&subject.read.service].clone(), map.services[&subject.write.service].clone()),
                read: subject.read.clone(),
                shown: map.shown(subject).clone(),
                keys,
                writing: Writing { body: map.body(subject).clone(), ..map.writing.clone() },
                method: map.writing.method.parse().context("the method of writes is invalid")?,
            });
        }
        let remove = map.products.create.as_ref().and(map.products.remove.clone());
        let remove = remove.map(|call| (call.clone(), map.services[&call.service][0].clone()));
        Ok(Self { subjects, remove })
    }

    /// Removes the products. A failure is ignored, because the run has been judged already.
    pub(super) async fn remove(self) {
        let Some((call, url)) = self.remove else { return };
        let (Ok(mut connection), Ok(method)) = (Connection::new(&url), call.method.parse::<Method>()) else { return };
        for product in self.subjects.iter().flat_map(|subject| &subject.products) {
            let path = fill_text(&call.path, &[("id", &product.id.to_string()), ("word", &product.word)]);
            let _ = connection.send(method.clone(), &path, None).await;
        }
    }
}

/// Creates products and pages.
struct FixtureBuilder<'m> {
    map: &'m Map,
    connections: HashMap<String, Connection>,
    given: std::vec::IntoIter<u64>,
}

impl FixtureBuilder<'_> {
    async fn call(&mut self, call: &Call, names: &[(&str, &str)]) -> Result<Value> {
        let url = &self.map.services[&call.service][0];
        let connection = match self.connections.entry(url.clone()) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => place.insert(Connection::new(url)?),
        };
        let body = call.body.as_ref().map(|body| fill(body, names, CREATION).to_string());
        let path = fill_text(&call.path, names);
        let answer = connection.send(call.method.parse()?, &path, body.map(Bytes::from)).await?;
        let said = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status.is_success(), "{} {path} was answered {}: {said}", call.method, answer.status);
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// Creates a product and returns it with its version.
    async fn product(&mut self, subject: &Subject, key: u32) -> Result<(Product, u32)> {
        let word = word(key);
        let writing = &self.map.writing;
        let first_write = |id: u64| Call {
            method: writing.method.clone(),
            service: subject.write.service.clone(),
            path: fill_text(&subject.write.path, &[("id", &id.to_string())]),
            id: None,
            body: Some(self.map.body(subject).clone()),
        };
        let (id, made) = match &self.map.products.create {
            Some(create) => {
                let mut create = create.clone();
                if let Some(Value::Object(body)) = &mut create.body {
                    body.extend(subject.create.clone());
                }
                let made = self.call(&create, &[("word", &word)]).await.context("no product was made")?;
                let pointer = create.id.as_deref().context("the map does not say where a new product's id is")?;
                (made.pointer(pointer).and_then(Value::as_u64).context("a new product has no id")?, made)
            }
            None => {
                let id = self.given.next().context("the map names too few products")?;
                (
                    id,
                    self.call(&first_write(id), &[("word", &word)])
                        .await
                        .context("the first write of a product failed")?,
                )
            }
        };
        let version = made.pointer(&writing.version).and_then(Value::as_u64).context("a new product has no version")?;
        let names = [("id", id.to_string()), ("word", word.clone())];
        let names: Vec<_> = names.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (read_path, write_path) = (fill_text(&subject.read.path, &names), fill_text(&subject.write.path, &names));
        Ok((Product { id, word, read_path, write_path }, u32::try_from(version)?))
    }

    /// Adds the products to pages, if the subject has pages.
    async fn pages(&mut self, subject: &Subject, products: &mut [Product]) -> Result<()> {
        let Some(page) = &subject.page else { return Ok(()) };
        for shown in products.chunks_mut(page.products.max(1)) {
            let made = self.call(&page.create, &[]).await?;
            let pointer = page.create.id.as_deref().context("the map does not say where a new page's id is")?;
            let id = match made.pointer(pointer) {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => bail!("a new page has no id"),
            };
            for product in shown {
                self.call(&page.add, &[("page", &id), ("id", &product.id.to_string())]).await?;
                product.read_path = fill_text(&product.read_path, &[("page", &id)]);
            }
        }
        Ok(())
    }
}

/// Returns a word that no other product has, and whose beginning no other product's word has: a search by prefix must
/// not confuse the writes to one product with those to another.
fn word(key: u32) -> String {
    let letter = |at: u32| char::from(b'a' + (at % 26) as u8);
    format!("q{}{}{:06x}{key}", letter(key / 26), letter(key), rand::random::<u32>() & 0xff_ffff)
}
