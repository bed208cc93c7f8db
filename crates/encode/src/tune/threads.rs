//! Work that is divided into jobs, each of which has its own part of the result.
//!
//! In: jobs and memory for each thread. Out: nothing but what the jobs write, so that neither the number of threads nor
//! the order in which jobs are taken changes a bit.

use std::sync::{Mutex, PoisonError};

/// Runs all jobs on as many threads as there are scratches.
pub(super) fn each<J: Send, S: Send>(scratches: &mut [S], jobs: Vec<J>, work: impl Fn(J, &mut S) + Sync) {
    let n_threads = scratches.len().min(jobs.len());
    if n_threads <= 1 {
        if let Some(scratch) = scratches.first_mut() {
            jobs.into_iter().for_each(|job| work(job, scratch));
        }
        return;
    }
    let jobs = Mutex::new(jobs.into_iter());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = |scratch: &mut S| {
        while let Some(job) = next() {
            work(job, scratch);
        }
    };
    let (own, others) = scratches[..n_threads].split_at_mut(1);
    std::thread::scope(|scope| {
        others.iter_mut().for_each(|scratch| {
            scope.spawn(|| run(scratch));
        });
        run(&mut own[0]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_on_any_number_of_threads() {
        for n_threads in [1, 2, 5] {
            let (mut scratches, mut out) = (vec![0_u32; n_threads], [0_u32; 100]);
            let jobs = out.iter_mut().enumerate().collect();
            each(&mut scratches, jobs, |(place, out): (usize, &mut u32), scratch| {
                *out += place as u32;
                *scratch += 1;
            });
            assert!(out.iter().enumerate().all(|(place, &found)| found == place as u32));
            assert_eq!(scratches.iter().sum::<u32>(), 100);
        }
    }
}
