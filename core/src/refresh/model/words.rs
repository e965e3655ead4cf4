//! A trace in words.

use super::{
    search::Told,
    state::{At, Reply},
    world::Event,
};

/// One step in words.
pub(super) fn step(told: &Told) -> String {
    let name = told.name.map_or(' ', |name| char::from(b'A' + name));
    let what = what(told.before.at);
    match told.event {
        Event::StartRefresh { target: 0, .. } => format!("{name} looks at the row to refresh it"),
        Event::StartRefresh { .. } => {
            format!("{name} looks at the row to get an access token for another target")
        }
        Event::StartLogin {
            with_token: true, ..
        } => format!("a login comes to {name}, which looks at the row"),
        Event::StartLogin { .. } => {
            format!("a login without a refresh token comes to {name}, which looks at the row")
        }
        Event::StartLogout { .. } => format!("a logout comes to {name}, which looks at the row"),
        Event::StartReseal { .. } => format!("{name} looks at the row to seal it anew"),
        Event::Load { .. } if told.after.write.is_some() => {
            format!("{name} looks at the row for its {what}")
        }
        Event::Load { .. } => format!("{name} looks at the row for its {what}, and leaves it"),
        Event::LoadClockBack { .. } => {
            format!("{name} looks at the store, whose clock went back, for its {what}")
        }
        Event::Look { .. } => format!("{name} looks at the row"),
        Event::Write { lost: true, .. } => {
            format!("{name} writes its {what}, and the answer is lost")
        }
        Event::Write { .. } if told.wrote => format!("{name} writes its {what}"),
        Event::Write { .. } => format!("{name}'s {what} is a conflict"),
        Event::Ask { who, .. } => asked(told, name, who),
        Event::Receive { .. } => match (told.before.reply, told.after.at) {
            (Reply::Good, _) => format!("{name} gets the answer"),
            (Reply::InvalidGrant, _) => format!("{name} gets `invalid_grant`"),
            (_, At::Ready) => format!("{name} tries once more"),
            _ => format!("{name} gives up, and may begin again"),
        },
        Event::Lose { .. } => format!("the answer to {name} is lost"),
        Event::Revoke { .. } => {
            format!("{name} revokes the refresh token that is kept nowhere")
        }
        Event::Crash { .. } => format!("{name} crashes"),
        Event::Late { .. } => format!("{name}'s time to send is over"),
        Event::LeaseEnds => "the lease ends".into(),
        Event::LeaseIsCut => "the lease ends although its holder is not done".into(),
        Event::PendingLeaseEnds { .. } => {
            format!("{name}'s lease is over before it is written")
        }
        Event::GraceEnds => "the grace ends".into(),
        Event::CoolingEnds => "the cool-down ends".into(),
        Event::AccessNearsEnd => "the access token is nearly over".into(),
        Event::JournalWindowEnds => "the replay window ends, as the journal counts it".into(),
        Event::WindowEnds { .. } => "the replay window ends".into(),
        Event::Purge => "the tombstone is purged".into(),
        Event::PurgeLook { .. } => format!("{name} reads which rows are due"),
        Event::PurgeDelete { .. } => format!("{name} deletes the row"),
        Event::Delete => "an operator deletes the row".into(),
        Event::CopyFallsBehind => "a replica of the store falls behind".into(),
        Event::FailOver => "the store fails over to it".into(),
    }
}

fn what(at: At) -> &'static str {
    match at {
        At::Begin | At::LoginBegin => "lease",
        At::Commit => "commit",
        At::Quarantine => "quarantine",
        At::Fail => "failure",
        At::Release => "release",
        At::Login => "login",
        At::Logout => "logout",
        At::Reseal => "reseal",
        At::Idle | At::Ready | At::Asked | At::Revoke | At::Purge => "task",
    }
}

fn asked(told: &Told, name: char, who: u8) -> String {
    if told.after.at == At::Release {
        return format!("{name} finds that there is no time to send");
    }
    let answer = match (told.after.reply, who) {
        (Reply::Good, 1) => "the answer names another identity",
        (Reply::Good, 2) => "the answer has an ID token that does not verify",
        (Reply::Good, _) if told.after.answer.is_some() => "the provider rotates it",
        (Reply::Good, _) => "the provider answers",
        (Reply::InvalidGrant, _) => "the provider refuses it",
        (Reply::Vanished, _) => "the request is lost",
        (Reply::NotSent, _) => return format!("{name} cannot connect"),
        (Reply::Throttled, _) => "the provider asks for a pause",
    };
    format!("{name} sends the refresh token: {answer}")
}
