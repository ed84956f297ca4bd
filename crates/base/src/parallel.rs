//! Work on many things at once.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does `work` for every item, as many at once as there are cores, and returns what came of each in the
/// items' order. A panic of `work` is the caller's.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(items.len());
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
    fn a_panic_is_the_callers() {
        let work = |item: &u64| assert_ne!(*item, 30);
        let items: Vec<u64> = (0..60).collect();
        let caught = panic::catch_unwind(|| map(&items, work));
        assert!(caught.is_err());
    }
}
