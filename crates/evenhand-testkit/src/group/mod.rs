//! [`Group`]: a real group of MySQL servers on loopback, joined by MySQL's own Group Replication.
//!
//! | file | holds |
//! | --- | --- |
//! | `member.rs` | [`Member`]: one server of the group, and what happens to it |
//! | `error.rs` | [`GroupError`] |
//!
//! One member, the primary, takes writes; the others are read-only. A group of three starts in about
//! ten seconds. MariaDB has no Group Replication: see [`Maker::is_here`](crate::Maker::is_here).
//!
//! All calls block, and work inside and outside of tokio; inside an async test use
//! `tokio::task::spawn_blocking`, or accept that they hold up a worker.

mod error;
mod member;

use std::ops::{Index, IndexMut};
use std::thread;
use std::time::Instant;

use crate::port::ReservedPort;

pub use error::GroupError;
pub use member::Member;
use member::{LIMIT, POLL};

/// A running group. All processes are killed and their folders removed on drop.
///
/// ```no_run
/// use evenhand_testkit::Group;
///
/// let mut group = Group::start(3)?;
/// group.switch_primary(1)?;
/// group[1].kill()?;
/// let primary = group.wait_for_another_primary(1)?;
/// group.restart(1)?; // joins again
/// # Ok::<(), evenhand_testkit::GroupError>(())
/// ```
#[derive(Debug)]
pub struct Group {
    members: Vec<Member>,
}

impl Group {
    /// Starts `n` members and waits until all are online; the first is the primary.
    ///
    /// # Errors
    /// If no MySQL server is here, a folder or port cannot be had, or a member ends, stays silent or
    /// does not join in time; then with the end of its log.
    pub fn start(n: usize) -> Result<Group, GroupError> {
        let reserve =
            || ReservedPort::any().map_err(GroupError::io("find a free port on 127.0.0.1"));
        let ports = (0..n).map(|_| reserve()).collect::<Result<Vec<_>, _>>()?;
        let seeds: Vec<String> = ports.iter().map(|port| port.addr().to_string()).collect();
        let seeds = seeds.join(",");
        // The servers start side by side; joining is one after the other.
        let members: Result<Vec<Member>, GroupError> = thread::scope(|scope| {
            let starts: Vec<_> = ports
                .into_iter()
                .enumerate()
                .map(|(number, port)| {
                    let seeds = &seeds;
                    scope.spawn(move || Member::start(number, port, seeds))
                })
                .collect();
            starts
                .into_iter()
                .map(|start| {
                    start
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let group = Group { members: members? };
        for (number, member) in group.members.iter().enumerate() {
            if number == 0 {
                member.found_group()?;
            } else {
                member.join()?;
            }
        }
        group.wait_for_size(n)?;
        Ok(group)
    }

    /// The members, those that do not run or have left included; `group[i]` is one of them.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Every member's [`url`](Member::url).
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(Member::url).collect()
    }

    /// Makes this member the primary, as planned, and returns when it is.
    ///
    /// # Errors
    /// If the group refuses.
    pub fn switch_primary(&self, to: usize) -> Result<(), GroupError> {
        let id = self.members[to].id()?;
        let switch = format!("SELECT group_replication_set_as_primary('{id}')");
        self.members[to].execute(&switch)
    }

    /// Waits until the group has a primary that is not this member, as those see it that are left,
    /// and returns which.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn wait_for_another_primary(&self, than: usize) -> Result<usize, GroupError> {
        let begun = Instant::now();
        loop {
            for (number, member) in self.members.iter().enumerate() {
                if number != than && member.is_primary().unwrap_or(false) {
                    return Ok(number);
                }
            }
            if begun.elapsed() >= LIMIT {
                return Err(self.members[than].late("replaced as the primary"));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until each member that runs sees this number of members online.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn wait_for_size(&self, size: usize) -> Result<(), GroupError> {
        for member in self.members.iter().filter(|member| member.pid().is_some()) {
            member.wait(&format!("in a group of {size}"), |seen| seen.len() == size)?;
        }
        Ok(())
    }

    /// Starts a member again without its data, and waits until it has joined the others and has
    /// theirs. A primary that was killed may have written what it had not yet told the others, and
    /// may not join with that.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn restart(&mut self, member: usize) -> Result<(), GroupError> {
        self.members[member].restart()?;
        self.members[member].join()
    }
}

impl Index<usize> for Group {
    type Output = Member;

    fn index(&self, number: usize) -> &Member {
        &self.members[number]
    }
}

impl IndexMut<usize> for Group {
    fn index_mut(&mut self, number: usize) -> &mut Member {
        &mut self.members[number]
    }
}
