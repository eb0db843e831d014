use std::sync::Mutex;

use super::*;
use crate::{Batch, BatchError, FlushError};

/// What a keeper's flushes do, and what each of them was given.
#[derive(Clone, Default)]
struct Sink {
    flushes: Arc<Mutex<Vec<Vec<u64>>>>,
    /// A member that no flush survives.
    poison: Option<u64>,
    panics: bool,
    away: bool,
}

#[derive(IntoStaticStr)]
enum Write {
    Put { member: u64, reply: Reply<Result<u64, BatchError>> },
    Flushed,
}

struct Keeper;

impl Actor for Keeper {
    const KIND: &'static str = "keeper";
    type Msg = Write;
    type Args = Sink;
    type State = (Sink, Batch<u64, u64>);

    async fn start(&self, sink: Sink, _: &mut Context<Write>) -> Result<Self::State, Failure> {
        Ok((sink, Batch::new(64)))
    }

    async fn handle(
        &self,
        msg: Write,
        (sink, batch): &mut Self::State,
        ctx: &mut Context<Write>,
    ) -> Result<(), Failure> {
        match msg {
            Write::Put { member, reply } => batch.push(member, reply),
            Write::Flushed => batch.flushed(),
        }
        let sink = sink.clone();
        batch.flush(ctx, 10 * S, move |members| write(sink.clone(), members), || Write::Flushed);
        Ok(())
    }
}

async fn write(sink: Sink, members: Vec<u64>) -> Result<Vec<u64>, FlushError> {
    tokio::time::sleep(10 * MS).await;
    if sink.away {
        return Err(FlushError::Unavailable("away".to_owned()));
    }
    if let Some(poison) = sink.poison
        && members.contains(&poison)
    {
        assert!(!sink.panics, "poisoned");
        return Err(FlushError::Poisoned("poisoned".to_owned()));
    }
    let results = members.iter().map(|member| member * 2).collect();
    sink.flushes.lock().unwrap().push(members);
    Ok(results)
}

/// Puts 0 to 64 into a keeper: the first goes alone, the others queue meanwhile. Returns the answers.
async fn put_65(sink: &Sink) -> Vec<Result<u64, BatchError>> {
    let address = Address::new(100);
    let system = root(vec![ChildSpec::actor("keeper", &address, Keeper, sink.clone())]).await;
    let asks = (0..65).map(|member| address.ask(100 * S, move |reply| Write::Put { member, reply }));
    let answers = futures_util::future::join_all(asks).await.into_iter().map(Result::unwrap).collect();
    system.stop().await.unwrap();
    answers
}

#[tokio::test(start_paused = true)]
async fn a_batch_answers_every_caller_in_one_flush() {
    let sink = Sink::default();
    let answers = put_65(&sink).await;
    assert_eq!(answers, (0..65).map(|member| Ok(member * 2)).collect::<Vec<_>>());
    assert_eq!(
        *sink.flushes.lock().unwrap(),
        [vec![0], (1..65).collect::<Vec<_>>()],
        "an idle batch waits for no more"
    );
}

#[tokio::test(start_paused = true)]
async fn one_poisoned_member_of_64_fails_alone_also_when_the_flush_panics() {
    for panics in [false, true] {
        let sink = Sink { poison: Some(33), panics, ..Sink::default() };
        for (member, answer) in (0..).zip(put_65(&sink).await) {
            if member == 33 {
                let reason = if panics { "panicked: poisoned" } else { "poisoned" };
                assert_eq!(answer, Err(BatchError::Failed(reason.to_owned())));
            } else {
                assert_eq!(answer, Ok(member * 2));
            }
        }
        assert_eq!(sink.flushes.lock().unwrap().len(), 64, "the first one, and 63 of 64 alone");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_away_is_not_tried_member_by_member() {
    let sink = Sink { away: true, ..Sink::default() };
    let since = tokio::time::Instant::now();
    let answers = put_65(&sink).await;
    assert!(answers.iter().all(|answer| *answer == Err(BatchError::Unavailable("away".to_owned()))));
    assert!(since.elapsed() < 50 * MS, "two flushes, not 65: {:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_never_takes_more_than_its_limit() {
    let sink = Sink::default();
    let address = Address::new(1_000);
    let system = root(vec![ChildSpec::actor("keeper", &address, Keeper, sink.clone())]).await;
    let asks = (0..200).map(|member| address.ask(100 * S, move |reply| Write::Put { member, reply }));
    assert!(futures_util::future::join_all(asks).await.into_iter().all(|answer| answer.is_ok_and(|it| it.is_ok())));
    let sizes: Vec<_> = sink.flushes.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 64, 64, 64, 7]);
    system.stop().await.unwrap();
}
