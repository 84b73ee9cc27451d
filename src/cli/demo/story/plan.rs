//! The plan: who does what on which day. Pure; the dice decide, and the seed decides the dice.
use crate::cli::demo::{
    cast::Cast,
    text::{FIELDS, FINDINGS, Field, QUESTIONS},
};
use fastrand::Rng;
use serde_json::{Value, json};

/// The last day on which anything happens.
const LAST: i64 = 545;
const TRIALS: usize = 12;
const FINDINGS_PER_TRIAL: usize = 5;

/// How far each discovery has come by the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Logged,
    Validated,
    Preclinical,
    ClinicReady,
    FirstInHuman,
    Efficacy,
    Implementation,
    PublicHealth,
    Held,
    Stopped,
    Returned,
}

const FATES: &[(Fate, usize)] = &[
    (Fate::Returned, 4),
    (Fate::PublicHealth, 1),
    (Fate::Implementation, 2),
    (Fate::Efficacy, 4),
    (Fate::FirstInHuman, 5),
    (Fate::ClinicReady, 4),
    (Fate::Held, 3),
    (Fate::Stopped, 4),
    (Fate::Preclinical, 6),
    (Fate::Validated, 6),
    (Fate::Logged, 7),
];

/// What happens on a day; the numbers are slots.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Log(usize),
    Trl(usize, i64),
    Advance(usize, Value),
    AdvanceClinical(usize, Value),
    Return(usize, usize),
    ProposeLead(usize),
    AcceptLead(usize),
    Industry { discovery: usize, sponsor: usize, accepted: bool },
    HandOn(usize),
    Register(usize),
    Link(usize, usize),
    MoveTrial(usize, Value),
    Enroll(usize, Value),
    Record(usize),
    MoveFinding(usize, Value),
    Raise(usize),
    Submit(usize),
    Answer(usize, Answer),
}

/// What a lab does with an insight.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Acknowledge,
    Investigate,
    Decline,
    NewDiscovery(Value),
    Refined(usize),
    Other(&'static str),
}

pub(super) struct PlannedDiscovery {
    pub lab: usize,
    pub body: Value,
    pub shared: bool,
    fate: Fate,
    handed_off: Option<i64>,
    trial: Option<usize>,
}
pub(super) struct PlannedTrial {
    pub clinic: usize,
    pub body: Value,
    opened: i64,
}
pub(super) struct PlannedFinding {
    pub trial: usize,
    pub body: Value,
    pub supersedes: Option<usize>,
    signed: i64,
}
pub(super) struct PlannedInsight {
    pub finding: usize,
    pub lab: usize,
    pub body: Value,
    submitted: i64,
}

pub(super) struct Plan {
    /// Minutes since the beginning, in order.
    pub acts: Vec<(i64, Act)>,
    pub discoveries: Vec<PlannedDiscovery>,
    pub trials: Vec<PlannedTrial>,
    pub findings: Vec<PlannedFinding>,
    pub insights: Vec<PlannedInsight>,
}

impl Plan {
    pub fn new(dice: &mut Rng, cast: &Cast) -> Self {
        let mut plan = Self {
            acts: Vec::new(),
            discoveries: Vec::new(),
            trials: Vec::new(),
            findings: Vec::new(),
            insights: Vec::new(),
        };
        plan.discoveries(dice, cast);
        plan.trials(dice, cast);
        plan.clinical(dice);
        plan.findings(dice);
        plan.insights(dice, cast);
        plan.returns();
        plan.industry();
        plan.hand_on(dice, cast);
        plan.acts.sort_by_key(|(minute, _)| *minute);
        plan
    }

    fn on(&mut self, dice: &mut Rng, day: i64, act: Act) {
        let minute = dice.i64(7 * 60..11 * 60);
        self.acts.push((day * 24 * 60 + minute, act));
    }

    /// In the laboratory: from the log to the hand-off.
    fn discoveries(&mut self, dice: &mut Rng, cast: &Cast) {
        let fates = FATES.iter().flat_map(|(fate, count)| std::iter::repeat_n(*fate, *count));
        for (d, fate) in fates.enumerate() {
            let lab = d % cast.labs.len();
            let field = &FIELDS[cast.labs[lab].field];
            let body = discovery_body(dice, field, d);
            let early = matches!(fate, Fate::Returned | Fate::PublicHealth | Fate::Implementation | Fate::Efficacy);
            let latest = if early {
                25
            } else if fate == Fate::Logged {
                530
            } else {
                240
            };
            let logged = dice.i64(2..latest);
            self.discoveries.push(PlannedDiscovery {
                lab,
                body,
                shared: d % 7 == 3,
                fate,
                handed_off: None,
                trial: None,
            });
            self.on(dice, logged, Act::Log(d));
            if fate == Fate::Logged {
                continue;
            }
            let validated = logged + dice.i64(20..40);
            let evidence = json!([{ "kind": "doi", "value": format!("10.5555/brigid.{}", 1000 + d) }]);
            self.on(dice, validated, Act::Advance(d, json!({ "to": "validated", "evidence": evidence })));
            if fate == Fate::Validated {
                continue;
            }
            let preclinical = validated + dice.i64(20..40);
            self.on(dice, preclinical - 1, Act::Trl(d, 4));
            self.on(dice, preclinical, Act::Advance(d, json!({ "to": "preclinical" })));
            let proposed = preclinical + dice.i64(25..40);
            match (fate, d % 2) {
                (Fate::Preclinical, 0) => {
                    let day = dice.i64(LAST - 12..LAST);
                    self.on(dice, day, Act::ProposeLead(d));
                }
                (Fate::Preclinical, _) => self.pause(dice, d, proposed),
                (Fate::Held, 0) => self.on(dice, proposed, hold(d)),
                (Fate::Stopped, 0) => self.on(dice, proposed, stop(d, "negative")),
                _ => self.hand_over(dice, d, field, proposed),
            }
        }
    }

    fn pause(&mut self, dice: &mut Rng, d: usize, day: i64) {
        self.on(dice, day, hold(d));
        let order = json!({ "to": "preclinical", "reason": "The antibody lot arrived" });
        self.on(dice, day + 30, Act::Advance(d, order));
    }

    fn hand_over(&mut self, dice: &mut Rng, d: usize, field: &Field, proposed: i64) {
        self.on(dice, proposed, Act::ProposeLead(d));
        self.on(dice, proposed + 4, Act::AcceptLead(d));
        let handed_off = proposed + dice.i64(8..16);
        let mut references = vec![json!({ "kind": "irb", "value": format!("IRB-{}", 300 + d) })];
        if field.modalities.iter().any(|m| *m == self.discoveries[d].body["modality"]) {
            references.push(json!({ "kind": "ind", "value": format!("IND {}", 120_000 + d) }));
        }
        let order = json!({ "to": "clinic_ready", "evidence": references, "sign": "handoff" });
        self.on(dice, handed_off, Act::Advance(d, order));
        self.discoveries[d].handed_off = Some(handed_off);
    }

    /// Each clinic's trials, registered for the first discovery that is ready for them.
    fn trials(&mut self, dice: &mut Rng, cast: &Cast) {
        let clinics = cast.clinics.len();
        let mut used = vec![0; clinics];
        for d in 0..self.discoveries.len() {
            let goes_on = self.discoveries[d].fate != Fate::ClinicReady && self.discoveries[d].handed_off.is_some();
            if goes_on {
                let clinic = cast.labs[self.discoveries[d].lab].field;
                self.discoveries[d].trial = Some(clinic + clinics * (used[clinic] % (TRIALS / clinics)));
                used[clinic] += 1;
            }
        }
        for t in 0..TRIALS {
            let first = self.discoveries.iter().filter(|d| d.trial == Some(t)).filter_map(|d| d.handed_off).min();
            let registered = first.unwrap_or_else(|| dice.i64(100..300)) + 1;
            let opened = registered + 5;
            let clinic = t % clinics;
            let body = trial_body(dice, &FIELDS[clinic], t);
            self.trials.push(PlannedTrial { clinic, body, opened });
            self.on(dice, registered, Act::Register(t));
            let irb = json!([{ "kind": "irb", "value": format!("IRB-{}", 700 + t) }]);
            self.on(dice, opened, Act::MoveTrial(t, json!({ "to": "RECRUITING", "evidence": irb })));
            self.close(dice, t);
        }
    }

    fn close(&mut self, dice: &mut Rng, t: usize) {
        let day = 535 + dice.i64(0..5);
        let order = match t % 6 {
            0 => json!({ "to": "ACTIVE_NOT_RECRUITING" }),
            1 => json!({ "to": "SUSPENDED", "why_stopped": "Supply of the comparator is interrupted" }),
            2 => json!({ "to": "COMPLETED" }),
            3 => {
                json!({ "to": "TERMINATED", "why_stopped": "Recruitment too slow", "stop_reason": "insufficient_enrollment" })
            }
            _ => return,
        };
        let patch = json!({ "enrollment": { "count": 24 + t, "type": "ACTUAL" } });
        self.on(dice, day - 1, Act::Enroll(t, patch));
        self.on(dice, day, Act::MoveTrial(t, order));
    }

    /// In the clinic: from the first patient on.
    fn clinical(&mut self, dice: &mut Rng) {
        for d in 0..self.discoveries.len() {
            let PlannedDiscovery { fate, handed_off: Some(ready), trial: Some(t), .. } = self.discoveries[d] else {
                continue;
            };
            let linked = ready.max(self.trials[t].opened) + 2;
            self.on(dice, linked, Act::Link(t, d));
            let human = linked + dice.i64(6..14);
            self.on(dice, human, Act::AdvanceClinical(d, json!({ "to": "first_in_human" })));
            let later = human + dice.i64(50..70);
            match fate {
                Fate::Held => self.on(dice, later, hold(d)),
                Fate::Stopped => self.on(dice, later, stop(d, "safety_or_side_effects")),
                Fate::Efficacy | Fate::Implementation | Fate::PublicHealth => self.prove(dice, d, fate, later),
                _ => {}
            }
        }
    }

    fn prove(&mut self, dice: &mut Rng, d: usize, fate: Fate, day: i64) {
        self.on(dice, day, Act::AdvanceClinical(d, json!({ "to": "efficacy" })));
        if fate == Fate::Efficacy {
            return;
        }
        let approved = day + dice.i64(90..110);
        let label = json!([{ "kind": "url", "value": format!("https://regulator.example/approvals/{}", 40 + d) }]);
        let order = json!({ "to": "implementation", "evidence": label, "sign": "approval" });
        self.on(dice, approved, Act::AdvanceClinical(d, order));
        if fate == Fate::PublicHealth {
            let order = json!({ "to": "public_health", "evidence": [{ "kind": "dataset", "value": "Regional uptake, first year" }] });
            self.on(dice, approved + 60, Act::AdvanceClinical(d, order));
        }
    }

    fn findings(&mut self, dice: &mut Rng) {
        for t in 0..TRIALS {
            let opened = self.trials[t].opened;
            let pace = ((LAST - 10 - opened) / (FINDINGS_PER_TRIAL as i64 + 1)).clamp(2, 18);
            for k in 0..FINDINGS_PER_TRIAL {
                let f = self.findings.len();
                let recorded = opened + pace * (k as i64 + 1);
                let supersedes = (t == 2 && k == 4).then(|| f - 1);
                let body = finding_body(dice, t * FINDINGS_PER_TRIAL + k);
                self.findings.push(PlannedFinding { trial: t, body, supersedes, signed: recorded + 1 });
                self.on(dice, recorded, Act::Record(f));
                if k == 4 && t % 3 == 0 {
                    continue; // still a draft
                }
                self.on(dice, recorded + 1, Act::MoveFinding(f, json!({ "to": "signed", "sign": "authorship" })));
            }
        }
        let retracted = 4 * FINDINGS_PER_TRIAL + 3;
        let order = json!({ "to": "retracted", "reason": "Two samples had been swapped", "sign": "retraction" });
        self.on(dice, LAST - 4, Act::MoveFinding(retracted, order));
    }

    fn insights(&mut self, dice: &mut Rng, cast: &Cast) {
        let mut trials: Vec<_> = (0..TRIALS).collect();
        let sent_back = |t: usize| self.discoveries.iter().any(|d| d.fate == Fate::Returned && d.trial == Some(t));
        trials.sort_by_key(|t| (!sent_back(*t), self.trials[*t].opened));
        for i in 0..25 {
            // The answered ones come from trials that send a discovery back, then from those that opened first.
            let (t, k) = if i < 12 { (trials[i % 6], i / 6) } else { (trials[i % TRIALS], 2) };
            let finding = t * FINDINGS_PER_TRIAL + k;
            let first = self.discoveries.iter().position(|d| d.trial == Some(t));
            let lab = first.map_or(self.trials[t].clinic * 2, |d| self.discoveries[d].lab);
            let lab = lab.min(cast.labs.len() - 1);
            let raised = if i >= 17 {
                self.findings[finding].signed.max(LAST - 30 + i as i64 % 20)
            } else {
                self.findings[finding].signed + 4
            };
            let urgency = ["routine", "priority", "urgent"][i % 3];
            let body = json!({
                "title": format!("{} ({})", FINDINGS[finding % FINDINGS.len()].1, i + 1), "question": QUESTIONS[i % QUESTIONS.len()],
                "rationale": "The finding does not fit the mechanism as it was handed off.", "urgency": urgency,
            });
            self.insights.push(PlannedInsight { finding, lab, body, submitted: raised + 1 });
            self.on(dice, raised, Act::Raise(i));
            self.answer(dice, i, first);
        }
    }

    fn answer(&mut self, dice: &mut Rng, i: usize, discovery: Option<usize>) {
        let submitted = self.insights[i].submitted;
        if i >= 22 {
            return; // still a draft
        }
        self.on(dice, submitted, Act::Submit(i));
        let field = FIELDS.get(self.insights[i].lab / 2).unwrap_or(&FIELDS[0]);
        let end = match i {
            0..=2 => Some(Answer::NewDiscovery(discovery_body(dice, field, 100 + i))),
            3..=5 => discovery.map(Answer::Refined),
            6..=7 => Some(Answer::Other("confirmed_known")),
            8 => Some(Answer::Other("not_reproducible")),
            _ => None,
        };
        if let 9 | 10 = i {
            return self.on(dice, submitted + 6, Act::Answer(i, Answer::Decline));
        }
        if i >= 17 {
            return; // waits in the lab's inbox
        }
        self.on(dice, submitted + 5, Act::Answer(i, Answer::Acknowledge));
        if i < 14 {
            self.on(dice, submitted + 9, Act::Answer(i, Answer::Investigate));
        }
        if let Some(end) = end {
            self.on(dice, submitted + 22 + 3 * i as i64, Act::Answer(i, end));
        }
    }

    /// Back to the bench, citing what the clinic sent.
    fn returns(&mut self) {
        let mut dice = Rng::with_seed(7);
        for d in 0..self.discoveries.len() {
            let PlannedDiscovery { fate: Fate::Returned, trial: Some(t), .. } = self.discoveries[d] else { continue };
            let about = |i: &usize| self.findings[self.insights[*i].finding].trial == t;
            let cited = (0..17).filter(about).min_by_key(|i| self.insights[*i].submitted);
            if let Some(i) = cited {
                let day = (self.insights[i].submitted + 40).max(self.trials[t].opened + 60);
                self.on(&mut dice, day, Act::Return(d, i));
            }
        }
    }

    /// A colleague's discovery waits to be taken over by the first scientist.
    fn hand_on(&mut self, dice: &mut Rng, cast: &Cast) {
        let labs = cast.labs.len();
        let logged = |d: &usize| self.discoveries[*d].fate == Fate::Logged;
        if let Some(d) =
            (0..self.discoveries.len()).filter(logged).find(|d| d.is_multiple_of(labs) && (d / labs) % 2 == 1)
        {
            self.on(dice, LAST - 2, Act::HandOn(d));
        }
    }

    /// What the sponsors take part in, and what waits for their answer.
    fn industry(&mut self) {
        let mut dice = Rng::with_seed(8);
        let shared: Vec<_> = (0..self.discoveries.len()).filter(|d| self.discoveries[*d].shared).collect();
        for (n, d) in shared.into_iter().enumerate() {
            let lives = !matches!(self.discoveries[d].fate, Fate::Stopped | Fate::PublicHealth);
            if lives {
                self.on(&mut dice, LAST - 5, Act::Industry { discovery: d, sponsor: 0, accepted: n % 2 == 0 });
            }
        }
        let open: Vec<_> =
            (0..self.discoveries.len()).filter(|d| self.discoveries[*d].body["visibility"] == "public").collect();
        let lasting: Vec<_> = open.into_iter().filter(|d| self.discoveries[*d].fate != Fate::Stopped).take(2).collect();
        for d in lasting {
            self.on(&mut dice, LAST - 3, Act::Industry { discovery: d, sponsor: 1, accepted: false });
        }
    }
}

fn hold(d: usize) -> Act {
    Act::Advance(d, json!({ "to": "on_hold", "reason": "Waiting for a reagent lot that passes release" }))
}

fn stop(d: usize, why: &str) -> Act {
    Act::Advance(d, json!({ "to": "discontinued", "stop_reason": why, "sign": "discontinuation" }))
}

fn discovery_body(dice: &mut Rng, field: &Field, d: usize) -> Value {
    let subject = field.subjects[d % field.subjects.len()];
    let claim = field.claims[dice.usize(..field.claims.len())];
    let (name, mesh) = field.conditions[d % field.conditions.len()];
    let visibility = match d {
        _ if d.is_multiple_of(5) => "public",
        _ if d % 11 == 1 => "confidential",
        _ => "internal",
    };
    json!({
        "title": format!("{subject} {claim}"),
        "summary": format!("## What we saw\n\n{subject} {claim}, in two independent runs.\n\n## What we do not know\n\nWhether it holds beyond {name}."),
        "modality": field.modalities[d % field.modalities.len()], "trl": 2, "visibility": visibility,
        "conditions": [{ "name": name, "mesh": mesh }], "tags": ["demo"],
    })
}

fn trial_body(dice: &mut Rng, field: &Field, t: usize) -> Value {
    let candidate = field.candidates[(t / 3) % field.candidates.len()];
    let (name, mesh) = field.conditions[t % field.conditions.len()];
    json!({
        "brief_title": format!("{candidate} in {name}: a first study"), "acronym": format!("BRIGID-{}", t + 1),
        "org_study_id": format!("SBH-{:03}", t + 1), "study_type": "INTERVENTIONAL", "phases": ["PHASE1", "PHASE2"],
        "conditions": [{ "name": name, "mesh": mesh }], "interventions": [{ "type": "DRUG", "name": candidate }],
        "enrollment": { "count": dice.i64(24..160), "type": "ESTIMATED" },
        "visibility": if t.is_multiple_of(3) { "public" } else { "internal" }, "fda_regulated": t.is_multiple_of(4),
    })
}

fn finding_body(dice: &mut Rng, f: usize) -> Value {
    let (kind, title) = FINDINGS[f % FINDINGS.len()];
    let value = f64::from(dice.u32(110..240)) / 100.0;
    let mut body = json!({
        "kind": kind, "title": title, "unexpected": f % 4 == 2,
        "narrative": format!("{title}. Analysed as pre-specified; the data set is locked."),
        "effect": {
            "measure": "hazard ratio", "value": value, "ci_low": value - 0.4, "ci_high": value + 0.7, "ci_level": 95,
            "p_value": { "op": "<", "value": 0.05 }, "n": dice.i64(20..150),
        },
    });
    if kind == "safety" {
        body["ctcae_grade"] = json!(dice.i64(1..4));
    }
    body
}
