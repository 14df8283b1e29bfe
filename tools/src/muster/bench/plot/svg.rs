//! One plot as SVG.
//!
//! Both axes are drawn as straight ones over the logarithms where values span, because then the ticks
//! can be where something was measured, and at round numbers.

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

use super::data::{Axis, Plot, bytes};

const SIZE: (u32, u32) = (900, 480);
/// The rest is for the legend.
const CHART_WIDTH: u32 = 730;

/// Colours that people tell apart who see few (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(150, 150, 150),
];

/// Values whose greatest is so many times the least are drawn by their logarithm.
const SPAN: f64 = 8.0;

/// Draws it.
///
/// # Errors
/// If plotters cannot; nothing on the way is known to make it.
pub(super) fn render(plot: &Plot) -> Result<String> {
    let mut text = String::new();
    draw(plot, &mut text).map_err(|error| anyhow!("{error}"))?;
    Ok(text)
}

fn draw(plot: &Plot, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let x = Scale::of(points().map(|(x, _)| *x), false);
    let y = Scale::of(points().flat_map(|(_, spread)| [spread.min, spread.max]), true);
    let mut ticks: Vec<f64> = points().map(|(x, _)| *x).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, legend) = area.split_horizontally(CHART_WIDTH);
    let mut chart = ChartBuilder::on(&left)
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(45)
        .y_label_area_size(80)
        .build_cartesian_2d(
            Ticked { range: x.range(), ticks: ticks.iter().map(|tick| x.at(*tick)).collect() },
            Ticked { range: y.range(), ticks: y.ticks().iter().map(|tick| y.at(*tick)).collect() },
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(match plot.axis {
            Axis::Nodes => "nodes",
            Axis::Size => "size of a message",
        })
        .y_desc(&plot.y_label)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .x_label_formatter(&|at| match plot.axis {
            Axis::Nodes => format!("{:.0}", x.back(*at)),
            Axis::Size => bytes(whole(x.back(*at))),
        })
        .y_label_formatter(&|at| number(y.back(*at)))
        .draw()?;
    for (series, colour) in plot.series.iter().zip(COLOURS.iter().cycle()) {
        let medians = series.points.iter().map(|(at, spread)| (x.at(*at), y.at(spread.median)));
        chart.draw_series(LineSeries::new(medians.clone(), colour.stroke_width(2)))?;
        chart.draw_series(medians.map(|at| Circle::new(at, 3, colour.filled())))?;
        // From the least to the greatest.
        chart.draw_series(series.points.iter().map(|(at, spread)| {
            let ends = [(x.at(*at), y.at(spread.min)), (x.at(*at), y.at(spread.max))];
            PathElement::new(ends, colour.mix(0.6))
        }))?;
    }
    // Beside it, where it hides nothing.
    for (row, (series, colour)) in (0..).zip(plot.series.iter().zip(COLOURS.iter().cycle())) {
        let at = 50 + row * 22;
        legend.draw(&PathElement::new([(4, at), (24, at)], colour.stroke_width(2)))?;
        legend.draw(&Text::new(series.label.clone(), (30, at - 7), ("sans-serif", 14)))?;
    }
    area.present()?;
    Ok(())
}

/// How values become places.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    /// For these values; a straight one begins at zero if it is to be compared by height.
    fn of(values: impl Iterator<Item = f64>, from_zero: bool) -> Self {
        let (low, high) = values
            .fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let logarithmic = low > 0.0 && high / low >= SPAN;
        Self { low: if from_zero && !logarithmic { 0.0 } else { low }, high, logarithmic }
    }

    fn at(&self, value: f64) -> f64 {
        // What is zero where nothing may be is drawn at the lower end.
        if self.logarithmic { value.max(self.low).log10() } else { value }
    }

    fn back(&self, place: f64) -> f64 {
        if self.logarithmic { 10_f64.powf(place) } else { place }
    }

    /// With some air at both ends.
    fn range(&self) -> std::ops::Range<f64> {
        let (low, high) = (self.at(self.low), self.at(self.high));
        // One value alone has air, too.
        let air = if high > low { (high - low) * 0.05 } else { high.abs().max(1.0) * 0.1 };
        let below = if low == 0.0 { 0.0 } else { air };
        low - below..high + air
    }

    /// Round numbers in it: 1, 2, 5 of each decade, or about five in equal distances.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = (self.back(self.range().start), self.back(self.range().end));
        if self.logarithmic {
            let (first, last) = (whole_signed(low.log10()), whole_signed(high.log10()));
            let each = (first..=last).flat_map(|power| [1.0, 2.0, 5.0].map(|m| (m, power)));
            let all = each.map(|(m, power)| m * 10_f64.powi(power));
            // None below the least value: that is where zero is drawn.
            let low = low.max(self.low);
            return all.filter(|tick| (low..=high).contains(tick)).collect();
        }
        let rough = (high - low) / 5.0;
        if rough <= 0.0 {
            return vec![low];
        }
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (low / step).ceil();
        (0..20).map(|index| (first + f64::from(index)) * step).filter(|t| *t <= high).collect()
    }
}

/// A straight axis that has ticks where it is told.
struct Ticked {
    range: std::ops::Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        low + whole_signed(share * f64::from(high - low) + 0.5)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.clone()
    }
}

/// A figure that is easy to read at an axis.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{} M", short(value / 1e6)),
        size if size >= 1e4 => format!("{} k", short(value / 1e3)),
        _ => short(value),
    }
}

/// Three digits at least, and no zeros behind.
fn short(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 100.0 => return format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size of a message")]
fn whole(value: f64) -> u32 {
    value.round() as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a power of ten, or a pixel")]
fn whole_signed(value: f64) -> i32 {
    value.floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_values() {
        let straight = Scale::of([30.0, 88.0].into_iter(), true);
        assert_eq!(straight.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0]);
        let decades = Scale::of([90.0, 2100.0].into_iter(), true);
        assert_eq!(decades.ticks(), [100.0, 200.0, 500.0, 1000.0, 2000.0]);
        let one = Scale::of([7.0].into_iter(), false);
        assert!(one.range().start < 7.0 && one.range().end > 7.0);
    }

    #[test]
    fn figures_at_an_axis_are_short() {
        let shown = [0.05, 0.5, 5.0, 52.5, 500.0, 5000.0, 50_000.0, 2_500_000.0].map(number);
        assert_eq!(shown, ["0.05", "0.5", "5", "52.5", "500", "5000", "50 k", "2.5 M"]);
    }
}
