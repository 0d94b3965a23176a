"""Texts to measure on: whose health, whose dates. Rules are never changed after looking at what was missed here.

``{NAME}`` a person, ``{BORN}`` a date of birth, ``{DAY}`` another date that is a person's, ``{OLD}`` an age of 90 or more,
``{DX}`` a condition, ``{RX}`` a medicine: all of them to be found. ``{DATE}`` a date that is nobody's, ``{YOUNG}`` an age below 90,
``{ILL}`` and ``{PILL}`` health that is nobody's, ``{ID}`` a number: none of them to be found. Written apart from `notes_developing`.
"""

PERSONAL = (
    "Clinic letter\n\nRe: {NAME}, born {BORN}\n\nI reviewed this gentleman on {DAY}. He has {DX} and remains on {RX}. He will be seen again on {DAY}.",
    "{NAME} ({YOUNG}M) brought in by ambulance {DAY}. Known {DX}. Regular meds: {RX}, {RX}.",
    "Discharge note for {NAME}. Date of admission: {DAY}. Date of discharge: {DAY}. Principal problem: {DX}. Take home: {RX} for 7 days.",
    "hi, my mum {NAME} has {DX} and her gp put her on {RX}, is it safe with {RX}?",
    "Member: {NAME}\nDate of Birth: {BORN}\nClaim: {ID}\nDate of service: {DAY}\nReason: {DX}\nPharmacy: {RX}",
    "To the insurer: my client, {NAME}, was diagnosed with {DX} on {DAY} and can no longer work.",
    "Nursing handover - bed 4 - {NAME}, {OLD} years old, {DX}. {RX} given at 0800. Family visited.",
    '{{"patient": "{NAME}", "birthDate": "{BORN}", "conditions": ["{DX}", "{DX}"], "medication": ["{RX}"]}}',
    "name,date_of_birth,diagnosis,drug\n{NAME},{BORN},{DX},{RX}\n{NAME},{BORN},{DX},{RX}",
    "Write a sick note for {NAME}, who is off work from {DAY} because of {DX}.",
    "Therapy session, {DAY}. {NAME} reports that the {DX} is worse since stopping {RX}.",
    "Dear Dr Abbott,\nThank you for seeing {NAME} (DOB {BORN}) with a new finding of {DX}. Current treatment is {RX}.",
    "My colleague {NAME} told me in confidence about her {DX}; she takes {RX} for it.",
    "Death certificate: {NAME}, born {BORN}, died {DAY}. Immediate cause: {DX}.",
    "{NAME} turned {OLD} last week. She lives alone, has {DX} and refuses {RX}.",
    "Surgery list {DAY}: 1) {NAME}, {DX}. 2) {NAME}, {DX}.",
    "Operative report. Patient: {NAME}. Preoperative diagnosis: {DX}. Anaesthesia uneventful. Discharged home on {DAY} with {RX}.",
    "SELECT * FROM encounters WHERE patient_name = '{NAME}' AND diagnosis = '{DX}' AND admitted = '{DAY}';",
    "Please extend the leave of {NAME}; the doctor's letter of {DAY} mentions {DX}.",
    "Vaccination card of {NAME}, born {BORN}. Allergic to {RX}. History of {DX}.",
    "The claimant {NAME} (aged {OLD}) suffers from {DX} following the accident on {DAY}.",
    "Patient {NAME} seen in the emergency room on {DAY} for {DX}; started {RX}.",
)
PEOPLE_ONLY = (
    "{NAME} joined the board and will lead the office in Leeds.",
    "Meeting notes: {NAME} presents the roadmap, {NAME} takes minutes. Next: budget.",
    "The detective, {NAME}, put down her glass and looked at the rain. Nobody spoke.",
    "Write a birthday poem for my uncle {NAME}, who loves fishing and bad jokes.",
    "{NAME} scored twice and was cheered off the pitch; the coach was sick of questions.",
    "Ticket {ID}: {NAME} cannot log in; the cache is not healthy and the node died.",
    "{NAME} says the server has a virus and the database needs an operation to rebuild its index.",
    "Invoice for {NAME}: 3 boxes of pens, 2 lamps. Thank you for your custom.",
    "The economy is in a depression, wrote {NAME}, and the market has a fever.",
    "{NAME} painted the ceiling over four years and was never paid.",
)
NOBODY = (
    "What is the difference between {ILL} and {ILL}?",
    "Does {PILL} interact with {PILL}? Answer in two sentences.",
    "{ILL} is treated with {PILL} in most guidelines; onset is usually in midlife.",
    "The trial of {PILL} ran from {DATE} to {DATE} and enrolled patients aged {YOUNG} to 75.",
    "Release 4.2 came out on {DATE} and fixes a memory leak.",
    "{DATE} 10:22:04 ERROR worker died: heartbeat lost",
    "The treaty was signed on {DATE} and entered into force on {DATE}.",
    "Offer valid until {DATE}. Prices include tax.",
    "Version 2.1.0 ({DATE}): support for retries, better docs.",
    "A chapter on {ILL}, its causes, and the role of {PILL}.",
    "Train leaves {DATE} at 09:30 from platform 4.",
    "Explain {ILL} to a ten year old.",
    "The bridge, opened on {DATE}, is 95 years old and 90 metres long.",
    "List side effects of {PILL} as a table.",
)
