//! Whom to call: pure functions over what is known of the instances of one service.
//!
//! Never one that may not be called. Healthy ones go first; then those whose last check failed but who still count as
//! well; degraded ones only when nobody else is left. A key alone stays with its instance for as long as that can be
//! called at all.

use serde::{Deserialize, Serialize};

/// Up to so many instances all are compared; of more, two at random (the power of two choices).
pub const COMPARED: usize = 32;
/// Pairs that are drawn before everything is looked at after all.
const DRAWS: usize = 8;
/// The golden ratio's fraction, as a share of 2^64: multiples of it fall evenly over a circle.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// How an instance is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The smallest sum of the load that it reports and of the hub's own calls under way.
    #[default]
    LeastLoaded,
    /// One after the other.
    RoundRobin,
    /// In proportion to `metadata.weight` (1 when it says none, 0 = none while others are there).
    Weighted,
    /// By a key: the same key goes to the same instance for as long as it can be called, and when one comes or goes only
    /// the keys that it gains or had move (rendezvous hashing).
    ConsistentHash,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LeastLoaded, Self::RoundRobin, Self::Weighted, Self::ConsistentHash];

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least_loaded",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::ConsistentHash => "consistent_hash",
        }
    }
}

impl std::str::FromStr for Strategy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let dashless = text.replace('-', "_");
        Self::ALL.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(&dashless)).ok_or_else(|| {
            format!("{text:?} is no strategy; least_loaded, round_robin, weighted and consistent_hash are")
        })
    }
}

/// Who may be called, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Healthy, and nothing speaks against it.
    First,
    /// Healthy, but its last check failed.
    Doubtful,
    /// Degraded.
    Degraded,
    /// Not at all.
    Never,
}

/// What the choice looks at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Whether, and how gladly.
    pub rank: Rank,
    /// The load that it reported.
    pub load: f64,
    /// Calls of this hub under way.
    pub in_flight: u32,
    /// Its share of weighted choices.
    pub weight: f64,
    /// Hash of its id, see [`hash`].
    pub seed: u64,
}

impl Candidate {
    fn pressure(&self) -> f64 {
        self.load + f64::from(self.in_flight)
    }
}

/// What one choice is made with.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// How.
    pub strategy: Strategy,
    /// Ascends with each choice for this service.
    pub turn: u64,
    /// Random.
    pub random: u64,
    /// Hash of the caller's key.
    pub key: u64,
}

/// The index of the instance to call; `None` when none may be.
///
/// `look` tells what is known of each; so of many only those are looked at that are compared.
pub fn choose(count: usize, look: impl Fn(usize) -> Candidate, draw: Draw) -> Option<usize> {
    if draw.strategy == Strategy::LeastLoaded
        && count > COMPARED
        && let Some(found) = of_two(count, &look, draw.random)
    {
        return Some(found);
    }
    let all: Vec<Candidate> = (0..count).map(look).collect();
    let best = all.iter().map(|c| c.rank).min().filter(|rank| *rank != Rank::Never)?;
    let worst = if draw.strategy == Strategy::ConsistentHash { Rank::Degraded } else { best };
    let eligible: Vec<usize> = (0..count).filter(|i| all.get(*i).is_some_and(|c| c.rank <= worst)).collect();
    let of = |i: &usize| all.get(*i);
    match draw.strategy {
        Strategy::LeastLoaded => least(&eligible, |i| of(i).map_or(f64::MAX, Candidate::pressure), draw.random),
        Strategy::RoundRobin => eligible.get(below(draw.turn, eligible.len())).copied(),
        Strategy::Weighted => weighted(&eligible, |i| of(i).map_or(0.0, |c| c.weight), draw.turn),
        Strategy::ConsistentHash => {
            eligible.iter().max_by_key(|i| (mix(of(i).map_or(0, |c| c.seed) ^ draw.key), **i)).copied()
        }
    }
}

/// The better of two random ones that nothing speaks against; `None` when such are too rare to be met by chance.
fn of_two(count: usize, look: &impl Fn(usize) -> Candidate, random: u64) -> Option<usize> {
    let mut dice = random;
    let mut roll = || {
        dice = dice.wrapping_add(GOLDEN);
        below(mix(dice), count)
    };
    let mut drawn: Option<(usize, f64)> = None;
    for _ in 0..DRAWS * 2 {
        let i = roll();
        let candidate = look(i);
        if candidate.rank != Rank::First {
            continue;
        }
        match drawn {
            Some((other, _)) if other == i => {}
            Some((other, pressure)) => return Some(if candidate.pressure() < pressure { i } else { other }),
            None => drawn = Some((i, candidate.pressure())),
        }
    }
    None
}

/// The smallest; one of them by chance when several are.
fn least(eligible: &[usize], pressure: impl Fn(&usize) -> f64, random: u64) -> Option<usize> {
    let smallest = eligible.iter().map(&pressure).min_by(f64::total_cmp)?;
    let equal: Vec<usize> = eligible.iter().filter(|i| pressure(i) <= smallest).copied().collect();
    equal.get(below(mix(random), equal.len())).copied()
}

/// Turn after turn a point moves around a circle in golden steps; each instance has an arc as long as its weight. Over
/// any number of turns each gets its share, to within a few.
#[expect(clippy::cast_precision_loss, reason = "a place on a circle needs no 64 bits")]
fn weighted(eligible: &[usize], weight: impl Fn(&usize) -> f64, turn: u64) -> Option<usize> {
    let total: f64 = eligible.iter().map(&weight).sum();
    if total <= 0.0 {
        return eligible.get(below(turn, eligible.len())).copied();
    }
    let mut place = turn.wrapping_mul(GOLDEN) as f64 / 2f64.powi(64) * total;
    for i in eligible {
        place -= weight(i);
        if place < 0.0 {
            return Some(*i);
        }
    }
    eligible.iter().rev().find(|i| weight(i) > 0.0).copied()
}

/// `n` modulo `count`, 0 for none.
fn below(n: u64, count: usize) -> usize {
    usize::try_from(n % (count.max(1) as u64)).unwrap_or(0)
}

/// Hash of an id or a key: the same in every process and version (FNV-1a, then mixed).
pub fn hash(text: &str) -> u64 {
    let fold = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// Spreads every bit over all (splitmix64's finish).
pub fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
