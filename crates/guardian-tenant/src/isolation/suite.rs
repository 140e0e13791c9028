use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Actor, Scope};

use super::argument::{Pool, Symbol, resolve};
use super::mark::Dice;
use super::report::{Breach, BreachKind, IsolationReport};
use super::{Arg, Args, Compare, Failure, Mark, Mutant, Operation, Output, Seeds};

/// Where operations run: an application with its storage.
#[async_trait]
pub trait World: Send + Sync + 'static {
    /// Gives a tenant some of everything, marked by `mark`: its canary in every text, its ids, its numbers. Returns the
    /// values that operations take. Called once for each tenant, and for each the same has to come of the same mark.
    ///
    /// # Errors
    /// When it cannot.
    async fn seed(&self, scope: &Scope, mark: &Mark) -> Result<Seeds, Failure>;

    /// All that the tenant owns, as text, in a fixed order. Read it past the walls that are being tried, for instance on
    /// another connection, so that it sees what is there.
    ///
    /// # Errors
    /// When it cannot.
    async fn snapshot(&self, scope: &Scope) -> Result<String, Failure>;
}

/// Who builds worlds.
#[async_trait]
pub trait Host: Send + Sync {
    /// What it builds.
    type World: World;

    /// A world without tenants, with one wall broken where a mutant is given.
    ///
    /// # Errors
    /// When it cannot.
    async fn build(&self, mutant: Option<&Mutant>) -> Result<Self::World, Failure>;
}

/// The operations of a host, and who builds worlds to run them in.
pub struct Suite<H: Host> {
    host: H,
    operations: Vec<Operation<H::World>>,
}

impl<H: Host> fmt::Debug for Suite<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("operations", &self.operations).finish_non_exhaustive()
    }
}

/// The most breaches that a report keeps.
const KEPT: usize = 100;
/// After so many reads B's rows are compared, too.
const READS_BETWEEN_SNAPSHOTS: u64 = 64;
/// So many calls of an operation with own arguments have to fail before it counts as broken.
const OWN_CALLS: u64 = 3;

impl<H: Host> Suite<H> {
    /// No operations yet.
    #[must_use]
    pub fn new(host: H) -> Self {
        Self { host, operations: Vec::new() }
    }

    /// One more operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation<H::World>) -> Self {
        self.operations.push(operation);
        self
    }

    /// One more operation that reads, see [`Operation::read`].
    #[must_use]
    pub fn read<F, R>(self, name: &str, args: impl IntoIterator<Item = Arg>, run: F) -> Self
    where
        F: Fn(Arc<H::World>, Scope, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Output, Failure>> + Send + 'static,
    {
        self.operation(Operation::read(name, args, run))
    }

    /// One more operation that writes, see [`Operation::write`].
    #[must_use]
    pub fn write<F, R>(self, name: &str, args: impl IntoIterator<Item = Arg>, run: F) -> Self
    where
        F: Fn(Arc<H::World>, Scope, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Output, Failure>> + Send + 'static,
    {
        self.operation(Operation::write(name, args, run))
    }

    /// Makes `calls` calls; the same seed makes the same ones.
    ///
    /// # Errors
    /// When a world cannot be built, seeded or read. What an operation fails with is looked at, not returned.
    pub async fn run(&self, calls: u64, seed: u64) -> Result<IsolationReport, Failure> {
        Ok(self.run_in(None, calls, seed, false).await?.0)
    }

    /// The same with a wall broken; with `hasty` it ends at the first breach. Also returns the world where B exists.
    pub(super) async fn run_in(
        &self,
        mutant: Option<&Mutant>,
        calls: u64,
        seed: u64,
        hasty: bool,
    ) -> Result<(IsolationReport, Arc<H::World>), Failure> {
        let mut run = Run::start(self, mutant, seed).await?;
        for serial in 0..calls {
            run.call(serial).await?;
            if hasty && !run.report.breaches.is_empty() {
                return Ok((run.report, run.world));
            }
        }
        run.finish().await?;
        Ok((run.report, run.world))
    }

    pub(super) fn count(&self) -> usize {
        self.operations.len()
    }
}

/// How an operation fared on own arguments.
#[derive(Debug, Default)]
struct Control {
    own_calls: u64,
    succeeded: u64,
    shown: u64,
    last_error: String,
}

struct Run<'s, H: Host> {
    suite: &'s Suite<H>,
    /// Where A and B exist.
    world: Arc<H::World>,
    /// Where only A exists.
    twin: Arc<H::World>,
    a: (Mark, Scope),
    b: (Mark, Scope),
    /// What A has in the world, what A has in the twin, what B has.
    seeds: [Seeds; 3],
    needles: Vec<String>,
    /// Ids of B that A has written down for itself: keys are a tenant's own, so A may have rows of the same ids.
    adopted: BTreeSet<String>,
    before: String,
    dice: Dice,
    controls: BTreeMap<usize, Control>,
    report: IsolationReport,
}

impl<'s, H: Host> Run<'s, H> {
    async fn start(suite: &'s Suite<H>, mutant: Option<&Mutant>, seed: u64) -> Result<Self, Failure> {
        let (a, b) = (Mark::new(seed, "a"), Mark::new(seed, "b"));
        let scope =
            |mark: &Mark| Ok::<_, Failure>(Scope::new(mark.tenant().clone(), Actor::user("isolation")?));
        let (scope_a, scope_b) = (scope(&a)?, scope(&b)?);
        let world = Arc::new(suite.host.build(mutant).await?);
        let twin = Arc::new(suite.host.build(mutant).await?);
        let own = world.seed(&scope_a, &a).await?;
        let own_twin = twin.seed(&scope_a, &a).await?;
        let foreign = world.seed(&scope_b, &b).await?;
        let before = world.snapshot(&scope_b).await?;
        if !before.contains(b.canary()) {
            return Err("the snapshot does not hold the tenant's canary: it would not notice a change".into());
        }
        let needles = needles(b.canary());
        let mut run = Self {
            suite,
            world,
            twin,
            a: (a, scope_a),
            b: (b, scope_b),
            seeds: [own, own_twin, foreign],
            needles,
            adopted: BTreeSet::new(),
            before,
            dice: Dice::new(seed),
            controls: BTreeMap::new(),
            report: IsolationReport::default(),
        };
        run.harvest().await;
        Ok(run)
    }

    /// Runs every reading operation as both tenants on their own data, for the cursors that it returns.
    async fn harvest(&mut self) {
        for operation in self.suite.operations.iter().filter(|operation| !operation.writes) {
            for turn in 0..4 {
                let symbols = self.draw(operation, None, turn);
                let mut found = Vec::new();
                let [own, own_twin, foreign] = &self.seeds;
                for (world, scope, seeds) in [
                    (&self.world, &self.a.1, own),
                    (&self.twin, &self.a.1, own_twin),
                    (&self.world, &self.b.1, foreign),
                ] {
                    let args = resolve(&symbols, seeds, foreign);
                    let output = operation.call(Arc::clone(world), scope.clone(), args).await;
                    found.push(output.ok().and_then(|output| output.cursor));
                }
                // A cursor counts only where each has one, so that places stay in step.
                let found: Option<Vec<_>> = found.into_iter().collect();
                for (seeds, cursor) in self.seeds.iter_mut().zip(found.into_iter().flatten()) {
                    seeds.kinds.entry(operation.name.clone()).or_default().push(cursor);
                }
            }
        }
    }

    /// Arguments for a call: own ones but for the positions of `foreign`, or all foreign when that is out of range.
    fn draw(&mut self, operation: &Operation<H::World>, foreign: Option<usize>, serial: u64) -> Vec<Symbol> {
        let [own, _, other] = &self.seeds;
        let pool = Pool { own, foreign: other, own_mark: &self.a.0, foreign_mark: &self.b.0 };
        let all = foreign.is_some_and(|at| at >= operation.args.len());
        let args = operation.args.iter().enumerate();
        args.map(|(at, arg)| {
            let here = arg.is_foreign() && (all || foreign == Some(at));
            pool.draw(arg, here, serial, &mut self.dice)
        })
        .collect()
    }

    async fn call(&mut self, serial: u64) -> Result<(), Failure> {
        let count = u64::try_from(self.suite.count()).unwrap_or(1).max(1);
        let index = usize::try_from(serial % count).unwrap_or(0);
        let Some(operation) = self.suite.operations.get(index) else { return Ok(()) };
        // The turns of an operation: all own, each position foreign alone, all foreign.
        let turns = u64::try_from(operation.args.len()).unwrap_or(0) + 2;
        let turn = usize::try_from((serial / count) % turns).unwrap_or(0);
        let foreign = turn.checked_sub(1);
        let symbols = self.draw(operation, foreign, serial);
        let [own, own_twin, other] = &self.seeds;
        let (args, twin_args) = (resolve(&symbols, own, other), resolve(&symbols, own_twin, other));
        if let Some(at) = foreign {
            let tried = operation
                .args
                .iter()
                .enumerate()
                .filter(|(place, arg)| arg.is_foreign() && (*place == at || at >= operation.args.len()));
            self.report.positions.extend(tried.map(|(place, _)| (operation.name.clone(), place)));
        }
        let seen = operation.call(Arc::clone(&self.world), self.a.1.clone(), args.clone()).await;
        let twin = operation.call(Arc::clone(&self.twin), self.a.1.clone(), twin_args.clone()).await;
        self.report.calls += 1;
        let (shown, twin_shown) = (Shown::new(seen), Shown::new(twin));
        if foreign.is_none() {
            let control = self.controls.entry(index).or_default();
            control.own_calls += 1;
            control.succeeded += u64::from(shown.succeeded);
            control.shown += u64::from(shown.text.contains(self.a.0.canary()));
            if !shown.succeeded {
                control.last_error.clone_from(&shown.text);
            }
        }
        if operation.writes && shown.succeeded {
            self.adopted.extend(args.texts().map(str::to_owned));
        }
        if let Some(mark) = self.mark_in(&shown, &args) {
            self.breach(operation, BreachKind::Mark, &args, format!("`{mark}` in {}", shorten(&shown.text)));
        }
        let (left, right) =
            (shown.compared(operation.compare, &args), twin_shown.compared(operation.compare, &twin_args));
        if left != right {
            let seen = format!("{} where it exists, {} where not", shorten(&left), shorten(&right));
            self.breach(operation, BreachKind::Difference, &args, seen);
        }
        if operation.writes || self.report.calls.is_multiple_of(READS_BETWEEN_SNAPSHOTS) {
            self.compare_snapshot(operation, &args).await?;
        }
        Ok(())
    }

    async fn compare_snapshot(
        &mut self,
        operation: &Operation<H::World>,
        args: &Args,
    ) -> Result<(), Failure> {
        let after = self.world.snapshot(&self.b.1).await?;
        if after != self.before {
            let at = after.bytes().zip(self.before.bytes()).take_while(|(new, old)| new == old).count();
            let tail =
                |text: &str| shorten(&String::from_utf8_lossy(text.as_bytes().get(at..).unwrap_or_default()));
            let seen = format!("from byte {at} it was {} and is {}", tail(&self.before), tail(&after));
            self.breach(operation, BreachKind::Changed, args, seen);
            // One change is one breach.
            self.before = after;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        if let Some(last) = self.suite.operations.last() {
            self.compare_snapshot(last, &resolve(&[], &Seeds::new(), &Seeds::new())).await?;
        }
        for (index, operation) in self.suite.operations.iter().enumerate() {
            let control = self.controls.remove(&index).unwrap_or_default();
            let none = resolve(&[], &Seeds::new(), &Seeds::new());
            if control.succeeded == 0 && control.own_calls >= OWN_CALLS.min(1) {
                let seen = format!(
                    "{} calls, none succeeded; the last: {}",
                    control.own_calls,
                    shorten(&control.last_error)
                );
                self.breach(operation, BreachKind::Vacuous, &none, seen);
            } else if operation.shows && control.shown == 0 && control.own_calls > 0 {
                let seen = format!("{} calls, none showed a text of its own", control.own_calls);
                self.breach(operation, BreachKind::Vacuous, &none, seen);
            }
        }
        Ok(())
    }

    /// A mark of B in what was shown, unless the caller had it already.
    fn mark_in(&self, shown: &Shown, args: &Args) -> Option<String> {
        let [own, _, foreign] = &self.seeds;
        let given = |needle: &str| args.texts().any(|text| text.contains(needle));
        // What the caller said may come back to him; what he did not say may not.
        let text = shown.without(args);
        if let Some(needle) = self.needles.iter().find(|needle| text.contains(needle.as_str())) {
            return Some(needle.clone());
        }
        let ids = foreign.all().filter(|id| id.len() >= 8 && !own.all().any(|other| other == *id));
        ids.into_iter()
            .find(|id| !given(id) && !self.adopted.contains(*id) && text.contains(id.as_str()))
            .cloned()
    }

    fn breach(&mut self, operation: &Operation<H::World>, kind: BreachKind, args: &Args, seen: String) {
        if self.report.breaches.len() < KEPT {
            let arguments = shorten(&format!("{:?}", args.texts().collect::<Vec<_>>()));
            self.report.breaches.push(Breach { operation: operation.name.clone(), kind, arguments, seen });
        }
    }
}

/// What a caller saw, as text.
struct Shown {
    succeeded: bool,
    text: String,
    count: Option<u64>,
}

impl Shown {
    fn new(result: Result<Output, Failure>) -> Self {
        match result {
            Ok(output) => Self {
                succeeded: true,
                count: output.count,
                text: format!(
                    "{} {} {}",
                    output.value,
                    output.cursor.unwrap_or_default(),
                    String::from_utf8_lossy(&output.export)
                ),
            },
            Err(error) => {
                let mut text = format!("{error} / {error:?}");
                let mut source = error.source();
                while let Some(inner) = source {
                    text.push_str(&format!(" / {inner} / {inner:?}"));
                    source = inner.source();
                }
                Self { succeeded: false, count: None, text }
            }
        }
    }

    /// The text with every argument taken out.
    fn without(&self, args: &Args) -> String {
        let mut given: Vec<&str> = args.texts().filter(|text| text.len() >= 4).collect();
        // A longer one may hold a shorter one.
        given.sort_by_key(|text| std::cmp::Reverse(text.len()));
        given.iter().fold(self.text.clone(), |text, argument| {
            let escaped = argument.escape_debug().to_string();
            text.replace(argument, "§").replace(&escaped, "§")
        })
    }

    /// What is compared with the twin.
    fn compared(&self, compare: Compare, args: &Args) -> String {
        let text = || made_anew(&self.without(args));
        match compare {
            Compare::Not => String::new(),
            Compare::Exact => format!("{} {:?} {}", self.succeeded, self.count, text()),
            Compare::Shape if self.succeeded => format!("true {:?}", self.count),
            Compare::Shape => format!("false {}", text()),
        }
    }
}

/// The forms in which a canary is looked for.
fn needles(canary: &str) -> Vec<String> {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut needles = vec![
        canary.to_owned(),
        canary.to_uppercase(),
        canary.chars().rev().collect(),
        hex.to_uppercase(),
        hex,
    ];
    // In base64 a text looks different at each of three offsets; the ends depend on what stands beside it.
    for offset in 0..3_usize {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(canary.bytes()).collect();
        let encoded = base64(&padded);
        let inner = encoded.get(4..encoded.len().saturating_sub(4)).unwrap_or_default();
        needles.push(inner.to_owned());
    }
    needles
}

/// Base64 without padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |value: u32| DIGITS.get((value & 63) as usize).copied().map_or('A', char::from);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let value =
            chunk.iter().enumerate().fold(0, |sum, (at, byte)| sum | u32::from(*byte) << (16 - 8 * at));
        text.extend((0..=chunk.len()).map(|at| digit(value >> (18 - 6 * at))));
    }
    text
}

/// A text with the UUIDs and times in it blotted out: those that an operation makes differ from world to world.
fn made_anew(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if clean.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            None
        } else {
            [UUID, TIME].into_iter().find_map(|pattern| matches(rest, pattern))
        };
        match skipped {
            Some(length) => {
                clean.push('§');
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                clean.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    clean
}

const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const TIME: &str = "0000-00-00T00:00:00";

/// How many bytes at the start of a text fit a pattern: `x` a hexadecimal digit, `0` a digit, others themselves. After a
/// time, its fraction goes too.
fn matches(text: &str, pattern: &str) -> Option<usize> {
    let head = text.as_bytes().get(..pattern.len())?;
    let fits = head.iter().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
        b'x' => byte.is_ascii_hexdigit(),
        b'0' => byte.is_ascii_digit(),
        other => *byte == other,
    });
    if !fits {
        return None;
    }
    let tail = text.as_bytes().get(pattern.len()..).unwrap_or_default();
    let fraction = if pattern == TIME && tail.first() == Some(&b'.') {
        1 + tail.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count()
    } else {
        0
    };
    Some(pattern.len() + fraction)
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 300;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
