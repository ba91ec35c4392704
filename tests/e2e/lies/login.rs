//! Lies before anything is said: another hub's challenge, another key, a lower level, bytes to sign.

use kit::{LyingHub, Member};
use protocol::conn::client::ClientFault;
use protocol::frame::{Challenge, HubFrame};
use protocol::id::Nonce;
use protocol::refusal::RefusalCode;
use protocol::signed::Signed;
use protocol::statement::{Genesis, Login, Message, Seat};

use super::{Home, refused, use_hub};
use crate::served::Served;
use crate::two::{Two, answer, parler};

#[test]
fn another_key_than_before_stops_every_command_before_anything_is_signed() {
    let home = Home::known();
    home.hub.change_key(2);
    let before = home.hub.hellos().len();
    for args in [&["list"][..], &["apply", "abcdef"], &["push", "--base", "main~1"], &["status"]] {
        refused(&home.two.parler(&[args, &["--json"]].concat()), 128, "hub_key_changed");
    }
    assert_eq!(home.hub.hellos().len(), before, "nobody answered the challenge");
}

#[test]
fn a_lower_level_stops_every_command_before_anything_is_signed() {
    let home = Home::known();
    home.hub.edit_frames(|text| {
        if let Ok(HubFrame::Challenge(challenge)) = HubFrame::parse(text) {
            *text = HubFrame::challenge(&Challenge { protocol: 0, ..*challenge });
        }
    });
    let before = home.hub.hellos().len();
    let run = home.two.parler(&["list", "--json"]);
    assert_eq!(run.code, Some(128), "{}", run.stdout);
    assert!(run.stdout.contains("protocol"), "{}", run.stdout);
    assert_eq!(home.hub.hellos().len(), before, "nobody answered the challenge");
}

#[test]
fn a_login_that_is_relayed_to_another_hub_opens_nothing_there() {
    let two = Two::new();
    let (middle, real) = (LyingHub::new(2), LyingHub::new(1));
    // The one in the middle puts the real hub's challenge into its own mouth, and hands the answer on.
    let nonce = Nonce::from_bytes([5; 32]);
    real.challenge_with(nonce);
    middle.challenge_with(nonce);
    use_hub(&two, &middle.origin());
    answer(&two.env, &two.behind, "status", &[]);
    let hello = middle.hellos().pop().unwrap();
    assert_eq!(real.replay(&hello), RefusalCode::LoginRefused);
    // With the real hub's key in the challenge it gets a login for its own address, and cannot answer it.
    let stranger = Two::new();
    let id = real.id();
    middle.edit_frames(move |text| {
        if let Ok(HubFrame::Challenge(challenge)) = HubFrame::parse(text) {
            *text = HubFrame::challenge(&Challenge { hub: id, ..*challenge });
        }
    });
    use_hub(&stranger, &middle.origin());
    let run = parler(&stranger.env, &stranger.behind, &["status", "--json"]);
    assert_ne!(run.code, Some(0), "{}", run.stdout);
    let hello = middle.hellos().pop().unwrap();
    let login = hello.login.clone().verify().unwrap();
    assert_eq!((login.statement().hub, &login.statement().origin), (id, &middle.origin()));
    assert_eq!(real.replay(&hello), RefusalCode::LoginRefused, "it names another address than the hub's own");
}

#[test]
fn a_hub_under_a_name_that_it_does_not_know_lets_nobody_in() {
    let two = Two::new();
    let hub = Served::start(&two.env, &two.env.path("hub"), &[]);
    let address = hub.url().trim_start_matches("ws://").parse().unwrap();
    let line = kit::Line::new(1, u64::MAX).to(address);
    use_hub(&two, &line.origin());
    refused(&two.parler(&["list", "--json"]), 128, "login_refused");
    let fault = Member::log_in(3, &line.origin()).unwrap_err();
    assert!(matches!(fault, ClientFault::Refused(refusal) if refusal.code == RefusalCode::LoginRefused));
}

#[test]
fn what_a_client_signs_for_a_challenge_is_a_login_and_nothing_else() {
    let two = Two::new();
    let hub = LyingHub::new(1);
    // A nonce that would be the beginning of another statement, if it were signed as it stands.
    let mut bytes = [0; 32];
    bytes[..21].copy_from_slice(b"git-parler/v1/genesis");
    hub.challenge_with(Nonce::from_bytes(bytes));
    use_hub(&two, &hub.origin());
    answer(&two.env, &two.behind, "status", &[]);
    let hello = hub.hellos().pop().unwrap();
    let login = hello.login.clone().verify().unwrap();
    let said = Login {
        hub: hub.id(),
        origin: hub.origin(),
        nonce: Nonce::from_bytes(bytes),
        client_nonce: login.statement().client_nonce,
        protocol: 1,
        needs: Vec::new(),
    };
    assert_eq!(*login.statement(), said);
    let (by, text, signature) = login.parts();
    assert!(Signed::<Message>::from_parts(by, text.to_owned(), signature).verify().is_err());
    let seat = hello.seat.unwrap().verify().unwrap();
    let (by, text, signature) = seat.parts();
    assert!(Signed::<Seat>::from_parts(by, text.to_owned(), signature).verify().is_ok());
    assert!(Signed::<Genesis>::from_parts(by, text.to_owned(), signature).verify().is_err());
}
