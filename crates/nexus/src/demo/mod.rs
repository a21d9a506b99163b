//! `nexus demo`: the main job on real input within seconds.
//!
//! A hub runs as a child process on a fresh folder, small servers inside this command stand in for FlowPay, Smart Factory
//! and Neobot, and a payment is played through all nine steps: webhook, signature, event, mint call, callback, event,
//! notification. Two flows do it, by connectors; in the middle of the first the hub is killed and started again, and nothing
//! is lost or done twice. Afterwards the hub keeps serving, so that it can be looked at and talked to.

mod cast;
mod factory;
mod hub;
mod neobot;
mod setup;
mod story;

use std::{collections::VecDeque, time::Duration};

use clap::Args;
use nexus_client::Client;
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::{cast::Cast, hub::ChildHub, story::Story};
use crate::{cli::Global, output::Failure};

/// What FlowPay signs with in the demo.
pub(crate) const FLOWPAY_SECRET: &str = "flowpay-demo-secret";
/// What Smart Factory signs with in the demo.
pub(crate) const FACTORY_SECRET: &str = "factory-demo-secret";
/// What the hub shows to Smart Factory in the demo.
pub(crate) const FACTORY_API_KEY: &str = "factory-demo-api-key";
/// What the hub signs requests to Neobot with in the demo.
pub(crate) const NEOBOT_SIGNING_KEY: &str = "neobot-demo-signing-key";
/// How long any one step may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `nexus demo`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// End after the play: 0 only if every step happened, fates included
    #[arg(long)]
    once: bool,
    /// Address of the hub; repeat it for several [default: 127.0.0.1:8080 and 127.0.0.1:8000; with --once any free port]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
}

/// How the stand-ins tell the play what happens, and when.
#[derive(Clone)]
pub(crate) struct Teller {
    clock: SystemClock,
    to: mpsc::Sender<(Duration, Happening)>,
}

impl Teller {
    /// Tells it, with the present moment.
    pub(crate) async fn tell(&self, happening: Happening) {
        // Should the play be over, nobody listens and nothing is owed.
        let _ = self.to.send((self.clock.mono(), happening)).await;
    }
}

/// What the stand-ins tell. The hub delivers as soon as an event is stored, so an effect may be told before the answer that
/// the cause waits for: what comes early is kept until it is asked for.
pub(crate) struct Told {
    from: mpsc::Receiver<(Duration, Happening)>,
    early: VecDeque<(Duration, Happening)>,
}

impl Told {
    /// The next of everything; nothing once the stand-ins have ended.
    pub(crate) async fn next(&mut self) -> Option<(Duration, Happening)> {
        match self.early.pop_front() {
            Some(told) => Some(told),
            None => self.from.recv().await,
        }
    }

    /// The first that is `wanted`, or a refusal.
    pub(crate) async fn wait(&mut self, wanted: fn(&Happening) -> bool) -> Option<(Duration, Happening)> {
        let fits = |happening: &Happening| wanted(happening) || matches!(happening, Happening::Refused { .. });
        if let Some(at) = self.early.iter().position(|(_, happening)| fits(happening)) {
            return self.early.remove(at);
        }
        loop {
            let told = self.from.recv().await?;
            if fits(&told.1) {
                return Some(told);
            }
            self.early.push_back(told);
        }
    }
}

/// What can happen at a stand-in.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The factory was asked to mint.
    MintAsked(factory::MintCall),
    /// The factory minted.
    Minted { tx_hash: String },
    /// The factory's callback was answered.
    CalledBack(nexus_client::event::Accepted),
    /// Neobot was asked to notify.
    Notified(neobot::Notice),
    /// A stand-in got something it can't accept.
    Refused { who: &'static str, reason: String },
}

pub(crate) async fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hub = ChildHub::start(&addresses(args)).await?;
    let played = tokio::select! {
        played = play(global, args, &mut hub) => played,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    };
    let stopped = hub.stop(played.is_err()).await;
    played.and(stopped)
}

fn addresses(args: &Arguments) -> Vec<String> {
    let default: &[&str] = if args.once { &["127.0.0.1:0"] } else { &["127.0.0.1:8080", "127.0.0.1:8000"] };
    if args.listen.is_empty() { default.iter().map(|a| (*a).to_owned()).collect() } else { args.listen.clone() }
}

/// Sets the stage, plays, and unless it is once keeps the stage.
async fn play(global: &Global, args: &Arguments, hub: &mut ChildHub) -> Result<(), Failure> {
    let client = Client::new(hub.url(), Some(hub.token()))?;
    let (to, from) = mpsc::channel(64);
    let mut told = Told { from, early: VecDeque::new() };
    let clock = SystemClock::new();
    let cast = Cast::start(&client, &Teller { clock: clock.clone(), to }).await?;
    setup::register(&client, &cast).await?;
    let (story, mut frames) = Story::begin(client, global.screen(), clock).await?;
    let asked = tokio::select! {
        played = story.first_act(&mut frames, &mut told) => played?,
        ended = hub.ended() => return Err(ended),
    };
    story.pull_the_plug(hub).await?;
    tokio::select! {
        played = story.second_act(&asked, &mut told, &cast) => played?,
        ended = hub.ended() => return Err(ended),
    }
    if args.once {
        return Ok(());
    }
    story.invite(hub, &cast)?;
    tokio::select! {
        watched = story.watch(&mut told) => watched,
        ended = hub.ended() => Err(ended),
    }
}
