//! A value that is told once to who waits for it, and the waking of many with one wake-up for each of their threads.
//!
//! To wake a task of another thread takes the lock of that thread's queue, and a system call if it sleeps. A commit answers hundreds of
//! callers of a few threads: so one of each thread is woken, and that one wakes the others, from where it costs next to nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

/// Tells a value, once. Dropped without having told it, it tells that nothing will be told.
#[derive(Debug)]
pub(crate) struct Told<T>(Arc<Shared<T>>);

/// Waits to be told; `None` if that will never be.
#[derive(Debug)]
#[must_use = "who waits has to be polled"]
pub(crate) struct Waits<T> {
    shared: Arc<Shared<T>>,
    id: usize,
    take: fn(&mut Option<T>) -> Option<T>,
}

#[derive(Debug)]
struct Shared<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    is_over: bool,
    /// For each who waits or ever did: how it is woken.
    wakers: Vec<Option<(ThreadId, Waker)>>,
    waiting: usize,
    /// Whom its only waiter wakes, once it is woken itself.
    others: Vec<Waker>,
}

impl<T> Shared<T> {
    /// A panic while it was locked leaves it as it was: each change is one operation.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        let state = State {
            value: None,
            is_over: false,
            wakers: Vec::with_capacity(1),
            waiting: 0,
            others: Vec::new(),
        };
        Told(Arc::new(Shared(Mutex::new(state))))
    }
}

impl<T> Told<T> {
    /// Waits for it; it is taken from all others who wait.
    pub(crate) fn taken(&self) -> Waits<T> {
        self.waits(Option::take)
    }

    /// Waits for it, as others do.
    pub(crate) fn shared(&self) -> Waits<T>
    where
        T: Clone,
    {
        self.waits(|value| value.clone())
    }

    fn waits(&self, take: fn(&mut Option<T>) -> Option<T>) -> Waits<T> {
        let mut state = self.0.lock();
        state.waiting += 1;
        state.wakers.push(None);
        Waits {
            shared: self.0.clone(),
            id: state.wakers.len() - 1,
            take,
        }
    }
}

impl<T: Send + 'static> Told<T> {
    /// Tells it to all who wait, who are to be woken together with others.
    pub(crate) fn tell(&self, value: T, wakes: &mut Wakes) {
        let mut state = self.0.lock();
        state.value = Some(value);
        for (thread, waker) in state.wakers.iter_mut().filter_map(Option::take) {
            wakes.0.push(Wake {
                thread,
                waker,
                carrier: self.0.clone(),
            });
        }
    }
}

impl<T> Drop for Told<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_over = true;
        let wakers: Vec<_> = state.wakers.iter_mut().filter_map(Option::take).collect();
        drop(state);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl<T> Future for Waits<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.shared.lock();
        let others = std::mem::take(&mut state.others);
        let value = (self.take)(&mut state.value);
        let is_over = value.is_some() || state.is_over;
        if !is_over {
            let waker = (thread::current().id(), context.waker().clone());
            state.wakers[self.id] = Some(waker);
        }
        drop(state);
        others.into_iter().for_each(Waker::wake);
        match is_over {
            true => Poll::Ready(value),
            false => Poll::Pending,
        }
    }
}

impl<T> Drop for Waits<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.waiting -= 1;
        state.wakers[self.id] = None;
        let others = std::mem::take(&mut state.others);
        drop(state);
        others.into_iter().for_each(Waker::wake);
    }
}

/// Those who are to be woken. Not woken, they wait for ever.
#[derive(Default)]
#[must_use = "who was told is to be woken"]
pub(crate) struct Wakes(Vec<Wake>);

struct Wake {
    thread: ThreadId,
    waker: Waker,
    carrier: Arc<dyn Carrier>,
}

/// What can have its only waiter wake others.
trait Carrier: Send + Sync {
    /// Gives them back if it can't: nobody waits there, or not one alone.
    fn carry(&self, others: Vec<Waker>) -> Result<(), Vec<Waker>>;
}

impl<T: Send> Carrier for Shared<T> {
    fn carry(&self, others: Vec<Waker>) -> Result<(), Vec<Waker>> {
        let mut state = self.lock();
        // Of several, the one that is left may wait for another wake-up than this one.
        if state.waiting == 1 && state.wakers.len() == 1 {
            state.others.extend(others);
            Ok(())
        } else {
            Err(others)
        }
    }
}

impl Wakes {
    /// Wakes all.
    pub(crate) fn wake(self) {
        let mut threads: Vec<(ThreadId, Wake, Vec<Waker>)> = Vec::new();
        for wake in self.0 {
            match threads.iter_mut().find(|(of, ..)| *of == wake.thread) {
                Some((_, _, others)) => others.push(wake.waker),
                None => threads.push((wake.thread, wake, Vec::new())),
            }
        }
        for (_, first, others) in threads {
            let Err(others) = first.carrier.carry(others) else {
                first.waker.wake();
                continue;
            };
            first.waker.wake();
            others.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// One who waits, and how often it was woken.
    struct One {
        waits: Waits<u32>,
        woken: Arc<Woken>,
    }

    impl One {
        fn waiting(told: &Told<u32>) -> Self {
            let mut one = One {
                waits: told.shared(),
                woken: Arc::default(),
            };
            assert_eq!(one.poll(), Poll::Pending);
            one
        }

        fn poll(&mut self) -> Poll<Option<u32>> {
            let waker = Waker::from(self.woken.clone());
            Pin::new(&mut self.waits).poll(&mut Context::from_waker(&waker))
        }
    }

    fn all_waiting(count: usize) -> (Vec<Told<u32>>, Vec<One>) {
        let told: Vec<_> = std::iter::repeat_with(Told::default).take(count).collect();
        let all = told.iter().map(One::waiting).collect();
        (told, all)
    }

    fn tell(told: &[Told<u32>]) {
        let mut wakes = Wakes::default();
        (1..)
            .zip(told)
            .for_each(|(value, told)| told.tell(value, &mut wakes));
        wakes.wake();
    }

    fn woken(all: &[One]) -> Vec<usize> {
        all.iter().map(|one| one.woken.times()).collect()
    }

    #[test]
    fn of_those_who_wait_on_a_thread_one_is_woken_and_wakes_the_others() {
        let (told, mut all) = all_waiting(3);
        tell(&told);
        assert_eq!(woken(&all), [1, 0, 0]);
        assert_eq!(all[0].poll(), Poll::Ready(Some(1)));
        assert_eq!(woken(&all), [1, 1, 1]);
        assert_eq!(all[2].poll(), Poll::Ready(Some(3)));
    }

    #[test]
    fn each_thread_has_a_wake_up_of_its_own() {
        let (mut told, mut all) = all_waiting(2);
        let (more, others) = thread::spawn(|| all_waiting(2)).join().unwrap();
        told.extend(more);
        all.extend(others);
        tell(&told);
        assert_eq!(woken(&all), [1, 0, 1, 0]);
    }

    #[test]
    fn one_that_gives_up_wakes_those_that_it_was_to_wake() {
        let (told, mut all) = all_waiting(3);
        tell(&told);
        drop(all.remove(0));
        assert_eq!(woken(&all), [1, 1]);
    }

    #[test]
    fn where_the_first_has_gone_or_was_polled_already_the_others_are_woken_all_the_same() {
        let (told, mut all) = all_waiting(3);
        let mut wakes = Wakes::default();
        told.iter().for_each(|told| told.tell(7, &mut wakes));
        assert_eq!(all[0].poll(), Poll::Ready(Some(7)));
        drop(all.remove(0));
        wakes.wake();
        assert_eq!(woken(&all), [1, 1]);
    }

    #[test]
    fn several_who_wait_for_one_value_are_all_told_it() {
        let told = Told::default();
        let (mut one, mut other) = (One::waiting(&told), One::waiting(&told));
        tell(std::slice::from_ref(&told));
        assert_eq!((one.woken.times(), other.woken.times()), (1, 1));
        drop(told);
        assert_eq!(one.poll(), Poll::Ready(Some(1)));
        assert_eq!(other.poll(), Poll::Ready(Some(1)));
    }

    #[test]
    fn what_is_taken_is_taken_once_and_what_is_never_told_is_none() {
        let told = Told::default();
        let mut one = One {
            waits: told.taken(),
            woken: Arc::default(),
        };
        assert_eq!(one.poll(), Poll::Pending);
        drop(told);
        assert_eq!(one.woken.times(), 1);
        assert_eq!(one.poll(), Poll::Ready(None));
    }
}
