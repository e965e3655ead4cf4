//! Everything that is said, in one place to search.

use std::{
    fmt::{Debug, Display},
    io::Write,
    sync::{Arc, Mutex},
};

use tokenkeep::Error;

/// Everything that was said.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub(super) fn debug(&self, what: &dyn Debug) {
        writeln!(self.clone(), "{what:?}\n{what:#?}").unwrap();
    }

    pub(super) fn display(&self, what: &dyn Display) {
        writeln!(self.clone(), "{what}").unwrap();
    }

    pub(super) fn error(&self, error: &Error) {
        // It is logged sooner or later.
        let told = format!("{error} {error:?}");
        assert!(!told.contains("alice"), "{told}");
        self.debug(error);
        self.display(error);
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            self.debug(&inner);
            self.display(&inner);
            source = inner.source();
        }
    }

    pub(super) fn failed<T: Debug>(&self, result: Result<T, Error>) {
        match result {
            Ok(value) => panic!("a failure was to be looked at, and it went well: {value:?}"),
            Err(error) => self.error(&error),
        }
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged by the crate `log`, in the whole process.
pub(super) struct Logger(pub(super) Heard);

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.0.clone(), "{}: {}", record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}
