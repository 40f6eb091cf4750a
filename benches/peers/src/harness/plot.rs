//! Small line plots as SVG, both axes logarithmic.

use std::fmt::Write;

/// One plot.
pub struct Plot {
    pub name: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub series: Vec<Series>,
}

/// One line of it. Points must be positive.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
const COLORS: [&str; 5] = ["#4269d0", "#efb118", "#3ca951", "#ff725c", "#6cc5b0"];

/// Draws it.
pub fn svg(plot: &Plot) -> String {
    let all = || plot.series.iter().flat_map(|series| &series.points);
    let across = Axis::around(all().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let up = Axis::around(all().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for value in up.ticks() {
        let y = up.place(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
    let mut marks: Vec<f64> = all().map(|point| point.0).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for value in marks {
        let x = across.place(value);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>",
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 8.0,
        plot.x,
        (TOP + HEIGHT - BOTTOM) / 2.0,
        plot.y
    );
    for (number, series) in plot.series.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let line: Vec<_> = series
            .points
            .iter()
            .map(|&(x, y)| format!("{:.1},{:.1}", across.place(x), up.place(y)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{}</text>",
            line.join(" "),
            WIDTH - RIGHT + 10.0,
            TOP + 16.0 * (number as f64 + 1.0),
            series.name
        );
    }
    svg + "</svg>\n"
}

/// A logarithmic axis between two places of the picture.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (low, high) = values
            .filter(|value| *value > 0.0)
            .fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        Axis {
            low: low.min(high),
            high: high.max(low * 1.0001),
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + part * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        (0..9)
            .map(|power| 10f64.powi(power))
            .filter(|value| (self.low..=self.high).contains(value))
            .collect()
    }
}
