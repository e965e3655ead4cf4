//! What is promised, where a fault can stand, and what it does there.

use super::probe::{Hints, Seam};

/// The promises of the refresh protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    G1,
    G2,
    G3,
    G4,
    G5,
    G6,
    G7,
    G8,
    /// No promise, but what everybody asks: does the grant live on?
    Lives,
}

impl Promise {
    pub(super) const ALL: [Self; 9] = [
        Self::G1,
        Self::G2,
        Self::G3,
        Self::G4,
        Self::G5,
        Self::G6,
        Self::G7,
        Self::G8,
        Self::Lives,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::G1 => "G1",
            Self::G2 => "G2",
            Self::G3 => "G3",
            Self::G4 => "G4",
            Self::G5 => "G5",
            Self::G6 => "G6",
            Self::G7 => "G7",
            Self::G8 => "G8",
            Self::Lives => "the grant lives on",
        }
    }

    /// What it says, and by what the tests judge it.
    pub(super) fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::G1 => (
                "One process has at most one refresh in flight per key; all callers share its result; dropping callers \
                 changes nothing.",
                "Requests under way are counted where they leave the process; three callers compare what they got.",
            ),
            Self::G2 => (
                "The fleet sends at most one token request per generation, as long as no lease ends while its holder \
                 sends or holds an answer that is not committed.",
                "The provider counts how often each refresh token was spent.",
            ),
            Self::G3 => (
                "There is at most one commit per generation; an older one never overwrites a newer one.",
                "Every write that a store applied, of every process, forms one chain of versions whose generations never \
                 fall and never come twice.",
            ),
            Self::G4 => (
                "Logout wins: nothing but a new login brings a logged-out key back.",
                "Each scenario ends with a logout: both processes refuse from then on, and in the chain nothing of that \
                 grant follows its tombstone.",
            ),
            Self::G5 => (
                "An answer that a live process received is not dropped (but for a logout: G4 goes first).",
                "Good answers are counted where they enter a process, and commits in the chain; a strict provider then \
                 accepts what is stored.",
            ),
            Self::G6 => (
                "A grant is declared dead only on `invalid_grant` for the refresh token that is still stored, or because \
                 the identity changed.",
                "Each write in the chain that declares it dead follows an `invalid_grant` that a process received for that \
                 generation.",
            ),
            Self::G7 => (
                "While an unexpired access token exists, callers get it, whatever provider or store are doing.",
                "Both processes are asked for a token while the fault lasts and after it.",
            ),
            Self::G8 => (
                "Every commit reaches every live subscriber as at least that generation; never reordered per key.",
                "What each subscriber heard is compared with the chain.",
            ),
            Self::Lives => (
                "The user need not log in again.",
                "It is refreshed once more by each process.",
            ),
        }
    }
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Fail,
    Delay,
    Hang,
    Kill,
}

impl Effect {
    pub(super) const ALL: [Self; 4] = [Self::Fail, Self::Delay, Self::Hang, Self::Kill];

    pub(super) fn letter(self) -> char {
        match self {
            Self::Fail => 'F',
            Self::Delay => 'D',
            Self::Hang => 'H',
            Self::Kill => 'K',
        }
    }
}

/// Where a fault stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultPoint {
    BeforeBegin,
    BeginAnswerLost,
    BeforeSend,
    AfterSend,
    Processed,
    AnswerArrives,
    AfterParse,
    BeforeCommit,
    CommitAnswerLost,
    BeforeEvent,
    HintLost,
    HintDoubled,
    HintReordered,
    FeedDropped,
    LeaseCut,
    RolledBack,
    ReadTimesOut,
    LogoutBetween,
    LoginBetween,
    ResealBetween,
    Purge,
    KeyMissing,
    CallerDropped,
    Shutdown,
    FamilyRevoked,
    TaskVanishes,
    HookHangs,
}

/// What somebody else does while the fault holds the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    CutLease,
    LogOut,
    LogIn,
    /// By a key that the other process seals with.
    Reseal,
    Purge,
    RevokeFamily,
    /// The victim is told to shut down.
    Drain,
    /// The victim's runtime ends, and its registry does not.
    EndRuntime,
    /// After the commit: the store forgets it.
    RollBack,
}

/// How a fault is brought about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seam: Seam,
    /// It stays on until it is cleared.
    pub(super) lasts: bool,
    pub(super) act: Act,
    /// What becomes of the other process's hints.
    pub(super) hints: Hints,
}

impl FaultPoint {
    pub(super) const ALL: [Self; 27] = [
        Self::BeforeBegin,
        Self::BeginAnswerLost,
        Self::BeforeSend,
        Self::AfterSend,
        Self::Processed,
        Self::AnswerArrives,
        Self::AfterParse,
        Self::BeforeCommit,
        Self::CommitAnswerLost,
        Self::BeforeEvent,
        Self::HintLost,
        Self::HintDoubled,
        Self::HintReordered,
        Self::FeedDropped,
        Self::LeaseCut,
        Self::RolledBack,
        Self::ReadTimesOut,
        Self::LogoutBetween,
        Self::LoginBetween,
        Self::ResealBetween,
        Self::Purge,
        Self::KeyMissing,
        Self::CallerDropped,
        Self::Shutdown,
        Self::FamilyRevoked,
        Self::TaskVanishes,
        Self::HookHangs,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::BeforeBegin => "before begin",
            Self::BeginAnswerLost => "begin applied, answer lost",
            Self::BeforeSend => "before send",
            Self::AfterSend => "after send, not processed",
            Self::Processed => "after the provider processed it",
            Self::AnswerArrives => "the answer arrives",
            Self::AfterParse => "after parse",
            Self::BeforeCommit => "before commit",
            Self::CommitAnswerLost => "commit applied, answer lost",
            Self::BeforeEvent => "after commit, before event",
            Self::HintLost => "hint lost",
            Self::HintDoubled => "hint doubled",
            Self::HintReordered => "hints reordered",
            Self::FeedDropped => "feed dropped",
            Self::LeaseCut => "lease cut short",
            Self::RolledBack => "store rolled back",
            Self::ReadTimesOut => "store reads time out",
            Self::LogoutBetween => "logout between begin and commit",
            Self::LoginBetween => "login between begin and commit",
            Self::ResealBetween => "reseal between begin and commit",
            Self::Purge => "purge between begin and commit",
            Self::KeyMissing => "key missing from the ring",
            Self::CallerDropped => "caller dropped at every await",
            Self::Shutdown => "shutdown with a pending commit",
            Self::FamilyRevoked => "provider revokes the family",
            Self::TaskVanishes => "the refresh task vanishes",
            Self::HookHangs => "a response hook hangs",
        }
    }

    pub(super) fn plan(self) -> Plan {
        let at = |seam| Plan {
            seam,
            lasts: false,
            act: Act::Nothing,
            hints: Hints::Straight,
        };
        let lasting = |seam| Plan {
            lasts: true,
            ..at(seam)
        };
        // Somebody acts while the answer is on its way.
        let during = |act| Plan {
            act,
            ..at(Seam::Processed)
        };
        let heard = |hints| Plan {
            hints,
            ..at(Seam::Committed)
        };
        match self {
            Self::BeforeBegin => lasting(Seam::Begin),
            Self::BeginAnswerLost => at(Seam::Begun),
            Self::BeforeSend => at(Seam::Send),
            Self::AfterSend => at(Seam::Sent),
            Self::Processed => at(Seam::Processed),
            Self::AnswerArrives => at(Seam::Answer),
            Self::AfterParse => lasting(Seam::Parsed),
            Self::BeforeCommit => lasting(Seam::Commit),
            Self::CommitAnswerLost | Self::BeforeEvent => at(Seam::Committed),
            Self::HintLost => heard(Hints::Lost),
            Self::HintDoubled => heard(Hints::Doubled),
            Self::HintReordered => heard(Hints::Reordered),
            Self::FeedDropped => at(Seam::Committed),
            Self::LeaseCut => during(Act::CutLease),
            Self::RolledBack => Plan {
                act: Act::RollBack,
                ..at(Seam::Committed)
            },
            Self::ReadTimesOut => lasting(Seam::Read),
            Self::LogoutBetween => during(Act::LogOut),
            Self::LoginBetween => during(Act::LogIn),
            Self::ResealBetween | Self::KeyMissing => during(Act::Reseal),
            Self::Purge => during(Act::Purge),
            Self::CallerDropped => at(Seam::Send),
            Self::Shutdown => Plan {
                act: Act::Drain,
                ..lasting(Seam::Commit)
            },
            Self::FamilyRevoked => Plan {
                act: Act::RevokeFamily,
                ..at(Seam::Sent)
            },
            Self::TaskVanishes => Plan {
                act: Act::EndRuntime,
                ..at(Seam::Sent)
            },
            Self::HookHangs => at(Seam::Hook),
        }
    }

    /// Is it the victim's own fault that holds it, rather than what happens around a refresh that goes well?
    pub(super) fn holds(self) -> bool {
        !matches!(
            self,
            Self::HintLost
                | Self::HintDoubled
                | Self::HintReordered
                | Self::FeedDropped
                | Self::RolledBack
                | Self::CallerDropped
        )
    }

    /// Why an effect makes no sense here.
    pub(super) fn senseless(self, effect: Effect) -> Option<&'static str> {
        use Effect::{Delay, Hang, Kill};
        match (self, effect) {
            (Self::BeforeEvent, Effect::Fail) => Some(
                "between the store's answer and the event nothing is called that could fail; the effects are those of \
                 the store's answer",
            ),
            (Self::HintLost, Delay) => Some("a hint that comes late is the row of reordered hints"),
            (Self::HintLost, Hang) => Some("a hint that never comes is lost"),
            (Self::HintDoubled | Self::HintReordered, Delay | Hang) => {
                Some("it is the fault itself: there is nothing left to delay")
            }
            (Self::RolledBack, Hang) => {
                Some("a store that does not answer is the row of its reads")
            }
            (Self::CallerDropped, Delay | Hang | Kill) => Some(
                "it is the fault itself; the refresh that it leaves behind is the matter of the other rows",
            ),
            (Self::TaskVanishes, Delay | Hang) => Some(
                "a task either is there or not; one that waits is the matter of the other rows",
            ),
            _ => None,
        }
    }
}
