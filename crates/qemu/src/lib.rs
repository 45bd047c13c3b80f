//! QEMU, as far as the network has to do with it: orders to a running one (`qmp`), and the hand-over of its guest to another
//! one, on whatever host (`hand_over`). What is virtual in the network is not known here.

mod error;
mod hand_over;
mod qmp;

pub use error::QmpError;
pub use hand_over::{HandOverError, Moved, Pause, Way, hand_over, quit, ready};
pub use qmp::Qmp;
