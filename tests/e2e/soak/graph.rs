//! Graphs over time as SVG: pure functions from numbers to text.

use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 230.0;
/// Room for the words of the axes and the numbers of the faults.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 26.0;
/// More points of a line are drawn as the largest of neighbours: a peak stays.
const POINTS: usize = 480;

/// A line with a name; a new part begins where what was measured is another one.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its parts: seconds and values.
    pub parts: Vec<Vec<(f64, f64)>>,
}

/// A time that is marked across the graph.
#[derive(Clone, Debug)]
pub(super) struct Band {
    /// Seconds.
    pub from: f64,
    /// Seconds.
    pub to: f64,
    /// What stands above it.
    pub mark: String,
    /// What is said when it is pointed at.
    pub words: String,
}

/// A graph.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// What it shows.
    pub title: String,
    /// The unit of its values.
    pub unit: &'static str,
    /// The lines.
    pub lines: Vec<Line>,
    /// Seconds that the axis of time has.
    pub span: f64,
}

/// Text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// The graph as a figure of HTML.
pub(super) fn figure(graph: &Graph, bands: &[Band]) -> String {
    let title = escape(&graph.title);
    let mut out = format!("<figure><figcaption><b>{title}</b>, {}", escape(graph.unit));
    for (at, line) in graph.lines.iter().enumerate() {
        let name = escape(&line.name);
        let _ = write!(out, " <span class=\"key k{at}\">{name}</span>");
    }
    let _ = write!(
        out,
        "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    );
    draw(graph, bands, &mut out);
    out + "</svg></figure>\n"
}

fn draw(graph: &Graph, bands: &[Band], out: &mut String) {
    let span = if graph.span > 0.0 { graph.span } else { 1.0 };
    let highest = graph
        .lines
        .iter()
        .flat_map(|line| line.parts.iter().flatten())
        .map(|(_, value)| *value)
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    let step = step(highest / 4.0);
    let top = step * (highest / step).ceil().max(1.0);
    let x = |seconds: f64| LEFT + (seconds / span).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    let (floor, ceiling) = (y(0.0), y(top));
    for band in bands {
        let (from, to) = (x(band.from), x(band.to));
        let width = (to - from).max(1.5);
        let _ = write!(
            out,
            "<g class=\"band\"><title>{}</title><rect x=\"{from:.1}\" y=\"{ceiling:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" class=\"mark\">{}</text></g>",
            escape(&band.words),
            floor - ceiling,
            from + width / 2.0,
            ceiling - 6.0,
            escape(&band.mark)
        );
    }
    let mut value = 0.0;
    while value <= top + step / 2.0 {
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"y\" x=\"{}\" y=\"{:.1}\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(value)
        );
        value += step;
    }
    let (length, unit) = unit_of_time(span);
    let every = self::step(span / length / 8.0).max(1.0);
    let mut time = 0.0;
    while time * length <= span {
        let words = match time {
            0.0 => format!("0 {unit}"),
            time => short(time),
        };
        let at = x(time * length);
        let below = HEIGHT - 8.0;
        let _ = write!(
            out,
            "<text class=\"x\" x=\"{at:.1}\" y=\"{below}\">{words}</text>"
        );
        time += every;
    }
    for (at, line) in graph.lines.iter().enumerate() {
        for part in &line.parts {
            let points: Vec<(f64, f64)> = thinned(part)
                .into_iter()
                .filter(|(_, value)| value.is_finite())
                .collect();
            match points.as_slice() {
                [] => {}
                [(seconds, value)] => {
                    let (x, y) = (x(*seconds), y(*value));
                    let _ = write!(
                        out,
                        "<circle class=\"dot d{at}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>"
                    );
                }
                points => {
                    let points: Vec<String> = points
                        .iter()
                        .map(|(seconds, value)| format!("{:.1},{:.1}", x(*seconds), y(*value)))
                        .collect();
                    let _ = write!(
                        out,
                        "<polyline class=\"line l{at}\" points=\"{}\"/>",
                        points.join(" ")
                    );
                }
            }
        }
    }
}

/// At most [`POINTS`] points, each the largest of its neighbours.
fn thinned(part: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = part.len().div_ceil(POINTS).max(1);
    let largest = |some: &[(f64, f64)]| some.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    part.chunks(size).filter_map(largest).collect()
}

/// A round number that is at least as large: 1, 2 or 5 times a power of ten.
fn step(least: f64) -> f64 {
    if least <= 0.0 || !least.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0].map(|digit| digit * power);
    round
        .into_iter()
        .find(|round| *round >= least)
        .unwrap_or(10.0 * power)
}

/// Seconds and name of the unit in which a time is told.
fn unit_of_time(span: f64) -> (f64, &'static str) {
    match span {
        ..600.0 => (1.0, "s"),
        600.0..14_400.0 => (60.0, "min"),
        _ => (3600.0, "h"),
    }
}

/// A number in a few digits.
pub(super) fn short(value: f64) -> String {
    let text = match value.abs() {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => return format!("{value:.0}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(parts: Vec<Vec<(f64, f64)>>) -> Graph {
        let name = "<b>&\"'".to_owned();
        Graph {
            title: "a < b".to_owned(),
            unit: "MB",
            lines: vec![Line { name, parts }],
            span: 100.0,
        }
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let band = Band {
            from: 1.0,
            to: 2.0,
            mark: "<1>".to_owned(),
            words: "</svg><script>".to_owned(),
        };
        let text = figure(&graph(vec![]), &[band]);
        assert!(text.contains("a &lt; b") && text.contains("&lt;b&gt;&amp;&quot;&#39;"));
        assert!(text.contains("&lt;1&gt;") && text.contains("&lt;/svg&gt;&lt;script&gt;"));
        assert_eq!(text.matches("</svg>").count(), 1);
    }

    #[test]
    fn nothing_is_a_graph_without_a_line() {
        for parts in [vec![], vec![vec![]]] {
            let text = figure(&graph(parts), &[]);
            assert!(text.contains("<svg") && !text.contains("polyline"));
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }

    #[test]
    fn one_point_is_a_dot() {
        let text = figure(&graph(vec![vec![(50.0, 8.0)]]), &[]);
        assert!(text.contains("<circle class=\"dot d0\" cx=\"503.0\" cy=\"22.0\""));
        assert!(!text.contains("polyline"));
    }

    #[test]
    fn values_lie_between_the_axes() {
        let line = vec![(0.0, 0.0), (100.0, 8.0), (1000.0, f64::NAN)];
        let text = figure(&graph(vec![line]), &[]);
        assert!(text.contains("points=\"58.0,204.0 948.0,22.0\""), "{text}");
    }

    #[test]
    fn a_time_of_nothing_and_values_of_nothing_are_drawn() {
        let flat = Graph {
            span: 0.0,
            ..graph(vec![vec![(0.0, 0.0), (0.0, 0.0)]])
        };
        let text = figure(&flat, &[]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_peak() {
        let mut part: Vec<(f64, f64)> = (0..10_000).map(|at| (f64::from(at), 1.0)).collect();
        part[5_001].1 = 9.0;
        let thin = thinned(&part);
        assert!(thin.len() <= POINTS && thin.contains(&(5_001.0, 9.0)));
    }

    #[test]
    fn steps_are_round() {
        for (least, round) in [
            (0.3, 0.5),
            (2.0, 2.0),
            (7.0, 10.0),
            (0.0, 1.0),
            (130.0, 200.0),
        ] {
            assert_eq!(step(least), round);
        }
        assert_eq!(short(200.0), "200");
        assert_eq!(short(0.5), "0.5");
        assert_eq!(short(0.0), "0");
    }
}
