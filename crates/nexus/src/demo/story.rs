//! The play: seed 003's payment → mint → notification, each step printed when it has happened.

use std::time::Duration;

use futures_util::{StreamExt, stream::BoxStream};
use nexus_client::{
    Client,
    event::{Accepted, SignedOptions},
    tail::{Tailed, TailedEvent},
};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::Value;

use super::{FLOWPAY_SECRET, Happening, PATIENCE, Told, cast::Cast, hub::ChildHub, setup};
use crate::output::{Failure, Screen};

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
        let mut frames = hub.tail(">", Some("0")).boxed();
        // The log begins with what was set up: its first event shows that the stream is open.
        frame(1, "the stream of events", &mut frames, |_| true).await?;
        Ok((Self { hub, screen, began: clock.mono(), clock }, frames))
    }

    /// Plays all nine steps and asks for both events' fates. An error names the step that is missing.
    pub(crate) async fn play(&self, frames: &mut Frames, told: &mut Told) -> Result<(), Failure> {
        let transaction = format!("pix-{}", self.clock.now().micros());
        let payment = serde_json::json!({"transactionId": transaction, "amount": 150, "payerId": "payer-001"});
        self.step(1, &format!("FlowPay receives a PIX payment: {transaction}"))?;
        self.step(2, "FlowPay calls POST /webhook/flowpay, signed with its own secret")?;
        self.forged_is_refused(&payment).await?;
        let paid = self.pay(&payment).await?;
        self.step(3, "Nexus validates the signature (and has refused a forged one with 401)")?;
        let event = frame(4, "PAYMENT_RECEIVED on the stream", frames, |e| e.id == id_of(&paid)).await?;
        self.step(4, &format!("Nexus dispatches PAYMENT_RECEIVED: {} at seq {}", event.id, event.seq))?;
        self.minting(told).await?;
        let confirmed = self.callback(told).await?;
        let minted = frame(8, "MINT_CONFIRMED on the stream", frames, |e| e.id == id_of(&confirmed)).await?;
        self.step(8, &format!("Nexus dispatches MINT_CONFIRMED: {} at seq {}", minted.id, minted.seq))?;
        self.notified(told).await?;
        self.fate(&event.id, setup::MINT).await?;
        self.fate(&minted.id, setup::NOTIFY).await?;
        self.one_correlation(&event.id, &minted.id).await
    }

    fn step(&self, number: u8, text: &str) -> Result<(), Failure> {
        self.say(self.clock.mono(), Some(number), text)
    }

    fn say(&self, at: Duration, step: Option<u8>, text: &str) -> Result<(), Failure> {
        let took = at.saturating_sub(self.began).as_secs_f64() * 1e3;
        let line = serde_json::json!({"step": step, "ms": (took * 10.0).round() / 10.0, "text": text});
        let mark = step.map_or_else(|| "   ✓".to_owned(), |n| format!("{n}. ✓"));
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

    async fn minting(&self, told: &mut Told) -> Result<(), Failure> {
        let (at, Happening::MintAsked(call)) =
            self.next(5, "the mint call", told, |h| matches!(h, Happening::MintAsked(_))).await?
        else {
            return Err(missing(5, "the mint call did not come"));
        };
        let tie = call.correlation().map_or_else(String::new, |c| format!(", correlation {c}"));
        self.say(at, Some(5), &format!("Reactor {} calls POST /api/mint: {}{tie}", setup::MINT, call.body))?;
        let (minted, Happening::Minted { tx_hash }) =
            self.next(6, "the mint", told, |h| matches!(h, Happening::Minted { .. })).await?
        else {
            return Err(missing(6, "the factory did not mint"));
        };
        self.say(minted, Some(6), &format!("Smart Factory mints: {tx_hash}"))
    }

    async fn callback(&self, told: &mut Told) -> Result<Accepted, Failure> {
        let (at, Happening::CalledBack(accepted)) =
            self.next(7, "the factory's callback", told, |h| matches!(h, Happening::CalledBack(_))).await?
        else {
            return Err(missing(7, "the factory's callback did not come"));
        };
        self.say(at, Some(7), &format!("Smart Factory calls POST /webhook/factory: {}", accepted.status))?;
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
        self.say(at, Some(9), &format!("Neobot sends by WhatsApp to {}: {}", notice.to, notice.message))
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
        self.say(self.clock.mono(), None, &format!("fate of {id}: delivered to {subscription}"))
    }

    /// Both events belong to one flow: that is what the echoed headers are for.
    async fn one_correlation(&self, payment: &str, minted: &str) -> Result<(), Failure> {
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
        self.say(self.clock.mono(), None, &format!("one correlation id through all: {first}"))
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
             nexus subscription show {mint} --url {url}\n  \
             body='{{\"transactionId\":\"tx-1\",\"amount\":20,\"payerId\":\"payer-002\"}}'\n  \
             curl -sS {url}/webhook/flowpay -d \"$body\" -H 'Content-Type: application/json' \\\n    \
             -H \"X-Nexus-Signature: $(printf %s \"$body\" | openssl dgst -sha256 -hmac {secret} -r | cut -d' ' -f1)\"\n\n\
             Ctrl-C ends it and removes the folder.\n",
            urls = hub.urls().join(" and "),
            data = hub.data().display(),
            factory = cast.factory_url,
            neobot = cast.neobot_url,
            mint = setup::MINT,
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
            self.say(at, None, &text)?;
        }
        Ok(())
    }
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
