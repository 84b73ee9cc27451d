//! Eighteen months of the hospital: planned day by day, then acted in the order of time.
//!
//! The plan is a list of dated acts. Discoveries, trials, findings and insights are slots until their act has happened;
//! acts name slots, and [`World`] knows what stands in them.
mod plan;

use super::{
    cast::{Cast, House, assemble},
    stage::Stage,
};
use crate::{
    Error, Result,
    app::Clock,
    db::{Db, columns::Time},
    id::{DiscoveryId, PersonId},
};
use plan::{Act, Answer, Plan};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// How far back the story begins, in days.
const DAYS: i64 = 548;

/// What the acts have brought about so far.
struct World {
    cast: Cast,
    discoveries: HashMap<usize, DiscoveryId>,
    pairings: HashMap<usize, Uuid>,
    trials: HashMap<usize, Uuid>,
    links: HashMap<usize, Vec<Value>>,
    findings: HashMap<usize, Uuid>,
    insights: HashMap<usize, Uuid>,
}

/// When the story begins that leads to this day.
pub(super) fn begin(today: Time) -> Time {
    today.plus_days(-DAYS)
}

/// Tells the whole story on an empty database.
///
/// # Errors
/// When an act is refused: then the story, or the service, is wrong.
pub(super) async fn tell(db: &Db, seed: u64, today: Time, hash: &str, clock: Clock) -> Result<()> {
    let begin = begin(today);
    let mut stage = Stage::new(db, seed, begin, hash, clock);
    let cast = assemble(&mut stage).await?;
    let plan = Plan::new(&mut stage.dice, &cast);
    let mut world = World {
        cast,
        discoveries: HashMap::new(),
        pairings: HashMap::new(),
        trials: HashMap::new(),
        links: HashMap::new(),
        findings: HashMap::new(),
        insights: HashMap::new(),
    };
    for (minute, act) in &plan.acts {
        stage.go_on_to(begin.plus_seconds(minute * 60));
        let told = world.play(&stage, &plan, act).await;
        told.map_err(|e| Error::Internal(format!("the story stopped at {act:?}: {e}; {}", json!(e.problem()))))?;
    }
    Ok(())
}

fn at<T: Copy>(slots: &HashMap<usize, T>, slot: usize) -> Result<T> {
    slots.get(&slot).copied().ok_or_else(|| Error::Internal(format!("slot {slot} is empty")))
}

impl World {
    fn lab(&self, plan: &Plan, d: usize) -> &House {
        &self.cast.labs[plan.discoveries[d].lab]
    }
    fn owner(&self, plan: &Plan, d: usize) -> PersonId {
        self.lab(plan, d).people[(d / self.cast.labs.len()) % 2]
    }
    fn lead(&self, plan: &Plan, d: usize) -> PersonId {
        self.cast.clinics[self.lab(plan, d).field].people[d % 2]
    }
    fn clinician(&self, plan: &Plan, t: usize) -> PersonId {
        self.cast.clinics[plan.trials[t].clinic].people[t % 2]
    }
    fn answerer(&self, plan: &Plan, i: usize) -> PersonId {
        self.cast.labs[plan.insights[i].lab].people[0]
    }

    async fn play(&mut self, stage: &Stage, plan: &Plan, act: &Act) -> Result<()> {
        match act {
            Act::Log(d) => {
                let id = stage.log(self.owner(plan, *d), self.new_discovery(plan, *d)).await?;
                self.discoveries.insert(*d, id);
            }
            Act::Trl(d, trl) => {
                let id = at(&self.discoveries, *d)?;
                stage.revise_discovery(self.owner(plan, *d), id, json!({ "trl": trl })).await?;
            }
            Act::Advance(d, order) => {
                stage.move_discovery(self.owner(plan, *d), at(&self.discoveries, *d)?, order.clone()).await?;
            }
            Act::AdvanceClinical(d, order) => {
                stage.move_discovery(self.lead(plan, *d), at(&self.discoveries, *d)?, order.clone()).await?;
            }
            Act::Return(d, i) => {
                let order = json!({
                    "to": "preclinical", "move": "return_to_bench", "insight_id": at(&self.insights, *i)?,
                    "reason": "The finding has to be understood before another patient is treated",
                });
                stage.move_discovery(self.owner(plan, *d), at(&self.discoveries, *d)?, order).await?;
            }
            Act::ProposeLead(d) => {
                let new = json!({
                    "discovery_id": at(&self.discoveries, *d)?, "kind": "clinical_lead", "clinician_id": self.lead(plan, *d),
                    "message": "Would you take this to your clinic with us?",
                });
                self.pairings.insert(*d, stage.propose(self.owner(plan, *d), new).await?);
            }
            Act::AcceptLead(d) => {
                let id = at(&self.pairings, *d)?;
                stage.move_pairing(self.lead(plan, *d), id, json!({ "to": "accepted" })).await?;
            }
            Act::Industry { discovery, sponsor, accepted } => {
                let house = &self.cast.sponsors[*sponsor];
                let new = json!({
                    "discovery_id": at(&self.discoveries, *discovery)?, "kind": "industry_partner",
                    "organization_id": house.id, "message": "We would welcome your formulation group.",
                });
                let id = stage.propose(self.owner(plan, *discovery), new).await?;
                if *accepted {
                    stage.move_pairing(house.people[0], id, json!({ "to": "accepted" })).await?;
                }
            }
            Act::HandOn(d) => {
                let new = json!({
                    "to_person_id": self.lab(plan, *d).people[0], "reason": "Leaving for a sabbatical in spring",
                    "records": [{ "kind": "discovery", "id": at(&self.discoveries, *d)? }],
                });
                stage.hand_on(self.owner(plan, *d), new).await?;
            }
            Act::Register(t) => {
                let id = stage.register(self.clinician(plan, *t), self.new_trial(plan, *t)).await?;
                self.trials.insert(*t, id);
            }
            Act::Link(t, d) => {
                let links = self.links.entry(*t).or_default();
                links.push(json!({ "discovery_id": at(&self.discoveries, *d)?, "role": "tests" }));
                let body = json!({ "data": links });
                stage.link(self.lead(plan, *d), at(&self.trials, *t)?, body).await?;
            }
            Act::MoveTrial(t, order) => {
                stage.move_trial(self.clinician(plan, *t), at(&self.trials, *t)?, order.clone()).await?;
            }
            Act::Enroll(t, patch) => {
                stage.revise_trial(self.clinician(plan, *t), at(&self.trials, *t)?, patch.clone()).await?;
            }
            Act::Record(f) => {
                let finding = &plan.findings[*f];
                let mut new = finding.body.clone();
                if let Some(before) = finding.supersedes {
                    new["supersedes_id"] = json!(at(&self.findings, before)?);
                }
                new["observed_on"] = json!(stage.now().plus_days(-3).utc().format("%Y-%m-%d").to_string());
                let trial = at(&self.trials, finding.trial)?;
                let id = stage.record(self.clinician(plan, finding.trial), trial, new).await?;
                self.findings.insert(*f, id);
            }
            Act::MoveFinding(f, order) => {
                let who = self.clinician(plan, plan.findings[*f].trial);
                stage.move_finding(who, at(&self.findings, *f)?, order.clone()).await?;
            }
            Act::Raise(i) => {
                let insight = &plan.insights[*i];
                let mut new = insight.body.clone();
                new["finding_ids"] = json!([at(&self.findings, insight.finding)?]);
                new["lab_id"] = json!(self.cast.labs[insight.lab].id);
                let who = self.clinician(plan, plan.findings[insight.finding].trial);
                self.insights.insert(*i, stage.raise(who, new).await?);
            }
            Act::Submit(i) => {
                let who = self.clinician(plan, plan.findings[plan.insights[*i].finding].trial);
                stage.move_insight(who, at(&self.insights, *i)?, json!({ "to": "submitted" })).await?;
            }
            Act::Answer(i, answer) => {
                let order = self.answer(plan, *i, answer)?;
                stage.move_insight(self.answerer(plan, *i), at(&self.insights, *i)?, order).await?;
            }
        }
        Ok(())
    }

    fn new_discovery(&self, plan: &Plan, d: usize) -> Value {
        let planned = &plan.discoveries[d];
        let mut new = planned.body.clone();
        new["lab_id"] = json!(self.lab(plan, d).id);
        let mut shared = Vec::new();
        if planned.shared {
            shared.push(self.cast.sponsors[0].id);
        }
        if new["visibility"] == "confidential" {
            shared.push(self.cast.clinics[self.lab(plan, d).field].id);
        }
        new["shared_with"] = json!(shared);
        new
    }

    fn new_trial(&self, plan: &Plan, t: usize) -> Value {
        let planned = &plan.trials[t];
        let mut new = planned.body.clone();
        new["clinic_id"] = json!(self.cast.clinics[planned.clinic].id);
        let sponsor = &self.cast.sponsors[t % self.cast.sponsors.len()];
        if t.is_multiple_of(4) {
            let class = "INDUSTRY";
            new["sponsor"] = json!({ "name": "An industry sponsor", "class": class, "organization_id": sponsor.id });
        }
        new
    }

    fn answer(&self, plan: &Plan, i: usize, answer: &Answer) -> Result<Value> {
        Ok(match answer {
            Answer::Acknowledge => json!({ "to": "acknowledged" }),
            Answer::Investigate => json!({ "to": "investigating" }),
            Answer::Decline => json!({ "to": "declined", "reason": "Our model does not carry this pathway" }),
            Answer::NewDiscovery(new) => {
                let mut new = new.clone();
                new["lab_id"] = json!(self.cast.labs[plan.insights[i].lab].id);
                json!({ "to": "resolved", "outcome": "new_discovery", "discovery": new })
            }
            Answer::Refined(d) => json!({
                "to": "resolved", "outcome": "refined_discovery", "discovery_id": at(&self.discoveries, *d)?,
                "outcome_note": "Folded into the next version",
            }),
            Answer::Other(outcome) => json!({ "to": "resolved", "outcome": outcome }),
        })
    }
}
