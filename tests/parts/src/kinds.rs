//! What is particular to each server.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Kind,
    program::{complete, find, log, unprivileged},
};

/// Makes a data folder, where the server wants one.
pub(crate) fn prepare(kind: Kind, folder: &Path) {
    let data = folder.join("data");
    match kind {
        Kind::Redis => {}
        Kind::Postgres => {
            let mut initdb = unprivileged(&postgres("initdb"), folder);
            initdb.arg("-D").arg(data);
            initdb.args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-N",
            ]);
            complete(initdb);
        }
        Kind::MariaDb => {
            let mut install = unprivileged(&find(&["mariadb-install-db"], &[]), folder);
            install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
            install
                .arg("--skip-test-db")
                .arg(option("--datadir", &data));
            complete(install);
        }
    }
}

/// The server itself, in the foreground. Nothing here has to outlive the machine: no syncing.
pub(crate) fn server(kind: Kind, folder: &Path, port: u16) -> Command {
    let (data, port) = (folder.join("data"), port.to_string());
    let mut command;
    match kind {
        Kind::Redis => {
            command = unprivileged(&find(&["redis-server", "valkey-server"], &[]), folder);
            command.args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port,
                "--databases",
                "4096",
            ]);
            command
                .args(["--save", "", "--appendonly", "no"])
                .arg("--dir")
                .arg(folder);
        }
        Kind::Postgres => {
            command = unprivileged(&postgres("postgres"), folder);
            command
                .arg("-D")
                .arg(data)
                .arg("-k")
                .arg(folder)
                .args(["-p", &port]);
            let settings = [
                "listen_addresses=127.0.0.1",
                "max_connections=500",
                "fsync=off",
                "shared_buffers=64MB",
            ];
            settings.iter().for_each(|setting| {
                command.args(["-c", setting]);
            });
        }
        Kind::MariaDb => {
            command = unprivileged(&find(&["mariadbd"], &[]), folder);
            command.arg("--no-defaults").arg(option("--datadir", &data));
            command.arg(option("--socket", &folder.join("socket")));
            command.arg(option("--pid-file", &folder.join("pid")));
            command.arg(format!("--port={port}"));
            command.args([
                "--bind-address=127.0.0.1",
                "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M",
                "--max-connections=500",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_general_ci",
            ]);
        }
    }
    let errors = log(folder);
    command
        .stdout(errors.try_clone().expect("a file"))
        .stderr(errors);
    command
}

pub(crate) fn url(kind: Kind, port: u16, number: u32) -> String {
    match kind {
        Kind::Redis => format!("redis://127.0.0.1:{port}/{number}"),
        Kind::Postgres => format!("postgres://postgres@127.0.0.1:{port}/t{number}"),
        Kind::MariaDb => format!("mysql://root@127.0.0.1:{port}/t{number}"),
    }
}

/// Redis has its databases by itself.
pub(crate) fn create_database(kind: Kind, port: u16, number: u32) {
    let maintenance = match kind {
        Kind::Redis => return,
        Kind::Postgres => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        Kind::MariaDb => format!("mysql://root@127.0.0.1:{port}/mysql"),
    };
    run(
        kind,
        port,
        &maintenance,
        &format!("CREATE DATABASE t{number}"),
    );
}

pub(crate) fn run(kind: Kind, port: u16, url: &str, command: &str) -> String {
    complete(client(kind, port, url, command))
}

/// Does it take connections, and answer?
pub(crate) fn answers(kind: Kind, port: u16) -> bool {
    if TcpStream::connect(("127.0.0.1", port)).is_err() {
        return false;
    }
    let (url, question) = match kind {
        Kind::Redis => (String::new(), "PING"),
        Kind::Postgres => (
            format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            "SELECT 1",
        ),
        Kind::MariaDb => (format!("mysql://root@127.0.0.1:{port}/mysql"), "SELECT 1"),
    };
    let mut client = client(kind, port, &url, question);
    let status = client.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn client(kind: Kind, port: u16, url: &str, command: &str) -> Command {
    let database = url.rsplit_once('/').map_or("", |(_, database)| database);
    let mut client;
    match kind {
        Kind::Redis => {
            client = Command::new(find(&["redis-cli", "valkey-cli"], &[]));
            client.args(["-e", "-h", "127.0.0.1", "-p", &port.to_string()]);
            if !database.is_empty() {
                client.args(["-n", database]);
            }
            client.args(command.split_whitespace());
        }
        Kind::Postgres => {
            client = Command::new(postgres("psql"));
            client.args([
                "-X",
                "-q",
                "-t",
                "-A",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                command,
                url,
            ]);
        }
        Kind::MariaDb => {
            client = Command::new(find(&["mariadb"], &[]));
            client.args(["--no-defaults", "-h", "127.0.0.1", "-u", "root", "-N", "-B"]);
            client.args(["-P", &port.to_string(), "-D", database, "-e", command]);
        }
    }
    client
}

/// Debian keeps each major version in a folder of its own; the newest counts.
fn postgres(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        std::cmp::Reverse(name.and_then(|name| name.parse::<u32>().ok()))
    });
    let folders: Vec<_> = versions.iter().map(|version| version.join("bin")).collect();
    find(&[program], &folders)
}

fn option(name: &str, value: &Path) -> String {
    format!("{name}={}", value.display())
}
