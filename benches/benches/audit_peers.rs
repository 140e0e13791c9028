//! The segment store beside tantivy, over the same events and queries: pages of the 50 newest.
//!
//! What makes the comparison fair:
//!
//! - Both index the same terms; tantivy gets them ready-made, with the tenant in front of each, which keeps its lists as short as
//!   ours. Positions are indexed for phrases, norms and frequencies are not needed and left out where it can.
//! - Both are merged before anything is measured: tantivy into one segment.
//! - tantivy sorts by a fast field, its way to newest first, and fetches the stored bodies of the page. What the bodies say would be
//!   read by the same code on either side, and is left out.
//! - Every page of tantivy's is compared with ours before it is measured.
//! - Both run on one thread, in turns, query by query. What tantivy takes to be built is not compared: it chains nothing, and is
//!   not told that a batch has to be on the disk.
//!
//! The number of events is the argument, a million without it.
#![expect(clippy::print_stdout, reason = "values are reported on standard output")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::panic,
    reason = "a benchmark that cannot go on ends"
)]

#[path = "audit/queries.rs"]
#[expect(dead_code, reason = "counts are not compared")]
mod queries;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use guardian_audit::store::{AuditStore, Batch, Draft, Durability, Maintenance, SegmentConfig, SegmentStore};
use guardian_audit::{Plan, Query as Asked};
use guardian_benches::crm::Crm;
use guardian_core::{Clock, Scope, SystemClock};
use tantivy::collector::TopDocs;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value as _,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{Index, IndexWriter, Order, Searcher, TantivyDocument, Term};

const PAGE: usize = 50;

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let events = std::env::args().find_map(|argument| argument.parse().ok());
    let events = if test { 2_000 } else { events.unwrap_or(1_000_000) };
    let folder = std::env::temp_dir().join(format!("guardian-audit-peers-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    for (class, _) in queries::classes() {
        println!("bar audit_peers/{class} vs tantivy {}", if class == "common_term" { 0.2 } else { 1.0 });
    }
    let (ours, theirs) = build(&folder, events);
    compare(&ours, &theirs);
    let _ = std::fs::remove_dir_all(&folder);
}

/// tantivy's side.
struct Theirs {
    searcher: Searcher,
    fields: Fields,
}

#[derive(Clone, Copy)]
struct Fields {
    terms: Field,
    sequence: Field,
    recorded: Field,
    occurred: Field,
    body: Field,
}

fn build(folder: &Path, events: usize) -> (SegmentStore, Theirs) {
    let config = SegmentConfig::default().with_durability(Durability::Written);
    let ours = SegmentStore::open_with(folder.join("ours"), config).expect("a store");
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        .set_fieldnorms(false);
    let fields = Fields {
        terms: schema.add_text_field("terms", TextOptions::default().set_indexing_options(indexing)),
        sequence: schema.add_u64_field("sequence", FAST),
        recorded: schema.add_i64_field("recorded", FAST),
        occurred: schema.add_i64_field("occurred", FAST),
        body: schema.add_bytes_field("body", STORED),
    };
    std::fs::create_dir_all(folder.join("theirs")).expect("a folder");
    let index = Index::create_in_dir(folder.join("theirs"), schema.build()).expect("an index");
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 512 << 20).expect("a writer");
    let mut crm = Crm::new(42);
    let tenants = crm.tenants().to_vec();
    let mut left = events;
    while left > 0 {
        let made: Vec<_> = (0..left.min(1_000)).map(|_| crm.event()).collect();
        left -= made.len();
        let at = made.last().expect("an event").at;
        let mut by_tenant: BTreeMap<usize, Vec<Draft>> = BTreeMap::new();
        for one in made {
            let draft = Draft::new(&one.event, &one.risk, &[], &[]).expect("a draft");
            by_tenant.entry(one.tenant).or_default().push(draft);
        }
        for (tenant, drafts) in by_tenant {
            let scope = Scope::system(tenants[tenant].clone());
            let placed = ready(ours.append(&[Batch::new(&scope, &drafts)], at)).expect("appended");
            for (draft, placed) in drafts.iter().zip(placed.into_iter().flatten()) {
                let mut document = TantivyDocument::default();
                document.add_pre_tokenized_text(fields.terms, tokens(tenants[tenant].as_str(), draft));
                document.add_u64(fields.sequence, placed.sequence);
                document.add_i64(fields.recorded, placed.recorded.timestamp_micros());
                document.add_i64(fields.occurred, draft.occurred);
                document.add_bytes(fields.body, &draft.body);
                writer.add_document(document).expect("added");
            }
        }
    }
    ours.seal().expect("sealed");
    while ours.maintain().expect("maintained") != Maintenance::Idle {}
    writer.commit().expect("committed");
    let segments = index.searchable_segment_ids().expect("segments");
    writer.merge(&segments).wait().expect("merged");
    writer.wait_merging_threads().expect("merged");
    let reader = index.reader().expect("a reader");
    reader.reload().expect("reloaded");
    (ours, Theirs { searcher: reader.searcher(), fields })
}

fn tokens(tenant: &str, draft: &Draft) -> PreTokenizedString {
    let mut tokens = Vec::new();
    for (position, term) in draft.terms.iter().enumerate() {
        if !term.is_empty() {
            let text = format!("{tenant}.{term}");
            tokens.push(Token { offset_from: 0, offset_to: 0, position, text, position_length: 1 });
        }
    }
    // Every event has this one, so that what is not can be asked within a tenant.
    let text = format!("{tenant}.");
    tokens.push(Token { offset_from: 0, offset_to: 0, position: 1 << 20, text, position_length: 1 });
    PreTokenizedString { text: String::new(), tokens }
}

impl Theirs {
    /// The plan as a query of theirs.
    fn query(&self, tenant: &str, plan: &Plan) -> Box<dyn Query> {
        let term = |text: &str| Term::from_field_text(self.fields.terms, &format!("{tenant}.{text}"));
        let range = |from: Term, to: Term| -> Box<dyn Query> {
            Box::new(RangeQuery::new(Bound::Included(from), Bound::Excluded(to)))
        };
        match plan {
            Plan::All => Box::new(AllQuery),
            Plan::None => Box::new(EmptyQuery),
            Plan::Term(text) => Box::new(TermQuery::new(term(text), IndexRecordOption::Basic)),
            Plan::Prefix(start) => range(term(start), term(&format!("{start}\u{10ffff}"))),
            Plan::Range(from, to) => range(term(from), term(&format!("{to}\0"))),
            Plan::Phrase { terms, open: false } => {
                Box::new(PhraseQuery::new(terms.iter().map(|text| term(text)).collect()))
            }
            Plan::Recorded(from, to) => range(
                Term::from_field_i64(self.fields.recorded, *from),
                Term::from_field_i64(self.fields.recorded, *to),
            ),
            Plan::Occurred(from, to) => range(
                Term::from_field_i64(self.fields.occurred, *from),
                Term::from_field_i64(self.fields.occurred, *to),
            ),
            Plan::And(plans) => {
                let clause = |plan: &Plan| match plan {
                    Plan::Not(plan) => (Occur::MustNot, self.query(tenant, plan)),
                    plan => (Occur::Must, self.query(tenant, plan)),
                };
                Box::new(BooleanQuery::new(plans.iter().map(clause).collect()))
            }
            Plan::Or(plans) => {
                let clause = |plan: &Plan| (Occur::Should, self.query(tenant, plan));
                Box::new(BooleanQuery::new(plans.iter().map(clause).collect()))
            }
            plan => panic!("no class has {plan:?}"),
        }
    }

    /// The newest events of the query: their bodies.
    fn page(&self, query: &dyn Query) -> Vec<Vec<u8>> {
        let collector = TopDocs::with_limit(PAGE).order_by_fast_field::<u64>("sequence", Order::Desc);
        let found = self.searcher.search(query, &collector).expect("a page");
        let body = |address| {
            let document: TantivyDocument = self.searcher.doc(address).expect("a document");
            document.get_first(self.fields.body).and_then(|body| body.as_bytes()).expect("a body").to_vec()
        };
        found.into_iter().map(|(_, address)| body(address)).collect()
    }
}

fn compare(ours: &SegmentStore, theirs: &Theirs) {
    let clock = SystemClock::new();
    let crm = Crm::new(42);
    for (class, texts) in queries::classes() {
        let (mut we, mut they, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..5 {
            for (index, text) in texts.iter().enumerate() {
                // The largest tenant in most rounds, others in between.
                let rank = if round % 2 == 0 { 0 } else { (index * 7 + round) % 60 };
                let scope = Scope::system(crm.tenants()[rank].clone());
                let mut pages = [Vec::new(), Vec::new()];
                // Whoever comes second finds the text of the query in the cache: they take turns at that, too.
                for turn in [(index + round) % 2, (index + round + 1) % 2] {
                    let start = clock.monotonic();
                    let plan = Plan::compile(&text.parse::<Asked>().expect("a query"), &|_, _| None);
                    let page: Vec<Vec<u8>> = if turn == 0 {
                        let page = ready(ours.search(&scope, &plan, None, PAGE)).expect("a page");
                        page.records.into_iter().filter_map(|record| record.body).collect()
                    } else {
                        theirs.page(&*theirs.query(scope.tenant().as_str(), &plan))
                    };
                    let spent = clock.monotonic().since(start);
                    if turn == 0 {
                        we.push(spent)
                    } else {
                        they.push(spent)
                    }
                    pages[turn] = page;
                }
                assert_eq!(pages[0], pages[1], "{class}: `{text}` of {}", scope.tenant());
                if let (Some(we), Some(they)) = (we.last(), they.last()) {
                    ratios.push(we.as_secs_f64() / they.as_secs_f64());
                }
            }
        }
        report(&format!("{class} ours"), &mut we);
        report(&format!("{class} tantivy"), &mut they);
        ratios.sort_unstable_by(f64::total_cmp);
        println!("measure audit_peers/{class} median_of_turns {:.3} ratio", ratios[ratios.len() / 2]);
    }
}

fn report(case: &str, times: &mut [Duration]) {
    times.sort_unstable();
    for (name, share) in [("p50", 50), ("p99", 99)] {
        let at = (times.len() * share).div_ceil(100).saturating_sub(1);
        let (class, who) = case.split_once(' ').unwrap_or((case, ""));
        println!("measure audit_peers/{class} {who}_{name} {:.4} ms", times[at].as_secs_f64() * 1e3);
    }
}

/// The store of files answers before it returns.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("the store waits for something"),
    }
}
