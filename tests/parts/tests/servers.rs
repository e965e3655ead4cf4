//! Each server starts, answers, crashes, and comes back with what it had.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use tokenkeep_parts::{Kind, OAuth1Server, Server};

#[test]
#[ignore = "needs Redis; tests/run brings it"]
fn redis_starts_and_ends() {
    let server = Server::start(Kind::Redis);
    let (first, second) = (server.fresh(), server.fresh());
    server.run(&first, "SET a 1");
    assert_eq!(server.run(&first, "GET a"), "1\n");
    assert_eq!(server.run(&second, "GET a"), "\n");
    server.kill();
    server.resume();
    assert_eq!(server.run(&first, "PING"), "PONG\n");
}

#[test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
fn postgres_crashes_and_keeps_what_it_had() {
    let server = Server::start(Kind::Postgres);
    let url = server.fresh();
    server.run(&url, "CREATE TABLE a AS SELECT 7 AS b");
    server.kill();
    server.resume();
    assert_eq!(server.run(&url, "SELECT b FROM a"), "7\n");
}

#[test]
#[ignore = "needs MariaDB; tests/run brings it"]
fn mariadb_crashes_and_keeps_what_it_had() {
    let server = Server::start(Kind::MariaDb);
    let url = server.fresh();
    server.run(&url, "CREATE TABLE a AS SELECT 7 AS b");
    server.kill();
    server.resume();
    assert_eq!(server.run(&url, "SELECT b FROM a"), "7\n");
    assert_eq!(
        server.run(&url, "SELECT 'a' = 'A'"),
        "1\n",
        "its collation folds case"
    );
}

#[test]
#[ignore = "needs oauthlib; tests/run brings it"]
fn the_server_of_oauth1_starts_and_ends() {
    let address = OAuth1Server::start("")
        .at("")
        .replace("http://", "")
        .replace('/', "");
    // It ended at once, with what held it.
    assert!(std::net::TcpStream::connect(address).is_err());
}
