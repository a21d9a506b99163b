//! The bounds of queues and groups.

use proptest::prelude::*;

use super::*;

fn job(units: usize, bytes: usize) -> Job {
    let (to, _) = oneshot::channel();
    Job { work: Work::Save(Fence { shard: 0, epoch: 0 }, Vec::new(), to), units, bytes, _place: None }
}

fn task() -> Job {
    Job { work: Work::Task(Box::new(|_, _| ())), units: 1, bytes: 0, _place: None }
}

proptest! {
    /// Whatever waits, in whatever sizes: a group keeps both caps or is one job, nothing is lost, and neither queue is
    /// passed over twice in a row.
    #[test]
    fn a_group_keeps_its_caps_and_no_queue_is_passed_over_twice(
        sizes in prop::collection::vec((any::<bool>(), 1..1_500usize, 0..2 * GROUP_BYTES, 0..10u8), 1..60),
    ) {
        let queue = Queue::default();
        for (own, units, bytes, kind) in &sizes {
            match (own, kind) {
                (true, 0) => prop_assert!(queue.push_own(task())),
                (true, _) => prop_assert!(queue.push_own(job(*units, *bytes))),
                (false, _) => queue.push_door(job(*units, *bytes)).unwrap(),
            }
        }
        let (mut taken, mut passed_own, mut passed_doors) = (0, 0, 0);
        loop {
            let before = queue.depth();
            let batch = queue.take(false);
            let after = queue.depth();
            match batch {
                Batch::Group(jobs) => {
                    let units: usize = jobs.iter().map(|j| j.units).sum();
                    let bytes: usize = jobs.iter().map(|j| j.bytes).sum();
                    prop_assert!(jobs.len() == 1 || (units <= GROUP_UNITS && bytes <= GROUP_BYTES), "{units} {bytes}");
                    prop_assert!(!jobs.is_empty());
                    taken += jobs.len();
                }
                Batch::Task(_) => taken += 1,
                Batch::Idle => break,
                Batch::Closed => panic!("it is open"),
            }
            let passed = |had: usize, has: usize, count: usize| if had > 0 && had == has { count + 1 } else { 0 };
            passed_own = passed(before.own_items, after.own_items, passed_own);
            passed_doors = passed(before.door_items, after.door_items, passed_doors);
            prop_assert!(passed_own < 2 && passed_doors < 2);
        }
        prop_assert_eq!(taken, sizes.len());
        let end = queue.depth();
        prop_assert_eq!((end.own_items, end.own_bytes, end.door_items, end.door_bytes), (0, 0, 0, 0));
    }
}

#[test]
fn the_doors_queue_is_bounded_in_bytes_and_takes_one_larger_job_when_it_is_empty() {
    let queue = Queue::default();
    queue.push_door(job(1, WRITER_QUEUE_BYTES + 1)).unwrap();
    assert!(matches!(queue.push_door(job(1, 1)), Err(CommitError::Busy { .. })));
    assert!(matches!(queue.take(false), Batch::Group(jobs) if jobs.len() == 1));
    queue.push_door(job(1, WRITER_QUEUE_BYTES - 10)).unwrap();
    assert!(matches!(queue.push_door(job(1, 11)), Err(CommitError::Busy { .. })));
    queue.push_door(job(1, 10)).unwrap();
    assert_eq!(queue.depth().door_bytes, WRITER_QUEUE_BYTES);
}
