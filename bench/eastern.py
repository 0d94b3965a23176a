"""How well names in Chinese, Japanese, Korean and Thai are found: `python bench/eastern.py [--data DIR] [--japanese FILE]`.

The names are 200 a locale of Faker 40.63.0 (MIT; `eastern-names.json`, drawn with seed 3), whose lists the rules do not know; the
sentences stand here. Names are asked for where a word announces them and where none does. Harmless are the declaration of
human rights and requests for programs (``--data``). ``--japanese`` names `iob_sents.txt` of hironsancorpus 0.1.2 (MIT): 500 sentences of
an encyclopaedia in which people marked names.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from magistrate.app.scoring import rows
from magistrate.classify import eastern

ROOT = Path(__file__).parents[1]
NAMES = Path(__file__).parent / "eastern-names.json"
ANNOUNCED = {
    "zh_CN": (
        "姓名：{}",
        "我叫{}，今年三十岁。",
        "请联系{}先生。",
        "患者{}，因高血压入院。",
        "昨天{}女士来过。",
    ),
    "zh_TW": ("姓名：{}", "我叫{}。", "請聯絡{}先生。"),
    "ja_JP": (
        "氏名：{}",
        "私は{}です。",
        "{}様、お世話になっております。",
        "患者{}は退院した。",
        "昨日、{}さんに会いました。",
    ),
    "ko_KR": ("이름: {}", "저는 {}입니다.", "{} 씨가 전화했습니다.", "환자 {}님의 검사 결과입니다."),
    "th_TH": ("ชื่อ: {}", "คุณ{} โทรมา", "นาย{} อายุ 40 ปี", "ผมชื่อ {} ครับ"),
}
BARE = {
    "zh_CN": ("{}说他不来。", "会议由{}主持。"),
    "zh_TW": ("{}說他不來。", "會議由{}主持。"),
    "ja_JP": ("会議には{}が出席した。", "{}の意見を聞いた。"),
    "ko_KR": ("어제 {}을 만났다.", "회의는 {}이 맡았다."),
    "th_TH": ("เมื่อวานพบ{}ที่ตลาด", "{} ไม่มาประชุม"),
}  # fmt: skip
LANGUAGES = {"zh", "ja", "ko", "th", "Chinese", "Japanese", "Korean", "Thai"}


def main() -> None:
    options = argparse.ArgumentParser(description="Quality of names in four scripts of Asia.")
    options.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options.add_argument("--japanese", type=Path, help="iob_sents.txt of hironsancorpus")
    given = options.parse_args()
    names: dict[str, list[str]] = json.loads(NAMES.read_text("utf-8"))
    print("| locale | announced | found | not announced | found |\n|---|---|---|---|---|")
    for locale, each in names.items():
        cells = [cell for sentences in (ANNOUNCED, BARE) for cell in found_in(sentences[locale], each)]
        print(f"| {locale} | " + " | ".join(map(str, cells)) + " |")
    texts, flagged = Counter[str](), Counter[str]()
    for row in rows(given.data / "detect" / "language.jsonl.gz"):
        if row.label in LANGUAGES:
            texts[str(row.label)] += 1
            flagged[str(row.label)] += any(True for _ in eastern.names(row.text))
    print(
        "harmless texts flagged: "
        + ", ".join(f"{name} {flagged[name]} of {texts[name]}" for name in sorted(texts))
    )
    if given.japanese:
        print(
            "Japanese encyclopaedia: spans {}, found {}; findings {}, right {}".format(
                *judged(given.japanese)
            )
        )


def found_in(sentences: tuple[str, ...], names: list[str]) -> tuple[int, int]:
    """Return how many names were asked for, and how many were covered by half or more."""
    found = 0
    for sentence in sentences:
        for name in names:
            text = sentence.format(name)
            at = text.index(name)
            found += covered(list(eastern.names(text)), at, at + len(name))
    return len(sentences) * len(names), found


def covered(spans: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(2 * (min(last, end) - max(first, start)) >= end - start for first, last in spans)


def judged(path: Path) -> tuple[int, int, int, int]:
    """Return spans that people marked, those found, findings, and those that are right."""
    asked = hit = told = right = 0
    for text, spans in sentences(path):
        found = list(eastern.names(text))
        asked += len(spans)
        told += len(found)
        hit += sum(covered(found, *span) for span in spans)
        right += sum(any(first < end and start < last for start, end in spans) for first, last in found)
    return asked, hit, told, right


def sentences(path: Path) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    text, spans = "", list[tuple[int, int]]()
    for line in [*path.read_text("utf-8").split("\n"), ""]:
        if not line.strip():
            if text:
                yield text, spans
            text, spans = "", []
            continue
        word, *_, tag = line.split("\t")
        if tag in {"B-PSN", "B-PER"}:
            spans.append((len(text), len(text) + len(word)))
        elif tag in {"I-PSN", "I-PER"} and spans:
            spans[-1] = (spans[-1][0], len(text) + len(word))
        text += word


if __name__ == "__main__":
    main()
