"""Health: words of medicine that say what somebody has, takes or went through.

A list of our own and a few endings. Words that everyday talk is full of (pain, tired, doctor, virus) are left out on purpose: near a
name they would make a health record of every chat. Where no person is near, a word of medicine is only a word.
"""

import re
from collections.abc import Iterator

_CONDITIONS = (
    "diabetes|diabetic|hypertension|hypertensive|asthma|copd|cancer|carcinoma|adenocarcinoma|melanoma|leuk(?:a?e)mia|lymphoma|tumou?r|metasta(?:sis|ses|tic)|"
    "hiv|aids|tuberculosis|covid(?:-19)?|pneumonia|sepsis|stroke|seizures?|epilep(?:sy|tic)|migraines?|dementia|alzheimer(?:'s)?|parkinson(?:'s)?|multiple sclerosis|"
    "depressions?|depressive|anxiety disorder|bipolar disorder|schizophreni[ac]|ptsd|adhd|autis(?:m|tic)|anorexia|bulimia|substance abuse|alcohol (?:abuse|dependence|use disorder)|"
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
_MORE = (
    "amnesia|vertigo|tinnitus|insomnia|narcolepsy|dyslexia|tourette(?:'s)?|huntington(?:'s)?|measles|mumps|rubella|malaria|cholera|typhoid|dengue|influenza|shingles|chickenpox|"
    "whooping cough|tetanus|polio(?:myelitis)?|leprosy|scabies|acne|rosacea|vitiligo|urticaria|alopecia|impetigo|cellulitis|gangrene|goit(?:re|er)|rickets|scurvy|celiac|coeliac|"
    "spina bifida|cleft (?:lip|palate)|club ?foot|cardiac arrest|heart (?:block|murmur)|tachycardia|bradycardia|hypotension|ascites|o?edema|lymphedema|varicose veins|"
    "constipation|incontinence|erectile dysfunction|menopause|amenorrh?o?ea|ectopic pregnancy|stillbirth|premature birth|blindness|deafness|hearing loss|amputation|coma|"
    "delirium|psychotic|suicidal|self-harm|paranoid|panic attacks?|phobia|mutism|ataxia|aphasia|dystonia|chorea|spastic(?:ity)?|contractures?|carpal tunnel|frozen shoulder"
)
_MEDICINES = (
    "aspirin|paracetamol|acetaminophen|co-codamol|co-dydramol|codeine|dihydrocodeine|digoxin|amiodarone|hydralazine|minoxidil|spironolactone|lactulose|senna|bisacodyl|loperamide|"
    "metoclopramide|cyclizine|allopurinol|colchicine|baclofen|tizanidine|nitroglycerin|glyceryl trinitrate|zopiclone|zolpidem|zaleplon|melatonin|trazodone|venlafaxine|buspirone|"
    "topiramate|valpro(?:ate|ic acid)|carbamazepine|phenytoin|pregabalin|levodopa|carbidopa|donepezil|memantine|tamsulosin|estradiol|progesterone|testosterone|"
    "salbutamol|salmeterol|chlorphen(?:ir)?amine|diphenhydramine|hydroxyzine|famotidine|sulfasalazine|azathioprine|mercaptopurine|ciclosporin|cyclosporine?|tacrolimus|"
    "mycophenolate|hydroxyurea|cyclophosphamide|letrozole|nitrofurantoin|trimethoprim|co-trimoxazole|isoniazid|rifampicin|ivermectin|permethrin|methylphenidate|"
    "dexamfetamine|lisdexamfetamine|atomoxetine|naltrexone|disulfiram|acamprosate|varenicline|folic acid|ferrous sulph?ate|thyroxine|carbimazole|semaglutide|liraglutide|"
    "ozempic|wegovy|mounjaro|humira|enbrel|xanax|valium|ativan|klonopin|prozac|zoloft|lexapro|lipitor|crestor|viagra|cialis|ritalin|adderall|suboxone|oxycontin|percocet|vicodin|"
    "tylenol|advil|nurofen|ventolin|seroquel|abilify|zyprexa|lithium|eliquis|xarelto|plavix|coumadin|lasix|synthroid|botox"
)
"""What the stems below do not tell: older names, and brands."""

_ENDINGS = (
    r"[a-zé]{3,}(?:ectomy|ectomie|oscopy|plasty|itis|itides|osis|oses|iasis|opath(?:y|ies)|emia|penia|uria|algia|plegia|paresis|ectasi[sa]|malacia|megaly|plasia|"
    r"rrh?o?ea|rrhage|rrhagia|sclerosis|spasms?|stenosis|esthesia|kinesia|phagia|pno?ea|philia|dynia|oma|omas|omatosis|lithiasis|cytosis|dystrophy|atrophy)|"
    r"[a-z]{3,}(?:prazole|conazole|nidazole|sartan|statin|cillin|mycin|micin|oxacin|cycline|azepam|azolam|azepine|iapine|zapine|pril|"
    r"olol|dipine|tidine|triptan|mab|vir|tinib|ciclib|parib|afil|gliptin|gliflozin|glitazone|formin|coxib|profen|oxetine|pramine|triptyline|setron|semide|thiazide|"
    r"xaban|gatran|parin|clopidogrel|sugrel|lukast|terol|tropium|asone|nisone|isolone|cinolone|onide|zosin|steride|fenacin|racetam|trigine|gabalin|dronate|dronic acid|fibrate|"
    r"oquine|phylline|rizine|atadine|fenadine|caine|curium|platin|relin|gestrel|limus|peridone|piprazole|stigmine|rubicin|taxel|trexate|mustine|barbital|penem|bactam)"
)
"""Of conditions, after Greek; of medicines, the stems of international non-proprietary names (WHO)."""

_HEADS = (
    r"diseases?|disorders?|syndromes?|neoplasms?|cysts?|abscess(?:es)?|hernias?|palsy|insufficiency|malformations?|deformit(?:y|ies)|infarction|ha?emorrhages?|"
    r"(?<=heart )failure|(?<=cardiac )failure|(?<=liver )failure|(?<=hepatic )failure|(?<=respiratory )failure|addiction|dependence syndrome|intoxication|infections?|dysfunction|lesions?"
)
_LONGEST_COMPANY = 48
_NO_COMPANY = frozenset(
    ["the", "a", "an", "of", "has", "had", "have", "with", "from", "and", "or", "his", "her", "their", "my", "your", "our", "its", "new", "known", "severe", "mild", "for", "by", "to", "in", "on", "is", "was", "be", "no", "not", "any", "some", "this", "that", "these", "those", "as", "at", "all", "due", "also", "such", "than", "more", "into", "about", "because", "following", "suffers", "takes", "diagnosed", "owing", "called", "said", "other", "rare"]
)  # fmt: skip
_BEFORE = re.compile(r"(?:[^\W\d_][\w'’-]+ ){1,2}\Z")
_TERMS = re.compile(
    rf"(?<![\w-])(?:(?P<head>{_HEADS})|{_CONDITIONS}|{_CARE}|{_MORE}|{_MEDICINES}|{_ENDINGS})(?![\w-])",
    re.IGNORECASE,
)
_NO_TERM = frozenset(
    ["april", "devoir", "savoir", "avoir", "pouvoir", "vouloir", "voir", "statin", "mongrel", "hypnosis", "osmosis", "metamorphosis", "mitosis", "meiosis", "symbiosis", "apotheosis", "photosynthesis", "academia", "bohemia", "manchuria", "liguria", "etruria", "asturia", "oklahoma", "tacoma", "sonoma", "paloma", "aroma", "diploma", "chroma", "stroma", "idioma", "axioma", "genoma", "roma", "samba", "anglophilia", "bibliophilia", "doses", "roses", "noses", "poses", "closes", "purposes", "supposes", "loses", "exposes", "imposes", "proposes", "encloses", "discloses", "composes", "opposes", "hoses", "korea"]
)  # fmt: skip

IDENTIFIED = re.compile(
    r"(?i)\b(?:mrn|medical record (?:number|no)|patient (?:id|name|number|no)\b|ssn|social security|insurance (?:id|number)|member id|d\.?o\.?b\.?|date of birth)"
    r"[ \t\"':#=.]{1,6}\w"
)
"""What announces an identifier; the identifier itself is the rules' to find."""

_LOW = frozenset(["depression", "depressions"])
_NEAR = 64
_NOBODYS = re.compile(
    r"(?i)\b(?:econom\w+|markets?|stocks?|shares|prices?|trade|industr\w+|unemployment|inflation|recessions?|banks?|gdp|boom|slump|great(?= depression)|"
    r"weather|atmospher\w+|tropical|cyclon\w+|storms?|winds?|rain\w*|forecast\w*|fronts?|low[- ]pressure|hpa|millibars?|mbar|barometer|"
    r"terrain|ground|valley|basin|soil|geolog\w+|hills?)\b"
)
_SOMEBODYS = re.compile(
    r"(?i)\b(?:depression\w*[ ,]+(?:and|or|with) anxiety|anxiety|(?:clinical|major|severe|postnatal|postpartum|manic|chronic|bipolar|treated for|suffer\w* from|diagnosed with|"
    r"history of|medication for|battl\w+|struggl\w+ with) (?:\w+ ){0,2}depression|antidepress\w+|therap\w+|psychiatr\w+|patient)\b"
)
"""A depression is of the market, the weather or the ground where its sentence tells of those and of no illness."""

PATTERNS = (
    _NOBODYS.pattern,
    _SOMEBODYS.pattern,
    _TERMS.pattern,
    IDENTIFIED.pattern,
    _BEFORE.pattern,
    " ".join(sorted(_NO_TERM | _NO_COMPANY)),
)


def terms(text: str) -> Iterator[tuple[int, int]]:
    """Yield where words of medicine stand; a word such as *disease* counts with the word before it, and never alone."""
    for match in _TERMS.finditer(text):
        if match["head"]:
            start = _company(text, match.start())
            if start < match.start():
                yield start, match.end()
        elif match[0].lower() in _LOW and _nobodys(text, *match.span()):
            continue
        elif match[0].lower() not in _NO_TERM:
            yield match.span()


def _company(text: str, end: int) -> int:
    """Return where the one or two words begin that say which disease it is."""
    before = _BEFORE.search(text, max(0, end - _LONGEST_COMPANY), end)
    at = end
    for word in reversed(before[0].split() if before else []):
        if word.lower() in _NO_COMPANY:
            break
        at -= len(word) + 1
    return at


def _nobodys(text: str, start: int, end: int) -> bool:
    before = re.split(r"[.!?]\s", text[max(0, start - _NEAR) : start])[-1]
    after = re.split(r"[.!?](?:\s|\Z)", text[end : end + _NEAR])[0]
    sentence = before + text[start:end] + after
    return _NOBODYS.search(sentence) is not None and _SOMEBODYS.search(sentence) is None
