//! The whole handoff: `push --base` and `apply` through a running local hub, against `git push` and `git fetch`
//! through a bare repository, as a path and over smart HTTP. Every round hands over a commit that is new to all.

use std::path::PathBuf;

use crate::Outcome;
use crate::cost::{Cost, measure, threads_milliseconds};
use crate::ground::{Ground, text};
use crate::http::Server;
use crate::table::{Measure, Table};

/// The repositories of one size of handoff.
struct Place<'a> {
    ground: &'a Ground,
    sender: PathBuf,
    base: String,
    origin: String,
    receiver_template: PathBuf,
    bare_template: PathBuf,
    receiver: PathBuf,
    bare: PathBuf,
}

/// What one handoff cost: both commands and whatever stands between.
#[derive(Clone, Copy)]
struct Handed {
    send: Cost,
    receive: Cost,
    between_cpu: f64,
}

impl Handed {
    fn whole(&self) -> Cost {
        let between = Cost { cpu: self.between_cpu, ..Cost::default() };
        self.send.then(self.receive).then(between)
    }
}

impl<'a> Place<'a> {
    /// `count` commits travel, of which the newest is made in each round.
    fn new(ground: &'a Ground, count: usize) -> Outcome<Self> {
        let sender = ground.agent(&format!("sender-{count}"), 0)?;
        let origin = ground.env.git(&sender, ["rev-parse", "HEAD"]);
        let base = ground.env.git(&sender, ["rev-parse", format!("HEAD~{}", count - 1).as_str()]);
        let receiver_template = ground.receiver(&format!("receiver-{count}"), Some(&base), false);
        let bare_template = ground.receiver(&format!("bare-{count}"), Some(&base), true);
        ground.env.git(&bare_template, ["config", "http.receivepack", "true"]);
        let (receiver, bare) = (ground.env.path("to"), ground.env.path("relay.git"));
        Ok(Self { ground, sender, base, origin, receiver_template, bare_template, receiver, bare })
    }

    /// Makes the next commit and empties all that is behind it.
    fn renew(&self, number: usize) -> Outcome<()> {
        self.ground.env.git(&self.sender, ["reset", "--quiet", "--hard", self.origin.as_str()]);
        self.ground.work(&self.sender, number)?;
        self.ground.renew(&self.receiver_template, &self.receiver)?;
        self.ground.renew(&self.bare_template, &self.bare)
    }

    fn ours(&self, number: usize) -> Outcome<Handed> {
        self.renew(number)?;
        let Ground { env, program, .. } = self.ground;
        let hub = || env.hub_pid().map(|pid| threads_milliseconds(pid.as_raw_nonzero().get().unsigned_abs()));
        let before = hub();
        let send = measure(env, &self.sender, program, ["push", "--quiet", "--base", self.base.as_str()])?;
        let receive = measure(env, &self.receiver, program, ["apply", "--quiet"])?;
        // Before the first round there may be no hub; that round does not count.
        let between_cpu = before.zip(hub()).map_or(0.0, |(before, after)| after - before);
        self.check("refs/parler")?;
        Ok(Handed { send, receive, between_cpu })
    }

    fn git(&self, number: usize, url: &str, server: Option<&Server>) -> Outcome<Handed> {
        self.renew(number)?;
        let env = &self.ground.env;
        let cpu = || server.map_or(Ok(0.0), Server::cpu_milliseconds);
        let before = cpu()?;
        let send = measure(env, &self.sender, "git", ["push", "--quiet", url, "HEAD:refs/heads/handoff"])?;
        let spec = "refs/heads/handoff:refs/incoming/handoff";
        let receive = measure(env, &self.receiver, "git", ["fetch", "--quiet", url, spec])?;
        let between_cpu = cpu()? - before;
        self.check("refs/incoming")?;
        Ok(Handed { send, receive, between_cpu })
    }

    /// Fails unless the sender's commit has arrived.
    fn check(&self, below: &str) -> Outcome<()> {
        let sent = self.ground.env.git(&self.sender, ["rev-parse", "HEAD"]);
        let got = self.ground.env.git(&self.receiver, ["for-each-ref", "--format=%(objectname)", below]);
        if got == sent { Ok(()) } else { Err(format!("{sent} was sent and {got} has arrived").into()) }
    }
}

/// Compares the ways, for each number of commits.
pub(crate) fn compare(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let server = Server::start(&ground.env, &ground.cost)?;
    for count in std::iter::once(1).chain(ground.counts(&[5, 500])) {
        let place = Place::new(ground, count)?;
        let (file, http) = (format!("file://{}", text(&place.bare)), server.url("relay.git"));
        let number = |round: usize, way: usize| count * 1000 + round * 3 + way;
        let results = ground.interleave(vec![
            ("ours", Box::new(|round| place.ours(number(round, 0)))),
            ("file://", Box::new(|round| place.git(number(round, 1), &file, None))),
            ("smart HTTP", Box::new(|round| place.git(number(round, 2), &http, Some(&server)))),
        ])?;
        let whole = |handed: &[Handed]| handed.iter().map(Handed::whole).collect::<Vec<_>>();
        let [(_, ours), others @ ..] = &results[..] else { unreachable!("three ways give three results") };
        let case = format!("handoff, {count}");
        for ((name, other), bar) in others.iter().zip([1.0, 0.5]) {
            let (ours, other) = (whole(ours), whole(other));
            table.compare(&case, Measure::Wall, &ours, (name, &other), Some(bar));
            table.compare(&case, Measure::Cpu, &ours, (name, &other), None);
        }
        let sent = ours.iter().map(|handed| handed.send).collect::<Vec<_>>();
        let received = ours.iter().map(|handed| handed.receive).collect::<Vec<_>>();
        for (side, costs) in [("push", sent), ("apply", received)] {
            let is_small = side == "push" && count == 1;
            let name = format!("handoff, {count}: {side}");
            table.cost(&name, Measure::Wall, &costs, None);
            table.cost(&name, Measure::Cpu, &costs, is_small.then_some(25.0));
            table.cost(&name, Measure::Peak, &costs, is_small.then_some(16.0));
        }
        table.alone(
            &format!("handoff, {count}: hub"),
            "CPU ms",
            ours.iter().map(|h| h.between_cpu).collect(),
            None,
        );
    }
    Ok(())
}
