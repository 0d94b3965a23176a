"""Health: words of medicine that say what somebody has, takes or went through.

A list of our own and a few endings. Words that everyday talk is full of (pain, tired, doctor, virus) are left out on purpose: near a
name they would make a health record of every chat. Where no person is near, a word of medicine is only a word.
"""

import re
from collections.abc import Iterator

_CONDITIONS = (
    "diabetes|diabetic|hypertension|hypertensive|asthma|copd|cancer|carcinoma|adenocarcinoma|melanoma|leuk(?:a?e)mia|lymphoma|tumou?r|metasta(?:sis|ses|tic)|"
    "hiv|aids|tuberculosis|covid(?:-19)?|pneumonia|sepsis|stroke|seizures?|epilep(?:sy|tic)|migraines?|dementia|alzheimer(?:'s)?|parkinson(?:'s)?|multiple sclerosis|"
    "depression|depressive|anxiety disorder|bipolar disorder|schizophreni[ac]|ptsd|adhd|autis(?:m|tic)|anorexia|bulimia|substance abuse|alcohol (?:abuse|dependence|use disorder)|"
    "heart failure|heart attack|myocardial infarction|atrial fibrillation|coronary artery disease|angina|cardiomyopathy|arrhythmia|aneurysm|thrombosis|embolism|"
    "kidney (?:disease|failure|stones?)|renal failure|cirrhosis|hepatitis(?: [abc])?|jaundice|pancreatitis|crohn(?:'s)?|ulcerative colitis|gerd|ulcers?|hernia|gallstones|"
    "hypothyroidism|hyperthyroidism|hyperlipidemia|obesity|gout|osteoporosis|osteoarthritis|rheumatoid arthritis|lupus|psoriasis|eczema|fibromyalgia|"
    "an(?:a?e)mia|h(?:a?e)mophilia|sickle cell|glaucoma|cataracts?|pregnan(?:t|cy)|miscarriage|abortion|preeclampsia|infertility|endometriosis|chlamydia|gonorrh?ea|syphilis|herpes|"
    "fractured?|concussion|paralys(?:is|ed)|scoliosis|sciatica|sleep apnea|allerg(?:y|ies|ic) to|down syndrome|cerebral palsy|cystic fibrosis|"
    "krebs|bluthochdruck|zuckerkrankheit|schlaganfall|herzinfarkt|lungenentzündung|depressionen|schwanger(?:schaft)?|hypertonie|asthme|diabète|cancer du|"
    "hypertension artérielle|grossesse|enceinte|cáncer|hipertensión|embarazad[ao]|asma|depresión|diabete|ipertensione|tumore|gravidanza|câncer|hipertensão|gravidez|"
    "kanker|hartaanval|zwanger|cukrzyc[ay]|nadciśnienie|rak piersi|cancer i|blodtryck"
)
_CARE = (
    "metformin|insulin|lisinopril|amlodipine|atorvastatin|simvastatin|losartan|omeprazole|levothyroxine|albuterol|prednisone|warfarin|heparin|clopidogrel|"
    "gabapentin|sertraline|fluoxetine|citalopram|escitalopram|bupropion|lithium carbonate|quetiapine|risperidone|olanzapine|haloperidol|lorazepam|alprazolam|diazepam|"
    "methadone|buprenorphine|oxycodone|hydrocodone|morphine|tramadol|fentanyl|methotrexate|adalimumab|tamoxifen|amoxicillin|azithromycin|ciprofloxacin|doxycycline|"
    "ibuprofen \\d+|aspirin \\d+|chemotherap(?:y|ie)|radiotherap(?:y|ie)|dialysis|transplant(?:ation)?|biops(?:y|ie)|colonoscopy|endoscopy|mammogram|ultrasound|echocardiogram|"
    "mri|ct scan|x-rays?|ekg|ecg|c-section|cesarean|catheter(?:ization)?|chirotherapy|physical therapy|psychotherapy|rehab(?:ilitation)? (?:center|clinic)|hospice|"
    "hba1c|a1c|ldl|hemoglobin|creatinine|blood (?:pressure|sugar|glucose) (?:of|was|is|:)|bp \\d{2,3}/\\d{2,3}|\\d+ mg (?:po|bid|tid|qid|daily|twice|once)|"
    "diagnos(?:is|ed|es|e)|prognosis|tested positive|positive for|complains of|c/o|presents with|history of present illness|past medical history|discharge summary|chief complaint|"
    "medications?|prescri(?:bed|ption)|symptoms|diagnostiqu[ée]+|diagnosticad[oa]|diagnosi|leidet an|souffre d[e']|padece|soffre di|lijdt aan|choruje na"
)
_ENDINGS = (
    r"[a-zé]{3,}(?:ectomy|ectomie|oscopy|plasty|itis|osis of|opathy|emia|uria|algia|plegia|carcinoma|sarcoma|blastoma)|"
    r"[a-z]{3,}(?:prazole|sartan|statin|cillin|mycin|oxacin|azepam|azolam|pril|olol|dipine|tidine|triptan|mab|vir|afil|gliptin|gliflozin)"
)
_TERMS = re.compile(rf"(?<![\w-])(?:{_CONDITIONS}|{_CARE}|{_ENDINGS})(?![\w-])", re.IGNORECASE)
_NO_TERM = frozenset(
    {"april", "devoir", "savoir", "avoir", "pouvoir", "vouloir", "voir", "statin", "miraculosis of"}
)

IDENTIFIED = re.compile(
    r"(?i)\b(?:mrn|medical record (?:number|no)|patient (?:id|name|number|no)\b|ssn|social security|insurance (?:id|number)|member id|d\.?o\.?b\.?|date of birth)"
    r"[ \t\"':#=.]{1,6}\w"
)
"""What announces an identifier; the identifier itself is the rules' to find."""

PATTERNS = (_TERMS.pattern, IDENTIFIED.pattern)


def terms(text: str) -> Iterator[tuple[int, int]]:
    """Yield where words of medicine stand."""
    for match in _TERMS.finditer(text):
        if match[0].lower() not in _NO_TERM:
            yield match.span()
