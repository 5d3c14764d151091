//! The script of a world: who does what when. It is drawn from a seed, printed as text that a
//! person reads, and read again; a script that fails is made as short as it can be.

use std::fmt;

use super::dice::Dice;

/// How large a world is and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub seed: u64,
    pub tenants: usize,
    pub days: u64,
}

macro_rules! deeds {
    ($( $(#[$doc:meta])* $name:ident $text:literal $chance:literal $most:literal )+) => {
        /// What somebody does, or what happens to the cluster or to Salesforce.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Deed { $( $(#[$doc])* $name, )+ }

        impl Deed {
            /// Each deed, how it is written, how often it is drawn beside others, and the largest
            /// number that goes with it.
            const ALL: &'static [(Self, &'static str, u64, u64)] =
                &[ $( (Self::$name, $text, $chance, $most), )+ ];
        }
    };
}

deeds! {
    /// A tenant writes a wrong password into the Secret; the number is which one.
    WrongPassword "writes-a-wrong-password" 8 5
    /// A tenant guesses: three wrong passwords and some more, a minute apart.
    Guess "guesses-passwords" 3 4
    /// A tenant writes the right password.
    RightPassword "writes-the-right-password" 10 0
    /// A tenant deletes the Secret.
    DropSecret "deletes-the-secret" 3 0
    /// A tenant writes the password under another key.
    MisspeltKey "misspells-the-key" 2 0
    /// Somebody changes the password in Salesforce, and tells nobody.
    NewPassword "gets-a-new-password-in-salesforce" 5 0
    /// The password expires in Salesforce.
    Expire "has-a-password-that-expires" 3 0
    /// A tenant deletes the integration.
    Delete "deletes-the-integration" 3 0
    /// A tenant creates it, where it is gone.
    Create "creates-the-integration" 5 0
    /// A tenant deletes the integration and creates it under its name at once.
    Recreate "creates-the-integration-anew" 2 0
    /// A tenant deletes the integration and creates it under another name.
    Rename "renames-the-integration" 2 0
    /// A tenant names the user of another one, the number, with that one's password.
    Share "shares-the-user-of" 4 1000
    /// A tenant names its own user again.
    Own "names-its-own-user" 4 0
    /// Another integration claims the company ID of this tenant.
    Rival "has-a-rival" 3 0
    /// That rival goes.
    NoRival "has-no-rival-any-more" 4 0
    /// A tenant retrieves contacts in another way: Daily, AfterCall, Disabled.
    Mode "retrieves-contacts-in-way" 5 2
    /// A tenant suspends the integration.
    Suspend "suspends" 2 0
    /// A tenant lets it go on.
    Resume "resumes" 4 0
    /// A tenant asks for a test.
    Test "asks-for-a-test" 6 0
    /// A tenant asks for a run.
    Run "asks-for-a-run" 6 0
    /// A tenant asks for another share of the org's requests.
    Percent "asks-for-percent" 3 100
    /// A tenant names a time zone that does not exist.
    BadSpec "names-no-time-zone" 2 0
    /// A tenant names a time zone that does.
    GoodSpec "names-a-time-zone" 4 0
    /// A tenant wants the data erased with the integration (1) or kept (0).
    Erase "wants-its-data-erased" 2 1
    /// Somebody edits the CronJob.
    EditCronJob "has-its-cronjob-edited" 2 0
    /// Somebody deletes the CronJob.
    DropCronJob "has-its-cronjob-deleted" 2 0
    /// Somebody deletes the Secret with the tokens.
    DropTokens "has-its-tokens-deleted" 2 0
    /// Somebody takes the owner from the CronJob.
    Orphan "has-its-cronjob-orphaned" 1 0
    /// The tenant's org does not answer, for so many minutes.
    OrgDown "has-an-org-that-is-down-for-minutes" 3 600
    /// All orgs do not answer.
    AllDown "sees-all-of-salesforce-down-for-minutes" 1 240
    /// The tenant's org has no requests left.
    NoQuota "has-no-requests-left-for-minutes" 2 600
    /// The tenant's users do not see all records.
    NoRights "loses-rights-for-minutes" 2 1440
    /// Salesforce ends all sessions of the tenant's org.
    NoSessions "has-its-sessions-ended" 3 0
    /// The leader is killed; the next one leads after so many seconds.
    Kill "sees-the-leader-killed-for-seconds" 6 90
    /// The leader stands still for so many seconds; another one leads meanwhile.
    Pause "sees-the-leader-stand-still-for-seconds" 4 90
    /// The API server does not answer, for so many seconds.
    ApiDown "sees-the-api-server-down-for-seconds" 3 900
    /// So many of a hundred requests fail, for a quarter of an hour.
    ApiErrors "sees-requests-fail-of-a-hundred" 5 80
    /// The watches of one kind are silent for some minutes; the number says of which and how long.
    Freeze "sees-a-watch-freeze" 6 100
    /// All watches break off and their place in the history is gone.
    Break "sees-all-watches-break" 3 0
    /// Objects are refused for so many minutes.
    Refuse "sees-objects-refused-for-minutes" 2 120
    /// No CronJob starts anything, for so many minutes.
    NoCrons "sees-no-cronjob-fire-for-minutes" 1 600
    /// No pod starts, for so many minutes.
    NoPods "sees-no-pod-start-for-minutes" 2 120
    /// Pods are evicted, for so many minutes.
    Evict "sees-pods-evicted-for-minutes" 2 60
    /// The directory does not answer, for so many minutes.
    NoDirectory "sees-the-directory-down-for-minutes" 2 60
}

/// One line of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    /// Seconds after the beginning.
    pub at: u64,
    pub who: usize,
    pub deed: Deed,
    pub number: u64,
}

/// A world and what happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub size: Size,
    pub acts: Vec<Act>,
}

// === impl Deed ===

impl Deed {
    fn drawn(dice: &mut Dice) -> (Self, u64) {
        let all: u64 = Self::ALL.iter().map(|(_, _, chance, _)| chance).sum();
        let mut left = dice.below(all);
        for (deed, _, chance, most) in Self::ALL {
            if left < *chance {
                return (*deed, dice.below(most + 1));
            }
            left -= chance;
        }
        unreachable!("the chances add up")
    }

    fn words(self) -> &'static str {
        let line = Self::ALL.iter().find(|(deed, ..)| *deed == self);
        line.map_or("", |(_, words, ..)| words)
    }
}

// === impl Act ===

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.at / 86_400, self.at % 86_400);
        let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
        let Self {
            who, deed, number, ..
        } = self;
        let words = deed.words();
        write!(
            f,
            "{days}d {hours:02}:{minutes:02}:{seconds:02} t{who} {words} {number}"
        )
    }
}

impl Act {
    fn read(line: &str) -> Option<Self> {
        let [days, clock, who, words, number] = line
            .split_whitespace()
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        let at = clock
            .split(':')
            .try_fold(0, |at, part| Some(at * 60 + part.parse::<u64>().ok()?))?;
        let days: u64 = days.strip_suffix('d')?.parse().ok()?;
        let (deed, ..) = Deed::ALL.iter().find(|(_, text, ..)| *text == words)?;
        Some(Self {
            at: days * 86_400 + at,
            who: who.strip_prefix('t')?.parse().ok()?,
            deed: *deed,
            number: number.parse().ok()?,
        })
    }
}

// === impl Script ===

impl Script {
    /// Draws what happens: on average each tenant does something, or has something happen to it,
    /// once a day.
    pub(super) fn drawn(size: Size) -> Self {
        let mut dice = Dice::new(size.seed, 1);
        let many = size.tenants as u64 * size.days;
        let mut acts: Vec<Act> = vec![];
        while (acts.len() as u64) < many.max(10) {
            let at = dice.below(size.days * 86_400);
            let who = dice.below(size.tenants as u64) as usize;
            let (deed, number) = Deed::drawn(&mut dice);
            acts.push(Act {
                at,
                who,
                deed,
                number,
            });
            // Things come together: an edit in the middle of what the last one caused.
            if dice.below(3) == 0 {
                let (deed, number) = Deed::drawn(&mut dice);
                let at = (at + dice.below(40)).min(size.days * 86_400);
                acts.push(Act {
                    at,
                    who,
                    deed,
                    number,
                });
            }
        }
        acts.sort_by_key(|act| act.at);
        Self { size, acts }
    }

    /// Reads what [`fmt::Display`] printed.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let head: Vec<u64> = lines
            .next()?
            .split_whitespace()
            .filter_map(|word| word.split_once('=')?.1.parse().ok())
            .collect();
        let [seed, tenants, days] = head.try_into().ok()?;
        Some(Self {
            size: Size {
                seed,
                tenants: tenants as usize,
                days,
            },
            acts: lines.map(Act::read).collect::<Option<_>>()?,
        })
    }

    /// The shortest script that still fails: parts of the acts are left out as long as that goes,
    /// and then days at the end.
    pub(super) fn shortened(mut self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut part = self.acts.len().div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < self.acts.len() {
                let mut shorter = self.clone();
                let to = (from + part).min(shorter.acts.len());
                shorter.acts.drain(from..to);
                if fails(&shorter) {
                    self = shorter;
                } else {
                    from += part;
                }
            }
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
        let last = self.acts.last().map_or(0, |act| act.at / 86_400 + 1);
        let mut shorter = self.clone();
        shorter.size.days = last.max(1);
        if shorter != self && fails(&shorter) {
            self = shorter;
        }
        self
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size {
            seed,
            tenants,
            days,
        } = self.size;
        writeln!(f, "seed={seed} tenants={tenants} days={days}")?;
        self.acts.iter().try_for_each(|act| writeln!(f, "{act}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_was_printed() {
        let size = Size {
            seed: 7,
            tenants: 4,
            days: 9,
        };
        let script = Script::drawn(size);
        assert_eq!(Script::read(&script.to_string()).as_ref(), Some(&script));
        assert_eq!(Script::drawn(size), script);
    }

    #[test]
    fn a_script_that_fails_keeps_only_what_it_fails_for() {
        let size = Size {
            seed: 3,
            tenants: 5,
            days: 30,
        };
        let script = Script::drawn(size);
        let bad = |act: &Act| act.deed == Deed::Freeze;
        let worse = |act: &Act| act.deed == Deed::Test;
        let short = script.shortened(|script| {
            let first = script.acts.iter().position(bad);
            first.is_some_and(|first| script.acts[first..].iter().any(worse))
        });
        assert_eq!(short.acts.len(), 2, "{short}");
    }
}
