//! The picture in the terminal: one line per second, one column per peer.
//!
//! The lines are never redrawn, so a log file or a pipe shows what a terminal does. A bar is full when
//! one peer serves the whole load: three peers have a third each, and what one loses the others gain.
//! Colour is used only on a terminal, and nothing depends on it.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use evenhand_mysql::evenhand::{Event, EventKind, State, Status};

use crate::peers::Act;
use crate::tally::{Second, Total, millis};

/// Shared by the columns, so that the line of three peers stays below 100 characters.
const BARS: usize = 36;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

pub(crate) struct Picture {
    out: io::Stdout,
    colour: bool,
    /// The width of a bar.
    bar: usize,
    /// The count that fills a bar: the load, or the largest count seen if that is more.
    full: u64,
}

impl Picture {
    pub(crate) fn new(peers: usize, rate: u32) -> Self {
        let out = io::stdout();
        // See no-color.org: set, and not empty.
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: out.is_terminal() && !no_colour,
            out,
            bar: (BARS / peers.max(1)).clamp(4, 16),
            full: rate.into(),
        }
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// The names of the columns.
    pub(crate) fn columns(&mut self, names: &[String]) -> io::Result<()> {
        let mut line = format!("{:>5}   ", "time");
        // The bar, the count, the state, and the spaces between them.
        let width = self.bar + 15;
        for name in names {
            let name: String = name.chars().take(width - 1).collect();
            line += &format!("{name:width$}");
        }
        line += &format!("{:>6} {:>8}", "failed", "worst");
        let line = self.paint(BOLD, &line);
        writeln!(self.out, "{line}")
    }

    /// What was served in the second that ended `at` seconds after the start.
    pub(crate) fn second(
        &mut self,
        at: u32,
        second: &Second,
        statuses: &[Status],
    ) -> io::Result<()> {
        self.full = second.served.iter().copied().fold(self.full, u64::max);
        let mut line = format!("{at:>3} s   ");
        for (&served, status) in second.served.iter().zip(statuses) {
            let (bar, colour) = (self.bar(served), colour_of(status.state));
            line += &self.paint(colour, &format!("{bar:width$}", width = self.bar));
            line += &format!(" {served:>4} ");
            line += &self.paint(colour, &format!("{:7}", status.state));
            line += "  ";
        }
        let failed = format!("{:>6}", second.failed);
        line += &match second.failed {
            0 => failed,
            _ => self.paint(RED, &failed),
        };
        line += &format!(" {:>8}", second.worst.map_or("-".to_owned(), millis));
        writeln!(self.out, "{line}")
    }

    /// What the demo does to a peer.
    pub(crate) fn act(&mut self, at: Duration, act: Act) -> io::Result<()> {
        let text = self.paint(BOLD, &format!("> {act}: {}", act.effect()));
        self.note(at, &text)
    }

    /// An event of the pool.
    pub(crate) fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        let colour = match event.kind {
            EventKind::Ejected { .. } => RED,
            EventKind::Recovered => GREEN,
            // Its outcome follows, and the columns show the state until then.
            EventKind::ProbeStarted => return Ok(()),
            _ => DIM,
        };
        let text = self.paint(colour, &format!("  {event}"));
        self.note(at, &text)
    }

    /// An error.
    pub(crate) fn trouble(&mut self, at: Duration, text: &str) -> io::Result<()> {
        let text = self.paint(RED, &format!("! {text}"));
        self.note(at, &text)
    }

    /// The last line. Scripts read it, so it never has colour.
    pub(crate) fn total(&mut self, total: &Total) -> io::Result<()> {
        writeln!(self.out, "\n{total}")
    }

    fn note(&mut self, at: Duration, text: &str) -> io::Result<()> {
        writeln!(self.out, "{:>8.2} s {text}", at.as_secs_f64())
    }

    /// In eighths of a character; any count above zero shows at least one.
    fn bar(&self, served: u64) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let width = self.bar as u64 * 8;
        let eighths = (served * width).div_ceil(self.full).min(width) as usize;
        "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn colour_of(state: State) -> &'static str {
    match state {
        State::Up => GREEN,
        State::Probing => YELLOW,
        _ => RED,
    }
}
