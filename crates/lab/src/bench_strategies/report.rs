//! The tables, the files, and the block of the README that is made from them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cases::REFERENCE;
use super::figures::{CaseFigures, Figures, Latency, Sample};
use super::plots::{self, Theme};
use crate::bench::Spread;

const BEGIN: &str = "<!-- made by `make bench`; a test compares it with docs/bench/figures.json -->";
const END: &str = "<!-- end of what `make bench` made -->";
/// The factor by which the reference may vary before the figures are called rough.
const REST: f64 = 1.25;

/// Writes everything to a folder.
pub(super) fn save(figures: &Figures, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(folder.join("bench.json"), serde_json::to_vec(figures)?)?;
    fs::write(folder.join("bench.md"), markdown(figures))?;
    draw(figures, folder)?;
    println!("with raw histograms: {}", folder.join("bench.json").display());
    Ok(())
}

/// What [`save`] has written.
pub(super) fn load(file: &Path) -> Result<Figures> {
    let json = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&json).with_context(|| format!("{} has no figures", file.display()))
}

/// Writes the figures and plots beside the README, and the block into it.
pub(super) fn publish(figures: &Figures, readme: &Path) -> Result<()> {
    let folder = published(readme);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let short = figures.without_histograms();
    let mut json = serde_json::to_string(&short)?;
    json.push('\n');
    fs::write(folder.join("figures.json"), json)?;
    fs::write(folder.join("README.md"), markdown(&short))?;
    draw(&short, &folder)?;
    let text = fs::read_to_string(readme).with_context(|| format!("reading {}", readme.display()))?;
    let (before, _, after) = parts(&text)?;
    fs::write(readme, format!("{before}{}{after}", block(&short)))?;
    println!("{} has the new table", readme.display());
    Ok(())
}

/// Compares the block and the plots with what the figures say.
pub(super) fn check(readme: &Path) -> Result<()> {
    let folder = published(readme);
    let read = |file: PathBuf| fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()));
    let figures = load(&folder.join("figures.json"))?;
    let text = read(readme.to_owned())?;
    let by_hand = "is not what `make bench` made of docs/bench/figures.json";
    ensure!(parts(&text)?.1 == block(&figures), "the table in {} {by_hand}", readme.display());
    ensure!(read(folder.join("README.md"))? == markdown(&figures), "docs/bench/README.md {by_hand}");
    for (name, drawing) in drawings(&figures)? {
        ensure!(read(folder.join(&name))? == drawing, "docs/bench/{name} {by_hand}");
    }
    Ok(())
}

fn published(readme: &Path) -> PathBuf {
    readme.parent().unwrap_or(Path::new("")).join("docs/bench")
}

/// Before the block, the block, and after it.
fn parts(text: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) = text.split_once(BEGIN).context("the marker of the begin is missing")?;
    let (block, after) = rest.split_once(END).context("the marker of the end is missing")?;
    Ok((before, &text[before.len()..before.len() + BEGIN.len() + block.len() + END.len()], after))
}

/// What stands in the README.
fn block(figures: &Figures) -> String {
    let mut text = format!("{BEGIN}\n\n{}\n", strategies(figures));
    text.push_str(&picture("docs/bench/", "latency", "Latency of hits, misses and writes, by strategy"));
    text.push_str(&picture("docs/bench/", "staleness", "For how long stale reads were stale, by strategy"));
    let _ = write!(text, "{}\n\n{END}", circumstances(figures));
    text
}

/// A plot, as GitHub shows it on light and on dark pages.
fn picture(folder: &str, name: &str, alt: &str) -> String {
    format!(
        "<picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"{folder}{name}-dark.svg\">\n  \
         <img alt=\"{alt}\" src=\"{folder}{name}-light.svg\">\n</picture>\n\n"
    )
}

/// Everything, with the spread over the rounds.
pub(super) fn markdown(figures: &Figures) -> String {
    let mut text = format!("# Strategies, measured\n\n{}\n\n{}\n", circumstances(figures), strategies(figures));
    text.push_str(&picture("", "latency", "Latency of hits, misses and writes, by strategy"));
    text.push_str(&picture("", "staleness", "For how long stale reads were stale, by strategy"));
    text.push_str("## With the spread over the rounds\n\nMedian (least–greatest); latencies in ms.\n\n");
    text.push_str(
        "| | hit p50 | hit p99 | miss p50 | miss p99 | write p50 | write p99 | first read after a write p50 | hits/s at the peak | stale reads | longest staleness, ms |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    type Figure = fn(&Sample) -> Option<&Latency>;
    let phases: [Figure; 3] = [|it| it.hit.as_ref(), |it| it.miss.as_ref(), |it| it.write.as_ref()];
    for case in &figures.cases {
        let _ = write!(text, "| {} ", case.name);
        for phase in phases {
            for value in [|it: &Latency| it.p50, |it: &Latency| it.p99] {
                let _ = write!(text, "| {} ", show(case.alone(|sample| phase(sample).map(value)), 2));
            }
        }
        let read_back = case.alone(|sample| sample.read_back.as_ref().map(|it| it.p50));
        let stale = case.among_others(|it| 100.0 * it.stale_share);
        let longest = case.among_others(|it| it.staleness.max);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            show(read_back, 2),
            show(case.alone(|sample| sample.peak), 0),
            show(stale, 2).replace(')', " %)"),
            show(longest, 1)
        );
    }
    text.push('\n');
    text.push_str(&growth(figures));
    text
}

/// What readers and writers notice, and what it costs.
fn strategies(figures: &Figures) -> String {
    let mut text = String::from(
        "| | stale reads | stale for, p50 / longest | read at once after a write: new | hit, p50 / p99 ms | miss, p50 / p99 ms | write, p50 / p99 ms |\n|---|---|---|---|---|---|---|\n",
    );
    for case in &figures.cases {
        let both = |figure: fn(&Sample) -> Option<&Latency>| -> Option<String> {
            let of = |value: fn(&Latency) -> f64| case.alone(|sample| figure(sample).map(value));
            Some(format!("{:.2} / {:.2}", of(|it| it.p50)?.median, of(|it| it.p99)?.median))
        };
        let staleness = || {
            let p50 = case.among_others(|it| it.staleness.p50)?;
            let max = case.among_others(|it| it.staleness.max)?;
            (max.max > 0.0).then(|| format!("{} / {}", time(p50.median), time(max.max)))
        };
        let fresh = case.alone(|sample| sample.read_back_fresh);
        let cells = [
            case.among_others(|it| 100.0 * it.stale_share).map(|share| share_of_stale(share.median)),
            staleness(),
            fresh
                .map(|share| if share.min == 1.0 { "always".into() } else { format!("{:.0} %", 100.0 * share.median) }),
            both(|it| it.hit.as_ref()),
            both(|it| it.miss.as_ref()),
            both(|it| it.write.as_ref()),
        ];
        row(&mut text, &case.name, cells);
    }
    text.push_str(
        "\n| | hits/s at the peak, × bare `GET` | database loads per 1,000 reads | … per 1,000 readers of one missing entry | Redis commands per hit | bytes per hit | Redis memory per entry |\n|---|---|---|---|---|---|---|\n",
    );
    let reference = figures.cases.iter().find(|case| case.name == REFERENCE);
    for case in &figures.cases {
        let cells = [
            peak(case, reference).map(|peak| format!("{:.2}", peak.median)),
            case.among_others(|it| it.loads_per_1000).map(|loads| format!("{:.0}", loads.median)),
            case.alone(|it| it.stampede_loads).map(|loads| format!("{:.0}", loads.median)),
            case.alone(|it| it.commands_per_hit).map(|commands| format!("{:.2}", commands.median)),
            case.alone(|it| it.bytes_per_hit).map(|bytes| format!("{:.0}", bytes.median)),
            case.alone(|it| it.entry_bytes).map(|bytes| format!("{:.0} B", bytes.median)),
        ];
        row(&mut text, &case.name, cells);
    }
    text
}

fn row<const N: usize>(text: &mut String, name: &str, cells: [Option<String>; N]) {
    let _ = write!(text, "| {} ", called(name));
    for cell in cells {
        let _ = write!(text, "| {} ", cell.unwrap_or_else(|| "–".to_owned()));
    }
    text.push_str("|\n");
}

/// What changes with the members of a tag, the entries in Redis and the processes.
fn growth(figures: &Figures) -> String {
    let mut text = String::from(
        "## Invalidating a tag\n\nOurs, in steps of 512 members, beside `SMEMBERS` and one `UNLINK` of all. Stall: the longest that a `PING` on another connection took meanwhile. In ms.\n\n| members | took | stall | at once: took | at once: stall |\n|---:|---|---|---|---|\n",
    );
    let of = |numbers: &[f64]| show((!numbers.is_empty()).then(|| Spread::of(numbers.iter().copied())), 2);
    for at in &figures.tags {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            at.members,
            of(&at.took),
            of(&at.stall),
            of(&at.naive_took),
            of(&at.naive_stall)
        );
    }
    text.push('\n');
    text.push_str(&picture("", "tags", "Longest wait of another command while a tag is invalidated, by its members"));
    text.push_str("## Entries in Redis\n\nOne caller after the other, without HTTP; p50 / p99 in ms.\n\n| entries | bare `GET` | hit | fill | invalidation | memory per entry |\n|---:|---|---|---|---|---:|\n");
    for at in &figures.entries {
        let both = |latency: &Latency| format!("{:.3} / {:.3}", latency.p50, latency.p99);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.0} B |",
            at.entries,
            both(&at.get),
            both(&at.hit),
            both(&at.fill),
            both(&at.invalidate),
            at.entry_bytes
        );
    }
    text.push_str("\n## Processes of the product API\n\nOn all cores together with load, Redis and Postgres; strategy `production`.\n\n| processes | hits/s of all together | loads per 1,000 readers of one missing entry |\n|---:|---|---|\n");
    for at in &figures.processes {
        let _ = writeln!(text, "| {} | {} | {} |", at.processes, show_whole(&at.peak), show_whole(&at.stampede_loads));
    }
    text
}

/// Where it was measured, and how far it can be trusted.
fn circumstances(figures: &Figures) -> String {
    let machine = &figures.machine;
    let build = if machine.release { "release build" } else { "**dev build: these figures mean nothing**" };
    let mut text = format!(
        "{}, commit {}, {build}: {} cores ({}), {}, Redis {}, Postgres {}; {} rounds, medians.",
        machine.date,
        machine.commit,
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.redis,
        machine.postgres,
        figures.rounds
    );
    let reference = figures.cases.iter().find(|case| case.name == REFERENCE);
    let p50 = reference.and_then(|case| case.alone(|sample| sample.hit.as_ref().map(|hit| hit.p50)));
    let peak = reference.and_then(|case| case.alone(|sample| sample.peak));
    let by = |spread: Option<Spread>| spread.map_or(1.0, |spread| spread.max / spread.min);
    let unrest = by(p50).max(by(peak));
    let _ = match unrest > REST {
        true => write!(
            text,
            " The machine was noisy: `{REFERENCE}` itself varied by a factor of {unrest:.1} from round to round."
        ),
        false => write!(text, " `{REFERENCE}` itself varied by a factor of {unrest:.2} from round to round."),
    };
    text
}

/// Peak hits a second as a multiple of the reference's in the same round.
fn peak(case: &CaseFigures, reference: Option<&CaseFigures>) -> Option<Spread> {
    let rounds = case.rounds.iter().zip(&reference?.rounds);
    let ratios: Vec<f64> = rounds.filter_map(|(one, other)| Some(one.peak? / other.peak?)).collect();
    (!ratios.is_empty()).then(|| Spread::of(ratios))
}

fn called(name: &str) -> String {
    match name {
        "constant" => "*no store at all*".to_owned(),
        "get" => "*bare `GET`*".to_owned(),
        "no cache" => "*no cache*".to_owned(),
        "naive" => "*naive cache-aside*".to_owned(),
        lane => format!("**{lane}**"),
    }
}

fn share_of_stale(percent: f64) -> String {
    match percent {
        0.0 => "0".to_owned(),
        percent if percent < 0.095 => format!("{percent:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// Milliseconds, or seconds where there are many.
fn time(ms: f64) -> String {
    match ms {
        ms if ms >= 1_000.0 => format!("{:.1} s", ms / 1e3),
        ms => format!("{ms:.1} ms"),
    }
}

fn show(spread: Option<Spread>, digits: usize) -> String {
    let Some(Spread { median, min, max }) = spread else { return "–".to_owned() };
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

fn show_whole(numbers: &[f64]) -> String {
    show((!numbers.is_empty()).then(|| Spread::of(numbers.iter().copied())), 0)
}

fn draw(figures: &Figures, folder: &Path) -> Result<()> {
    for (name, drawing) in drawings(figures)? {
        fs::write(folder.join(name), drawing)?;
    }
    Ok(())
}

/// The plots by the names of their files.
fn drawings(figures: &Figures) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for theme in [Theme::Light, Theme::Dark] {
        let word = theme.word();
        all.push((format!("latency-{word}.svg"), plots::latency(figures, theme)?));
        all.push((format!("staleness-{word}.svg"), plots::staleness(figures, theme)?));
        all.push((format!("tags-{word}.svg"), plots::tags(figures, theme)?));
    }
    Ok(all)
}
