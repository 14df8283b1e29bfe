//! Threads for questions that may take long: to the kernel's requests nobody else would listen.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that are made when they are needed, up to a number. What comes then waits.
pub(super) struct Workers {
    name: &'static str,
    max: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_over: bool,
}

impl Workers {
    pub(super) fn new(name: &'static str, max: usize) -> Self {
        Self { name, max, shared: Arc::default() }
    }

    /// Runs a job in a thread of its own. It is dropped if there is none and none can be made.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.jobs.push_back(Box::new(job));
        if state.idle < state.jobs.len() && state.threads < self.max {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name(self.name.to_owned());
            match builder.spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    tracing::warn!("no thread for {}: {error}", self.name);
                    state.jobs.clear();
                }
                // One of the others will come to it.
                Err(_) => {}
            }
        }
        drop(state);
        self.shared.came.notify_one();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.came.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            } else if state.is_over || state.idle >= IDLE_MAX {
                state.threads -= 1;
                return;
            } else {
                state.idle += 1;
                state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

/// So many wait for the next job; more than that end.
const IDLE_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_job_that_hangs_does_not_stop_the_next() {
        let workers = Workers::new("test", 4);
        let (release, hangs) = channel::<()>();
        let (said, heard) = channel();
        workers.run(move || assert!(hangs.recv().is_err(), "nothing is sent"));
        for number in 0..100 {
            let said = said.clone();
            workers.run(move || said.send(number).unwrap());
        }
        let wait = || heard.recv_timeout(Duration::from_secs(10)).unwrap();
        let mut numbers: Vec<i32> = (0..100).map(|_| wait()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        drop(release);
    }
}
