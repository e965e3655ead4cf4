//! Programs that end with this one and have no rights.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
};

use tempfile::TempDir;

/// The user without rights that servers run as when root starts them.
const NOBODY: &str = "nobody";

fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn am_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| output(Command::new("id").arg("-u")).as_deref() == Some("0"))
}

/// A folder that the servers' user may write to.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("tokenkeep-part.")
        .tempdir()
        .expect("a temporary folder");
    if am_root() {
        let id = |flag| {
            output(Command::new("id").args([flag, NOBODY]))?
                .parse::<u32>()
                .ok()
        };
        std::os::unix::fs::chown(folder.path(), id("-u"), id("-g")).expect("root may do that");
        let open = fs::metadata(folder.path().parent().expect("it has a parent"));
        let mode = open.expect("it is there").permissions().mode();
        assert!(
            mode & 0o001 != 0,
            "{NOBODY} cannot enter TMPDIR: chmod o+x it"
        );
    }
    folder
}

/// A command that runs as a user without rights, has no other place for files than the folder, and ends when the thread
/// that spawns it ends.
pub(crate) fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if am_root() {
        let user = ["--reuid", NOBODY, "--regid", "nogroup", "--clear-groups"];
        command.args(user);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.current_dir("/").env("TMPDIR", folder);
    command.stdin(Stdio::null());
    command
}

/// Spawns by a thread that lives as long as the program: the signal at a parent's death is one at its thread's death,
/// and tests have threads of their own.
pub(crate) fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let name = command.get_program().to_owned();
    let (sender, answer) = mpsc::channel();
    spawner
        .send((command, sender))
        .expect("the thread lives on");
    let child = answer.recv().expect("the thread answers");
    child.unwrap_or_else(|error| panic!("{}: {error}", name.display()))
}

/// The first of these programs that is installed, in the search path or the folders given.
pub(crate) fn find(names: &[&str], folders: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = folders
        .iter()
        .cloned()
        .chain(std::env::split_paths(&path))
        .collect();
    folders.push("/usr/sbin".into());
    let mut found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.find(|program| program.is_file()).unwrap_or_else(|| {
        panic!(
            "{} is not installed: tests/install redis postgres mariadb",
            names[0]
        )
    })
}

/// Runs a program to its end.
pub(crate) fn complete(mut command: Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A log in the folder of a server.
pub(crate) fn log(folder: &Path) -> File {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"));
    log.expect("the folder is there")
}

/// A loopback port that nobody listens on, below the range that the kernel gives to outgoing connections, and above the
/// one that the browser tests use.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs at the same time begin far from each other.
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT)
}
