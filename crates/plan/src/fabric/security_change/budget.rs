//! What a comparison may cost: every loop whose length is a matter of what is declared pays for its turns before it takes them.

/// Most steps that a comparison takes: beyond, it takes longer than somebody waits for a page.
pub(super) const MAX_STEPS: usize = 20_000_000;

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    /// That of a whole comparison.
    pub const fn new() -> Self {
        Self { left: MAX_STEPS }
    }

    /// Takes so many steps; none if fewer are left, and then the comparison ends.
    pub fn spend(&mut self, steps: usize) -> Option<()> {
        self.left = self.left.checked_sub(steps)?;
        Some(())
    }

    /// Takes so many steps for each of so many things.
    pub fn spend_each(&mut self, things: usize, steps: usize) -> Option<()> {
        self.spend(things.saturating_mul(steps))
    }

    /// What was spent until now.
    #[cfg(test)]
    pub const fn spent(&self) -> usize {
        MAX_STEPS - self.left
    }
}
