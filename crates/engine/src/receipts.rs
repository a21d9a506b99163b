//! Receipts: proofs of successful deliveries in a few bytes each.
//!
//! A block is a run of varint records `(sub, seq, generation, at_ms, attempt, status, latency_us)`, each seq and time as
//! a difference to the one before, sorted by seq.

use bytes::Bytes;
use nexus_core::{
    event::Seq,
    store::{ReceiptBlock, SubNo},
    time::Timestamp,
};

/// Proof that a delivery succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Subscription.
    pub sub: SubNo,
    /// Event.
    pub seq: Seq,
    /// 0, or the number of the replay.
    pub generation: u32,
    /// When the answer came; milliseconds are kept.
    pub at: Timestamp,
    /// Which attempt succeeded, from 1.
    pub attempt: u16,
    /// HTTP status; 0 for a handler.
    pub status: u16,
    /// From sending to the answer; microseconds, saturating.
    pub latency_us: u32,
}

/// Encodes receipts into one block of `scope`. `None` when there are none.
pub fn encode(scope: SubNo, receipts: &mut [Receipt], now: Timestamp) -> Option<ReceiptBlock> {
    receipts.sort_unstable_by_key(|r| (r.seq, r.sub));
    let (first, last) = (receipts.first()?.seq, receipts.last()?.seq);
    let mut out = Vec::with_capacity(receipts.len() * 10);
    put(&mut out, u64::try_from(now.millis()).unwrap_or(0));
    let mut previous = 0;
    for r in receipts {
        put(&mut out, u64::from(r.sub));
        put(&mut out, r.seq - previous);
        put(&mut out, u64::from(r.generation));
        put(&mut out, u64::try_from(now.millis() - r.at.millis()).unwrap_or(0));
        put(&mut out, u64::from(r.attempt));
        put(&mut out, u64::from(r.status));
        put(&mut out, u64::from(r.latency_us));
        previous = r.seq;
    }
    Some(ReceiptBlock { scope, first, last, at: now, block: Bytes::from(out) })
}

/// Decodes a block; stops at the first byte that makes no sense.
pub fn decode(block: &ReceiptBlock) -> Vec<Receipt> {
    let mut rest = &block.block[..];
    let mut found = Vec::new();
    let Some(base) = take(&mut rest).and_then(|ms| i64::try_from(ms).ok()) else { return found };
    let mut seq = 0u64;
    while !rest.is_empty() {
        let mut read = || take(&mut rest);
        let Some([sub, step, generation, ago, attempt, status, latency]) =
            (|| Some([read()?, read()?, read()?, read()?, read()?, read()?, read()?]))()
        else {
            break;
        };
        seq += step;
        found.push(Receipt {
            sub: u32::try_from(sub).unwrap_or(u32::MAX),
            seq,
            generation: u32::try_from(generation).unwrap_or(u32::MAX),
            at: Timestamp::from_millis(base - i64::try_from(ago).unwrap_or(0)),
            attempt: u16::try_from(attempt).unwrap_or(u16::MAX),
            status: u16::try_from(status).unwrap_or(u16::MAX),
            latency_us: u32::try_from(latency).unwrap_or(u32::MAX),
        });
    }
    found
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn receipts_survive_encoding(rows in proptest::collection::vec((1u32..9, 1u64..1 << 40, 0u32..3, 0i64..1 << 30, 1u16..99, 0u16..600, any::<u32>()), 1..40)) {
            let now = Timestamp::from_millis(1 << 41);
            let mut receipts: Vec<Receipt> = rows.into_iter().map(|(sub, seq, generation, ago, attempt, status, latency_us)| Receipt {
                sub, seq, generation, at: Timestamp::from_millis((1 << 41) - ago), attempt, status, latency_us,
            }).collect();
            let block = encode(7, &mut receipts, now).expect("not empty");
            prop_assert_eq!(decode(&block), receipts);
        }

        #[test]
        fn a_damaged_block_is_cut_not_a_panic(bytes: Vec<u8>) {
            let _ = decode(&ReceiptBlock { scope: 0, first: 0, last: 0, at: Timestamp::default(), block: bytes.into() });
        }
    }
}
