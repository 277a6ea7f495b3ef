//! Pauses between attempts: each twice as long as the one before, with chance in it so that agents do not come together.

use std::time::Duration;

#[derive(Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The next pause: between half of the present length and all of it.
    pub fn pause(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.max);
        now.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Back to the shortest pause.
    pub fn reset(&mut self) {
        self.next = self.min;
    }

    /// On to the longest pause: trying again soon would not help.
    pub fn slow_down(&mut self) {
        self.next = self.max;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        for longest in [100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.pause();
            assert!(pause >= ms(longest / 2) && pause <= ms(longest), "{pause:?} of {longest}");
        }
        backoff.reset();
        assert!(backoff.pause() <= ms(100));
        backoff.slow_down();
        assert!(backoff.pause() >= ms(500));
    }
}
