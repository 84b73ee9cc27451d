//! The closed vocabularies of the domain: every value is kept verbatim, in the API, the database and the exports alike.
//!
//! Registry values (ClinicalTrials.gov) keep their capitals; everything of ours is `snake_case`. Nothing here decides
//! anything: rules live with the entity whose state changes.

/// Declares an enumeration whose members are exact strings, with every conversion the service needs.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub enum $name { $(#[doc = concat!("`", $text, "`")] $variant),+ }

        impl $name {
            /// Every member, in the order of the domain document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The exact string.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::vocabulary::UnknownValue;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::vocabulary::UnknownValue { expected: &[$($text),+] }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl deserr::Deserr<$crate::fault::Faults> for $name {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                location: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, $crate::fault::Faults> {
                $crate::fault::parse_string(value, location)
            }
        }

        impl utoipa::__dev::ComposeSchema for $name {
            fn compose(_: Vec<utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($text),+]))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl<DB: diesel::backend::Backend> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, DB>::to_sql(self.as_str(), out)
            }
        }
        impl<DB: diesel::backend::Backend> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(value)?;
                Ok(text.parse::<Self>()?)
            }
        }
    };
}
pub(crate) use vocabulary;

/// A string that is no member of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", expected.join(", "))]
pub struct UnknownValue {
    /// The members.
    pub expected: &'static [&'static str],
}

vocabulary! {
    /// What a person may be in the service. A person has one or more.
    Role { Scientist = "scientist", Clinician = "clinician", Administrator = "administrator", Partner = "partner", Auditor = "auditor" }
}
vocabulary! {
    /// What an organization is.
    OrganizationKind { Institution = "institution", Centre = "centre", Lab = "lab", Clinic = "clinic", Sponsor = "sponsor" }
}
vocabulary! {
    /// Every kind of record that has a history.
    RecordKind {
        Organization = "organization", Person = "person", Lifecycle = "lifecycle", Discovery = "discovery",
        Trial = "trial", Finding = "finding", Insight = "insight", Pairing = "pairing", Transfer = "transfer",
        Webhook = "webhook",
    }
}
vocabulary! {
    /// Where a webhook stands.
    WebhookState { Enabled = "enabled", Disabled = "disabled", Ended = "ended" }
}
vocabulary! {
    /// Where a delivery stands.
    DeliveryState { Pending = "pending", Delivered = "delivered", Parked = "parked", Skipped = "skipped" }
}
vocabulary! {
    /// What an event says was done to its record.
    Action {
        Created = "created", Revised = "revised", Moved = "moved", Corrected = "corrected",
        Transferred = "transferred", Linked = "linked", Shared = "shared", Signed = "signed",
        Recalled = "recalled", Acknowledged = "acknowledged", Imported = "imported", Enabled = "enabled",
        Disabled = "disabled", Erased = "erased",
    }
}
vocabulary! {
    /// What a discovery would become.
    Modality {
        SmallMolecule = "small_molecule", Biologic = "biologic", Vaccine = "vaccine", CellTherapy = "cell_therapy",
        GeneTherapy = "gene_therapy", Device = "device", Diagnostic = "diagnostic", Digital = "digital",
        Behavioral = "behavioral", Procedure = "procedure", Other = "other",
    }
}
vocabulary! {
    /// What a reference points to.
    ReferenceKind {
        Doi = "doi", Pmid = "pmid", Nct = "nct", Patent = "patent", Ind = "ind", Ide = "ide", Irb = "irb",
        Grant = "grant", Dataset = "dataset", Url = "url",
    }
}
vocabulary! {
    /// Who sees a record; each level includes those above it.
    Visibility { Confidential = "confidential", Internal = "internal", Public = "public" }
}
vocabulary! {
    /// Why a trial or a discovery was stopped (the stop reasons of Open Targets).
    StopReason {
        InsufficientEnrollment = "insufficient_enrollment",
        BusinessOrAdministrative = "business_or_administrative", Negative = "negative",
        LogisticsOrResources = "logistics_or_resources", StudyDesign = "study_design",
        InvalidReason = "invalid_reason", StudyStaffMoved = "study_staff_moved", Covid19 = "covid_19",
        AnotherStudy = "another_study", NoContext = "no_context", SafetyOrSideEffects = "safety_or_side_effects",
        Regulatory = "regulatory", InterimAnalysis = "interim_analysis", Success = "success",
        MetEndpoint = "met_endpoint", EthicalReason = "ethical_reason", InsufficientData = "insufficient_data",
    }
}
vocabulary! {
    /// ClinicalTrials.gov overall status.
    TrialStatus {
        NotYetRecruiting = "NOT_YET_RECRUITING", Recruiting = "RECRUITING",
        EnrollingByInvitation = "ENROLLING_BY_INVITATION", ActiveNotRecruiting = "ACTIVE_NOT_RECRUITING",
        Completed = "COMPLETED", Suspended = "SUSPENDED", Terminated = "TERMINATED", Withdrawn = "WITHDRAWN",
        Available = "AVAILABLE", NoLongerAvailable = "NO_LONGER_AVAILABLE",
        TemporarilyNotAvailable = "TEMPORARILY_NOT_AVAILABLE", ApprovedForMarketing = "APPROVED_FOR_MARKETING",
        Withheld = "WITHHELD", Unknown = "UNKNOWN",
    }
}
vocabulary! {
    /// ClinicalTrials.gov phase; a combined phase is two of them.
    Phase {
        Na = "NA", EarlyPhase1 = "EARLY_PHASE1", Phase1 = "PHASE1", Phase2 = "PHASE2", Phase3 = "PHASE3",
        Phase4 = "PHASE4",
    }
}
vocabulary! {
    /// ClinicalTrials.gov study type.
    StudyType { Interventional = "INTERVENTIONAL", Observational = "OBSERVATIONAL", ExpandedAccess = "EXPANDED_ACCESS" }
}
vocabulary! {
    /// ClinicalTrials.gov intervention type.
    InterventionType {
        Behavioral = "BEHAVIORAL", Biological = "BIOLOGICAL", CombinationProduct = "COMBINATION_PRODUCT",
        Device = "DEVICE", DiagnosticTest = "DIAGNOSTIC_TEST", DietarySupplement = "DIETARY_SUPPLEMENT",
        Drug = "DRUG", Genetic = "GENETIC", Procedure = "PROCEDURE", Radiation = "RADIATION", Other = "OTHER",
    }
}
vocabulary! {
    /// ClinicalTrials.gov agency class of a sponsor.
    SponsorClass {
        Nih = "NIH", Fed = "FED", OtherGov = "OTHER_GOV", Indiv = "INDIV", Industry = "INDUSTRY",
        Network = "NETWORK", Ambig = "AMBIG", Other = "OTHER", Unknown = "UNKNOWN",
    }
}
vocabulary! {
    /// Whether a date or an enrolment is what happened or what is planned.
    Certainty { Actual = "ACTUAL", Estimated = "ESTIMATED" }
}
vocabulary! {
    /// Where a trial record comes from.
    TrialSource { Local = "local", Registry = "registry" }
}
vocabulary! {
    /// What a trial does for a discovery.
    LinkRole { Tests = "tests", Measures = "measures", Compares = "compares" }
}
vocabulary! {
    /// What a finding is about.
    FindingKind {
        Efficacy = "efficacy", Safety = "safety", Biomarker = "biomarker", Pharmacokinetics = "pharmacokinetics",
        Mechanism = "mechanism", Feasibility = "feasibility", PatientReported = "patient_reported", Other = "other",
    }
}
vocabulary! {
    /// How sure a p-value is stated.
    Comparison { Less = "<", Equal = "=", Greater = ">" }
}
vocabulary! {
    /// How soon a lab is asked to answer an insight.
    Urgency { Routine = "routine", Priority = "priority", Urgent = "urgent" }
}
vocabulary! {
    /// What came of an insight.
    Outcome {
        NewDiscovery = "new_discovery", RefinedDiscovery = "refined_discovery", ConfirmedKnown = "confirmed_known",
        NotReproducible = "not_reproducible", NoAction = "no_action",
    }
}
vocabulary! {
    /// What a pairing finds for a discovery.
    PairingKind { ClinicalLead = "clinical_lead", IndustryPartner = "industry_partner" }
}
vocabulary! {
    /// What an electronic signature says (21 CFR 11.50).
    Meaning {
        Authorship = "authorship", Review = "review", Approval = "approval", Handoff = "handoff",
        Discontinuation = "discontinuation", Retraction = "retraction", Correction = "correction",
    }
}
vocabulary! {
    /// How the acting person was authenticated.
    Authn { Password = "password", Oidc = "oidc", Token = "token", System = "system" }
}
vocabulary! {
    /// Where an ownership transfer stands.
    TransferState { Proposed = "proposed", Accepted = "accepted", Declined = "declined", Withdrawn = "withdrawn" }
}
