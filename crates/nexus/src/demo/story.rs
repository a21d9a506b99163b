//! The play: payment → mint → notification, each step printed when it has happened. Between the two acts the hub dies.

use std::time::Duration;

use futures_util::{StreamExt, stream::BoxStream};
use nexus_client::{
    Client,
    event::{Accepted, SignedOptions},
    flow::{Run, Runs},
    tail::{Tailed, TailedEvent},
};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::Value;

use super::{FLOWPAY_SECRET, Happening, PATIENCE, Told, cast::Cast, hub::ChildHub, setup};
use crate::output::{Failure, Screen};

/// What the first act leaves open.
pub(crate) struct Asked {
    /// The payment's event.
    payment: String,
    /// Its place in the log.
    seq: u64,
    /// The run that waits.
    run: String,
}

pub(crate) type Frames = BoxStream<'static, Result<Tailed, nexus_client::Error>>;

/// Plays and narrates.
pub(crate) struct Story {
    hub: Client,
    screen: Screen,
    clock: SystemClock,
    began: Duration,
}

impl Story {
    /// Opens the stream of events; the play begins when it flows.
    pub(crate) async fn begin(hub: Client, screen: Screen, clock: SystemClock) -> Result<(Self, Frames), Failure> {
        // The log begins with what was set up: its first event shows that the stream is open.
        let frames = stream(&hub, 0).await?;
        Ok((Self { hub, screen, began: clock.mono(), clock }, frames))
    }

    /// Steps 1 to 5: from the payment until a run waits for the factory's callback.
    pub(crate) async fn first_act(&self, frames: &mut Frames, told: &mut Told) -> Result<Asked, Failure> {
        let transaction = format!("pix-{}", self.clock.now().micros());
        let payment = serde_json::json!({"transactionId": transaction, "amount": 150, "payerId": "payer-001"});
        self.step(1, &format!("FlowPay receives a PIX payment: {transaction}"))?;
        self.step(2, "FlowPay calls POST /webhook/flowpay, signed with its own secret")?;
        self.forged_is_refused(&payment).await?;
        let paid = self.pay(&payment).await?;
        self.step(3, "Nexus validates the signature (and has refused a forged one with 401)")?;
        let event = frame(4, "PAYMENT_RECEIVED on the stream", frames, |e| e.id == id_of(&paid)).await?;
        self.step(4, &format!("Nexus dispatches PAYMENT_RECEIVED: {} at seq {}", event.id, event.seq))?;
        self.mint_asked(told).await?;
        let run = self.run_of(setup::MINT.name, &event.id, "waits for the callback", waits_for_events).await?;
        self.proof(&format!("run {} waits for MINT_CONFIRMED until {}", run.id, until(&run)))?;
        Ok(Asked { payment: event.id, seq: event.seq, run: run.id })
    }

    /// Kills the hub while the mint is under way, and starts it again on its folder.
    pub(crate) async fn pull_the_plug(&self, hub: &mut ChildHub) -> Result<(), Failure> {
        let killed = hub.pid();
        hub.kill().await?;
        self.say(
            self.clock.mono(),
            "✗",
            &format!("the hub is killed (SIGKILL, process {killed}), the mint under way"),
        )?;
        let down = self.clock.mono();
        hub.start_again().await?;
        let took = self.clock.mono().saturating_sub(down).as_millis();
        let text = format!("the hub is started again on its folder (process {}), ready after {took} ms", hub.pid());
        self.say(self.clock.mono(), "↻", &text)
    }

    /// Steps 6 to 9, and then what the hub and the stand-ins say of all of it.
    pub(crate) async fn second_act(&self, asked: &Asked, told: &mut Told, cast: &Cast) -> Result<(), Failure> {
        let waiting = self.run_of(setup::MINT.name, &asked.payment, "still waits", waits_for_events).await?;
        self.proof(&format!("run {} still waits, as it did", waiting.id))?;
        // A stream of its own: that of the first act lost its hub, and comes back in its own time.
        let mut frames = stream(&self.hub, asked.seq - 1).await?;
        cast.let_mint();
        let confirmed = self.minted(told).await?;
        let minted = frame(8, "MINT_CONFIRMED on the stream", &mut frames, |e| e.id == id_of(&confirmed)).await?;
        self.step(8, &format!("Nexus dispatches MINT_CONFIRMED: {} at seq {}", minted.id, minted.seq))?;
        self.notified(told).await?;
        self.fate(&asked.payment, setup::MINT.subscription).await?;
        self.fate(&minted.id, setup::NOTIFY.subscription).await?;
        let first = self.completed(setup::MINT.name, &asked.payment).await?;
        if first.id != asked.run {
            return Err(Failure::failed(format!("the payment began two runs: {} and {}", asked.run, first.id)));
        }
        let second = self.completed(setup::NOTIFY.name, &minted.id).await?;
        self.asked_once(cast)?;
        self.one_correlation(&asked.payment, &minted.id, &[first, second]).await
    }

    fn step(&self, number: u8, text: &str) -> Result<(), Failure> {
        self.line(self.clock.mono(), Some(number), "✓", text)
    }

    /// Something that was looked up.
    fn proof(&self, text: &str) -> Result<(), Failure> {
        self.say(self.clock.mono(), "✓", text)
    }

    fn say(&self, at: Duration, sign: &str, text: &str) -> Result<(), Failure> {
        self.line(at, None, sign, text)
    }

    fn line(&self, at: Duration, step: Option<u8>, sign: &str, text: &str) -> Result<(), Failure> {
        let took = at.saturating_sub(self.began).as_secs_f64() * 1e3;
        let line = serde_json::json!({"step": step, "ms": (took * 10.0).round() / 10.0, "text": text});
        let mark = step.map_or_else(|| format!("   {sign}"), |n| format!("{n}. {sign}"));
        self.screen.either(&line, || format!("{took:>8.1} ms  {mark:>5} {text}"))
    }

    /// What can't be forged is worth showing: one byte changed after signing.
    async fn forged_is_refused(&self, payment: &Value) -> Result<(), Failure> {
        match self.hub.webhook("flowpay", payment, "not-the-secret", &SignedOptions::default()).await {
            Err(nexus_client::Error::Refused(problem)) if problem.status == 401 => Ok(()),
            Err(error) => Err(missing(3, &format!("a forged webhook should be 401, but: {error}"))),
            Ok(_) => Err(missing(3, "a forged webhook was accepted")),
        }
    }

    async fn pay(&self, payment: &Value) -> Result<Accepted, Failure> {
        let paid = self.hub.webhook("flowpay", payment, FLOWPAY_SECRET, &SignedOptions::default()).await;
        paid.map_err(|error| missing(3, &format!("FlowPay's webhook was refused: {error}")))
    }

    async fn mint_asked(&self, told: &mut Told) -> Result<(), Failure> {
        let (at, Happening::MintAsked(call)) =
            self.next(5, "the mint call", told, |h| matches!(h, Happening::MintAsked(_))).await?
        else {
            return Err(missing(5, "the mint call did not come"));
        };
        let tie = call.correlation().map_or_else(String::new, |c| format!(", correlation {c}"));
        let text = format!("Flow {} calls POST /api/mint: {}, key {}{tie}", setup::MINT.name, call.body, call.key);
        self.line(at, Some(5), "✓", &text)
    }

    /// The factory mints and calls back.
    async fn minted(&self, told: &mut Told) -> Result<Accepted, Failure> {
        let (minted, Happening::Minted { tx_hash }) =
            self.next(6, "the mint", told, |h| matches!(h, Happening::Minted { .. })).await?
        else {
            return Err(missing(6, "the factory did not mint"));
        };
        self.line(minted, Some(6), "✓", &format!("Smart Factory mints: {tx_hash}"))?;
        let (at, Happening::CalledBack(accepted)) =
            self.next(7, "the factory's callback", told, |h| matches!(h, Happening::CalledBack(_))).await?
        else {
            return Err(missing(7, "the factory's callback did not come"));
        };
        self.line(at, Some(7), "✓", &format!("Smart Factory calls POST /webhook/factory: {}", accepted.status))?;
        Ok(accepted)
    }

    async fn notified(&self, told: &mut Told) -> Result<(), Failure> {
        let (at, Happening::Notified(notice)) =
            self.next(9, "the notification", told, |h| matches!(h, Happening::Notified(_))).await?
        else {
            return Err(missing(9, "the notification did not come"));
        };
        if notice.channel != "whatsapp" {
            return Err(missing(9, &format!("the notification is for {:?}, not for whatsapp", notice.channel)));
        }
        self.line(
            at,
            Some(9),
            "✓",
            &format!("Flow {} has Neobot send by WhatsApp to {}: {}", setup::NOTIFY.name, notice.to, notice.message),
        )
    }

    /// The next thing a stand-in tells, within the time a step has.
    async fn next(
        &self,
        step: u8,
        what: &str,
        told: &mut Told,
        wanted: fn(&Happening) -> bool,
    ) -> Result<(Duration, Happening), Failure> {
        match tokio::time::timeout(PATIENCE, told.wait(wanted)).await {
            Ok(Some((_, Happening::Refused { who, reason }))) => {
                Err(missing(step, &format!("{who} refused: {reason}")))
            }
            Ok(Some(happening)) => Ok(happening),
            Ok(None) => Err(missing(step, "the stand-ins have ended")),
            Err(_) => Err(missing(step, &format!("{what} did not come within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Asks the hub what became of an event until `subscription` has it.
    async fn fate(&self, id: &str, subscription: &str) -> Result<(), Failure> {
        let mut last = Value::Null;
        let search = async {
            loop {
                last = self.hub.fate(id).await?;
                if delivered(&last, subscription) {
                    return Ok::<(), Failure>(());
                }
                self.clock.sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(done) => done?,
            Err(_) => {
                return Err(Failure::failed(format!(
                    "missing: the fate of {id} does not say that {subscription} got it; it says {last}"
                )));
            }
        }
        self.proof(&format!("fate of {id}: delivered to {subscription}"))
    }

    /// The run that an event began, as soon as it stands as `wanted`. A hub that has just come up is asked again.
    async fn run_of(&self, flow: &str, event: &str, what: &str, wanted: fn(&Run) -> bool) -> Result<Run, Failure> {
        let mut last = String::from("no run was begun");
        let search = async {
            loop {
                match self.hub.runs(&Runs { flow: Some(flow.to_owned()), ..Runs::default() }).await {
                    Ok(page) => {
                        let mut of_event = page.items.into_iter().filter(|run| caused_by(run, event));
                        match (of_event.next(), of_event.next()) {
                            (Some(run), None) if wanted(&run) => return Ok(run),
                            (Some(one), Some(other)) => {
                                let text =
                                    format!("event {event} began two runs of {flow}: {} and {}", one.id, other.id);
                                return Err(Failure::failed(text));
                            }
                            (Some(run), None) => {
                                last = format!("run {} is {}: {:?}", run.id, run.status, run.more.get("error"));
                            }
                            (None, _) => {}
                        }
                    }
                    Err(error) if error.is_retryable() => last = error.to_string(),
                    Err(error) => return Err(error.into()),
                }
                self.clock.sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => Err(Failure::failed(format!("missing: a run of {flow} that {what}; {last}"))),
        }
    }

    async fn completed(&self, flow: &str, event: &str) -> Result<Run, Failure> {
        let run = self.run_of(flow, event, "completed", |run| run.status == "completed").await?;
        self.proof(&format!("run {} of {flow} completed after {} ms", run.id, run.duration_ms))?;
        Ok(run)
    }

    /// The stand-ins' own books: one mint and one notification, each asked for once, in spite of the plug.
    fn asked_once(&self, cast: &Cast) -> Result<(), Failure> {
        let asked = cast.ledger.all();
        if asked.len() != 2 || asked.values().any(|times| *times != 1) {
            return Err(Failure::failed(format!("the stand-ins should be asked for two things, once each: {asked:?}")));
        }
        let keys: Vec<String> = asked.into_keys().collect();
        self.proof(&format!("each thing was asked for once: {}", keys.join(", ")))
    }

    /// Events and runs belong together: that is what the echoed headers are for.
    async fn one_correlation(&self, payment: &str, minted: &str, runs: &[Run]) -> Result<(), Failure> {
        let of = async |id: &str| {
            let event = self.hub.event(id).await?;
            let named = ["correlation", "correlation_id", "correlationId"];
            Ok::<_, Failure>(named.iter().find_map(|n| event.get(*n)?.as_str().map(str::to_owned)))
        };
        let (first, second) = (of(payment).await?.unwrap_or_else(|| payment.to_owned()), of(minted).await?);
        if second.as_deref() != Some(&first) {
            return Err(Failure::failed(format!(
                "missing: one correlation id through all; the payment has {first}, the mint {second:?}"
            )));
        }
        for run in runs {
            let of_run = run.more.get("correlation").and_then(Value::as_str);
            if of_run != Some(&first) {
                let text =
                    format!("one correlation id through all; the payment has {first}, run {} {of_run:?}", run.id);
                return Err(Failure::failed(format!("missing: {text}")));
            }
        }
        self.proof(&format!("one correlation id through all: {first}"))
    }

    /// Where to go from here.
    pub(crate) fn invite(&self, hub: &ChildHub, cast: &Cast) -> Result<(), Failure> {
        if self.screen.json {
            return Ok(());
        }
        let url = hub.url();
        self.screen.line(&format!(
            "\nThe hub keeps serving on {urls} (development mode: no token needed from this machine).\n\
             Its folder is {data}; Smart Factory stands in on {factory}, Neobot on {neobot}.\n\n\
             Try, in another terminal:\n\n  \
             nexus tail --url {url}\n  \
             nexus publish order.created '{{\"orderId\": 7}}' --url {url}\n  \
             nexus events --url {url}\n  \
             nexus flows runs {mint} --url {url}\n  \
             body='{{\"transactionId\":\"tx-1\",\"amount\":20,\"payerId\":\"payer-002\"}}'\n  \
             curl -sS {url}/webhook/flowpay -d \"$body\" -H 'Content-Type: application/json' \\\n    \
             -H \"X-Nexus-Signature: $(printf %s \"$body\" | openssl dgst -sha256 -hmac {secret} -r | cut -d' ' -f1)\"\n\n\
             Ctrl-C ends it and removes the folder.\n",
            urls = hub.urls().join(" and "),
            data = hub.data().display(),
            factory = cast.factory_url,
            neobot = cast.neobot_url,
            mint = setup::MINT.name,
            secret = FLOWPAY_SECRET,
        ))
    }

    /// Tells what the stand-ins get while people try things.
    pub(crate) async fn watch(&self, told: &mut Told) -> Result<(), Failure> {
        while let Some((at, happening)) = told.next().await {
            let text = match happening {
                Happening::MintAsked(call) => format!("Smart Factory is asked to mint {}", call.body),
                Happening::Minted { tx_hash } => format!("Smart Factory mints: {tx_hash}"),
                Happening::CalledBack(accepted) => format!("Smart Factory calls back: {}", accepted.status),
                Happening::Notified(notice) => format!("Neobot sends to {}: {}", notice.to, notice.message),
                Happening::Refused { who, reason } => format!("{who} refuses: {reason}"),
            };
            self.say(at, "✓", &text)?;
        }
        Ok(())
    }
}

/// The events after a place in the log, once they flow; there has to be one.
async fn stream(hub: &Client, after: u64) -> Result<Frames, Failure> {
    let mut frames = hub.tail(">", Some(&after.to_string())).boxed();
    frame(1, "the stream of events", &mut frames, |_| true).await?;
    Ok(frames)
}

/// Waits for an event on the stream.
async fn frame(
    step: u8,
    what: &str,
    frames: &mut Frames,
    wanted: impl Fn(&TailedEvent) -> bool,
) -> Result<TailedEvent, Failure> {
    let search = async {
        while let Some(item) = frames.next().await {
            match item {
                Ok(Tailed::Event(event)) if wanted(&event) => return Ok(event),
                Ok(_) => {}
                Err(error) => return Err(missing(step, &format!("{what}: {error}"))),
            }
        }
        Err(missing(step, &format!("{what}: the stream ended")))
    };
    let late = || missing(step, &format!("{what} did not come within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, search).await.map_err(|_| late())?
}

fn missing(step: u8, what: &str) -> Failure {
    Failure::failed(format!("step {step} is missing: {what}"))
}

fn id_of(accepted: &Accepted) -> &str {
    accepted.id.as_deref().unwrap_or_default()
}

/// Whether a fate says that `subscription` got the event.
fn delivered(fate: &Value, subscription: &str) -> bool {
    let deliveries = fate.get("deliveries").and_then(Value::as_array);
    deliveries.into_iter().flatten().any(|one| one["subscription"] == subscription && one["state"] == "delivered")
}

fn caused_by(run: &Run, event: &str) -> bool {
    run.more.get("causation").and_then(Value::as_str) == Some(event)
}

fn waits_for_events(run: &Run) -> bool {
    run.status == "waiting" && run.waiting_for.iter().any(|waiting| waiting["for"] == "events")
}

/// Until when a run waits.
fn until(run: &Run) -> &str {
    run.waiting_for.iter().find_map(|waiting| waiting.get("until")?.as_str()).unwrap_or("it comes")
}
