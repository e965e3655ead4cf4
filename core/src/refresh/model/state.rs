//! The state of the check: small numbers instead of random ids, and clocks instead of times.

/// The id of an attempt whose process is gone, or that is over.
pub(super) const DEAD: u8 = 9;

/// How many processes share the key.
pub(super) const PROCESSES: usize = 3;

/// A refresh token: of which login, and how many newer ones the provider issued since. Family 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) family: u8,
    pub(super) age: u8,
}

impl Token {
    pub(super) const NONE: Self = Self { family: 0, age: 0 };

    pub(super) fn newest(family: u8) -> Self {
        Self { family, age: 0 }
    }

    pub(super) fn is_some(self) -> bool {
        self.family != 0
    }
}

/// Which generation of which grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) grant: u8,
    pub(super) generation: u8,
}

/// A time in the row, seen from now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Clock {
    #[default]
    None,
    Running,
    /// A lease that ended less than a commit budget ago.
    JustOver,
    Over,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum RowState {
    #[default]
    Active,
    /// By `invalid_grant`.
    Rejected,
    AmbiguousLoss,
    IdentityChanged,
    LoggedOut,
}

impl RowState {
    pub(super) fn declared_dead(self) -> bool {
        matches!(self, Self::Rejected | Self::AmbiguousLoss)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Cooling {
    #[default]
    No,
    Short,
    /// Until the access token is nearly over.
    NearEnd,
}

/// The row of the key, as far as the protocol looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) version: u8,
    pub(super) place: Place,
    pub(super) lease: Clock,
    pub(super) lease_by: u8,
    /// The attempt in the journal; 0 is none.
    pub(super) journal_by: u8,
    /// Is a replay window that began with the journal still open?
    pub(super) journal_open: bool,
    pub(super) overtaken: Clock,
    pub(super) commit_id: u8,
    pub(super) state: RowState,
    pub(super) cooling: Cooling,
    /// Access tokens of which targets: bit 0 is the login's.
    pub(super) access: u8,
    /// Whose access token it is: 0 is the user's.
    pub(super) who: u8,
    /// Is the access token nearly over?
    pub(super) near_end: bool,
    pub(super) token: Token,
    /// May it be purged?
    pub(super) due: bool,
}

impl Row {
    pub(super) fn alive(&self) -> bool {
        self.state != RowState::LoggedOut
    }
}

/// What came of a transition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Outcome {
    #[default]
    Nothing,
    Granted,
    Busy,
    /// There is nothing to begin now.
    NotNow,
    Kept {
        replaced: Token,
    },
    Mine,
    Superseded,
    LeaseFirst,
    Grace,
    Done,
    Gone,
    Replaced,
    NotMine,
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum At {
    #[default]
    Idle,
    Begin,
    /// It has the lease, and sends next.
    Ready,
    /// Its request is at the provider.
    Asked,
    Commit,
    Quarantine,
    Fail,
    Release,
    Revoke,
    Login,
    LoginBegin,
    Logout,
    Reseal,
    /// It read what it will purge, where that is not one step (rule 6 broken).
    Purge,
}

/// A decided write on its way to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Write {
    /// The version that it replaces; 0 is no row.
    pub(super) expected: u8,
    pub(super) row: Row,
    pub(super) outcome: Outcome,
}

/// What a process wrote last (rule 14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Recent {
    pub(super) row: Row,
    pub(super) replaced: u8,
    pub(super) replaced_out: bool,
}

/// What an attempt wants to write about its failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Failed {
    #[default]
    Cool,
    CoolNearEnd,
    Rejected,
    AmbiguousLoss,
}

/// The answer that is on its way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reply {
    #[default]
    Good,
    InvalidGrant,
    /// Lost before the provider saw the request.
    Vanished,
    NotSent,
    Throttled,
}

/// One process, with at most one task for the key at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) at: At,
    pub(super) write: Option<Write>,
    /// The version of a write whose answer was lost, and what it would mean.
    pub(super) tried: u8,
    pub(super) tried_outcome: Outcome,
    pub(super) tried_replaced: u8,
    pub(super) tried_replaced_out: bool,
    pub(super) place: Place,
    /// The refresh token that it began with, or that its login brought.
    pub(super) token: Token,
    pub(super) reply: Reply,
    pub(super) answer: Token,
    pub(super) who: u8,
    pub(super) target: u8,
    pub(super) failed: Failed,
    /// Its own clock says that no request may start any more.
    pub(super) late: bool,
    pub(super) maybe_sent: bool,
    pub(super) unprocessed: bool,
    pub(super) window_open: bool,
    pub(super) round: u8,
    /// What its first look showed; 0 is no row.
    pub(super) first: u8,
    /// The grant of its login.
    pub(super) grant: u8,
    pub(super) after_logout: bool,
    pub(super) recent: Option<Recent>,
}

impl Process {
    /// Keeps in mind what it wrote, unless that only takes or gives back a lease.
    pub(super) fn remember(&mut self, row: Row, replaced: u8, replaced_out: bool) {
        let announced = matches!(
            self.at,
            At::Login | At::Commit | At::Fail | At::Logout | At::Quarantine
        );
        if announced {
            self.recent = Some(Recent {
                row: Row { version: 0, ..row },
                replaced,
                replaced_out,
            });
        }
    }

    /// The same process without a task.
    pub(super) fn idle(self) -> Self {
        Self {
            recent: self.recent,
            ..Self::default()
        }
    }
}

/// How much may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Budget {
    /// Refreshes that begin.
    pub(super) attempts: u8,
    /// Logins, logouts, reseals, purges, deletions.
    pub(super) actions: u8,
    /// Crashes, lost answers, leases cut short, refusals, fail-overs.
    pub(super) faults: u8,
}

/// The whole state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) row: Option<Row>,
    /// What a fail-over would bring back.
    pub(super) backup: Option<Row>,
    pub(super) processes: [Process; PROCESSES],
    /// Which families the provider still honours, by bit.
    pub(super) honoured: u8,
    /// Of which families the token before the newest is still replayed, by bit.
    pub(super) windows: u8,
    pub(super) budget: Budget,
    /// A lease ended while its holder sent, or held an answer that was not committed.
    pub(super) overlapped: bool,
    /// An overtaken attempt took longer than its grace.
    pub(super) slow: bool,
    /// A provider's answer was lost for good.
    pub(super) ambiguous: bool,
    /// A fail-over took the row back.
    pub(super) rolled_back: bool,
    /// A login wrote after it, before those who knew more of its grant had looked.
    pub(super) login_after: bool,
    /// Somebody logged out since.
    pub(super) out_since: bool,
}

impl State {
    pub(super) fn honours(&self, family: u8) -> bool {
        family != 0 && self.honoured & (1 << family) != 0
    }

    /// Every row that the state knows of.
    fn rows(&mut self) -> impl Iterator<Item = &mut Row> {
        let processes = self.processes.iter_mut().flat_map(|process| {
            process
                .write
                .iter_mut()
                .map(|write| &mut write.row)
                .chain(process.recent.iter_mut().map(|recent| &mut recent.row))
        });
        self.row
            .iter_mut()
            .chain(self.backup.iter_mut())
            .chain(processes)
    }

    pub(super) fn each_row(&mut self, each: impl FnMut(&mut Row)) {
        self.rows().for_each(each);
    }

    /// Every refresh token that the state knows of.
    pub(super) fn tokens(&mut self, mut each: impl FnMut(&mut Token)) {
        self.rows().for_each(|row| each(&mut row.token));
        for process in &mut self.processes {
            each(&mut process.token);
            each(&mut process.answer);
            for outcome in process
                .write
                .iter_mut()
                .map(|write| &mut write.outcome)
                .chain([&mut process.tried_outcome])
            {
                if let Outcome::Kept { replaced } = outcome {
                    each(replaced);
                }
            }
        }
    }

    fn places(&mut self, mut each: impl FnMut(&mut Place)) {
        self.rows().for_each(|row| each(&mut row.place));
        for process in &mut self.processes {
            each(&mut process.place);
        }
    }

    fn grants(&mut self, mut each: impl FnMut(&mut u8)) {
        self.places(|place| each(&mut place.grant));
        self.tokens(|token| each(&mut token.family));
        for process in &mut self.processes {
            each(&mut process.first);
            each(&mut process.grant);
            each(&mut process.tried_replaced);
            if let Some(recent) = &mut process.recent {
                each(&mut recent.replaced);
            }
        }
    }

    fn attempts(&mut self, mut each: impl FnMut(&mut u8)) {
        self.rows().for_each(|row| {
            each(&mut row.lease_by);
            each(&mut row.journal_by);
            each(&mut row.commit_id);
        });
    }

    /// The number of a grant that nothing names.
    pub(super) fn unused_grant(&self) -> u8 {
        let mut used = 0_u8;
        let mut copy = *self;
        copy.grants(|grant| used |= 1 << *grant);
        (1..8)
            .find(|grant| used & (1 << grant) == 0)
            .expect("a grant")
    }

    /// A generation that was never there.
    pub(super) fn next_generation(&self) -> u8 {
        let mut highest = 0;
        let mut copy = *self;
        copy.places(|place| highest = highest.max(place.generation));
        highest + 1
    }

    /// The attempt of a process is over: from now on its id is only a name.
    pub(super) fn bury(&mut self, process: usize) {
        let id = process as u8 + 1;
        self.attempts(|attempt| {
            if *attempt == id {
                *attempt = DEAD;
            }
        });
    }

    /// The same state under other names: processes sorted, grants, versions and generations renamed. Answers where each
    /// process went.
    ///
    /// `fresh`: versions are never used twice, so that a write which expects none that is there, or may come back, is
    /// nothing but a conflict.
    pub(super) fn canonical(&mut self, fresh: bool) -> [u8; PROCESSES] {
        if fresh {
            self.rename_versions();
        }
        let moved = self.sort_processes();
        self.rename_grants();
        self.lower_generations();
        moved
    }

    fn rename_versions(&mut self) {
        let now = self.row.map_or(0, |row| row.version);
        let old = self.backup.map(|row| row.version);
        let name = |version: u8| match version {
            0 => 0,
            _ if version == now => 1,
            _ if Some(version) == old => 2,
            _ => 3,
        };
        for process in &mut self.processes {
            if let Some(write) = &mut process.write {
                write.expected = name(write.expected);
                if write.expected == 3 {
                    process.write = None;
                }
            }
            process.tried = name(process.tried);
            if process.tried == 3 || process.tried == 0 {
                (process.tried, process.tried_outcome) = (0, Outcome::Nothing);
                (process.tried_replaced, process.tried_replaced_out) = (0, false);
            }
        }
        let (row, backup) = (&mut self.row, &mut self.backup);
        row.iter_mut().for_each(|row| row.version = 1);
        backup
            .iter_mut()
            .for_each(|row| row.version = name(row.version));
    }

    fn sort_processes(&mut self) -> [u8; PROCESSES] {
        let mut order: [u8; PROCESSES] = std::array::from_fn(|index| index as u8);
        let (row, processes) = (self.row.unwrap_or_default(), self.processes);
        order.sort_by_key(|index| {
            let process = &processes[*index as usize];
            let id = index + 1;
            (
                process.at,
                process.write.is_some(),
                row.lease_by == id,
                row.journal_by == id,
                row.commit_id == id,
                process.place.generation,
                (process.late, process.maybe_sent, process.unprocessed),
                (process.round, process.reply, process.answer, process.token),
                (process.tried, process.failed, process.recent),
                *index,
            )
        });
        let mut moved = [0; PROCESSES];
        for (new, old) in order.iter().enumerate() {
            self.processes[new] = processes[*old as usize];
            moved[*old as usize] = new as u8;
        }
        if moved.iter().enumerate().any(|(old, new)| old as u8 != *new) {
            self.attempts(|attempt| {
                if (1..=PROCESSES as u8).contains(attempt) {
                    *attempt = moved[*attempt as usize - 1] + 1;
                }
            });
        }
        moved
    }

    fn rename_grants(&mut self) {
        let mut names = [0_u8; 8];
        let mut next = 1;
        self.grants(|grant| {
            let name = &mut names[*grant as usize];
            if *grant != 0 && *name == 0 {
                *name = next;
                next += 1;
            }
            *grant = *name;
        });
        let rename = |bits: u8| {
            (1..8)
                .filter(|grant| bits & (1 << grant) != 0 && names[*grant] != 0)
                .fold(0, |all, grant| all | (1 << names[grant]))
        };
        (self.honoured, self.windows) = (rename(self.honoured), rename(self.windows));
    }

    fn lower_generations(&mut self) {
        let mut lowest = u8::MAX;
        self.places(|place| {
            if place.generation != 0 {
                lowest = lowest.min(place.generation);
            }
        });
        if lowest > 1 && lowest != u8::MAX {
            self.places(|place| {
                if place.generation != 0 {
                    place.generation -= lowest - 1;
                }
            });
        }
    }
}
