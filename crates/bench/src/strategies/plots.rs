//! The plots as SVG, for light and for dark pages, on logarithmic axes.

use anyhow::{Result, anyhow};
use client::report::thousands;
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor, SVGBackend, Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::case_figures::{CaseFigures, Pooled, Sample};
use super::cells::PHASES;
use super::figures::{Figures, TagFigures};
use super::latency::Latency;

const WIDTH: i32 = 860;
const ROW: i32 = 34;
/// The margins: names on the left, the title and the legend above, the ticks below.
const LEFT: i32 = 115;
const RIGHT: i32 = WIDTH - 25;
const TOP: i32 = 62;
const BELOW: i32 = 30;
const FONT: &str = "system-ui, sans-serif";

/// The theme of the page for which a plot is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn ink(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(36, 41, 47),
            Self::Dark => RGBColor(230, 237, 243),
        }
    }

    fn rule(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(208, 215, 222),
            Self::Dark => RGBColor(48, 54, 61),
        }
    }

    /// Colours that are distinguishable with colour blindness (Okabe and Ito, "Color Universal Design", 2008).
    fn colours(self) -> [RGBColor; 3] {
        match self {
            Self::Light => [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)],
            Self::Dark => [RGBColor(86, 180, 233), RGBColor(230, 159, 0), RGBColor(0, 190, 140)],
        }
    }

    fn text(self, size: u32) -> TextStyle<'static> {
        (FONT, size).into_font().color(&self.ink())
    }
}

/// One row on a logarithmic axis: from the median to another value, and the range of single rounds.
struct Bar {
    from: f64,
    to: f64,
    least: f64,
    greatest: f64,
}

struct Series {
    name: String,
    rows: Vec<Option<Bar>>,
}

impl Bar {
    fn of(
        case: &CaseFigures, all: fn(&Pooled) -> Option<&Latency>, round: fn(&Sample) -> Option<&Latency>,
    ) -> Option<Self> {
        let pooled = all(&case.pooled)?;
        let least = case.alone(|sample| round(sample).map(|it| it.p50))?.min;
        let greatest = case.alone(|sample| round(sample).map(|it| it.p99))?.max;
        Some(Self { from: pooled.p50, to: pooled.p99, least, greatest })
    }
}

/// Draws the median and the 99th percentile of hits, misses and writes.
pub(super) fn latency(figures: &Figures, theme: Theme) -> Result<String> {
    let series = PHASES.map(|(name, all, round)| Series {
        name: name.to_owned(),
        rows: figures.cases.iter().map(|case| Bar::of(case, all, round)).collect(),
    });
    let names: Vec<&str> = figures.cases.iter().map(|case| case.name.as_str()).collect();
    let title = "Latency over HTTP, p50 (dot) to p99, ms; thin: least p50 and greatest p99 of a round";
    dots(title, &names, &series, theme)
}

/// Draws how long stale reads were stale.
pub(super) fn staleness(figures: &Figures, theme: Theme) -> Result<String> {
    let measured = || figures.cases.iter().filter(|case| !case.mixed.is_empty());
    let rows = measured().map(|case| {
        let pooled = case.pooled.staleness.as_ref()?;
        Some(Bar { from: pooled.p50, to: pooled.max, least: pooled.p50, greatest: pooled.max })
    });
    let series = [Series { name: "stale reads".into(), rows: rows.collect() }];
    let names: Vec<&str> = measured().map(|case| case.name.as_str()).collect();
    dots(
        "For how long stale reads were stale, p50 (dot) to longest, ms; no dot: there was none",
        &names,
        &series,
        theme,
    )
}

/// Draws the latency of hits by the number of other entries in Redis.
pub(super) fn growth(figures: &Figures, theme: Theme) -> Result<String> {
    let series: Vec<Series> = figures
        .entries
        .iter()
        .map(|at| Series {
            name: thousands(at.entries as u64),
            rows: at.cases.iter().map(|case| Bar::of(case, |it| it.hit.as_ref(), |it| it.hit.as_ref())).collect(),
        })
        .collect();
    let cases = figures.entries.first().map(|at| at.cases.as_slice()).unwrap_or_default();
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    dots("Hits with so many other entries in Redis, p50 (dot) to p99, ms; thin: of a round", &names, &series, theme)
}

/// Draws how long other commands had to wait during the invalidation of a tag.
pub(super) fn tags(figures: &Figures, theme: Theme) -> Result<String> {
    let spread = |numbers: &[f64]| crate::strategies::case_figures::Spread::of(numbers.iter().copied());
    let line = |of: fn(&TagFigures) -> &[f64]| -> Vec<_> {
        figures.tags.iter().map(|at| (at.members as f64, spread(of(at)))).collect()
    };
    let lines = [("in steps", line(|at| &at.stall)), ("all at once", line(|at| &at.naive_stall))];
    let points = || lines.iter().flat_map(|(_, points)| points);
    let height = 320;
    let x = Scale::around(points().map(|(x, _)| *x), LEFT + 15, RIGHT - 15);
    let y = Scale::around(points().flat_map(|(_, it)| [it.min, it.max]), height - BELOW, TOP);
    let title = "Longest wait of another command while a tag is invalidated, ms, by its members";
    canvas(title, height, theme, |area| {
        ticks(area, &x, height - BELOW, theme)?;
        for tick in y.ticks() {
            let style = theme.text(13).pos(Pos::new(HPos::Right, VPos::Center));
            stroke(area, [(LEFT, y.at(tick)), (RIGHT, y.at(tick))], theme.rule(), 1)?;
            draw(area.draw(&Text::new(plain(tick), (LEFT - 10, y.at(tick)), style)))?;
        }
        for ((_, points), colour) in lines.iter().zip(theme.colours()) {
            let at: Vec<(i32, i32)> = points.iter().map(|(members, it)| (x.at(*members), y.at(it.median))).collect();
            stroke(area, at.clone(), colour, 2)?;
            for ((left, top), (_, it)) in at.into_iter().zip(points) {
                stroke(area, [(left, y.at(it.min)), (left, y.at(it.max))], colour, 1)?;
                draw(area.draw(&Circle::new((left, top), 4, colour.filled())))?;
            }
        }
        legend(area, lines.iter().map(|(name, _)| *name), theme)
    })
}

/// Draws a row for each name: a dot at the first value of each series, and a line to the second.
fn dots(title: &str, names: &[&str], series: &[Series], theme: Theme) -> Result<String> {
    let bars = series.iter().flat_map(|it| it.rows.iter().flatten());
    let x = Scale::around(bars.flat_map(|bar| [bar.least, bar.from, bar.to, bar.greatest]), LEFT + 10, RIGHT - 10);
    let height = TOP + ROW * names.len() as i32 + BELOW;
    let count = series.len() as i32;
    canvas(title, height, theme, |area| {
        ticks(area, &x, height - BELOW, theme)?;
        for (at, name) in (0..).zip(names) {
            let style = theme.text(14).pos(Pos::new(HPos::Right, VPos::Center));
            draw(area.draw(&Text::new((*name).to_owned(), (LEFT - 10, TOP + ROW * at + ROW / 2), style)))?;
        }
        for (number, (series, colour)) in (0..).zip(series.iter().zip(theme.colours())) {
            for (at, bar) in (0..).zip(&series.rows).filter_map(|(at, bar)| Some((at, bar.as_ref()?))) {
                let y = TOP + ROW * at + ROW / 2 + 9 * number - 9 * (count - 1) / 2;
                stroke(area, [(x.at(bar.least), y), (x.at(bar.greatest), y)], colour, 1)?;
                stroke(area, [(x.at(bar.from), y), (x.at(bar.to), y)], colour, 3)?;
                draw(area.draw(&Circle::new((x.at(bar.from), y), 4, colour.filled())))?;
            }
        }
        match series {
            [_] => Ok(()),
            _ => legend(area, series.iter().map(|it| it.name.as_str()), theme),
        }
    })
}

/// Draws lines and labels of the horizontal axis.
fn ticks(area: &Area<'_>, x: &Scale, bottom: i32, theme: Theme) -> Result<()> {
    for tick in x.ticks() {
        let style = theme.text(13).pos(Pos::new(HPos::Center, VPos::Top));
        stroke(area, [(x.at(tick), TOP), (x.at(tick), bottom)], theme.rule(), 1)?;
        draw(area.draw(&Text::new(plain(tick), (x.at(tick), bottom + 7), style)))?;
    }
    Ok(())
}

fn legend<'a>(area: &Area<'_>, names: impl Iterator<Item = &'a str>, theme: Theme) -> Result<()> {
    for (at, (name, colour)) in (0..).zip(names.zip(theme.colours())) {
        let left = LEFT + 130 * at;
        draw(area.draw(&Circle::new((left, 45), 4, colour.filled())))?;
        let style = theme.text(14).pos(Pos::new(HPos::Left, VPos::Center));
        draw(area.draw(&Text::new(name.to_owned(), (left + 10, 45), style)))?;
    }
    Ok(())
}

fn stroke(area: &Area<'_>, points: impl Into<Vec<(i32, i32)>>, colour: RGBColor, width: u32) -> Result<()> {
    draw(area.draw(&PathElement::new(points, colour.stroke_width(width))))
}

fn draw<E: std::fmt::Display>(drawn: Result<(), E>) -> Result<()> {
    drawn.map_err(|error| anyhow!("{error}"))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn canvas(title: &str, height: i32, theme: Theme, paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        let style = theme.text(16).pos(Pos::new(HPos::Left, VPos::Top));
        draw(area.draw(&Text::new(title.to_owned(), (15, 10), style)))?;
        paint(&area)?;
        draw(area.present())?;
    }
    Ok(svg)
}

/// An axis between two pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl Scale {
    /// Creates an axis with room for all these values. Values that are not above zero have no position on it.
    pub(super) fn around(values: impl Iterator<Item = f64>, from: i32, to: i32) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        match high > 0.0 {
            // Ten per cent on both sides, and wide enough that there is a tick in between.
            true => Self { low: low / 1.1, high: (high * 1.1).max(low * 5.0), from, to },
            false => Self { low: 0.1, high: 1.0, from, to },
        }
    }

    /// Returns the pixel of a value.
    pub(super) fn at(&self, value: f64) -> i32 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + (share * f64::from(self.to - self.from)).round() as i32
    }

    /// Returns the ticks 1, 2, 5, 10, …; over many decades only the powers of ten.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let steps: &[i32] = if self.high / self.low > 20_000.0 { &[1] } else { &[1, 2, 5] };
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let tick = |decade: i32, step: i32| match decade {
            0.. => f64::from(step) * 10_f64.powi(decade),
            _ => f64::from(step) / 10_f64.powi(-decade),
        };
        let all = decades.flat_map(|decade| steps.iter().map(move |step| tick(decade, *step)));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

/// Formats `0.2`, `10`, `2000`: with as many digits as the number has.
pub(super) fn plain(value: f64) -> String {
    match value {
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value:.4}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_inside_the_frame_and_labels_are_unique() {
        for values in [vec![0.18, 7.0], vec![0.3], vec![0.001, 20_000.0], vec![10.0, 100_000.0], vec![0.0]] {
            let scale = Scale::around(values.iter().copied(), 100, 800);
            for value in values.iter().filter(|value| **value > 0.0) {
                assert!((101..800).contains(&scale.at(*value)), "{value} is at {}", scale.at(*value));
            }
            let labels: Vec<String> = scale.ticks().into_iter().map(plain).collect();
            let mut once = labels.clone();
            once.dedup();
            assert_eq!(labels, once);
            assert!((2..=13).contains(&labels.len()), "{values:?}: {labels:?}");
        }
        let below_a_millisecond = Scale::around([0.18, 7.0].into_iter(), 0, 100).ticks();
        assert_eq!(below_a_millisecond, [0.2, 0.5, 1.0, 2.0, 5.0]);
    }
}
