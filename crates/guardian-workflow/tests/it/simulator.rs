//! Crashes, two workers, leaping clocks: a thousand schedules and more, each of which a seed brings back.

use guardian_workflow::testkit::{Simulation, simulate_schedule};

#[test]
fn nothing_is_lost_or_doubled_in_two_thousand_schedules() {
    let (mut crashes, mut lost) = (0, 0);
    for seed in 0..2000 {
        let done =
            simulate_schedule(&Simulation::seeded(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        crashes += done.crashes;
        lost += done.lost;
    }
    // The schedules are worth something: workers died, and were kept out after they had lost a run.
    assert!(crashes > 2000, "{crashes} crashes");
    assert!(lost > 0, "no worker was ever kept out");
}

#[test]
fn a_crash_after_every_single_write_loses_nothing() {
    for seed in 0..8 {
        let whole = simulate_schedule(&Simulation::seeded(seed).crashing_after(u64::MAX)).unwrap();
        for write in 1..=whole.writes {
            let simulation = Simulation::seeded(seed).crashing_after(write);
            let done = simulate_schedule(&simulation).unwrap_or_else(|why| panic!("{simulation:?}: {why}"));
            assert_eq!(done.crashes, 1, "{simulation:?}");
        }
    }
}

#[test]
fn a_seed_brings_back_its_schedule() {
    for seed in [3, 77, 1234] {
        let run = || simulate_schedule(&Simulation::seeded(seed)).unwrap();
        assert_eq!(run(), run());
    }
}
