"""One discovery around the loop, by the client that openapi-python-client makes of the document.

Every answer is a typed object of that client: what it cannot read, or reads as a problem, fails here.
"""

import os
import sys
from typing import Any, Callable, TypeVar
from uuid import UUID

from benchside_client import AuthenticatedClient, Client
from benchside_client import models as m
from benchside_client.api.authentication import get_me, login, refresh_tokens
from benchside_client.api.discoveries import (
    get_discovery,
    list_available_discovery_transitions,
    list_discoveries,
    list_discovery_history,
    list_discovery_transitions,
    log_discovery,
    move_discovery,
    revise_discovery,
)
from benchside_client.api.findings import get_finding, move_finding, record_finding
from benchside_client.api.insights import get_insight, list_insight_history, move_insight, raise_insight
from benchside_client.api.organizations import create_organization
from benchside_client.api.ownership_transfers import accept_ownership_transfer, propose_ownership_transfer
from benchside_client.api.pairings import move_pairing, propose_pairing
from benchside_client.api.people import replace_memberships
from benchside_client.api.pipeline import get_pipeline_funnel, get_pipeline_overview
from benchside_client.api.signatures import create_signature_challenge
from benchside_client.api.trials import move_trial, register_trial, replace_trial_discoveries
from benchside_client.types import Response

BASE = sys.argv[1]
PASSWORD = os.environ["BENCHSIDE_CLIENT_PASSWORD"]
ALS = m.Condition(name="Amyotrophic Lateral Sclerosis", mesh="D000690")
T = TypeVar("T")


def got(kind: type[T], answer: Any) -> T:
    """The answer, if it is of that kind."""
    assert isinstance(answer, kind), f"wanted {kind.__name__}: {answer}"
    return answer


def refused(code: str, status: int, response: Response[Any]) -> m.Problem:
    """The problem, if it has that code and status."""
    problem = got(m.Problem, response.parsed)
    assert (problem.code, problem.status, int(response.status_code)) == (code, status, status), problem
    return problem


def tag(version: int) -> str:
    return f'"{version}"'


class Person:
    """Somebody who is signed in."""

    def __init__(self, name: str) -> None:
        credentials = m.Login(email=f"{name}@example.org", password=PASSWORD)
        first = got(m.Tokens, login.sync(client=Client(base_url=BASE), body=credentials))
        again = m.Refreshing(refresh_token=first.refresh_token)
        tokens = got(m.Tokens, refresh_tokens.sync(client=Client(base_url=BASE), body=again))
        assert tokens.refresh_token != first.refresh_token and tokens.expires_in == first.expires_in
        self.client = AuthenticatedClient(base_url=BASE, token=tokens.access_token)
        self.me = got(m.Me, get_me.sync(client=self.client))
        assert self.me.email == credentials.email

    def signature(self, kind: m.RecordKind, record: UUID, version: int, meaning: m.Meaning, body: m.Order) -> m.Order:
        """The body of a move with a signature in it."""
        wanted = m.NewChallenge(
            record=m.SignedRecord(kind=kind, id=record), version=version, meaning=meaning, transition=body
        )
        challenge = got(m.ChallengeView, create_signature_challenge.sync(client=self.client, body=wanted))
        assert len(challenge.digest) == 64 and self.me.name in challenge.statement, challenge
        answer = m.Answer(challenge_id=challenge.id, password=PASSWORD)
        return m.Order.from_dict({**body.to_dict(), "signature": answer.to_dict()})


Move = Callable[..., Response[Any]]


def moved(move: Move, who: Person, record: UUID, version: int, body: m.Order) -> m.TransitionView:
    response = move(str(record), client=who.client, if_match=tag(version), body=body)
    made = got(m.TransitionView, response.parsed)
    assert response.status_code == 201 and made.to == body.to and made.record.version == version + 1, made
    assert made.by.id == who.me.id, made
    return made


def people() -> tuple[Person, Person, Person]:
    """A scientist of a lab and a clinician of a clinic, placed there by an administrator."""
    administrator = Person("administrator")
    placed = []
    for name, kind in [("scientist", m.OrganizationKind.LAB), ("clinician", m.OrganizationKind.CLINIC)]:
        person = Person(name)
        new = m.NewOrganization(name=f"The {kind}", kind=kind, focus=[ALS])
        place = got(m.OrganizationView, create_organization.sync(client=administrator.client, body=new))
        assert place.kind == kind and place.version == 1
        belongs = m.Memberships(data=[m.Membership(organization_id=place.id)])
        changed = replace_memberships.sync(
            str(person.me.id), client=administrator.client, if_match=tag(1), body=belongs
        )
        assert [o.id for o in got(m.PersonView, changed).organizations] == [place.id]
        placed.append(Person(name))
    return administrator, placed[0], placed[1]


def discovery_up_to_hand_off(scientist: Person, clinician: Person) -> m.DiscoveryView:
    new = m.NewDiscovery(
        title="HSP70 induction clears TDP-43 aggregates",
        modality=m.Modality.SMALL_MOLECULE,
        conditions=[ALS],
        lab_id=scientist.me.organizations[0].id,
    )
    # The same request under one key is one discovery.
    key = "one-discovery"
    made = log_discovery.sync_detailed(client=scientist.client, body=new, idempotency_key=key)
    again = log_discovery.sync_detailed(client=scientist.client, body=new, idempotency_key=key)
    logged = got(m.DiscoveryView, made.parsed)
    assert made.status_code == 201 and made.headers["location"] == logged.links.self_, made
    assert again.headers["idempotent-replayed"] == "true" and got(m.DiscoveryView, again.parsed) == logged
    assert (logged.stage, logged.owner.id) == ("logged", scientist.me.id)
    refused("not_permitted", 403, log_discovery.sync_detailed(client=clinician.client, body=new))
    blank = m.NewDiscovery(title=" ", modality=m.Modality.VACCINE, lab_id=logged.id)
    faults = refused("invalid", 422, log_discovery.sync_detailed(client=scientist.client, body=blank)).errors
    assert isinstance(faults, list) and "/title" in [fault.pointer for fault in faults], faults

    evidence = [m.Reference(kind=m.ReferenceKind.DOI, value="10.1038/s41586-020-2649-2")]
    validate = m.Order(to="validated", evidence=evidence)
    moved(move_discovery.sync_detailed, scientist, logged.id, 1, validate)
    stale = move_discovery.sync_detailed(str(logged.id), client=scientist.client, if_match=tag(1), body=validate)
    assert refused("version_mismatch", 412, stale).current_version == 2
    revised = revise_discovery.sync(
        str(logged.id), client=scientist.client, if_match=tag(2), body=m.DiscoveryPatch(trl=4)
    )
    assert got(m.DiscoveryView, revised).trl == 4
    moved(move_discovery.sync_detailed, scientist, logged.id, 3, m.Order(to="preclinical"))
    offered = list_available_discovery_transitions.sync(str(logged.id), client=scientist.client)
    hand_off = next(move for move in got(m.DataOfAvailable, offered).data if move.to == "clinic_ready")
    assert not hand_off.allowed and "signature" in hand_off.needs, hand_off
    return logged


def hand_off(scientist: Person, clinician: Person, discovery: m.DiscoveryView) -> None:
    asked = m.NewPairing(
        discovery_id=discovery.id,
        kind=m.PairingKind.CLINICAL_LEAD,
        clinician_id=clinician.me.id,
        message="Would you take this to your clinic?",
    )
    pairing = got(m.PairingView, propose_pairing.sync(client=scientist.client, body=asked))
    moved(move_pairing.sync_detailed, clinician, pairing.id, 1, m.Order(to="accepted"))
    body = m.Order(
        to="clinic_ready",
        evidence=[
            m.Reference(kind=m.ReferenceKind.IND, value="IND 123456"),
            m.Reference(kind=m.ReferenceKind.IRB, value="IRB-2026-14"),
        ],
    )
    unsigned = move_discovery.sync_detailed(str(discovery.id), client=scientist.client, if_match=tag(4), body=body)
    unmet = refused("gates_unmet", 409, unsigned).unmet
    assert isinstance(unmet, list) and unmet, unsigned
    signed = scientist.signature(m.RecordKind.DISCOVERY, discovery.id, 4, m.Meaning.HANDOFF, body)
    made = moved(move_discovery.sync_detailed, scientist, discovery.id, 4, signed)
    signature = got(m.SignatureView, made.signature)
    assert signature.meaning == m.Meaning.HANDOFF and scientist.me.name in str(signature.signer), signature


def finding_signed(clinician: Person, discovery: m.DiscoveryView) -> m.FindingView:
    new = m.NewTrial(
        brief_title="Safety of BX-12 in ALS",
        study_type=m.StudyType.INTERVENTIONAL,
        phases=[m.Phase.PHASE1],
        conditions=[ALS],
        clinic_id=clinician.me.organizations[0].id,
    )
    trial = got(m.TrialView, register_trial.sync(client=clinician.client, body=new))
    links = m.NewLinks(data=[m.NewLink(discovery_id=discovery.id, role=m.LinkRole.TESTS)])
    linked = replace_trial_discoveries.sync(
        str(trial.id), client=clinician.client, if_match=tag(trial.version), body=links
    )
    assert linked is not None and not isinstance(linked, m.Problem), linked
    approved = [m.Reference(kind=m.ReferenceKind.IRB, value="IRB-2026-14")]
    moved(move_trial.sync_detailed, clinician, trial.id, 2, m.Order(to="RECRUITING", evidence=approved))

    effect = m.Effect(measure="odds ratio", value=4.2, ci_low=1.3, ci_high=13.1, ci_level=95)
    draft = m.NewFinding(
        kind=m.FindingKind.BIOMARKER,
        title="Responders had high NfL at baseline",
        narrative="Seen in 7 of 9.",
        observed_on="2025-10-02",
        unexpected=True,
        effect=effect,
    )
    finding = got(m.FindingView, record_finding.sync(str(trial.id), client=clinician.client, body=draft))
    assert finding.observed_on == draft.observed_on and got(m.Effect, finding.effect).value == 4.2
    body = clinician.signature(m.RecordKind.FINDING, finding.id, 1, m.Meaning.AUTHORSHIP, m.Order(to="signed"))
    moved(move_finding.sync_detailed, clinician, finding.id, 1, body)
    read = get_finding.sync_detailed(str(finding.id), client=clinician.client)
    signed = got(m.FindingView, read.parsed)
    assert (signed.state, signed.version, read.headers["etag"]) == ("signed", 2, tag(2))
    same = get_finding.sync_detailed(str(finding.id), client=clinician.client, if_none_match=read.headers["etag"])
    assert same.status_code == 304 and same.parsed is None
    return signed


def answered(scientist: Person, clinician: Person, finding: m.FindingView) -> tuple[m.InsightView, UUID]:
    new = m.NewInsight(
        title="Why do fast progressors respond?",
        question="Is NfL upstream of HSP70?",
        rationale="All responders had high NfL at baseline.",
        finding_ids=[finding.id],
        lab_id=scientist.me.organizations[0].id,
        urgency=m.Urgency.PRIORITY,
    )
    insight = got(m.InsightView, raise_insight.sync(client=clinician.client, body=new))
    moved(move_insight.sync_detailed, clinician, insight.id, 1, m.Order(to="submitted"))
    moved(move_insight.sync_detailed, scientist, insight.id, 2, m.Order(to="acknowledged"))
    moved(move_insight.sync_detailed, scientist, insight.id, 3, m.Order(to="investigating"))
    spawned = m.NewDiscovery(
        title="NfL-driven HSP70 response",
        modality=m.Modality.DIAGNOSTIC,
        lab_id=scientist.me.organizations[0].id,
    )
    resolve = m.Order(
        to="resolved",
        outcome=m.Outcome.NEW_DISCOVERY,
        outcome_note="NfL marks a second axis.",
        discovery=m.OrderDiscoveryType0.from_dict(spawned.to_dict()),
    )
    made = moved(move_insight.sync_detailed, scientist, insight.id, 4, resolve)
    result = got(m.MoveResult, made.result).discovery
    child = got(m.DiscoveryView, get_discovery.sync(str(result.id), client=scientist.client))
    assert child.origin_insight_id == insight.id and child.title == spawned.title
    closed = got(m.InsightView, get_insight.sync(str(insight.id), client=clinician.client))
    assert (closed.state, closed.outcome) == ("resolved", m.Outcome.NEW_DISCOVERY)
    return closed, child.id


def what_was_written_down(
    administrator: Person, scientist: Person, discovery: m.DiscoveryView, insight: m.InsightView
) -> None:
    back = m.Order(
        to="preclinical", move="return_to_bench", reason="Understand the responders first", insight_id=insight.id
    )
    moved(move_discovery.sync_detailed, scientist, discovery.id, 5, back)
    moves = list_discovery_transitions.sync(str(discovery.id), client=scientist.client)
    told = [got(m.TransitionView, move).to for move in got(m.ListOfTransitionView, moves).data]
    assert told == ["preclinical", "clinic_ready", "preclinical", "validated"], told
    history = list_discovery_history.sync(str(discovery.id), client=scientist.client)
    entries = [got(m.Entry, entry) for entry in got(m.ListOfEntry, history).data]
    linked = [entry for entry in entries if entry.record.kind == m.RecordKind.TRIAL]
    own = [entry for entry in entries if entry.record.id == discovery.id]
    assert [entry.version for entry in own] == [6, 5, 4, 3, 2, 1] and len(linked) == 1, entries
    raised = next(change for change in own[3].changes if change.field == "trl")
    assert raised.after == 4 and raised.before is None, raised
    got(m.ListOfEntry, list_insight_history.sync(str(insight.id), client=administrator.client))

    page = list_discoveries.sync(client=scientist.client, stage=["preclinical"], limit=1, count=True)
    rows = got(m.ListOfDiscoveryView, page)
    assert rows.total == 1 and [got(m.DiscoveryView, row).id for row in rows.data] == [discovery.id]
    got(m.Overview, get_pipeline_overview.sync(client=administrator.client))
    got(m.Funnel, get_pipeline_funnel.sync(client=administrator.client))


administrator, scientist, clinician = people()
discovery = discovery_up_to_hand_off(scientist, clinician)
hand_off(scientist, clinician, discovery)
finding = finding_signed(clinician, discovery)
insight, child = answered(scientist, clinician, finding)
what_was_written_down(administrator, scientist, discovery, insight)
print(f"around the loop: {discovery.code} came back through {finding.code} and {insight.code}")
