//! The service on a store in memory: shapes, limits, transfers; and whether anything ever reaches who is no member.

mod model;
mod session;

use std::sync::Arc;

use protocol::conn::hub::Access;
use protocol::frame::{Ack, Answer, GetBlob, Handoffs, OpenRoom, Post, PutBlob, PutDone, Request};
use protocol::id::{BlobId, Digest, RoomId, Salt};
use protocol::limits::{Limits, MESSAGE_BLOBS_MAX};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::signed::sign;
use protocol::statement::{Genesis, LogPoint, Message, RoomKind};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{Begun, Caller, Service};
use crate::blobs::{Blobs, Caps};
use crate::cast::{Player, SEAT_MS, START, hub_id, player};
use crate::clock::ManualClock;
use crate::fanout::Fanout;
use crate::fatal::Fatal;
use crate::janitor;
use crate::store::sqlite::SqliteStore;
use crate::store::{PageLimit, Retention, Store as _};

/// A service with its clock and the folder of its blobs.
struct Bench {
    folder: TempDir,
    clock: Arc<ManualClock>,
    service: Service<SqliteStore, Fanout>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START);
        let fatal = Fatal::new();
        let caps = Caps { disk_bytes_max: limits.blobs_bytes_max, staged_per_agent_max: 4 };
        let blobs = Blobs::open(folder.path(), caps, fatal.clone()).unwrap();
        let store = SqliteStore::in_memory(clock.clone(), fatal).unwrap();
        let service = Service::new(hub_id(), store, blobs, Fanout::default(), limits, clock.clone());
        Self { folder, clock, service }
    }

    async fn ask(&self, player: &Player, request: Request) -> Result<Answer, Refusal> {
        self.ask_as(Caller { agent: player.agent(), access: Access::Full, address: None }, request).await
    }

    async fn ask_as(&self, caller: Caller, request: Request) -> Result<Answer, Refusal> {
        self.service.ask(caller, request, &Arc::new(Semaphore::new(1))).await.answer
    }

    async fn code(&self, player: &Player, request: Request) -> Option<RefusalCode> {
        self.ask(player, request).await.err().map(|refusal| refusal.code)
    }

    async fn note_seat(&self, player: &Player, ms: i64) {
        let now = crate::clock::Clock::now(&*self.clock);
        self.service.logged_in(Some(player.seat(now, now + ms))).await.unwrap();
    }

    /// Logs a seat in and opens its home.
    async fn at_home(&self, player: &Player) -> RoomId {
        self.note_seat(player, SEAT_MS).await;
        let request = Request::OpenRoom(OpenRoom { genesis: player.home().signed().clone() });
        self.ask(player, request).await.unwrap();
        player.room()
    }

    async fn upload(&self, player: &Player, room: RoomId, bytes: &[u8]) -> Result<PutDone, Refusal> {
        let request = PutBlob { room, id: BlobId::of(bytes), size: bytes.len() as u64 };
        match self.service.begin_upload(player.agent(), &request).await? {
            Begun::Present(done) => Ok(done),
            Begun::Receiving(receiving) => {
                let rest = bytes[usize::try_from(receiving.offset()).unwrap()..].to_vec();
                self.service.append(&receiving, vec![rest]).await?;
                self.service.end_upload(receiving).await
            }
        }
    }

    async fn download(&self, player: &Player, room: RoomId, id: BlobId) -> Result<Vec<u8>, Refusal> {
        let request = GetBlob { room, id, offset: 0 };
        let mut download = self.service.begin_download(player.agent(), request).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = self.service.next_chunk(&mut download).await? {
            bytes.extend(chunk);
        }
        Ok(bytes)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("blobs")).unwrap().count()
    }
}

fn post(player: &Player, room: RoomId, n: u64, body: &str) -> Post {
    let message = player.message(room, n, LogPoint::start(room), body, &[]).signed().clone();
    Post { room, message, body: body.to_owned() }
}

const HELLO: &str = r#"{"parts":[{"kind":"text","text":"hello"}]}"#;

#[tokio::test]
async fn a_message_that_is_not_what_it_says_is_refused() {
    let bench = Bench::new(Limits::default());
    let (ana, twin) = (player(0, 1), player(0, 2));
    let room = bench.at_home(&ana).await;
    bench.at_home(&twin).await;
    let elsewhere = player(1, 1).room();
    let good = post(&ana, room, 1, HELLO);
    let header = |change: &dyn Fn(&mut Message)| {
        let mut header = ana.message(room, 1, LogPoint::start(room), HELLO, &[]).statement().clone();
        change(&mut header);
        Post { message: sign(&ana.key, header).signed().clone(), ..good.clone() }
    };
    let signed_by_other = Post {
        message: twin.message(room, 1, LogPoint::start(room), HELLO, &[]).signed().clone(),
        ..good.clone()
    };
    let cases = [
        (signed_by_other, RefusalCode::BadStatement),
        (Post { body: HELLO.replace("hello", "hullo"), ..good.clone() }, RefusalCode::BadStatement),
        (Post { room: elsewhere, ..good.clone() }, RefusalCode::BadStatement),
        (header(&|header| header.room = elsewhere), RefusalCode::BadStatement),
        (header(&|header| header.n = 0), RefusalCode::BadStatement),
        (header(&|header| header.epoch = 1), RefusalCode::Unsupported),
        (header(&|header| header.body = Digest::of(b"")), RefusalCode::BadStatement),
        (header(&|header| header.blobs = vec![BlobId::of(b""); MESSAGE_BLOBS_MAX + 1]), RefusalCode::TooMany),
        (header(&|header| header.blobs = vec![BlobId::of(b"not here")]), RefusalCode::NotFound),
        (header(&|header| header.needs = vec!["x".repeat(9000)]), RefusalCode::TooLarge),
        (post(&ana, room, 1, "[]"), RefusalCode::BadStatement),
        (post(&ana, room, 1, &format!("{{\"parts\":[]{}}}", " ".repeat(64 * 1024))), RefusalCode::TooLarge),
    ];
    for (number, (post, code)) in cases.into_iter().enumerate() {
        assert_eq!(bench.code(&ana, Request::Post(post)).await, Some(code), "case {number}");
    }
    assert_eq!(bench.code(&ana, Request::Post(good)).await, None);
}

#[tokio::test]
async fn only_the_one_text_of_a_home_opens_it() {
    let bench = Bench::new(Limits::default());
    let ana = player(0, 1);
    bench.note_seat(&ana, SEAT_MS).await;
    let elsewhere = protocol::key::HubKey::from_seed(&[9; 32]).public();
    let salt = Some(Salt::from_bytes([1; 16]));
    let cases = [
        (Genesis::home(elsewhere), RefusalCode::BadStatement),
        (Genesis { salt, ..Genesis::home(hub_id()) }, RefusalCode::BadStatement),
        (Genesis { kind: RoomKind::Service, salt, ..Genesis::home(hub_id()) }, RefusalCode::Unsupported),
        (Genesis { needs: vec!["sealed".into()], ..Genesis::home(hub_id()) }, RefusalCode::BadStatement),
    ];
    for (genesis, code) in cases {
        let genesis = sign(&ana.user, genesis).signed().clone();
        assert_eq!(bench.code(&ana, Request::OpenRoom(OpenRoom { genesis })).await, Some(code));
    }
    let others = player(1, 1).home().signed().clone();
    let code = bench.code(&ana, Request::OpenRoom(OpenRoom { genesis: others })).await;
    assert_eq!(code, Some(RefusalCode::NotOwner));
}

#[tokio::test]
async fn an_agent_that_sends_too_often_is_told_when_to_come_back() {
    let bench = Bench::new(Limits { sends_per_agent_minute_max: 2, ..Limits::default() });
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    for n in 1..=2 {
        assert_eq!(bench.code(&ana, Request::Post(post(&ana, room, n, HELLO))).await, None);
    }
    let refusal = bench.ask(&ana, Request::Post(post(&ana, room, 3, HELLO))).await.unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (RefusalCode::RateLimited, Some(30_000)));
    bench.clock.advance(30_000);
    assert_eq!(bench.code(&ana, Request::Post(post(&ana, room, 3, HELLO))).await, None);
}

#[tokio::test]
async fn uploads_are_counted_when_they_land() {
    let bench = Bench::new(Limits { blobs_per_agent_hour_max: 1, ..Limits::default() });
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    // Begun and left, again and again: that is one upload which is cut.
    for _ in 0..3 {
        let request = PutBlob { room, id: BlobId::of(b"one"), size: 3 };
        bench.service.begin_upload(ana.agent(), &request).await.unwrap();
    }
    bench.upload(&ana, room, b"one").await.unwrap();
    assert_eq!(bench.upload(&ana, room, b"one").await, Ok(PutDone { present: true }));
    let refusal = bench.upload(&ana, room, b"two").await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::RateLimited);
}

#[tokio::test]
async fn a_name_of_a_reader_is_short_and_plain() {
    let bench = Bench::new(Limits::default());
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    for reader in ["", "CLI", "a b", "12345678901234567"] {
        let ack = Ack { room, reader: reader.into(), seq: 0 };
        assert_eq!(bench.code(&ana, Request::Ack(ack)).await, Some(RefusalCode::BadRequest), "{reader}");
    }
    let ack = Ack { room, reader: "mcp-2".into(), seq: 0 };
    assert_eq!(bench.code(&ana, Request::Ack(ack)).await, None);
}

#[tokio::test]
async fn a_download_stops_when_the_reader_is_no_member_any_more() {
    let bench = Bench::new(Limits::default());
    let (ana, twin) = (player(0, 1), player(0, 2));
    let room = bench.at_home(&ana).await;
    bench.note_seat(&twin, 1000).await;
    let bytes = vec![7; 300_000];
    bench.upload(&ana, room, &bytes).await.unwrap();
    let request = GetBlob { room, id: BlobId::of(&bytes), offset: 0 };
    let mut download = bench.service.begin_download(twin.agent(), request).await.unwrap();
    assert!(bench.service.next_chunk(&mut download).await.unwrap().is_some());
    bench.clock.advance(1000);
    assert_eq!(bench.service.next_chunk(&mut download).await, Err(Refusal::not_found()));
}

#[tokio::test]
async fn an_upload_by_who_is_no_member_any_more_leaves_nothing() {
    let bench = Bench::new(Limits::default());
    let (ana, twin) = (player(0, 1), player(0, 2));
    let room = bench.at_home(&ana).await;
    bench.note_seat(&twin, 1000).await;
    let request = PutBlob { room, id: BlobId::of(b"bytes"), size: 5 };
    let Begun::Receiving(receiving) = bench.service.begin_upload(twin.agent(), &request).await.unwrap()
    else {
        panic!("nothing is there yet")
    };
    bench.service.append(&receiving, vec![b"bytes".to_vec()]).await.unwrap();
    bench.clock.advance(1000);
    assert_eq!(bench.service.end_upload(receiving).await, Err(Refusal::not_found()));
    assert_eq!((bench.files(), bench.service.blobs.used_bytes()), (0, 0));
}

#[tokio::test]
async fn idle_blobs_lose_their_bytes_and_come_back_when_sent_again() {
    let bench = Bench::new(Limits { blob_idle_days: 1, ..Limits::default() });
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    bench.upload(&ana, room, b"bytes").await.unwrap();
    let message = ana.message(room, 1, LogPoint::start(room), HELLO, &[BlobId::of(b"bytes")]);
    let request = Post { room, message: message.signed().clone(), body: HELLO.into() };
    bench.ask(&ana, Request::Post(request)).await.unwrap();
    bench.clock.advance(24 * 3600 * 1000);
    janitor::expire(&bench.service).await.unwrap();
    assert_eq!((bench.files(), bench.service.blobs.used_bytes()), (0, 0));
    let gone = bench.download(&ana, room, BlobId::of(b"bytes")).await.unwrap_err();
    assert_eq!(gone.code, RefusalCode::Gone);
    let list = Request::Handoffs(Handoffs { room, before: None, limit: 10 });
    let Ok(Answer::Handoffs(list)) = bench.ask(&ana, list).await else { panic!() };
    assert!(!list.references[0].available);
    assert_eq!(bench.upload(&ana, room, b"bytes").await, Ok(PutDone { present: false }));
    assert_eq!(bench.download(&ana, room, BlobId::of(b"bytes")).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn the_cap_of_the_disk_is_a_refusal_that_says_it() {
    let bench = Bench::new(Limits { blobs_bytes_max: 10, ..Limits::default() });
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    bench.upload(&ana, room, b"12345678").await.unwrap();
    let refusal = bench.upload(&ana, room, b"abc").await.unwrap_err();
    assert_eq!((refusal.code, refusal.limit), (RefusalCode::OverQuota, Some(10)));
    // Other rooms share the bytes on disk, and still have to send them.
    let bob = player(1, 1);
    let other = bench.at_home(&bob).await;
    assert_eq!(bench.upload(&bob, other, b"12345678").await.unwrap_err().code, RefusalCode::OverQuota);
}

/// A bench with a blob of a day ago, whose row and bytes are due.
async fn with_an_idle_blob() -> (Bench, Player, RoomId) {
    let bench = Bench::new(Limits { blob_idle_days: 1, ..Limits::default() });
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    bench.upload(&ana, room, b"bytes").await.unwrap();
    bench.clock.advance(24 * 3600 * 1000);
    (bench, ana, room)
}

/// Gives others every chance to go on.
async fn let_others_run(bench: &Bench, ana: &Player) {
    for _ in 0..50 {
        bench.service.store.rooms(ana.agent(), None, None, 9).await.unwrap();
        tokio::task::spawn_blocking(|| {}).await.unwrap();
    }
}

#[tokio::test]
async fn no_file_is_removed_between_its_rename_and_its_row() {
    let (bench, ana, room) = with_an_idle_blob().await;
    let upload = async {
        let landing = bench.service.blobs.land().await;
        let_others_run(&bench, &ana).await;
        bench.service.store.bind_blob(ana.agent(), room, BlobId::of(b"bytes"), 5).await.unwrap();
        drop(landing);
    };
    let ((), expired) = tokio::join!(upload, janitor::expire(&bench.service));
    expired.unwrap();
    assert_eq!(bench.download(&ana, room, BlobId::of(b"bytes")).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn no_blob_lands_between_the_removal_of_its_row_and_of_its_file() {
    let (bench, ana, room) = with_an_idle_blob().await;
    let retention =
        Retention { messages_ms: i64::MAX / 2, messages_kept_min: 0, blobs_idle_ms: 0, batch_rows: 10 };
    let expire = async {
        let cleared = bench.service.blobs.clear().await;
        let expired = bench.service.store.expire(retention).await.unwrap();
        let_others_run(&bench, &ana).await;
        assert_eq!(bench.service.remove_files(expired.blobs).await, 1);
        drop(cleared);
    };
    let again = async { while bench.upload(&ana, room, b"bytes").await.unwrap().present {} };
    tokio::join!(expire, again);
    assert_eq!(bench.download(&ana, room, BlobId::of(b"bytes")).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn an_upload_waits_for_its_turn_and_messages_do_not() {
    let bench = Bench::new(Limits::default());
    let ana = player(0, 1);
    let room = bench.at_home(&ana).await;
    let turns = u32::try_from(bench.service.upload_turns.available_permits()).unwrap();
    let taken = bench.service.upload_turns.acquire_many(turns).await.unwrap();
    let upload = async {
        bench.upload(&ana, room, b"bytes").await.unwrap();
        bench.service.store.pull(ana.agent(), room, 1, ONE).await.expect("the message was first")
    };
    let chat = async {
        bench.ask(&ana, Request::Post(post(&ana, room, 1, HELLO))).await.unwrap();
        drop(taken);
    };
    let (page, ()) = tokio::join!(upload, chat);
    assert_eq!(page.start.seq, 1);
}

const ONE: PageLimit = PageLimit { entries_max: 1, bytes_max: 1 << 20, bodies: true };
