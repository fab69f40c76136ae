//! The files: the figures with and without their histograms, the plots, and the generated block of the README.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::figures::Figures;
use super::latency::Latency;
use super::plots::{self, Theme};
use super::tables::{BEGIN, END, block, markdown};

/// The raw histograms, by the name of the distribution.
type Histograms = BTreeMap<String, Vec<u64>>;

/// Writes all files to a folder.
pub(super) fn save(figures: &Figures, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(folder.join("bench.json"), serde_json::to_vec(figures)?)?;
    fs::write(folder.join("bench.md"), markdown(figures))?;
    draw(figures, folder)?;
    println!("with raw histograms: {}", folder.join("bench.json").display());
    Ok(())
}

/// Loads the figures that [`save`] has written.
pub(super) fn load(file: &Path) -> Result<Figures> {
    let json = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&json).with_context(|| format!("{} has no figures", file.display()))
}

/// Writes the figures and plots next to the README, and the block into it.
pub(super) fn publish(figures: &Figures, readme: &Path) -> Result<()> {
    let folder = published(readme);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let (short, histograms) = split(figures.clone());
    fs::write(folder.join("figures.json"), format!("{}\n", serde_json::to_string(&short)?))?;
    fs::write(folder.join("histograms.json"), lines(&histograms)?)?;
    fs::write(folder.join("README.md"), markdown(&short))?;
    draw(&short, &folder)?;
    let text = fs::read_to_string(readme).with_context(|| format!("reading {}", readme.display()))?;
    let (before, _, after) = parts(&text)?;
    fs::write(readme, format!("{before}{}{after}", block(&short)))?;
    println!("{} has the new table", readme.display());
    Ok(())
}

/// Checks that no figure is missing, and compares the block and the plots with the figures, and the figures with their
/// histograms.
pub(super) fn check(readme: &Path) -> Result<()> {
    let folder = published(readme);
    let read = |file: PathBuf| fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()));
    let figures = load(&folder.join("figures.json"))?;
    figures.ensure_complete()?;
    let text = read(readme.to_owned())?;
    let by_hand = "is not what `make bench` made of docs/bench/figures.json";
    ensure!(parts(&text)?.1 == block(&figures), "the table in {} {by_hand}", readme.display());
    ensure!(read(folder.join("README.md"))? == markdown(&figures), "docs/bench/README.md {by_hand}");
    for (name, drawing) in drawings(&figures)? {
        ensure!(read(folder.join(&name))? == drawing, "docs/bench/{name} {by_hand}");
    }
    let histograms =
        serde_json::from_str(&read(folder.join("histograms.json"))?).context("histograms.json is invalid")?;
    recount(figures, histograms)
}

/// Checks that every quantile, of each round and of all together, follows from the histograms.
fn recount(published: Figures, mut histograms: Histograms) -> Result<()> {
    let mut again = published.clone();
    for (name, latency) in again.measured() {
        let histogram = histograms.remove(&name).with_context(|| format!("there is no histogram of {name}"))?;
        let counted = Latency { histogram, ..Latency::default() }.again();
        ensure!(counted.short() == *latency, "the histogram of {name} does not say what the figures say");
        *latency = counted;
    }
    ensure!(histograms.is_empty(), "there are histograms of what has no figures: {:?}", histograms.keys());
    again.pool();
    again.clear_pooled();
    let pooled = |figures: &Figures| -> Vec<_> {
        let scaled = figures.entries.iter().flat_map(|at| &at.cases);
        figures.cases.iter().chain(scaled).map(|case| (case.name.clone(), case.pooled.clone())).collect()
    };
    for (made, said) in pooled(&again).into_iter().zip(pooled(&published)) {
        ensure!(made == said, "{}: the histograms of all rounds do not say what the figures say", said.0);
    }
    Ok(())
}

fn split(mut figures: Figures) -> (Figures, Histograms) {
    let take = |(name, latency): (String, &mut Latency)| (name, std::mem::take(&mut latency.histogram));
    let histograms = figures.measured().into_iter().map(take).collect();
    figures.clear_pooled();
    (figures, histograms)
}

/// Formats each histogram on a line of its own, so that a person can find one.
fn lines(histograms: &Histograms) -> Result<String> {
    let line =
        |(name, histogram)| Ok(format!("{}:{}", serde_json::to_string(name)?, serde_json::to_string(histogram)?));
    let all: Vec<String> = histograms.iter().map(line).collect::<Result<_>>()?;
    Ok(format!("{{\n{}\n}}\n", all.join(",\n")))
}

fn published(readme: &Path) -> PathBuf {
    readme.parent().unwrap_or(Path::new("")).join("docs/bench")
}

/// Splits the text into the parts before the block, the block, and after it.
fn parts(text: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) = text.split_once(BEGIN).context("the marker of the beginning is missing")?;
    let (block, after) = rest.split_once(END).context("the marker of the end is missing")?;
    Ok((before, &text[before.len()..before.len() + BEGIN.len() + block.len() + END.len()], after))
}

fn draw(figures: &Figures, folder: &Path) -> Result<()> {
    for (name, drawing) in drawings(figures)? {
        fs::write(folder.join(name), drawing)?;
    }
    Ok(())
}

/// Draws all plots, with their file names.
fn drawings(figures: &Figures) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for theme in [Theme::Light, Theme::Dark] {
        let word = theme.word();
        all.push((format!("latency-{word}.svg"), plots::latency(figures, theme)?));
        all.push((format!("staleness-{word}.svg"), plots::staleness(figures, theme)?));
        all.push((format!("growth-{word}.svg"), plots::growth(figures, theme)?));
        all.push((format!("tags-{word}.svg"), plots::tags(figures, theme)?));
    }
    Ok(all)
}
