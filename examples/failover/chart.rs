//! The chart: one run as an SVG, for a page that cannot show a terminal.
//!
//! Time runs to the right. The upper part stacks the reads that each server answered; the lower part
//! has a lane for each server that shows when the pool used it. The number of points does not depend
//! on the length of the run, so the file stays small. The background is part of the picture, so that
//! it reads the same on light and dark pages.

use std::fmt::{self, Write};
use std::time::Duration;

use evenhand_mysql::evenhand::{Event, EventKind};

use crate::peers::Act;
use crate::tally::Total;

/// Points along the time axis: a quarter of a second each in the default run of 12 s.
const BINS: usize = 48;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 876.0;
const TOP: f64 = 112.0;
const BOTTOM: f64 = 282.0;
const LANES: f64 = 304.0;
const LANE: f64 = 26.0;
const LANE_BAR: f64 = 18.0;

const CARD: &str = "#0d1117";
const FRAME: &str = "#30363d";
const TEXT: &str = "#e6edf3";
const FAINT: &str = "#9198a1";
const GREEN: &str = "#56d364";
const RED: &str = "#ff7b72";
const DARK_RED: &str = "#49191c";
/// One for each server, repeated if there are more.
const SERVERS: [&str; 6] = [
    "#4493f8", "#e3b341", "#b083f0", "#39c5cf", "#f778ba", "#7ee787",
];

/// What the chart shows of a run.
pub(crate) struct Chart {
    title: String,
    names: Vec<String>,
    /// Reads a second that were asked for.
    rate: f64,
    length: Duration,
    /// Reads answered, by server and then by bin.
    served: Vec<[u32; BINS]>,
    failed: [u32; BINS],
    acts: Vec<(Duration, Act)>,
    changes: Vec<Change>,
}

/// An event of the pool, as far as the chart shows it.
struct Change {
    at: Duration,
    lane: usize,
    now: Now,
}

#[derive(Clone, Copy)]
enum Now {
    Up,
    Out(&'static str),
    ProbeFailed,
}

impl Chart {
    pub(crate) fn new(title: String, names: Vec<String>, rate: u32, length: Duration) -> Self {
        Self {
            title,
            served: vec![[0; BINS]; names.len()],
            names,
            rate: rate.into(),
            length,
            failed: [0; BINS],
            acts: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// A read ended: the name of the server that answered it, or `None` if it failed.
    pub(crate) fn answer(&mut self, at: Duration, peer: Option<&str>) {
        let bin = (self.share(at) * BINS as f64) as usize;
        let bin = bin.min(BINS - 1);
        let lane = peer.and_then(|peer| self.lane(peer));
        match lane.and_then(|lane| self.served.get_mut(lane)) {
            Some(served) => served[bin] += 1,
            None => self.failed[bin] += 1,
        }
    }

    pub(crate) fn act(&mut self, at: Duration, act: Act) {
        self.acts.push((at, act));
    }

    pub(crate) fn event(&mut self, at: Duration, event: &Event) {
        let now = match event.kind {
            EventKind::Ejected { reason, .. } => Now::Out(reason.unwrap_or("ejected")),
            EventKind::ProbeFailed { .. } => Now::ProbeFailed,
            EventKind::Recovered => Now::Up,
            _ => return,
        };
        if let Some(lane) = self.lane(&event.peer) {
            self.changes.push(Change { at, lane, now });
        }
    }

    fn lane(&self, peer: &str) -> Option<usize> {
        self.names.iter().position(|name| name == peer)
    }

    /// The file's text.
    pub(crate) fn svg(&self, total: &Total) -> Result<String, fmt::Error> {
        let mut out = String::new();
        let height = self.lanes_end() + 64.0;
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
             font-size=\"12\" role=\"img\" aria-labelledby=\"title\">\n\
             <title id=\"title\">{}. {total}</title>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{CARD}\" stroke=\"{FRAME}\"/>",
            escape(&self.title),
            WIDTH - 1.0,
            height - 1.0,
        )?;
        self.head(&mut out, total)?;
        self.axes(&mut out)?;
        self.areas(&mut out)?;
        self.acts(&mut out)?;
        for lane in 0..self.names.len() {
            self.draw_lane(&mut out, lane)?;
        }
        out.push_str("</svg>\n");
        Ok(out)
    }

    fn head(&self, out: &mut String, total: &Total) -> fmt::Result {
        text(
            out,
            (24.0, 34.0),
            TEXT,
            "font-size=\"16\" font-weight=\"bold\"",
            &self.title,
        )?;
        let waits = total.waits();
        text(
            out,
            (24.0, 57.0),
            FAINT,
            "",
            &format!("{} reads served; {waits}", total.served),
        )?;
        let colour = if total.failed == 0 { GREEN } else { RED };
        let style = "font-size=\"22\" font-weight=\"bold\" text-anchor=\"end\"";
        text(
            out,
            (RIGHT, 40.0),
            colour,
            style,
            &format!("{} failed", total.failed),
        )
    }

    /// The grid, the reads a second on the left, the seconds below.
    fn axes(&self, out: &mut String) -> fmt::Result {
        let end = self.lanes_end();
        let half = self.rate / 2.0;
        let lines = (self.most() / half).floor() as u32;
        for line in 0..=lines {
            let reads = half * f64::from(line);
            let y = self.y(reads);
            writeln!(
                out,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"{FRAME}\"/>"
            )?;
            let at = (LEFT - 8.0, y + 4.0);
            text(out, at, FAINT, "text-anchor=\"end\"", &format!("{reads}"))?;
        }
        text(out, (24.0, TOP - 14.0), FAINT, "", "reads/s")?;
        let legend = "bars: the pool uses the server; dots: failed background probes";
        text(out, (LEFT, end + 42.0), FAINT, "", legend)?;
        let seconds = self.length.as_secs();
        let step = seconds.div_ceil(12).max(1);
        for second in (0..=seconds).step_by(step as usize) {
            let x = self.x(Duration::from_secs(second));
            text(
                out,
                (x, end + 18.0),
                FAINT,
                "text-anchor=\"middle\"",
                &format!("{second} s"),
            )?;
        }
        Ok(())
    }

    /// The reads served, one server on top of another, and on top of all the reads that failed.
    fn areas(&self, out: &mut String) -> fmt::Result {
        let mut below = [0; BINS];
        let served = self.served.iter().enumerate();
        let served = served.map(|(lane, bins)| (bins, server(lane)));
        for (bins, colour) in served.chain([(&self.failed, RED)]) {
            let mut above = below;
            for (sum, count) in above.iter_mut().zip(bins) {
                *sum += count;
            }
            if above != below {
                let top = self.steps(&above, 0..BINS);
                let bottom = self.steps(&below, (0..BINS).rev());
                writeln!(out, "<path fill=\"{colour}\" d=\"M{top}L{bottom}Z\"/>")?;
            }
            below = above;
        }
        Ok(())
    }

    /// The points of a line of steps, in the order of `bins`.
    fn steps(&self, counts: &[u32; BINS], bins: impl Iterator<Item = usize> + Clone) -> String {
        let forward = bins.clone().next() == Some(0);
        let width = (RIGHT - LEFT) / BINS as f64;
        let seconds = self.length.as_secs_f64() / BINS as f64;
        let mut points = Vec::new();
        for bin in bins {
            let y = self.y(f64::from(counts[bin]) / seconds);
            let from = LEFT + width * bin as f64;
            let ends = [from, from + width];
            for x in if forward { ends } else { [ends[1], ends[0]] } {
                points.push(format!("{x:.1} {y:.1}"));
            }
        }
        points.join("L")
    }

    /// When the pool used a server, and why it did not.
    fn draw_lane(&self, out: &mut String, lane: usize) -> fmt::Result {
        let y = LANES + LANE * lane as f64;
        let colour = server(lane);
        let name: String = self.names[lane].chars().take(6).collect();
        let at = (LEFT - 8.0, y + 13.0);
        text(
            out,
            at,
            colour,
            "font-weight=\"bold\" text-anchor=\"end\"",
            &name,
        )?;
        let (mut from, mut why) = (LEFT, None);
        let mut probes = Vec::new();
        for change in self.changes.iter().filter(|change| change.lane == lane) {
            let x = self.x(change.at);
            match change.now {
                Now::ProbeFailed => probes.push(x),
                Now::Up | Now::Out(_) => {
                    span(out, (from, x), y, colour, why)?;
                    from = x;
                    why = match change.now {
                        Now::Out(reason) => Some(reason),
                        Now::Up | Now::ProbeFailed => None,
                    };
                }
            }
        }
        span(out, (from, RIGHT), y, colour, why)?;
        for x in probes {
            writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{RED}\"/>",
                y + LANE_BAR,
            )?;
        }
        Ok(())
    }

    /// A line for each thing that was done to a server. Acts at the same moment share one.
    fn acts(&self, out: &mut String) -> fmt::Result {
        let mut moments: Vec<(f64, String)> = Vec::new();
        for (at, act) in &self.acts {
            let x = self.x(*at);
            match moments.last_mut() {
                Some((last, label)) if x - *last < 2.0 => *label += &format!(", {}", act.label()),
                _ => moments.push((x, act.label())),
            }
        }
        for (x, label) in moments {
            writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"{TEXT}\" stroke-dasharray=\"3 3\"/>",
                TOP - 8.0,
                self.lanes_end(),
            )?;
            text(out, (x, TOP - 14.0), TEXT, "text-anchor=\"middle\"", &label)?;
        }
        Ok(())
    }

    /// How much of the run is over, from 0 to 1.
    fn share(&self, at: Duration) -> f64 {
        (at.as_secs_f64() / self.length.as_secs_f64()).min(1.0)
    }

    fn x(&self, at: Duration) -> f64 {
        LEFT + (RIGHT - LEFT) * self.share(at)
    }

    fn y(&self, reads: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * reads / self.most()
    }

    /// Reads a second at the top of the chart: the most that any bin had, and no less than the load.
    fn most(&self) -> f64 {
        let seconds = self.length.as_secs_f64() / BINS as f64;
        let in_bin = |bin: usize| {
            let served: u32 = self.served.iter().map(|bins| bins[bin]).sum();
            f64::from(served + self.failed[bin]) / seconds
        };
        (0..BINS).map(in_bin).fold(self.rate, f64::max)
    }

    fn lanes_end(&self) -> f64 {
        LANES + LANE * self.names.len() as f64
    }
}

/// A part of a lane: `why` is the reason where the pool did not use the server.
fn span(
    out: &mut String,
    (from, to): (f64, f64),
    y: f64,
    colour: &str,
    why: Option<&str>,
) -> fmt::Result {
    let width = to - from;
    if width <= 0.0 {
        return Ok(());
    }
    let (fill, stroke) = match why {
        None => (colour, colour),
        Some(_) => (DARK_RED, RED),
    };
    writeln!(
        out,
        "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{LANE_BAR}\" rx=\"3\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
    )?;
    // A character takes some 7.5 units with its share of the margins.
    let fits = |label: &String| width > 7.5 * label.chars().count() as f64 + 8.0;
    let labels = why.map(|reason| [format!("ejected: {reason}"), "ejected".to_owned()]);
    if let Some(label) = labels.into_iter().flatten().find(fits) {
        text(out, (from + 8.0, y + 13.0), RED, "", &label)?;
    }
    Ok(())
}

fn text(
    out: &mut String,
    (x, y): (f64, f64),
    colour: &str,
    style: &str,
    text: &str,
) -> fmt::Result {
    let text = escape(text);
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\" {style}>{text}</text>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn server(lane: usize) -> &'static str {
    SERVERS[lane % SERVERS.len()]
}
