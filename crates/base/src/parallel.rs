//! Work on many things at once.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does `work` for every item, as many at once as there are cores, and returns what came of each in the
/// items' order. A panic of `work` is the caller's.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_at_most(cores(), items, work)
}

/// How many cores there are for this process.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// As [`map`], but no more than so many at once, be there fewer cores or more: for work that mostly waits.
pub fn map_at_most<T: Sync, R: Send>(
    at_once: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = at_once.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // This thread works as well: one less to start.
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(reason) => panic::resume_unwind(reason),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// As [`map`], with each item in what a person is shown of the progress.
pub fn map_counted<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    crate::progress().expect(items.len() as u64);
    map(items, |item| {
        let done = work(item);
        crate::progress().did(1);
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..1000).collect();
        let slow_first = |item: &u64| {
            if *item < 4 {
                thread::sleep(std::time::Duration::from_millis(4 - *item));
            }
            item * 2
        };
        let expected: Vec<u64> = items.iter().map(|item| item * 2).collect();
        assert_eq!(map(&items, slow_first), expected);
        assert_eq!(map(&[], slow_first), Vec::<u64>::new());
        assert_eq!(map(&[7], slow_first), [14]);
    }

    #[test]
    fn no_more_are_at_work_at_once_than_may_be() {
        let (at_work, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_: &u64| {
            let now = at_work.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            thread::yield_now();
            at_work.fetch_sub(1, Ordering::SeqCst);
        };
        let items: Vec<u64> = (0..200).collect();
        for at_once in [0, 1, 3] {
            most.store(0, Ordering::SeqCst);
            assert_eq!(map_at_most(at_once, &items, work).len(), items.len());
            assert!(most.load(Ordering::SeqCst) <= at_once.max(1), "{at_once}");
        }
    }

    #[test]
    fn a_panic_is_the_callers() {
        let work = |item: &u64| assert_ne!(*item, 30);
        let items: Vec<u64> = (0..60).collect();
        let caught = panic::catch_unwind(|| map(&items, work));
        assert!(caught.is_err());
    }
}
