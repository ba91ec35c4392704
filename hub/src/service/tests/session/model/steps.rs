//! What agents of the model do, at random.

use proptest::prelude::{Just, Strategy, prop, prop_oneof};

use super::{BLOBS, KEYS, SEATS, SEATS_OF_A_USER, Who};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Vouch(Who, u16),
    TimePasses(u16),
    DaysPass(i64),
    Sweep,
    PutKey(Who, u8),
    Revoke(Who, u8),
    Join(Who, u8),
    /// Who asks, and for whose request.
    State(Who, Who),
    Requests(Who),
    /// Who hands it in, whose user signs it, and what it does.
    Append(Who, Who, Doing),
    AppendAgain(Who, u8),
    Post(Who, Option<u8>, bool),
    PostAgain(Who),
    Put(Who, u8),
    /// Everything that can be looked at, around an entry and a blob.
    Look(Who, u8, u8),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Doing {
    /// Whom, with all of the history, by which key.
    Admit(Who, bool, Option<u8>),
    Deny(Who),
    Remove(Who),
    Close,
}

fn doing() -> impl Strategy<Value = Doing> {
    let who = 0..SEATS;
    let key = prop::option::weighted(0.7, 0..KEYS);
    prop_oneof![
        12 => (who.clone(), prop::bool::ANY, key).prop_map(|(who, history, key)| Doing::Admit(who, history, key)),
        3 => who.clone().prop_map(Doing::Deny),
        6 => who.prop_map(Doing::Remove),
        1 => Just(Doing::Close),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let who = 0..SEATS;
    let owner = 0..SEATS_OF_A_USER;
    let (key, blob, seq) = (0..KEYS, 0..BLOBS, 0..12u8);
    let signer = prop_oneof![8 => Just(0), 1 => who.clone()];
    let by_whom = prop_oneof![4 => owner.clone(), 1 => who.clone()];
    let changes = prop_oneof![
        3 => (owner, 1000..u16::MAX).prop_map(|(who, ms)| Step::Vouch(who, ms)),
        1 => (0..2000u16).prop_map(Step::TimePasses),
        1 => (1..8i64).prop_map(Step::DaysPass),
        1 => Just(Step::Sweep),
        3 => (by_whom.clone(), key.clone()).prop_map(|(who, key)| Step::PutKey(who, key)),
        1 => (by_whom.clone(), key.clone()).prop_map(|(who, key)| Step::Revoke(who, key)),
        6 => (who.clone(), key).prop_map(|(who, key)| Step::Join(who, key)),
        10 => (by_whom.clone(), signer, doing()).prop_map(|(who, signer, doing)| Step::Append(who, signer, doing)),
        2 => (who.clone(), seq.clone()).prop_map(|(who, act)| Step::AppendAgain(who, act)),
        8 => (who.clone(), prop::option::of(blob.clone()), prop::bool::weighted(0.1))
            .prop_map(|(who, blob, leaves)| Step::Post(who, blob, leaves)),
        2 => who.clone().prop_map(Step::PostAgain),
        4 => (who.clone(), blob.clone()).prop_map(|(who, blob)| Step::Put(who, blob)),
    ];
    let looks = prop_oneof![
        1 => (who.clone(), who.clone()).prop_map(|(who, whose)| Step::State(who, whose)),
        1 => who.clone().prop_map(|who| Step::State(who, who)),
        1 => by_whom.prop_map(Step::Requests),
        4 => (who, seq, blob).prop_map(|(who, seq, blob)| Step::Look(who, seq, blob)),
    ];
    prop_oneof![3 => changes, 2 => looks]
}
