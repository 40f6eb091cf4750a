//! A tiny executor: two threads, one queue, and a future that gives way to other tasks.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    work: Mutex<Option<Work>>,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    ready: Mutex<(VecDeque<Arc<Task>>, usize)>,
    changed: Condvar,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let queue = Arc::clone(&self.queue);
        queue.ready.lock().unwrap().0.push_back(self);
        queue.changed.notify_all();
    }
}

impl Queue {
    fn run(&self) {
        loop {
            let mut ready = self.ready.lock().unwrap();
            let task = loop {
                if let Some(task) = ready.0.pop_front() {
                    break task;
                }
                if ready.1 == 0 {
                    return;
                }
                ready = self.changed.wait(ready).unwrap();
            };
            drop(ready);
            let waker = Waker::from(Arc::clone(&task));
            let mut slot = task.work.lock().unwrap();
            let work = slot.as_mut().expect("a task that is ready has work");
            if work
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                *slot = None;
                self.ready.lock().unwrap().1 -= 1;
                self.changed.notify_all();
            }
        }
    }
}

/// Runs all futures to their ends, on two threads.
pub fn run(futures: impl IntoIterator<Item = Work>) {
    let queue = Arc::new(Queue::default());
    for work in futures {
        let task = Task {
            work: Mutex::new(Some(work)),
            queue: Arc::clone(&queue),
        };
        let mut ready = queue.ready.lock().unwrap();
        ready.0.push_back(Arc::new(task));
        ready.1 += 1;
    }
    thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(|| queue.run())));
    });
}

/// Lets other tasks run, and goes on on whichever thread comes first.
pub fn give_way() -> impl Future<Output = ()> {
    let mut has_waited = false;
    std::future::poll_fn(move |context| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
