//! Memory for the kernels. No I/O.

use std::ops::{Deref, DerefMut};

/// Numbers of a cache line.
const LINE: usize = 16;

/// Numbers the first of which lies at the beginning of a cache line: a register of AVX-512 is one, and one that is read
/// from two lines takes twice the time.
#[derive(Default)]
pub(crate) struct Numbers {
    memory: Vec<f32>,
    first: usize,
    len: usize,
}

impl Numbers {
    /// Zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut numbers = Self::default();
        numbers.set_len(len);
        numbers
    }

    /// From now on these are so many numbers, of any value.
    pub(crate) fn set_len(&mut self, len: usize) {
        if self.memory.len() < len + LINE {
            self.memory = vec![0.0; len + LINE];
            self.first = self.memory.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        }
        self.len = len;
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.first..][..self.len]
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.first..][..self.len]
    }
}
