//! The least of the last while, to tell a queue from a long line.

/// Windows remembered; a queue that stands longer is taken for the line itself.
const WINDOWS: usize = 16;

/// The least values of the last windows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Floor {
    values: [i64; WINDOWS],
    len: u8,
    at: u8,
}

impl Floor {
    /// Notes the least value of a window; gives how far it is above the least of all.
    pub(crate) fn above(&mut self, value: i64) -> i64 {
        self.values[usize::from(self.at)] = value;
        self.at = (self.at + 1) % WINDOWS as u8;
        self.len = (self.len + 1).min(WINDOWS as u8);
        let least = self.values[..usize::from(self.len)].iter().min();
        value.saturating_sub(least.copied().unwrap_or(value))
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_longer_than_it_remembers_becomes_the_floor() {
        let mut floor = Floor::default();
        assert_eq!(floor.above(-7), 0);
        assert_eq!(floor.above(13), 20);
        assert_eq!(floor.above(-9), 0);
        let heights: Vec<_> = (0..17).map(|_| floor.above(1)).collect();
        assert_eq!(heights[..15], [10; 15]);
        assert_eq!(heights[15..], [0, 0]);
    }
}
