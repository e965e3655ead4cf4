//! Measuring on a machine that is shared and noisy: what is compared runs interleaved, in one run, and what counts is
//! the ratio of the medians. (criterion runs one after the other, minutes apart, and compares with an earlier run.)

use std::time::{Duration, Instant};

/// Something to measure.
#[allow(missing_debug_implementations, reason = "holds closures")]
pub struct Candidate<'a> {
    name: &'a str,
    work: Box<dyn FnMut() + 'a>,
    /// What it is measured against (the place in the list), and the largest ratio that is wanted.
    limits: Vec<(usize, f64)>,
}

impl<'a> Candidate<'a> {
    /// Work by its name. Use [`std::hint::black_box`] around what goes in and comes out.
    pub fn new(name: &'a str, work: impl FnMut() + 'a) -> Self {
        Self {
            name,
            work: Box::new(work),
            limits: Vec::new(),
        }
    }

    /// It may take at most this many times as long as another one of the list.
    #[must_use]
    pub fn at_most(mut self, times: f64, other: usize) -> Self {
        self.limits.push((other, times));
        self
    }
}

/// Runs all candidates interleaved, prints the median of each and its ratio to the first, and answers whether all
/// limits are kept.
#[must_use]
pub fn compare(title: &str, mut candidates: Vec<Candidate<'_>>) -> bool {
    const ROUNDS: usize = 301;
    const BATCH: Duration = Duration::from_micros(700);
    let sizes: Vec<u32> = candidates
        .iter_mut()
        .map(|candidate| batch_size(&mut candidate.work, BATCH))
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for ((candidate, size), times) in candidates.iter_mut().zip(&sizes).zip(&mut times) {
            times.push(run(&mut candidate.work, *size));
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    println!("{title}");
    let mut all_kept = true;
    for (candidate, median) in candidates.iter().zip(&medians) {
        let ratio = median / medians[0];
        println!(
            "  {:<36} {:>8.2} µs  {ratio:>5.2} x",
            candidate.name,
            median * 1e6
        );
        for (other, limit) in &candidate.limits {
            let ratio = median / medians[*other];
            let kept = ratio <= *limit;
            all_kept &= kept;
            let verdict = if kept { "kept" } else { "MISSED" };
            println!(
                "    {verdict}: {ratio:.3} x {:?}, at most {limit:.3}",
                candidates[*other].name
            );
        }
    }
    all_kept
}

fn batch_size(work: &mut dyn FnMut(), batch: Duration) -> u32 {
    let mut size = 1;
    loop {
        let taken = run(work, size) * f64::from(size);
        if taken >= batch.as_secs_f64() || size >= 1 << 20 {
            return size;
        }
        size *= 2;
    }
}

/// Seconds for one.
fn run(work: &mut dyn FnMut(), times: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    start.elapsed().as_secs_f64() / f64::from(times)
}
