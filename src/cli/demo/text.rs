//! What the demo's people write: believable, invented, and about nobody.

/// A field of work: its conditions and what its labs look into.
pub(super) struct Field {
    /// Name and MeSH id.
    pub conditions: &'static [(&'static str, &'static str)],
    /// Targets and mechanisms.
    pub subjects: &'static [&'static str],
    /// What was seen of them.
    pub claims: &'static [&'static str],
    /// Candidates that come of them.
    pub candidates: &'static [&'static str],
    /// What discoveries of the field would become.
    pub modalities: &'static [&'static str],
}

/// Vaccines and immunotherapy, psychiatry, neurology: one a centre.
pub(super) const FIELDS: &[Field] = &[
    Field {
        conditions: &[("Influenza, Human", "D007251"), ("Melanoma", "D008545"), ("Tuberculosis", "D014376")],
        subjects: &[
            "A stabilised haemagglutinin stem",
            "A neoantigen peptide pool",
            "An ESAT-6 fusion protein",
            "PD-1 blockade after priming",
            "A lipid-free mRNA carrier",
        ],
        claims: &[
            "elicits cross-reactive antibodies in ferrets",
            "expands resident memory T cells",
            "protects aged mice at a tenth of the dose",
            "restores exhausted CD8 T cells",
            "keeps its titre for a year",
        ],
        candidates: &["BSV-11", "IMT-204", "TBX-7", "VAC-90"],
        modalities: &["vaccine", "biologic", "cell_therapy"],
    },
    Field {
        conditions: &[
            ("Depressive Disorder, Treatment-Resistant", "D061218"),
            ("Schizophrenia", "D012559"),
            ("Alcoholism", "D000437"),
        ],
        subjects: &[
            "A fast-acting mGluR2 modulator",
            "Sleep-timed stimulation",
            "A digital craving diary",
            "Cue-exposure in virtual reality",
            "An orexin antagonist",
        ],
        claims: &[
            "lifts anhedonia within a day in rats",
            "halves relapse in a pilot cohort",
            "predicts response from one week of data",
            "normalises prefrontal coupling",
            "shortens sleep latency",
        ],
        candidates: &["PSY-31", "DGX-2", "ORX-19", "NMT-5"],
        modalities: &["small_molecule", "digital", "behavioral", "device"],
    },
    Field {
        conditions: &[
            ("Amyotrophic Lateral Sclerosis", "D000690"),
            ("Parkinson Disease", "D010300"),
            ("Epilepsy", "D004827"),
        ],
        subjects: &[
            "HSP70 induction",
            "An alpha-synuclein nanobody",
            "AAV-delivered KCNT1 silencing",
            "A plasma NfL threshold",
            "Closed-loop thalamic pacing",
        ],
        claims: &[
            "clears TDP-43 aggregates in motor neurons",
            "slows spreading in a seeded model",
            "stops seizures in knock-in mice",
            "separates fast from slow progressors",
            "cuts seizure days by half",
        ],
        candidates: &["BX-12", "SYN-44", "KCT-1", "NFL-Dx"],
        modalities: &["small_molecule", "gene_therapy", "diagnostic", "device"],
    },
];

/// What a trial showed.
pub(super) const FINDINGS: &[(&str, &str)] = &[
    ("efficacy", "Primary endpoint met in the per-protocol set"),
    ("safety", "Transient transaminase rise in the high-dose arm"),
    ("biomarker", "Responders share a raised baseline marker"),
    ("pharmacokinetics", "Exposure is more than dose-proportional"),
    ("mechanism", "Target engagement without the expected downstream change"),
    ("patient_reported", "Fatigue improves before the primary endpoint does"),
    ("feasibility", "Home sampling is as complete as clinic sampling"),
    ("efficacy", "No effect in patients treated late"),
];

/// What a clinic asks a lab.
pub(super) const QUESTIONS: &[&str] = &[
    "Is the baseline marker upstream of the target, or does it only travel with it?",
    "Can the dose be lowered where exposure runs away?",
    "Which mechanism would explain engagement without effect?",
    "Does timing, rather than dose, separate responders?",
    "Can the early change be reproduced in the model?",
];

/// First and last names of invented people.
pub(super) const NAMES: &[&str] = &[
    "Ada Okafor",
    "Bo Lindqvist",
    "Chiara Romano",
    "Dmitri Volkov",
    "Esi Mensah",
    "Farid Haddad",
    "Grace Whitlock",
    "Hiro Tanaka",
    "Ines Duarte",
    "Jonas Weber",
    "Kavya Raman",
    "Liam Byrne",
    "Mei Chen",
    "Noor Aziz",
    "Oskar Nilsen",
    "Priya Nair",
    "Quentin Moreau",
    "Rosa Delgado",
    "Sam Whitaker",
    "Tariq Mansour",
    "Uma Krishnan",
    "Viktor Hansen",
    "Wren Gallagher",
    "Yara Costa",
];
