//! Contacts follow Salesforce: a run reads what changed since the last one and applies it to the
//! numbers that the directory knows.
//!
//! The watermark moves when all of a window is written and looked up, so that a run that is killed
//! loses nothing; what is written twice changes nothing. Where changes do not tell all, every
//! record that is known is read by its Id, in pages of which each is kept when it is written.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tracing::info;

use super::book::{FOLLOWED_EVERY, Window, whole};
use super::failure::Failure;
use super::found::{contact, known};
use super::run::{Progress, Run, not_stopped};
use super::todo::Todo;
use crate::directory::model::follow::{
    FollowMode, FollowState, KnownNumber, KnownRequest, PutFollow, RecordsRequest,
};
use crate::directory::model::{
    Contact, FoundContact, MAX_BULK, WriteContactsRequest, WriteOutcome, WritePolicy,
};
use crate::follow::{Applied, Changes, Mode, Plan, State, apply, plan, settled_until, tells_all};
use crate::phone::E164;
use crate::reason::Reason;
use crate::resolve::{Object, ResolveError, Resolver};
use crate::run::{ChangesRead, Followed, Note};
use crate::salesforce::Meaning;
use crate::shutdown::Shutdown;

/// The most calls for the changes of one window. More than 40,000 changed records of an object are
/// an import, and what is known costs less to ask for by Id.
const MAX_WINDOW_CALLS: u64 = 20;
/// Contacts whose records are read at once: their Ids fit into one call.
const RECORDS_AT_ONCE: u32 = 1_000;
/// Numbers that the directory tells at once.
const KNOWN_AT_ONCE: u32 = 200;

/// What a run follows, and what it found out so far.
pub(super) struct Following {
    mode: Mode,
    /// The contacts of numbers that are looked up because of a change, as they were before.
    before: HashMap<E164, Option<Contact>>,
}

// === impl Following ===

impl Following {
    /// What becomes of a number that has a contact.
    pub(super) fn policy(&self) -> WritePolicy {
        match self.mode {
            Mode::All => WritePolicy::Refresh,
            Mode::NewOnly => WritePolicy::OnlyMissing,
        }
    }

    /// Counts contacts that were written because of a change, and `gone` ones.
    pub(super) fn count(
        &self,
        followed: &mut Followed,
        contacts: &[FoundContact],
        outcomes: &BTreeMap<E164, WriteOutcome>,
        gone: u32,
    ) {
        followed.removed += u64::from(gone);
        followed.changed += u64::from(gone);
        for contact in contacts {
            if outcomes.get(&contact.number) == Some(&WriteOutcome::Written)
                && let Some(before) = self.before.get(&contact.number)
            {
                count(followed, before.as_ref(), contact);
            }
        }
    }
}

/// In which time nothing has changed in an org, as runs with one credential found. Companies that
/// share it ask once for all of them.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<Option<(Timestamp, Timestamp)>>);

// === impl Quiet ===

impl Quiet {
    /// Until when nothing has changed since then, if that was found not long ago.
    fn since(&self, since: Timestamp, every: SignedDuration, now: Timestamp) -> Option<Timestamp> {
        let (from, until) = (*self.0.lock())?;
        let is_recent = now.duration_since(until) <= every / 2;
        (from <= since && since <= until && is_recent).then_some(until)
    }

    /// A window was read, and nothing had changed in it, or something had.
    fn note(&self, since: Timestamp, read_at: Timestamp, is_quiet: bool) {
        let mut known = self.0.lock();
        *known = match *known {
            _ if !is_quiet => None,
            Some((from, until)) if since <= until => Some((from.min(since), until.max(read_at))),
            _ => Some((since, read_at)),
        };
    }
}

/// Counts one contact that was written.
fn count(followed: &mut Followed, before: Option<&Contact>, now: &FoundContact) {
    match before {
        None => followed.newly_named += 1,
        Some(before) if !is_same(before, now) => {
            let names = (&before.company_name, &before.person_name);
            let is_renamed = names != (&now.company_name, &now.person_name);
            followed.renamed += u64::from(is_renamed);
        }
        Some(_) => return,
    }
    followed.changed += 1;
}

/// Whether a contact is what people see already.
fn is_same(before: &Contact, now: &FoundContact) -> bool {
    before.company_name == now.company_name
        && before.person_name == now.person_name
        && before.object == Some(now.object)
        && before.record_id.as_ref() == Some(&now.record_id)
        && before.link == now.link
        && before.title == now.title
        && before.owner_name == now.owner_name
        && before.alternatives == now.alternatives
}

/// Whether Salesforce refused the question about changes itself, so that the look-ups can go on.
pub(super) fn is_about_the_question(error: &ResolveError) -> bool {
    let ResolveError::Salesforce(error) = error else {
        return false;
    };
    let code = error.salesforce_code();
    code.is_some_and(|code| {
        matches!(
            code,
            "INVALID_FIELD"
                | "INVALID_QUERY_LOCATOR"
                | "MALFORMED_QUERY"
                | "QUERY_TIMEOUT"
                | "QUERY_TOO_COMPLICATED"
        )
    }) || error.meaning() == Meaning::QueryTimeout
}

// === impl Progress ===

impl Progress<'_> {
    /// From here on what is written counts as followed.
    fn begin_to_follow(&mut self, mode: Mode) {
        self.following = Some(Following {
            mode,
            before: HashMap::new(),
        });
        self.report.followed.get_or_insert_default();
    }
}

// === impl Run ===

impl Run {
    /// Reads what changed since the last window, if it is time to, and applies it. Returns how far
    /// the company has followed its org; `None` where nothing is followed.
    pub(super) async fn follow(
        &self,
        resolver: &mut Option<Resolver>,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<Option<FollowState>, Failure> {
        // An address book that does not change would soon be wrong: it follows in any case.
        let settings = self.settings.follow;
        if settings.is_none() && self.most_records().is_none() {
            return Ok(None);
        }
        let state = self.directory.follow_state().await?;
        let every = settings.map_or(FOLLOWED_EVERY, |settings| {
            let every = i64::try_from(settings.every_seconds).unwrap_or(i64::MAX);
            SignedDuration::from_secs(every)
        });
        let now = Timestamp::now();
        let has_book = self.has_book().await?;
        let known = State {
            knows_numbers: state.knows_numbers || has_book,
            ..state_of(&state)
        };
        let follows = settings.map(|settings| settings.mode);
        let planned = plan(&known, follows.unwrap_or(Mode::NewOnly), every, now);
        let mode = follows.map(|mode| match mode {
            Mode::All => FollowMode::All,
            Mode::NewOnly => FollowMode::NewOnly,
        });
        let (since, reconcile) = match planned {
            Plan::NotDue => return Ok(Some(state)),
            Plan::NothingKnown { settled } => {
                let state = FollowState {
                    watermark: state.watermark.max(Some(settled)),
                    followed_at: Some(now),
                    mode,
                    reconciled_up_to: None,
                    ..state
                };
                let ask_misses = false;
                let request = PutFollow { state, ask_misses };
                return Ok(Some(self.directory.put_follow(&request).await?.state));
            }
            Plan::Window { since, reconcile } => (since, reconcile),
        };
        let quiet = self.quiet.as_ref().filter(|_| !reconcile);
        let quiet = quiet.filter(|_| self.most_records().is_none());
        let quiet = quiet.and_then(|quiet| quiet.since(since, every, now));
        // Only where no change is missing, the book says who is behind a number.
        let goes_on = state.watermark == Some(since);
        let window = match quiet {
            Some(read_at) => {
                info!(%since, %read_at, "nothing has changed, as another run found");
                Ok((read_at, true))
            }
            None => {
                let resolver = match resolver {
                    Some(resolver) => resolver,
                    none => none.insert(self.log_in().await?),
                };
                if let Some(mode) = follows {
                    progress.begin_to_follow(mode);
                }
                self.follow_window(since, goes_on, resolver, progress, shutdown)
                    .await
            }
        };
        progress.following = None;
        let (read_at, is_whole) = match window {
            Err(Failure::Resolve(error)) if is_about_the_question(&error) => {
                let message = Failure::from(error).note().message;
                let message = format!("Contacts do not follow Salesforce now. {message}");
                progress
                    .report
                    .warn(Note::new(Reason::ChangesNotFollowed, message));
                return Ok(Some(state));
            }
            window => window?,
        };
        progress.book = None;
        if !is_whole || state.watermark != Some(since) {
            self.fill_anew().await?;
        }
        let reconcile = reconcile || !is_whole;
        let up_to = match follows {
            Some(Mode::All) if reconcile => Some(String::new()),
            Some(Mode::All) => state.reconciled_up_to,
            Some(Mode::NewOnly) | None => None,
        };
        let request = PutFollow {
            // What was missed before the first window is due by its own time.
            ask_misses: reconcile && state.watermark.is_some(),
            state: FollowState {
                revision: state.revision,
                watermark: Some(settled_until(state.watermark, read_at, now)),
                followed_at: Some(now),
                mode,
                reconciled_up_to: up_to,
                knows_numbers: state.knows_numbers,
            },
        };
        progress.again |= request.ask_misses;
        Ok(Some(self.directory.put_follow(&request).await?.state))
    }

    /// Reads and applies a window. Returns when it was read, by the clock that stamps records, and
    /// whether all of it was: too many changes are left out.
    async fn follow_window(
        &self,
        since: Timestamp,
        goes_on: bool,
        resolver: &mut Resolver,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(Timestamp, bool), Failure> {
        let mut changes = resolver.changes_since(since);
        let mut read_at = None;
        let mut look_up = Vec::new();
        let mut rows = 0;
        let mut is_whole = true;
        let mut shelved = Window::default();
        loop {
            not_stopped(shutdown)?;
            let page = resolver.next_changes(&mut changes).await;
            progress.report_findings(resolver);
            let Some(page) = page? else { break };
            let server_time = resolver.connection().server_time();
            let read_at =
                *read_at.get_or_insert_with(|| server_time.unwrap_or_else(Timestamp::now));
            is_whole &= tells_all(since, read_at);
            // A window that the allowance does not suffice for would be begun again by each run,
            // and leave nothing for the calls. Reading by Id goes on where a run ended.
            let most = resolver.calls_left().map_or(u64::MAX, |left| left / 2);
            if changes.calls_left() > most.min(MAX_WINDOW_CALLS) {
                is_whole = false;
                break;
            }
            rows += page.len();
            let page = Changes::new(page);
            self.shelve(&page, changes.half_told(), resolver, &mut shelved)
                .await?;
            look_up.extend(self.apply(page, resolver, progress).await?);
        }
        if is_whole {
            self.shelve_rest(shelved, resolver).await?;
        }
        if is_whole && goes_on && self.most_records().is_some() {
            progress.book = whole(&self.directory.book().await?);
        }
        let read_at = read_at.unwrap_or(since);
        progress.report.changes_read = Some(ChangesRead {
            rows: rows as u64,
            seconds: u64::try_from(read_at.duration_since(since).as_secs()).unwrap_or(0),
        });
        let asked = look_up.len();
        self.look_up(look_up, resolver, progress, shutdown).await?;
        if let Some(quiet) = &self.quiet {
            quiet.note(since, read_at, is_whole && rows == 0);
        }
        info!(%since, rows, asked, is_whole, "changes followed");
        Ok((read_at, is_whole))
    }

    /// Goes on to compare all contacts with their records, if that is under way.
    pub(super) async fn reconcile(
        &self,
        state: Option<FollowState>,
        resolver: &mut Option<Resolver>,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let Some(mut state) = state.filter(|state| state.mode == Some(FollowMode::All)) else {
            return Ok(());
        };
        let mut stored = true;
        while let Some(after) = state.reconciled_up_to.clone().filter(|_| stored) {
            not_stopped(shutdown)?;
            let limit = RECORDS_AT_ONCE;
            let request = RecordsRequest { after, limit };
            let page = self.directory.records_of_contacts(&request).await?;
            if page.last.is_some() {
                let resolver = match &mut *resolver {
                    Some(resolver) => resolver,
                    none => none.insert(self.log_in().await?),
                };
                let ids: Vec<(Object, String)> = page
                    .records
                    .into_iter()
                    .map(|record| (super::found::object(record.object), record.record_id))
                    .collect();
                progress.begin_to_follow(Mode::All);
                let changes = resolver.changes_of(&ids).await;
                progress.report_findings(resolver);
                let changes = Changes::new(changes?);
                let look_up = self.apply(changes, resolver, progress).await?;
                self.look_up(look_up, resolver, progress, shutdown).await?;
                progress.following = None;
            }
            let last = page.last.map(|number| number.as_str().to_owned());
            let request = PutFollow {
                state: FollowState {
                    reconciled_up_to: last,
                    ..state
                },
                ask_misses: false,
            };
            let receipt = self.directory.put_follow(&request).await?;
            (state, stored) = (receipt.state, receipt.stored);
        }
        Ok(())
    }

    /// Applies changes to the numbers that the directory knows. Returns the numbers that have to be
    /// looked up.
    async fn apply(
        &self,
        changes: Changes,
        resolver: &Resolver,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<E164>, Failure> {
        if progress.following.is_none() {
            return Ok(Vec::new());
        }
        let (ids, numbers) = (changes.ids(), changes.numbers());
        let requests = ids.len().max(numbers.len()).div_ceil(MAX_BULK);
        let mut look_up = Vec::new();
        for at in 0..requests {
            let part = at * MAX_BULK..(at + 1) * MAX_BULK;
            let mut request = KnownRequest {
                record_ids: part_of(&ids, &part),
                numbers: part_of(&numbers, &part),
                after: None,
                limit: KNOWN_AT_ONCE,
            };
            loop {
                let page = self.directory.known_numbers(&request).await?;
                request.after = page.numbers.last().map(|known| known.number.clone());
                look_up.extend(
                    self.apply_to(&changes, page.numbers, resolver, progress)
                        .await?,
                );
                if !page.more || request.after.is_none() {
                    break;
                }
            }
        }
        Ok(look_up)
    }

    async fn apply_to(
        &self,
        changes: &Changes,
        numbers: Vec<KnownNumber>,
        resolver: &Resolver,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<E164>, Failure> {
        let Some(following) = &mut progress.following else {
            return Ok(Vec::new());
        };
        let all: Vec<_> = numbers.iter().map(known).collect();
        let Applied { found, look_up } =
            apply(changes, &all, following.mode, resolver.instance_url());
        let mut before: HashMap<E164, KnownNumber> = numbers
            .into_iter()
            .map(|known| (known.number.clone(), known))
            .collect();
        let mut contacts: Vec<FoundContact> = found
            .iter()
            .map(|(number, found)| contact(number, &found.chosen, &found.holders, true))
            .filter(|contact| {
                before.get(&contact.number).is_none_or(|before| {
                    let same = before.contact.as_ref().is_some_and(|b| is_same(b, contact));
                    !(same && before.all_holders && before.holders == contact.holders)
                })
            })
            .collect();
        contacts.sort_by(|a, b| a.number.cmp(&b.number));
        let policy = following.policy();
        for number in &look_up {
            let known = before.remove(number).and_then(|known| known.contact);
            following.before.insert(number.clone(), known);
        }
        for contacts in contacts.chunks(MAX_BULK) {
            let request = WriteContactsRequest {
                settings: self.settings.match_settings.clone(),
                ..WriteContactsRequest::new(policy, contacts.to_vec())
            };
            let receipt = self.directory.write_contacts(&request).await?;
            let followed = progress.report.followed.get_or_insert_default();
            for contact in contacts {
                if receipt.outcomes.get(&contact.number) == Some(&WriteOutcome::Written) {
                    let known = before.get(&contact.number);
                    count(followed, known.and_then(|k| k.contact.as_ref()), contact);
                }
            }
        }
        Ok(look_up)
    }

    /// Looks up the numbers for which the changes did not tell who holds them now.
    async fn look_up(
        &self,
        mut numbers: Vec<E164>,
        resolver: &mut Resolver,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        numbers.sort_unstable();
        numbers.dedup();
        let nobody = Todo::default();
        if let Some(book) = progress.book.clone() {
            return self
                .ask_book(&numbers, &nobody, &book, Some(resolver), progress)
                .await;
        }
        let asked = self.ask(&numbers, false, &nobody, resolver, progress, shutdown);
        let asked = match asked.await {
            Ok(()) => self.ask_again(&nobody, resolver, progress).await,
            stopped => stopped,
        };
        if let Err(ends) = asked {
            self.keep_unknown(&ends, &nobody, progress).await;
            return Err(ends);
        }
        Ok(())
    }
}

fn part_of<T: Clone>(all: &[T], part: &std::ops::Range<usize>) -> Vec<T> {
    let end = part.end.min(all.len());
    all.get(part.start..end).unwrap_or_default().to_vec()
}

fn state_of(state: &FollowState) -> State {
    State {
        watermark: state.watermark,
        followed_at: state.followed_at,
        mode: state.mode.map(|mode| match mode {
            FollowMode::All => Mode::All,
            FollowMode::NewOnly => Mode::NewOnly,
        }),
        knows_numbers: state.knows_numbers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_run_found_quiet_another_need_not_ask_for_unless_something_changed_or_it_is_old() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let every = SignedDuration::from_secs(2_000);
        let quiet = Quiet::default();
        assert_eq!(quiet.since(at(0), every, at(10)), None);
        quiet.note(at(0), at(1_000), true);
        assert_eq!(quiet.since(at(500), every, at(1_100)), Some(at(1_000)));
        assert_eq!(quiet.since(at(-1), every, at(1_100)), None, "it knows less");
        assert_eq!(quiet.since(at(500), every, at(2_001)), None, "it is old");
        // A window that begins within the known one makes it longer.
        quiet.note(at(900), at(2_900), true);
        assert_eq!(quiet.since(at(0), every, at(3_000)), Some(at(2_900)));
        quiet.note(at(3_500), at(4_000), true);
        assert_eq!(quiet.since(at(0), every, at(4_000)), None, "there is a gap");
        quiet.note(at(3_900), at(4_100), false);
        assert_eq!(quiet.since(at(3_950), every, at(4_100)), None);
    }
}
