//! A judge of what Duet promises that shares no line with it: it reads what callers asked and were told, what the sender and its receivers
//! hold in the end, and what an owner is shown, and says whether some order of events explains all of it.
//!
//! Each pair of post and user is a register. A request answered with success took effect at one instant between asking and answer; one
//! answered with failure took none that stands; one without an answer, either. What the sender holds in the end is what the register
//! holds, and each receiver holds the same: nothing lost, nothing twice, nothing that nobody asked for.
//!
//! Nothing is assumed of how Duet works, but this: a request that fails may be seen at the sender until it is answered, and at a receiver
//! also after that, until what takes it back has come there.
//!
//! A store that was restored from an older copy is told to the judge, since what it loses is lost: the register goes back to how it stood
//! when the sender's store was copied, whatever callers were told since; and a receiver shows what is gone, or lacks what it had, until
//! it is healed, and no longer.

mod groups;
mod history;
mod observed;
mod register;
mod stream;
mod verdict;

pub use groups::{Group, groups};
pub use history::{Answer, Did, Held, History, Kind, Operation, Pair, Restored, Rows, Standing};
pub use stream::{Told, stream};
pub use verdict::{Explained, Violation};
