//! Evenhand beside tower's own balancer: what a call and a peer cost, and what a failure costs.
//!
//! ```text
//! cargo run --release -p evenhand-benches --bin compare
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `args.rs` | what the command line asks for |
//! | `cost.rs` | time, allocations and memory, side by side |
//! | `storm.rs` | the failure storm, one contender after the other |
//! | `http.rs` | `evenhand-http` beside hyper-util's client and tonic's balancer |
//! | `mysql.rs` | the MySQL pool beside the driver's own, on real servers |
//! | `outage.rs` | a lost server, one contender after the other |
//! | `table.rs` | the printing |

mod args;
mod cost;
mod http;
mod mysql;
mod outage;
mod storm;
mod table;

use std::hint::black_box;
use std::process::ExitCode;

use evenhand_benches::counting::Counting;
use evenhand_benches::one_task;

use args::{Args, HELP, Task};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let args = match Args::parse(lexopt::Parser::from_env()) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("compare: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match args.task {
        Task::Help => println!("{HELP}"),
        Task::Compare => table::print(&cost::compare(args.quick), args.json),
        Task::Storm => table::print(&storm::compare(args.quick), args.json),
        Task::MySql => table::print(&mysql::compare(args.quick), args.json),
        Task::Outage => table::print(&outage::compare(args.quick), args.json),
        Task::MySqlOnly { row, calls } => mysql::only(row, calls),
        Task::Http => table::print(&http::compare(args.quick), args.json),
        Task::HttpOnly { row, calls } => http::only(row, calls),
        Task::Only { row, peers, calls } => {
            let mut run = one_task::set_up(row, peers);
            black_box(run(calls));
            // Taking 10 000 peers apart again is not what is measured.
            std::mem::forget(run);
        }
    }
    ExitCode::SUCCESS
}
