//! The further processes, seen from the first one.

use std::{
    collections::VecDeque,
    env,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokenkeep_core::store::DynTokenStore;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    orders::{Answer, Order, Work, carry_out},
    worker::{LOCATION, MARK, TEST},
};
use crate::conformance::trial::{Bench, Broken, now};

/// How long before they begin processes are told when.
const NOTICE: Duration = Duration::from_millis(15);

/// The further processes. They are killed when it is dropped.
pub(super) struct Fleet {
    processes: Vec<Process>,
    own: DynTokenStore,
}

impl Fleet {
    pub(super) async fn start(bench: &Bench) -> Result<Self, Broken> {
        let Some((count, test)) = &bench.options.processes else {
            return Err(Broken("no processes were asked for".to_owned()));
        };
        let location = bench.options.location.as_deref();
        let mut processes = (0..*count)
            .map(|_| Process::start(test, location))
            .collect::<Result<Vec<_>, _>>()?;
        for process in &mut processes {
            if let Answer::Done(_) = process.answer().await? {
                return Err(Broken("a process answered before it was asked".to_owned()));
            }
        }
        Ok(Self {
            processes,
            own: DynTokenStore::clone(&bench.store),
        })
    }

    /// How many further processes there are.
    pub(super) fn further(&self) -> usize {
        self.processes.len()
    }

    /// What all processes have done who were told the same, the first one too.
    pub(super) async fn all(&mut self, work: Work) -> Result<Vec<String>, Broken> {
        self.each(|_| work.clone()).await
    }

    /// What all processes have done, the first one too, which has the last number.
    pub(super) async fn each(
        &mut self,
        work: impl Fn(usize) -> Work,
    ) -> Result<Vec<String>, Broken> {
        let order = |work| Order {
            begin: now() + NOTICE,
            work,
        };
        for (n, process) in self.processes.iter_mut().enumerate() {
            process.tell(&order(work(n))).await?;
        }
        let mut done = carry_out(order(work(self.processes.len())), &self.own).await?;
        for process in &mut self.processes {
            done.extend(process.done().await?);
        }
        Ok(done)
    }

    /// What one of the further processes has done.
    pub(super) async fn one(&mut self, n: usize, work: Work) -> Result<Vec<String>, Broken> {
        let process = &mut self.processes[n];
        process.tell(&Order { begin: now(), work }).await?;
        process.done().await
    }
}

/// The last lines that a process printed.
type Tail = Arc<Mutex<VecDeque<String>>>;

struct Process {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    tail: Tail,
    test: String,
    // Killed when dropped.
    _child: Child,
}

impl Process {
    fn start(test: &str, location: Option<&str>) -> Result<Self, Broken> {
        let failed = |error| Broken(format!("a further process cannot be started: {error}"));
        let program = env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args([test, "--exact", "--include-ignored", "--nocapture"])
            .env(TEST, test)
            .env_remove(LOCATION)
            .envs(location.map(|location| (LOCATION, location)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(orders), Some(out), Some(err)) = pipes else {
            return Err(Broken("a further process has no pipes".to_owned()));
        };
        let tail = Tail::default();
        tokio::spawn(listen(err, Arc::clone(&tail)));
        Ok(Self {
            orders,
            answers: BufReader::new(out).lines(),
            tail,
            test: test.to_owned(),
            _child: child,
        })
    }

    async fn tell(&mut self, order: &Order) -> Result<(), Broken> {
        let mut line = serde_json::to_string(order)
            .map_err(|error| Broken(format!("the kit made a wrong order: {error}")))?;
        line.push('\n');
        match self.orders.write_all(line.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended()),
        }
    }

    async fn answer(&mut self) -> Result<Answer, Broken> {
        while let Ok(Some(line)) = self.answers.next_line().await {
            let Some(answer) = line.strip_prefix(MARK) else {
                note(&self.tail, line);
                continue;
            };
            return match serde_json::from_str(answer) {
                Ok(Answer::Failed(how)) => Err(Broken(format!("in another process: {how}"))),
                Ok(answer) => Ok(answer),
                Err(error) => Err(Broken(format!("a process answered nonsense: {error}"))),
            };
        }
        // What it had to say comes by the other pipe.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(self.ended())
    }

    async fn done(&mut self) -> Result<Vec<String>, Broken> {
        match self.answer().await? {
            Answer::Done(done) => Ok(done),
            _ => Err(Broken("a process answered something else".to_owned())),
        }
    }

    fn ended(&self) -> Broken {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<_> = tail.iter().map(String::as_str).collect();
        Broken(format!(
            "a process that ran `{} --exact` ended: is this the name of the test that calls check_with, and does its \
             store open a second time? It printed: {}",
            self.test,
            said.join(" | ")
        ))
    }
}

async fn listen(pipe: impl AsyncRead + Unpin, tail: Tail) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        note(&tail, line);
    }
}

fn note(tail: &Tail, line: String) {
    const KEPT: usize = 8;
    if line.trim().is_empty() {
        return;
    }
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == KEPT {
        tail.pop_front();
    }
    tail.push_back(line.chars().take(200).collect());
}
