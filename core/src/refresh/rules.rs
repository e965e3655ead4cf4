//! The numbered rules of the refresh protocol, so that the bounded check can break one at a time.
//!
//! Outside of this crate's own tests every rule holds, and the compiler knows it.

/// A rule that code asks for at the very place where it is kept; see ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Rule {
    /// 1. A login or logout replaces only what its own first look showed.
    FirstLook,
    /// 2. Only a login leaves a tombstone behind.
    TombstonesStay,
    /// 3. A lease belongs to an attempt's id.
    OwnLease,
    /// 4. Every step but login and logout names the grant it is about.
    OwnGrant,
    /// 5. Every write has a version that was never used. Kept by chance and the store.
    #[cfg(test)]
    FreshVersions,
    /// 6. Purging tests `purge_at` in the same step as it deletes. Kept by the store.
    #[cfg(test)]
    PurgeTests,
    /// 7. No request starts unless it can end, and be committed, within the lease.
    Deadline,
    /// 8. A login that keeps the stored refresh token takes the lease first.
    KeptUnderLease,
    /// 9. A commit keeps the access tokens of other targets.
    OtherTargets,
    /// 10. An answer that names another identity is committed without its access token.
    Identity,
    /// 11. A refresh token that ends up nowhere is revoked only where that ends nothing else.
    Homeless,
    /// 12. The journal is kept until the answer is, or until the token was surely not processed.
    Journal,
    /// 13. Nobody declares a grant dead before the time of an overtaken attempt is over.
    Grace,
    /// 14. What this process wrote and a fail-over lost, it writes again.
    WriteAgain,
    /// A success commits on the generation alone, not on the lease.
    CommitUnfenced,
    /// A failure may be written by the holder of the lease only.
    FailFenced,
    /// Logout always wins.
    LogoutWins,
}

/// Is the rule kept? Always, but for the one that the bounded check breaks.
#[cfg(not(test))]
#[inline(always)]
pub(super) const fn holds(_: Rule) -> bool {
    true
}

#[cfg(test)]
pub(super) use broken::{breaking, holds};

#[cfg(test)]
mod broken {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub(in super::super) fn holds(rule: Rule) -> bool {
        BROKEN.get() != Some(rule)
    }

    /// Runs something on this thread while one rule is broken, or none.
    pub(in super::super) fn breaking<T>(rule: Option<Rule>, run: impl FnOnce() -> T) -> T {
        struct Mended;
        impl Drop for Mended {
            fn drop(&mut self) {
                BROKEN.set(None);
            }
        }
        let _mended = Mended;
        BROKEN.set(rule);
        run()
    }
}
