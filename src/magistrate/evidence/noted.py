"""Problems and remarks under way, while evidence is verified."""

from magistrate.evidence.report import MOST_FINDINGS, Problem, Remark, Verdict


class Noted:
    """Problems and remarks under way; bounded, so that a wholly wrong log does not fill the memory."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.remarks: list[Remark] = []

    def tampered(self, place: str, what: str) -> None:
        self.add(Problem(Verdict.TAMPERED, place, what))

    def undecidable(self, place: str, what: str) -> None:
        self.add(Problem(Verdict.UNDECIDABLE, place, what))

    def stale(self, place: str, what: str) -> None:
        self.add(Problem(Verdict.STALE, place, what))

    def remark(self, place: str, what: str) -> None:
        if len(self.remarks) < MOST_FINDINGS:
            self.remarks.append(Remark(place, what))

    def add(self, problem: Problem) -> None:
        # The first of each verdict is always kept: it decides.
        if len(self.problems) < MOST_FINDINGS or all(p.verdict is not problem.verdict for p in self.problems):
            self.problems.append(problem)
