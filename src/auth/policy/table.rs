//! The table itself: every action, the kinds of record it is of, and who may, being what to the record.
use super::{Grant, Permission, Row, Rule};

macro_rules! table {
    ($($(#[doc = $meaning:literal])+ $name:ident = $text:literal {
        $([$($kind:ident),*] $refusal:literal: $($relation:ident [$($role:ident),*]),+;)+
    })+) => {
        $(#[doc = concat!($($meaning),+)]
        #[derive(Debug)]
        pub enum $name {}
        impl Permission for $name {
            const NAME: &'static str = $text;
            const ROW: &'static Row = &Row {
                name: $text,
                meaning: concat!($($meaning),+).trim_ascii(),
                rules: &[$(Rule {
                    over: &[$(crate::vocabulary::RecordKind::$kind),*],
                    refusal: $refusal,
                    grants: &[$(Grant {
                        relation: super::Relation::$relation,
                        roles: &[$(crate::vocabulary::Role::$role),*],
                    }),+],
                }),+],
            };
        })+
        /// Every action.
        pub const TABLE: &[&Row] = &[$($name::ROW),+];
    };
}
table! {
    /// See who one is and end one's own sessions: all that people without a role may do.
    OwnAccess = "own_access" {
        [] "Sign in first.": Any [];
    }
    /// Read what one may see.
    Read = "read" {
        [Organization, Person, Lifecycle, Discovery, Trial, Finding, Insight, Pairing, Transfer, Webhook]
        "Reading takes a role.": Any [Scientist, Clinician, Administrator, Partner, Auditor];
    }
    /// Follow records, labs and conditions that one may see, and say how far one has read what happened to them.
    Follow = "follow" {
        [] "Following takes a role.": Any [Scientist, Clinician, Administrator, Partner, Auditor];
    }
    /// Read the log itself: its leaves and its tree.
    ReadLog = "read_log" {
        [] "The log itself is for auditors and administrators.": Any [Administrator, Auditor];
    }
    /// Read a person's e-mail address and roles, and look people up by them.
    ReadPrivate = "read_private" {
        [Person] "E-mail addresses and roles are for the person and administrators.":
            Own [Scientist, Clinician, Partner, Auditor], Any [Administrator];
    }
    /// Ask for a move; the gates of the lifecycle decide.
    Move = "move" {
        [Discovery, Trial, Finding, Insight, Pairing] "Moving takes a role.":
            Gates [Scientist, Clinician, Administrator, Partner, Auditor];
    }
    /// Ask for a challenge to sign; useful only for a move one may make.
    Sign = "sign" {
        [Discovery, Trial, Finding, Insight, Pairing] "Signing takes a role.":
            Any [Scientist, Clinician, Administrator, Partner, Auditor];
    }
    /// Log discoveries in a lab.
    LogDiscovery = "log_discovery" {
        [Organization] "Discoveries are logged by scientists of their lab.": Member [Scientist];
    }
    /// Register trials in a clinic.
    RegisterTrial = "register_trial" {
        [Organization] "Trials are registered by clinicians of their clinic.": Member [Clinician];
    }
    /// Import registry studies as trials of a clinic.
    ImportStudies = "import_studies" {
        [Organization] "Studies are imported by clinicians of the clinic and by administrators.":
            Member [Clinician], Any [Administrator];
    }
    /// Link trials to discoveries; what a trial tests is the discovery's own to say.
    LinkTrial = "link_trial" {
        [Trial] "Only its owner, a clinician of its steward or an administrator may revise this record.":
            Owner [Scientist, Clinician], Steward [Clinician], Any [Administrator];
        [Discovery]
        "A trial is linked as `tests` by the discovery's accepted clinical lead or a member of its lab.":
            Steward [Scientist, Clinician, Administrator], Lead [Scientist, Clinician, Administrator];
    }
    /// Record findings of a trial.
    RecordFinding = "record_finding" {
        [Trial] "Findings are recorded by clinicians of the trial's clinic.": Steward [Clinician];
    }
    /// Raise insights on findings, to a lab.
    RaiseInsight = "raise_insight" {
        [Finding] "Insights are raised by clinicians of the clinic whose findings they cite.": Steward [Clinician];
    }
    /// Propose pairings for a discovery.
    ProposePairing = "propose_pairing" {
        [Discovery] "Pairings are proposed by scientists of the discovery's lab, by clinicians for themselves and by partners for their sponsor.":
            Steward [Scientist], NamedClinician [Clinician], NamedSponsor [Partner];
    }
    /// Revise records.
    Revise = "revise" {
        [Discovery] "Only its owner, a scientist of its steward or an administrator may revise this record.":
            Owner [Scientist, Clinician], Steward [Scientist], Any [Administrator];
        [Trial, Finding, Insight] "Only its owner, a clinician of its steward or an administrator may revise this record.":
            Owner [Scientist, Clinician], Steward [Clinician], Any [Administrator];
    }
    /// Revise what one knows and whether one takes new work.
    ReviseProfile = "revise_profile" {
        [Person] "Only that person or an administrator may revise a person.":
            Own [Scientist, Clinician, Partner], Any [Administrator];
    }
    /// Answer for a record that stands on a finding which was retracted or superseded.
    AcknowledgeRecall = "acknowledge_recall" {
        [Discovery] "A recall is acknowledged by the record's owner, a scientist of its steward or an administrator.":
            Owner [Scientist, Clinician], Steward [Scientist], Any [Administrator];
        [Insight] "A recall is acknowledged by the record's owner, a clinician of its steward or an administrator.":
            Owner [Scientist, Clinician], Steward [Clinician], Any [Administrator];
    }
    /// Offer records to another owner.
    TransferOwnership = "transfer_ownership" {
        [Discovery, Trial, Finding, Insight, Pairing] "Records are handed over by their owner or an administrator.":
            Owner [Scientist, Clinician], Any [Administrator];
    }
    /// Hand records over without the owner, who has left.
    ForceTransfer = "force_transfer" {
        [Discovery, Trial, Finding, Insight, Pairing] "Only an administrator can force a transfer.": Any [Administrator];
    }
    /// Accept or decline what is offered.
    AnswerTransfer = "answer_transfer" {
        [Transfer] "Only the person it is offered to answers a transfer.": Receiver [Scientist, Clinician, Administrator];
    }
    /// Take an offer back.
    WithdrawTransfer = "withdraw_transfer" {
        [Transfer] "A transfer is withdrawn by who proposed it, or by an administrator.":
            Proposer [Scientist, Clinician], Any [Administrator];
    }
    /// Create and revise organizations.
    ManageOrganizations = "manage_organizations" {
        [Organization] "Organizations are managed by administrators.": Any [Administrator];
    }
    /// Enter and invite people, change their names, e-mail addresses, roles and memberships, and disable them: by a
    /// session, never by a token of a script.
    ManagePeople = "manage_people" {
        [Person] "Only an administrator may enter people, change their name, e-mail, roles and memberships, or disable them.": Any [Administrator];
    }
    /// Add lifecycles and move records between their versions.
    ManageLifecycles = "manage_lifecycles" {
        [Lifecycle, Discovery] "Lifecycles are managed by administrators.": Any [Administrator];
    }
    /// Say who is told of events elsewhere, and tell them again.
    ManageWebhooks = "manage_webhooks" {
        [Webhook] "Webhooks are managed by administrators.": Any [Administrator];
    }
    /// Ask why a person may or may not do something.
    ExplainAuthority = "explain_authority" {
        [] "Only administrators may ask that.": Any [Administrator];
    }
}
