//! The plots: SVG, for light and for dark pages.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, IntoLogRange, LineSeries, PathElement,
    RGBColor, SVGBackend, Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::{Figures, Latency, Sample};

const WIDTH: u32 = 860;
const ROW: u32 = 30;
const FONT: &str = "system-ui, sans-serif";

/// The page that a plot is made for.
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

    /// Told apart also by those who do not see all colours (Okabe and Ito, "Color Universal Design", 2008).
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

/// What is shown of one row: from the median to another value, on a logarithmic axis.
struct Series {
    name: &'static str,
    rows: Vec<Option<(f64, f64)>>,
}

/// Median and 99th percentile of hits, misses and writes.
pub(super) fn latency(figures: &Figures, theme: Theme) -> Result<String> {
    type Phase = fn(&Sample) -> Option<&Latency>;
    let phases: [(&str, Phase); 3] =
        [("hit", |it| it.hit.as_ref()), ("miss", |it| it.miss.as_ref()), ("write", |it| it.write.as_ref())];
    let series = phases.map(|(name, phase)| Series {
        name,
        rows: figures
            .cases
            .iter()
            .map(|case| {
                let of = |value: fn(&Latency) -> f64| case.alone(|sample| phase(sample).map(value));
                Some((of(|it| it.p50)?.median, of(|it| it.p99)?.median))
            })
            .collect(),
    });
    let names: Vec<&str> = figures.cases.iter().map(|case| case.name.as_str()).collect();
    dots("Latency over HTTP, p50 to p99, ms", &names, &series, theme)
}

/// For how long stale reads were stale.
pub(super) fn staleness(figures: &Figures, theme: Theme) -> Result<String> {
    let measured = || figures.cases.iter().filter(|case| !case.mixed.is_empty());
    let rows = measured().map(|case| {
        let p50 = case.among_others(|it| it.staleness.p50)?;
        let max = case.among_others(|it| it.staleness.max)?;
        (max.max > 0.0).then(|| (p50.median.max(0.001), max.max))
    });
    let series = [Series { name: "stale reads", rows: rows.collect() }];
    let names: Vec<&str> = measured().map(|case| case.name.as_str()).collect();
    dots("For how long stale reads were stale, p50 to longest, ms (no dot: there was none)", &names, &series, theme)
}

/// How long other commands had to wait while a tag was invalidated.
pub(super) fn tags(figures: &Figures, theme: Theme) -> Result<String> {
    let median = |numbers: &[f64]| crate::bench::Spread::of(numbers.iter().copied()).median;
    let line = |of: fn(&super::figures::TagFigures) -> &[f64]| -> Vec<(f64, f64)> {
        figures.tags.iter().map(|at| (at.members as f64, median(of(at)))).collect()
    };
    let lines = [("in steps", line(|at| &at.stall)), ("all at once", line(|at| &at.naive_stall))];
    let values = || lines.iter().flat_map(|(_, points)| points);
    let (low, high) = around(values().map(|(_, y)| *y));
    let (first, last) = around(values().map(|(x, _)| *x));
    canvas("Longest wait of another command while a tag is invalidated, ms, by its members", 300, theme, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(30)
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d((first..last).log_scale(), (low..high).log_scale())?;
        chart
            .configure_mesh()
            .x_label_formatter(&plain)
            .y_label_formatter(&plain)
            .bold_line_style(theme.rule())
            .light_line_style(theme.rule().mix(0.0))
            .axis_style(theme.rule())
            .label_style(theme.text(13))
            .draw()?;
        for ((name, points), colour) in lines.iter().zip(theme.colours()) {
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
            if let Some(end) = points.last() {
                let style = theme.text(13).color(&colour).pos(Pos::new(HPos::Right, VPos::Bottom));
                chart.draw_series([Text::new((*name).to_owned(), (end.0, end.1 * 1.1), style)])?;
            }
        }
        Ok(())
    })
}

/// A row for each name: a dot at the first value of each series, a line to the second.
fn dots(title: &str, names: &[&str], series: &[Series], theme: Theme) -> Result<String> {
    let values = series.iter().flat_map(|it| it.rows.iter().flatten()).flat_map(|(low, high)| [*low, *high]);
    let (low, high) = around(values);
    let rows = names.len() as f64;
    canvas(title, 70 + ROW * names.len() as u32, theme, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(110)
            .build_cartesian_2d((low..high).log_scale(), rows..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_label_formatter(&plain)
            .bold_line_style(theme.rule())
            .light_line_style(theme.rule().mix(0.0))
            .axis_style(theme.rule())
            .label_style(theme.text(13))
            .draw()?;
        for (at, name) in names.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(low, at as f64 + 0.5));
            let (left, top) = area.get_base_pixel();
            let style = theme.text(14).pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new((*name).to_owned(), (x - left - 10, y - top), style))?;
        }
        let count = series.len() as f64;
        for (number, (series, colour)) in series.iter().zip(theme.colours()).enumerate() {
            let offset = 0.5 + 0.2 * (number as f64 - (count - 1.0) / 2.0);
            for (at, row) in series.rows.iter().enumerate() {
                let Some((from, to)) = *row else { continue };
                let y = at as f64 + offset;
                chart.draw_series([PathElement::new([(from, y), (to, y)], colour.stroke_width(3))])?;
                chart.draw_series([Circle::new((from, y), 4, colour.filled())])?;
            }
        }
        let legend = series.iter().zip(theme.colours()).enumerate().filter(|_| series.len() > 1);
        for (number, (series, colour)) in legend {
            let style = theme.text(14).color(&colour).pos(Pos::new(HPos::Right, VPos::Top));
            area.draw(&Text::new(series.name, (WIDTH as i32 - 20 - 60 * (2 - number as i32), -24), style))?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn canvas(title: &str, height: u32, theme: Theme, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let titled = area.titled(title, theme.text(16)).map_err(|error| anyhow!("{error}"))?;
        draw(&titled)?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}

/// The powers of ten between which all the values lie; nearer where there is much room.
fn around(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite() && *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if high == 0.0 {
        return (0.1, 1.0);
    }
    let (below, above) = (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()));
    (below.max(low / 2.0), above.min(high * 2.0).max(below * 10.0))
}

/// `0.2`, `10`, `2000`: as many digits as the number has.
fn plain(value: &f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
