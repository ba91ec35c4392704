//! What a lying, broken or merely slow other side must not achieve.

use super::*;
use crate::conn::client::RequestError;
use crate::frame::{ClientFrame, HubFrame, Post, Pull, Pulled, chunk_packet};
use crate::id::Digest;
use crate::limits::POST_FRAME_BYTES_MAX;
use crate::statement::{LogPoint, Message};

fn get(offset: u64) -> Request {
    Request::GetBlob(GetBlob { room: room(), id: BlobId::of(b""), offset })
}

fn pull(after: u64) -> Request {
    Request::Pull(Pull { room: room(), after, limit: 10, bodies: true, wait_ms: Some(50_000) })
}

/// Hands the client a frame as if the hub had sent it.
fn say(pair: &mut Pair, text: String) -> Vec<ClientOutput> {
    pair.to_client.push_back(Packet::Text(text));
    pair.settle().1
}

#[test]
fn a_go_that_disagrees_with_its_request_ends_the_connection() {
    for (request, go) in [
        (put(10), Go { offset: 0, size: 9 }),
        (put(10), Go { offset: 0, size: 11 }),
        (put(10), Go { offset: 11, size: 10 }),
        (get(5), Go { offset: 4, size: 10 }),
        (get(5), Go { offset: 5, size: 4 }),
        (pull(0), Go { offset: 0, size: 1 }),
    ] {
        let mut pair = Pair::ready();
        let id = pair.client.request(&request).expect("ready");
        let outputs = say(&mut pair, HubFrame::go(id, &go));
        assert!(!outputs.iter().any(|output| matches!(output, ClientOutput::Go(..))), "{request:?} {go:?}");
        assert_eq!(pair.fault, Some(ClientFault::BadFrame), "{request:?} {go:?}");
    }
}

/// Logs in at a hub that allows `open` requests at once.
fn pair_of(open: u64) -> Pair {
    let limits = Limits { open_requests_max: open, ..Limits::default() };
    let hub = HubConfig { limits, ..HubConfig::clone(&hub_config(None)) };
    let mut pair = Pair::new(Arc::new(hub), client_config(None));
    pair.settle();
    pair
}

#[test]
fn a_hub_that_takes_no_request_gets_no_login() {
    let pair = pair_of(0);
    assert_eq!((pair.fault, pair.logged_in, pair.access), (Some(ClientFault::BadFrame), false, None));
}

#[test]
fn a_client_says_when_it_has_a_slot_however_few_the_hub_allows() {
    let mut pair = pair_of(1);
    assert!(pair.client.has_slot());
    pair.pass_time(30_000);
    assert!(!pair.client.has_slot(), "the ping has it");
    assert_eq!(pair.client.request(&pull(0)), Err(RequestError::TooMany));
    pair.settle();
    let id = pair.client.request(&pull(0)).expect("the ping was answered");
    assert!(!pair.client.has_slot());
    pair.client.cancel(id).expect("what is taken back leaves its slot");
    pair.settle();
    assert!(pair.client.has_slot());
    pair.client.disconnected();
    assert!(!pair.client.has_slot());
}

#[test]
fn a_transfer_begins_once() {
    let mut pair = Pair::ready();
    let id = pair.client.request(&get(0)).expect("ready");
    let go = HubFrame::go(id, &Go { offset: 0, size: 4 });
    assert!(matches!(say(&mut pair, go.clone())[..], [ClientOutput::Go(..)]));
    say(&mut pair, go);
    assert_eq!(pair.fault, Some(ClientFault::BadFrame));
}

#[test]
fn a_download_of_nothing_at_a_time_ends_the_connection() {
    let mut pair = Pair::ready();
    let id = pair.client.request(&get(0)).expect("ready");
    say(&mut pair, HubFrame::go(id, &Go { offset: 0, size: 4 }));
    pair.to_client.push_back(chunk_packet(id, b""));
    assert!(pair.settle().1.is_empty());
    assert_eq!(pair.fault, Some(ClientFault::BadFrame));
}

#[test]
fn a_pull_that_begins_elsewhere_than_asked_ends_the_connection() {
    for (start, is_right) in [(7, true), (8, false), (6, false)] {
        let mut pair = Pair::ready();
        let id = pair.client.request(&pull(7)).expect("ready");
        let at = |seq| LogPoint { seq, log: Digest::of(b"") };
        let pulled =
            Pulled { start: at(start), entries: Vec::new(), seats: Vec::new(), base: at(0), end: at(9) };
        say(&mut pair, HubFrame::answer(id, &Ok(Answer::Pull(pulled))));
        assert_eq!(pair.fault.is_none(), is_right, "{start}");
    }
}

#[test]
fn chunks_of_a_cancelled_download_do_not_add_up_over_downloads() {
    let mut pair = Pair::ready();
    let chunk = vec![0; 256 * 1024];
    for _ in 0..4 {
        let id = pair.client.request(&get(0)).expect("ready");
        say(&mut pair, HubFrame::go(id, &Go { offset: 0, size: 1 << 30 }));
        pair.client.cancel(id).expect("ready");
        for _ in 0..6 {
            pair.to_client.push_back(chunk_packet(id, &chunk));
        }
        assert!(pair.settle().1.is_empty());
    }
    assert_eq!(pair.fault, None);
}

#[test]
fn empty_chunks_of_no_transfer_are_counted_too() {
    let mut pair = Pair::ready();
    for _ in 0..=crate::limits::STRAY_BYTES_MAX {
        pair.hub.receive(chunk_packet(9, b""), 0);
        pair.client.receive(chunk_packet(9, b""), 0);
    }
    pair.settle();
    assert_eq!((pair.closed, pair.fault), (Some(CloseReason::BadFrame), Some(ClientFault::BadFrame)));
}

#[test]
fn a_client_with_every_slot_waiting_does_not_give_up_a_healthy_hub() {
    let mut pair = Pair::ready();
    let ids: Vec<_> = (0..32).map(|_| pair.client.request(&pull(0)).expect("a slot is free")).collect();
    pair.settle();
    pair.pass_time(50_000);
    pair.settle();
    assert_eq!(pair.fault, None);
    let at = LogPoint { seq: 0, log: Digest::of(b"") };
    let empty = Pulled { start: at, entries: Vec::new(), seats: Vec::new(), base: at, end: at };
    for id in ids {
        pair.hub.answer(id, &Ok(Answer::Pull(empty.clone())));
    }
    assert_eq!(pair.settle().1.len(), 32);
    pair.pass_time(120_000);
    pair.settle();
    assert_eq!(pair.fault, None, "a ping was answered");
}

#[test]
fn a_client_that_slept_asks_before_it_gives_up() {
    let mut pair = Pair::ready();
    pair.now = 3 * 3600 * 1000;
    pair.client.tick(pair.now);
    assert!(pair.client.deadline().is_some_and(|deadline| deadline > pair.now));
    pair.settle();
    assert_eq!(pair.fault, None);
}

#[test]
fn a_long_download_keeps_the_connection_alive() {
    let mut pair = Pair::ready();
    let id = pair.client.request(&get(0)).expect("ready");
    pair.settle();
    pair.hub.go(id, Go { offset: 0, size: 1 << 30 }, 0);
    for _ in 0..400 {
        pair.hub.send_chunk(id, &[0; 1024]);
        pair.settle();
        pair.pass_time(10_000);
    }
    assert_eq!((pair.closed, pair.fault), (None, None));
}

#[test]
fn an_upload_that_is_complete_does_not_stall() {
    let mut pair = Pair::ready();
    let id = pair.client.request(&put(4)).expect("ready");
    pair.settle();
    pair.hub.go(id, Go { offset: 0, size: 4 }, 0);
    pair.settle();
    assert!(pair.client.send_chunk(id, b"1234"));
    assert!(matches!(&pair.settle().0[..], [HubOutput::Chunk { last: true, .. }]));
    pair.pass_time(90_000);
    assert!(pair.settle().0.is_empty(), "the disk takes its time");
    pair.hub.answer(id, &Ok(Answer::PutBlob(PutDone { present: false })));
    assert!(matches!(pair.settle().1[..], [ClientOutput::Answered(_, Ok(_))]));
}

#[test]
fn a_message_that_no_pull_could_hand_on_is_refused() {
    let header = Message {
        room: room(),
        n: 1,
        head: LogPoint::start(room()),
        sent: 0,
        epoch: 0,
        body: Digest::of(b""),
        blobs: Vec::new(),
        leave: false,
        needs: Vec::new(),
    };
    let message = sign(&AgentKey::from_seed(&[3; 32]), header).signed().clone();
    let mut pair = Pair::ready();
    // Each of these characters takes six bytes in a frame.
    let body = "\u{1}".repeat(POST_FRAME_BYTES_MAX / 6);
    pair.client.request(&Request::Post(Post { room: room(), message, body })).expect("ready");
    let (at_hub, at_client) = pair.settle();
    assert!(at_hub.is_empty());
    assert!(
        matches!(&at_client[..], [ClientOutput::Answered(_, Err(refusal))] if refusal.code == RefusalCode::TooLarge)
    );
}

#[test]
fn the_last_number_of_a_request_is_used_and_none_after_it() {
    let mut pair = Pair::ready();
    let ping = |id| Packet::Text(ClientFrame::request(id, &Request::Ping(Empty {})));
    pair.hub.receive(ping(u32::MAX), 0);
    pair.hub.receive(ping(0), 0);
    let answers: Vec<_> = std::iter::from_fn(|| pair.hub.poll()).collect();
    let texts: Vec<_> = answers
        .iter()
        .map(|output| match output {
            HubOutput::Send(Packet::Text(text)) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts[0], r#"{"re":4294967295,"ok":{}}"#);
    assert!(texts[1].contains("bad_request"), "{}", texts[1]);
    pair.client.use_up_numbers();
    assert!(pair.client.request(&Request::Ping(Empty {})).is_ok());
    assert!(pair.client.request(&Request::Ping(Empty {})).is_err());
    pair.settle();
    assert_eq!(pair.fault, Some(ClientFault::Disconnected));
}

#[test]
fn a_level_once_seen_is_not_forgotten() {
    let mut config = client_config(None);
    config.known = Some(KnownHub { hub: HubKey::from_seed(&[1; 32]).public(), protocol: 2 });
    let mut client = ClientEnd::new(config, 0);
    let hub = HubKey::from_seed(&[1; 32]);
    let nonce = Nonce::from_bytes([7; 32]);
    let challenge = crate::frame::Challenge {
        hub: hub.public(),
        nonce,
        protocol: 2,
        closed: false,
        limits: Limits::default(),
    };
    client.receive(Packet::Text(HubFrame::challenge(&challenge)), 0);
    let proof = crate::statement::HubProof {
        agent: AgentKey::from_seed(&[3; 32]).public(),
        origin: "local".into(),
        nonce,
        client_nonce: Nonce::from_bytes([8; 32]),
        protocol: 1,
        now: 0,
    };
    let welcome = crate::frame::Welcome { hub: sign(&hub, proof).signed().clone() };
    client.receive(Packet::Text(HubFrame::welcome(&welcome)), 0);
    let levels: Vec<_> = std::iter::from_fn(|| client.poll())
        .filter_map(|output| match output {
            ClientOutput::LoggedIn(logged_in) => Some(logged_in.hub.protocol),
            _ => None,
        })
        .collect();
    assert_eq!(levels, [2], "although both ends speak 1");
}
