//! A hub behind a proxy that terminates TLS, under `wss://`, and what a person is told where that does not come about.

use std::fs;
use std::net::TcpListener;

use kit::{Authority, Certificate, Line, Random, Run, Snapshot, TlsProxy};
use serde_json::{Value, json};

use crate::served::Served;
use crate::two::{Two, answer, parler};

/// Two repositories, and a user who trusts one authority alone.
struct Scene {
    two: Two,
    authority: Authority,
}

impl Scene {
    fn new() -> Self {
        let (two, authority) = (Two::new(), Authority::new());
        fs::write(two.env.home().join("ca.pem"), authority.pem()).expect("a file of a sealed HOME");
        let scene = Self { two, authority };
        scene.set("parler.caFile", "~/ca.pem");
        scene
    }

    fn set(&self, key: &str, value: &str) {
        self.two.env.git(self.two.env.root(), ["config", "--global", key, value]);
    }

    /// Starts a hub under `urls` that only `proxy` leads to.
    fn hub(&self, proxy: &TlsProxy, urls: &[&str]) -> Served {
        let options: Vec<_> = urls.iter().flat_map(|url| ["--url", *url]).collect();
        let (hub, address) = Served::listening(&self.two.env, &self.two.env.path("hub"), &options);
        proxy.aim(address);
        hub
    }

    /// Runs a command that needs the hub.
    fn list(&self, args: &[&str]) -> Run {
        self.two.parler(&[&["list"], args].concat())
    }
}

#[test]
fn a_handoff_travels_through_tls() {
    let scene = Scene::new();
    let proxy = TlsProxy::new(&scene.authority.certify(&["localhost", "127.0.0.1"]));
    let port = proxy.address().port();
    let urls = [format!("wss://localhost:{port}"), format!("wss://127.0.0.1:{port}/")];
    let hub = scene.hub(&proxy, &urls.each_ref().map(String::as_str));
    assert_eq!(hub.url(), urls[0]);
    scene.set("parler.hub", &urls[0]);
    let two = &scene.two;
    let pushed = two.push(&["--base", &two.base]);
    // Another name of the same hub.
    let applied = two.apply(&["--hub", &urls[1], pushed["id"].as_str().unwrap()]);
    assert_eq!((&applied["tip"], &applied["signature"]), (&json!(two.tip), &json!("valid")));
    assert!(!two.env.parler_home().join("hub").exists(), "no local hub was started");
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn a_handoff_goes_on_where_a_line_under_tls_broke() {
    let scene = Scene::new();
    let two = &scene.two;
    let proxy = TlsProxy::new(&scene.authority.certify(&["localhost"]));
    let line = Line::new(5, 600_000).to(proxy.address());
    let url = format!("wss://localhost:{}", line.address().port());
    let _hub = scene.hub(&proxy, &[&url]);
    scene.set("parler.hub", &url);
    let tip = two.env.commit(&two.ahead, "noise.bin", Random::new(5).bytes(6_000_000), "noise");
    let pushed = two.push(&["--base", &two.base]);
    let (size, cuts) = (pushed["size"].as_u64().unwrap(), line.cuts());
    assert!(cuts > 10, "only {cuts} cuts");
    assert!(line.bytes_up() < 2 * size, "{} bytes went up for {size}", line.bytes_up());
    let applied = two.apply(&[pushed["id"].as_str().unwrap()]);
    assert_eq!(applied["tip"], json!(tip));
    assert!(line.cuts() > cuts + 10, "only {} cuts more", line.cuts() - cuts);
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_with_its_remedy() {
    let scene = Scene::new();
    let two = &scene.two;
    let stranger = Authority::new();
    let ca_file = two.env.home().join("ca.pem").display().to_string();
    let clock = "look at this machine's clock; if it is right, who runs the hub has to renew the certificate";
    let cases: [(Certificate, &str, String); 4] = [
        (
            stranger.certify(&["localhost"]),
            "no authority that is trusted here has signed its certificate",
            format!(
                "only the authorities in {ca_file} count (parler.caFile): add the hub's, or unset it if the hub has a public one"
            ),
        ),
        (
            scene.authority.certify(&["hub.example"]),
            "its certificate is not for this name but for hub.example",
            "reach the hub by a name of its certificate, or have who runs it get one for this name"
                .to_owned(),
        ),
        (
            scene.authority.certify_for_years(&["localhost"], 2001..=2002),
            "its certificate has expired, [..] days ago",
            clock.to_owned(),
        ),
        (
            scene.authority.certify_for_years(&["localhost"], 3001..=3002),
            "its certificate is not valid yet, [..] days too early",
            clock.to_owned(),
        ),
    ];
    let before = Snapshot::of(&two.behind);
    for (certificate, sentence, hint) in &cases {
        let proxy = TlsProxy::new(certificate);
        let url = format!("wss://localhost:{}", proxy.address().port());
        // Whoever may talk in the clear still does not talk to just anybody.
        for settings in [[].as_slice(), &["-c", "parler.insecure=true"]] {
            let words = [settings, &["parler", "--hub", &url, "list"]].concat();
            let run = two.env.try_git(&two.behind, words);
            assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{}", run.stderr);
            let expected = format!("error: no secure connection to {url}: {sentence}\nhint: {hint}\n");
            let parts: Vec<_> = expected.split("[..]").collect();
            let is_expected =
                run.stderr.starts_with(parts[0]) && run.stderr.ends_with(parts[parts.len() - 1]);
            assert!(is_expected, "{} instead of {expected}", run.stderr);
        }
        let json: Value =
            serde_json::from_str(&scene.list(&["--hub", &url, "--json"]).stdout).expect("an error is JSON");
        assert_eq!(json["error"]["code"], json!("bad_certificate"));
    }
    assert_eq!(before.differences(), [""; 0]);
    assert!(!two.env.parler_home().join("known_hubs").exists(), "none of them is remembered");
}

#[test]
fn a_file_of_authorities_that_is_none_is_told_before_anything_is_dialled() {
    let scene = Scene::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}", nobody.local_addr().unwrap());
    let hint = "hint: name a file of PEM certificates: `git config --global parler.caFile <file>`\n";
    let told = |file: &str, code: &str, sentence: &str| {
        scene.set("parler.caFile", file);
        let run = scene.list(&["--hub", &url]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{}", run.stderr);
        assert_eq!(run.stderr, format!("error: no secure connection to {url}: {sentence}\n{hint}"));
        let json: Value = serde_json::from_str(&scene.list(&["--hub", &url, "--json"]).stdout).expect("JSON");
        assert_eq!(json["error"]["code"], json!(code));
    };
    let file = scene.two.file("file.pem");
    let missing = format!("cannot read the certificates in {file}: No such file or directory (os error 2)");
    told(&file, "io", &missing);
    fs::write(&file, "nothing\n").unwrap();
    told(&file, "bad_config", &format!("there is no certificate in {file}"));
    fs::write(&file, scene.authority.pem().replace("-----END", "")).unwrap();
    let run = scene.list(&["--hub", &url]);
    let expected = format!("error: no secure connection to {url}: certificate 1 in {file} is damaged: ");
    assert!(run.stderr.starts_with(&expected) && run.stderr.ends_with(hint), "{}", run.stderr);
    // It is about wss:// alone.
    assert_eq!(scene.list(&[]).code, Some(0));
}

#[test]
fn the_wrong_scheme_for_a_port_is_told() {
    let scene = Scene::new();
    let proxy = TlsProxy::new(&scene.authority.certify(&["127.0.0.1"]));
    let hub = Served::start(&scene.two.env, &scene.two.env.path("hub"), &[]);
    let plain = hub.url().replace("ws://", "wss://");
    let run = scene.list(&["--hub", &plain]);
    assert_eq!(
        (run.code, run.stderr),
        (
            Some(128),
            format!(
                "error: no secure connection to {plain}: what answers speaks no TLS\n\
                 hint: if the hub speaks no TLS there, its URL begins with ws://; look at `git config parler.hub`\n"
            )
        )
    );
    let secure = format!("ws://{}", proxy.address());
    let run = scene.list(&["--hub", &secure]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{}", run.stderr);
    let expected = format!("error: what answers at {secure} is not a hub of this protocol: ");
    let hint = "hint: look at `git config parler.hub`; the URL of a hub that speaks TLS begins with wss://\n";
    assert!(run.stderr.starts_with(&expected) && run.stderr.ends_with(hint), "{}", run.stderr);
    let run = scene.list(&["--hub", "ws://192.0.2.1:7419"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            Some(5),
            "error: ws://192.0.2.1:7419 would send everything in the clear\n\
             hint: reach it by wss://; on a network where nobody else listens, `git config parler.insecure true`\n"
        )
    );
}

#[test]
fn a_hub_under_a_name_that_it_does_not_know_refuses_and_the_client_says_why_that_may_be() {
    let scene = Scene::new();
    let proxy = TlsProxy::new(&scene.authority.certify(&["localhost"]));
    let _hub = scene.hub(&proxy, &["wss://127.0.0.1:443"]);
    let url = format!("wss://localhost:{}", proxy.address().port());
    let run = scene.list(&["--hub", &url]);
    assert_eq!(
        (run.code, run.stderr),
        (
            Some(128),
            format!(
                "error: the hub at {url} refuses the login\n\
                 hint: it does not say why: it may go by another name than {url} (`--url` where it runs), want another secret \
                 than the one in parler.joinSecretFile, or have another time than this machine\n"
            )
        )
    );
    let json: Value = serde_json::from_str(&scene.list(&["--hub", &url, "--json"]).stdout).expect("JSON");
    assert_eq!(json["error"]["code"], json!("login_refused"));
}

#[test]
fn a_hub_that_a_proxy_leads_to_is_closed_unless_told_otherwise() {
    let scene = Scene::new();
    let env = &scene.two.env;
    let made = |name: &str, options: &[&str]| {
        let hub = Served::start(env, &env.path(name), options);
        let url = hub.url();
        assert_eq!(hub.stop(), Some(0));
        (url, env.path(name).join("join-secret").exists())
    };
    let far = ["--url", "wss://Hub.Example"];
    assert_eq!(made("far", &far), ("wss://hub.example:443".to_owned(), true));
    let odd = ["--url", "wss://[2001:DB8::0:1]:8443/"];
    assert_eq!(made("odd", &odd), ("wss://[2001:db8::1]:8443".to_owned(), true));
    assert!(!made("open", &[far.as_slice(), &["--open"]].concat()).1);
    assert!(!made("near", &["--url", "wss://localhost:8443"]).1);
    // On the machine itself it goes by its loopback names, and is as closed.
    let (hub, address) = Served::listening(env, &env.path("far"), &far);
    scene.set("parler.hub", &format!("ws://{address}"));
    let run = scene.list(&[]);
    assert_eq!(run.code, Some(128), "{}", run.stderr);
    scene.set("parler.joinSecretFile", env.path("far/join-secret").to_str().unwrap());
    assert_eq!(answer(env, &scene.two.behind, "list", &["--all"])["handoffs"], json!([]));
    assert_eq!(parler(env, &scene.two.behind, &["list"]).code, Some(0));
    assert_eq!(hub.stop(), Some(0));
}
