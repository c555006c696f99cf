//! Two of three MySQL servers fail under load, and no query fails.
//!
//! ```text
//! cargo run --example failover
//! ```
//!
//! A steady stream of reads goes through one `evenhand_mysql::Pool` over three servers. One server is
//! killed, another is frozen, and later both return. One line per second shows which server served
//! how many reads. The last line sums up, and the exit code says whether a read failed. `--help`
//! lists the other ways to run it: on real servers, on your own, and with a chart as the result.
//!
//! | file | holds |
//! | --- | --- |
//! | `args.rs` | what the command line asks for |
//! | `peers.rs` | the servers, and the acts on them |
//! | `load.rs` | the reads |
//! | `tally.rs` | the counts |
//! | `draw.rs` | the picture in the terminal |
//! | `chart.rs` | the picture as an SVG |

mod args;
mod chart;
mod draw;
mod load;
mod peers;
mod tally;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use evenhand_mysql::Pool;
use evenhand_mysql::evenhand::Events;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use args::{Args, HELP};
use chart::Chart;
use draw::Picture;
use load::Answer;
use peers::{ATTEMPT_TIMEOUT, Act, Stage, TRY_TIMEOUT};
use tally::{Tally, Total};

/// Why the demo could not run.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// How long the last second's line waits for reads that were started at its end.
const GRACE: Duration = Duration::from_millis(100);
/// Errors shown in one second; the rest are only counted.
const ERRORS_SHOWN: u64 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("failover: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<ExitCode, Failure> {
    let Some(args) = Args::parse()? else {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let stage = Stage::set(&args.peers).await?;
    let script = stage.script(args.length());

    let mut picture = Picture::new(stage.names.len(), args.rate);
    let mut chart = Chart::new(
        load_in_words(&args, &stage),
        stage.names.clone(),
        args.rate,
        args.length(),
    );
    announce(&mut picture, &args, &stage, &script)?;

    let events = stage.pool.subscribe();
    let start = Instant::now();
    let (pool, ports) = (stage.pool.clone(), stage.ports.clone());
    let answers = load::run(pool, ports, args.rate, args.length(), start);
    let (doing, acts) = unbounded_channel();
    let watch = Watch {
        pool: &stage.pool,
        picture: &mut picture,
        chart: &mut chart,
        tally: Tally::new(stage.names.clone()),
        start,
        seconds: args.seconds,
        drawn: 0,
        errors: 0,
    };
    let ((), total) = tokio::try_join!(
        stage.play(&script, start, doing),
        watch.until_all_answered(answers, acts, events),
    )?;

    // A connection that a frozen server never answered may still be open.
    let _ = stage.pool.clone().disconnect().await;
    if let Some(file) = &args.svg {
        std::fs::write(file, chart.svg(&total)?).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    picture.total(&total)?;
    Ok(match total.failed {
        0 if total.served > 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Says what is going to happen.
fn announce(
    picture: &mut Picture,
    args: &Args,
    stage: &Stage,
    script: &[(Duration, Act)],
) -> io::Result<()> {
    picture.line(&load_in_words(args, stage))?;
    picture.line(&format!(
        "limits: {} to connect, {} a try; an ejected server is probed every {} or so\n",
        brief(ATTEMPT_TIMEOUT),
        brief(TRY_TIMEOUT),
        brief(stage.check_interval)
    ))?;
    for (at, act) in script {
        let at = at.as_secs_f64();
        picture.line(&format!("  at {at:4.1} s  {act}: {}", act.effect()))?;
    }
    if script.is_empty() {
        picture.line("  nothing is killed here: stop a peer yourself, and see")?;
    }
    picture
        .line("\nA bar is what a server served in that second; a full one is the whole load.\n")?;
    picture.columns(&stage.names)
}

fn load_in_words(args: &Args, stage: &Stage) -> String {
    let Args { rate, seconds, .. } = args;
    format!("{rate} reads a second for {seconds} s, over {}", stage.kind)
}

/// A time limit in words.
fn brief(limit: Duration) -> String {
    match limit.subsec_millis() {
        0 => format!("{} s", limit.as_secs()),
        _ => format!("{} ms", limit.as_millis()),
    }
}

/// Draws what happens, as it happens.
struct Watch<'a> {
    pool: &'a Pool,
    picture: &'a mut Picture,
    chart: &'a mut Chart,
    tally: Tally,
    start: Instant,
    seconds: u32,
    /// Seconds drawn so far.
    drawn: u32,
    /// Errors in this second.
    errors: u64,
}

impl Watch<'_> {
    async fn until_all_answered(
        mut self,
        mut answers: UnboundedReceiver<Answer>,
        mut acts: UnboundedReceiver<Act>,
        mut events: Events,
    ) -> Result<Total, Failure> {
        loop {
            tokio::select! {
                // An act comes before the events that it causes.
                biased;
                Some(act) = acts.recv() => {
                    self.draw_if_due()?;
                    let at = self.start.elapsed();
                    self.picture.act(at, act)?;
                    self.chart.act(at, act);
                }
                event = events.next() => {
                    self.draw_if_due()?;
                    match event {
                        Ok(Some(event)) => {
                            let at = self.start.elapsed();
                            self.picture.event(at, &event)?;
                            self.chart.event(at, &event);
                        }
                        Ok(None) => return Err("the pool is gone".into()),
                        Err(lagged) => {
                            self.picture.trouble(self.start.elapsed(), &lagged.to_string())?;
                        }
                    }
                }
                () = sleep_until(self.due()) => self.draw_if_due()?,
                answer = answers.recv() => match answer {
                    Some(answer) => self.count(answer)?,
                    None => break,
                },
            }
        }
        self.draw()?;
        Ok(self.tally.total())
    }

    fn count(&mut self, answer: Answer) -> io::Result<()> {
        let peer = answer.outcome.as_deref().ok();
        self.chart.answer(self.start.elapsed(), peer);
        let Err(error) = self.tally.count(answer) else {
            return Ok(());
        };
        self.errors += 1;
        if self.errors <= ERRORS_SHOWN {
            self.picture.trouble(self.start.elapsed(), &error)?;
        }
        Ok(())
    }

    /// When the next second's line is due.
    fn due(&self) -> Instant {
        let second = self.drawn + 1;
        let end = self.start + Duration::from_secs(second.into());
        if second == self.seconds {
            end + GRACE
        } else {
            end
        }
    }

    fn draw_if_due(&mut self) -> io::Result<()> {
        if Instant::now() < self.due() {
            return Ok(());
        }
        self.draw()
    }

    fn draw(&mut self) -> io::Result<()> {
        self.drawn += 1;
        self.errors = 0;
        let second = self.tally.end_second();
        self.picture
            .second(self.drawn, &second, &self.pool.statuses())
    }
}
