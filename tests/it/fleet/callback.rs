//! The answer to one login comes to all processes at the same time.

use std::{collections::BTreeMap, sync::Arc};

use tokenkeep::{BrowserCookies, CallbackParams, ErrorCode, OAuth, SystemClock};
use tokenkeep_testing::Provider;
use tokio::io::AsyncReadExt;

use super::process::{Order, Process, Task};
use crate::{
    kind::Kind,
    world::{CALLBACK, CLIENT, World, encoded, soon},
};

const PROCESSES: usize = 3;
const CALLBACKS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_processes_one_reads_an_answer_and_spends_its_code() {
    for kind in Kind::present().filter(|kind| *kind != Kind::Memory) {
        eprintln!("over {kind:?}");
        let place = kind.place(Arc::new(SystemClock));
        let world = World::over(Kind::Memory, Provider::builder()).await;
        let idle = Task::Race { last: 0 };
        let mut order = Order::over(&place, &world.provider, idle);
        let client = order.oauth().await.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = world.at_provider(&redirect, "alice").await;
        let cookie = &redirect.cookies[0];
        order.task = Task::CallBack {
            query: encoded(&callback),
            cookies: format!("{}={}", cookie.name, cookie.value.expose()),
        };
        let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::start(&order)).collect();
        let mut said: Vec<_> = processes.iter_mut().map(Process::said).collect();
        for lines in &mut said {
            while soon(lines.next_line()).await.unwrap().unwrap() != "ready" {}
        }
        for process in &mut processes {
            process.ask_to_end();
        }
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for (process, lines) in processes.iter_mut().zip(&mut said) {
            while let Some(line) = soon(lines.next_line()).await.unwrap() {
                if let Some(outcome) = line.strip_prefix("came to ") {
                    *outcomes.entry(outcome.to_owned()).or_default() += 1;
                }
            }
            assert!(soon(process.wait()).await.success(), "{outcomes:?}");
        }
        let expected = [
            ("login".to_owned(), 1),
            (
                ErrorCode::StateMismatch.to_string(),
                PROCESSES * CALLBACKS - 1,
            ),
        ];
        assert_eq!(outcomes, BTreeMap::from(expected), "{kind:?}");
        assert_eq!(world.provider.requests("/token"), 1, "{kind:?}");
    }
}

/// What each process does, once it is told to.
pub(super) async fn run(oauth: &OAuth, query: &str, cookies: &str) {
    println!("ready");
    let _ = tokio::io::stdin().read(&mut [0]).await;
    let callbacks: Vec<_> = (0..CALLBACKS)
        .map(|_| {
            let client = oauth.client(CLIENT).unwrap();
            let params = CallbackParams::parse(query).unwrap();
            let cookies = BrowserCookies::parse([cookies]);
            tokio::spawn(async move {
                let returned = client.authorize_access_token(&params, &cookies, None).await;
                returned.login
            })
        })
        .collect();
    for callback in callbacks {
        match soon(callback).await.unwrap() {
            Ok(_) => println!("came to login"),
            Err(error) => println!("came to {}", error.code()),
        }
    }
}
