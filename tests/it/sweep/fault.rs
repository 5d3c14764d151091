//! The faults of the sweep, by the names under which cases are started.

use std::fmt::{self, Display};
use std::time::Duration;

use switchboard_testbed::proxy::{Fate, Refusal};

/// How long a late request is late.
const LATE: Duration = Duration::from_secs(2);

/// What happens at a request, or from it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The controller dies after the deed, before it hears of it.
    Kill,
    /// The request does not arrive.
    LoseRequest,
    /// The answer does not arrive.
    LoseAnswer,
    /// The request arrives late, when others have overtaken it.
    Delay,
    /// The request is refused.
    Refuse(Refusal),
    /// The watch of this kind tells nothing, until the tenant is done.
    Freeze(&'static str),
    /// When the tenant is done the controller starts anew, and sees for a while what was at the
    /// request.
    OldLists,
    /// Spec and password become others and again what they were, and no watch tells it.
    ChangedBack,
    /// The integration is deleted and made again under its name, and no watch tells it.
    MadeAgain,
}

impl Fault {
    pub(super) const ALL: [Self; 16] = [
        Self::Kill,
        Self::LoseRequest,
        Self::LoseAnswer,
        Self::Delay,
        Self::Refuse(Refusal::Conflict),
        Self::Refuse(Refusal::Expired),
        Self::Refuse(Refusal::TooManyRequests),
        Self::Refuse(Refusal::InternalError),
        Self::Freeze("salesforceintegrations"),
        Self::Freeze("secrets"),
        Self::Freeze("cronjobs"),
        Self::Freeze("jobs"),
        Self::Freeze("pods"),
        Self::OldLists,
        Self::ChangedBack,
        Self::MadeAgain,
    ];

    /// The fault of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.to_string() == name)
    }

    /// What the proxy does.
    pub(super) fn fate(self) -> Fate {
        match self {
            Self::Kill => Fate::Kill,
            Self::LoseRequest => Fate::LoseRequest,
            Self::LoseAnswer => Fate::LoseAnswer,
            Self::Delay => Fate::Delay(LATE),
            Self::Refuse(refusal) => Fate::Refuse(refusal),
            Self::Freeze(kind) => Fate::Freeze(kind),
            Self::OldLists => Fate::Remember,
            Self::ChangedBack | Self::MadeAgain => Fate::Blind,
        }
    }

    /// Whether the controller cannot know all that the cluster holds, so that what a tenant does
    /// next may come too early.
    pub(super) fn blinds(self) -> bool {
        matches!(self, Self::Freeze(_) | Self::ChangedBack | Self::MadeAgain)
    }

    /// How many controllers start because of it.
    pub(super) fn starts(self) -> usize {
        usize::from(matches!(self, Self::Kill | Self::OldLists))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::LoseRequest => "lose-request",
            Self::LoseAnswer => "lose-answer",
            Self::Delay => "delay",
            Self::Refuse(Refusal::Conflict) => "409",
            Self::Refuse(Refusal::Expired) => "410",
            Self::Refuse(Refusal::TooManyRequests) => "429",
            Self::Refuse(Refusal::InternalError) => "500",
            Self::Freeze(kind) => return write!(f, "freeze-{kind}"),
            Self::OldLists => "old-lists",
            Self::ChangedBack => "changed-back",
            Self::MadeAgain => "made-again",
        })
    }
}
