//! A log-linear histogram: 64 steps per power of two, so a percentile is off by at most 1.6 %.

use std::time::Duration;

/// Steps per power of two.
const STEPS: u64 = 64;
/// Powers of two above the linear part: up to 2^46 ns, about 19 hours.
const POWERS: usize = 40;

/// Counts of durations.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS as usize * (POWERS + 1)], total: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn record(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[slot(nanos).min(last)] += 1;
        self.total += 1;
    }

    /// Adds the counts of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The value that `share` (0 to 1) of all do not exceed, in milliseconds; `None` when nothing was counted.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (slot, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(upper(slot) as f64 / 1e6);
            }
        }
        None
    }
}

/// The slot of a value: one per value below `STEPS`, then `STEPS` per power of two.
fn slot(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEPS.ilog2();
    ((u64::from(shift) + 1) * STEPS + (nanos >> shift) - STEPS) as usize
}

/// The largest value of a slot.
fn upper(slot: usize) -> u64 {
    let slot = slot as u64;
    if slot < STEPS {
        return slot;
    }
    let shift = slot / STEPS - 1;
    (((slot % STEPS) + STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_holds_what_its_bound_says() {
        for nanos in [0, 1, 63, 64, 65, 127, 128, 1_000, 999_999, 1_000_000, 123_456_789, 60_000_000_000] {
            let slot = slot(nanos);
            assert!(upper(slot) >= nanos, "{nanos}");
            assert!(slot == 0 || upper(slot - 1) < nanos, "{nanos}");
            assert!(upper(slot) as f64 <= nanos as f64 * 1.016 + 1.0, "{nanos}");
        }
    }

    #[test]
    fn quantiles_of_a_ramp_are_its_values() {
        let mut all = Histogram::default();
        for half in 0..2 {
            let mut part = Histogram::default();
            for i in 1..=500_u64 {
                part.record(Duration::from_micros(half * 500 + i));
            }
            all.merge(&part);
        }
        assert_eq!(all.count(), 1_000);
        for (share, expected) in [(0.5, 0.5), (0.99, 0.99), (0.999, 0.999), (1.0, 1.0)] {
            let found = all.quantile_ms(share).unwrap();
            assert!((found - expected).abs() < expected * 0.017, "{share}: {found}");
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }
}
