use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duet_web::ids::UserId;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Who listens to whose changes. There is a bound on them all; who does not listen costs nothing.
#[derive(Debug)]
pub struct Listeners {
    max: usize,
    open: AtomicUsize,
    users: Mutex<HashMap<UserId, watch::Sender<()>>>,
    reads: Semaphore,
}

/// How many streams may wait for the store at once: it has others to read for.
const READS: usize = 8;

/// As many streams are open as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany(pub usize);

impl Listeners {
    /// No listeners, and at most `max` from now on.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            open: AtomicUsize::new(0),
            users: Mutex::default(),
            reads: Semaphore::new(READS),
        })
    }

    /// Listens to a user's changes from now on: what is committed afterwards wakes.
    ///
    /// # Errors
    /// If there are too many listeners already.
    pub fn listen(self: &Arc<Self>, user: UserId) -> Result<Listening, TooMany> {
        let one_more = |open| (open < self.max).then_some(open + 1);
        let order = Ordering::SeqCst;
        if self.open.fetch_update(order, order, one_more).is_err() {
            return Err(TooMany(self.max));
        }
        let changed = self
            .users()
            .entry(user.clone())
            .or_insert_with(|| watch::Sender::new(()))
            .subscribe();
        Ok(Listening {
            listeners: self.clone(),
            user,
            changed,
        })
    }

    /// How many listen.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Wakes those who listen to these users.
    pub fn wake<'u>(&self, changed: impl IntoIterator<Item = &'u str>) {
        let users = self.users();
        for user in changed {
            if let Some(listening) = users.get(user) {
                listening.send_replace(());
            }
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, watch::Sender<()>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One listener, until it is dropped.
#[derive(Debug)]
pub struct Listening {
    listeners: Arc<Listeners>,
    user: UserId,
    changed: watch::Receiver<()>,
}

impl Listening {
    /// Whom it listens to.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Waits until something changed since the last call of [`Listening::up_to_date`].
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // Its sender is dropped only after it.
            std::future::pending::<()>().await;
        }
    }

    /// What was committed before now needs not wake any more: it is read next.
    pub fn up_to_date(&mut self) {
        self.changed.mark_unchanged();
    }

    /// Waits for its turn to read.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.listeners.reads.acquire().await.ok()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut users = self.listeners.users();
        // Under the lock, so that nobody comes in between; one of them is this one's.
        if users
            .get(self.user.as_str())
            .is_some_and(|listening| listening.receiver_count() <= 1)
        {
            users.remove(self.user.as_str());
        }
        self.listeners.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    #[test]
    fn a_change_wakes_those_who_listen_to_its_user_and_no_other() {
        let listeners = Listeners::new(10);
        let mut bobs = [0, 1].map(|_| listeners.listen(user("bob")).unwrap());
        let mut eve = listeners.listen(user("eve")).unwrap();
        listeners.wake(["bob", "nobody", "bob"]);
        for bob in &mut bobs {
            assert_eq!(bob.changed().now_or_never(), Some(()));
            assert_eq!(bob.changed().now_or_never(), None);
        }
        assert_eq!(eve.changed().now_or_never(), None);
    }

    #[test]
    fn over_the_bound_they_are_refused_until_one_leaves() {
        let listeners = Listeners::new(2);
        let first = listeners.listen(user("bob")).unwrap();
        let _second = listeners.listen(user("bob")).unwrap();
        assert_eq!(listeners.listen(user("eve")).unwrap_err(), TooMany(2));
        drop(first);
        let _third = listeners.listen(user("eve")).unwrap();
        assert_eq!(listeners.open(), 2);
    }

    #[test]
    fn nothing_is_left_of_a_user_to_whom_nobody_listens() {
        let listeners = Listeners::new(2);
        let first = listeners.listen(user("bob")).unwrap();
        let mut second = listeners.listen(user("bob")).unwrap();
        drop(first);
        listeners.wake(["bob"]);
        assert_eq!(second.changed().now_or_never(), Some(()));
        drop(second);
        assert!(listeners.users().is_empty());
    }
}
