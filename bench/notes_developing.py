"""Texts to look at while rules are changed: whose health, whose dates. Slots as in `notes_measured`, which is written apart."""

PERSONAL = (
    "HPI: {NAME} is a {YOUNG} y/o with {DX}, on {RX} since {DAY}.",
    "{NAME} was admitted on {DAY} with {DX} and discharged on {DAY} on {RX}.",
    "Patient: {NAME}\nDOB: {BORN}\nDx: {DX}\nRx: {RX} 10 mg daily",
    "{NAME}, aged {OLD}, was found to have {DX}.",
    "i have {DX} and take {RX}. regards, {NAME}",
    "My name is {NAME}, I was born on {BORN}. Since {DAY} I have been treated for {DX} with {RX}.",
    '{{"name": "{NAME}", "dob": "{BORN}", "diagnosis": "{DX}", "prescription": "{RX}"}}',
    "Prior authorization: {RX} for {NAME} ({BORN}), indication {DX}.",
    "Mr. {NAME}'s {DX} improved. Continue {RX}. Follow-up {DAY}.",
    "Can you summarise this? {NAME}, {OLD}-year-old woman, fell on {DAY}. PMH: {DX}, {DX}. Meds: {RX}.",
    "Our employee {NAME} has been absent since {DAY} owing to {DX}.",
    "Prescription for {NAME}: {RX}, one tablet twice a day.",
)
PEOPLE_ONLY = (
    "{NAME} will chair the session; {NAME} brings coffee.",
    "Forward the contract to {NAME} before lunch.",
    "{NAME} opened the window. The street was empty.",
    "The app of {NAME} crashed, its process died and the disk is full.",
    "Congratulations to {NAME} on the new job!",
)
NOBODY = (
    "How common is {ILL}?",
    "{PILL} is used for {ILL}.",
    "The standard was published on {DATE} and revised on {DATE}.",
    "build finished {DATE} 12:00:01",
    "Explain how {PILL} works.",
    "The museum opens again on {DATE}.",
)
