//! What is written down of a storm: requests, swaps and phases. All times are nanoseconds of [`crate::clock`].

/// What a number in an answer is the revision of. Each has a history of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// The set of the WASI 0.2 services, which is deployed as one.
    P2,
    /// The set of the WASI 0.3 services.
    P3,
    /// The value of a variable, which a manifest sets.
    Variable,
    /// To which service a route leads.
    Route,
    /// How long a call over a link may take: 0 for too short, 1 for long enough.
    Limit,
}

impl Track {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::P2, Self::P3, Self::Variable, Self::Route, Self::Limit];
}

/// How a request went to the host and its answer back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// HTTP/1.1, on a connection with many requests.
    KeepAlive,
    /// HTTP/1.1, on a connection of its own.
    Close,
    /// HTTP/2, on a connection with several at once.
    Http2,
    /// HTTP/1.1, answered by way of two calls over a live link.
    Link,
    /// The same, with a call that takes long or with time between the calls.
    SlowLink,
    /// A response that takes long.
    Download,
    /// A request body that takes long.
    Upload,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::KeepAlive,
        Self::Close,
        Self::Http2,
        Self::Link,
        Self::SlowLink,
        Self::Download,
        Self::Upload,
    ];

    /// As tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeepAlive => "HTTP/1.1 keep-alive",
            Self::Close => "HTTP/1.1 close",
            Self::Http2 => "HTTP/2",
            Self::Link => "live link",
            Self::SlowLink => "live link, with a pause",
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }

    /// Whether it takes as long as it is told to, so that its time says nothing of the host.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::SlowLink | Self::Download | Self::Upload)
    }
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A whole answer, as it should look.
    Whole {
        /// The revision that it tells.
        revision: u32,
        /// The first revision in it that is another one, or else the same again.
        also: u32,
    },
    /// Another status than 200.
    Status(u16),
    /// A head, and then less of a body than was to come, or something else.
    Broken,
    /// No answer: no connection, a reset, or no end within the client's patience.
    Lost,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Its number; requests count from 0.
    pub request: u32,
    /// How it went.
    pub way: Way,
    /// What its answer tells.
    pub track: Track,
    /// When it was to be sent.
    pub scheduled: u64,
    /// When it was: before its first byte left.
    pub begin: u64,
    /// When the head of the answer was there: by then somebody had been chosen to answer.
    pub head: u64,
    /// When the answer was there whole, or had failed.
    pub end: u64,
    /// What came of it.
    pub ending: Ending,
}

impl Exchange {
    /// Whether it takes as long as it is told to.
    pub fn is_slow(&self) -> bool {
        self.way.is_slow() || self.track == Track::Limit
    }
}

/// What came of a call that changes the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is what is served now.
    Published,
    /// It was refused, for the reason that it was made for if it was to be refused.
    Refused,
    /// It was refused for another reason.
    RefusedOtherwise,
    /// Nobody knows: the call broke off, or the host failed.
    Unknown,
}

/// One call that changes the app, in as much as it is about one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// The number of the call; 0 for the start of the host.
    pub call: u32,
    /// What it is about.
    pub track: Track,
    /// What it was to bring.
    pub revision: u32,
    /// Whether it was to be refused.
    pub bad: bool,
    /// When the call began.
    pub begin: u64,
    /// When it had returned.
    pub end: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// Microseconds of preparing, as the host says.
    pub prepare: u32,
    /// Microseconds of publishing without the sync.
    pub publish: u32,
    /// Microseconds of syncing the journal.
    pub sync: u32,
}

/// What is done to the app in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// Components are deployed.
    Deploy,
    /// Manifests are applied.
    Apply,
}

/// A part of the storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its number; phases count from 0.
    pub phase: u32,
    /// When it began.
    pub begin: u64,
    /// When it ended.
    pub end: u64,
}

/// Everything that a journal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A request.
    Exchange(Exchange),
    /// A change of the app.
    Swap(Swap),
    /// A phase that is over.
    Phase(Span),
    /// So many requests were sent. The last record.
    Sent(u32),
}
