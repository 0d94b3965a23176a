"""Problems and remarks under way, while evidence is verified."""

import msgspec

from magistrate.evidence.report import MOST_FINDINGS, Problem, Remark, Verdict


class Noted:
    """Problems and remarks under way; bounded, so that a wholly wrong log does not fill the memory."""

    def __init__(self, prefix: str = "", into: "Noted | None" = None) -> None:
        self._prefix = prefix
        self.problems: list[Problem] = into.problems if into else []
        self.remarks: list[Remark] = into.remarks if into else []

    def within(self, prefix: str) -> "Noted":
        """Return one whose places begin with ``prefix``, and that adds to this one."""
        return Noted(self._prefix + prefix, self)

    def spelled(self, place: str) -> str:
        """Return a place as a problem here names it."""
        return self._prefix + place

    def tampered(self, place: str, what: str) -> None:
        self.add(Problem(Verdict.TAMPERED, place, what))

    def undecidable(self, place: str, what: str) -> None:
        self.add(Problem(Verdict.UNDECIDABLE, place, what))

    def stale(self, place: str, what: str) -> None:
        self.add(Problem(Verdict.STALE, place, what))

    def remark(self, place: str, what: str) -> None:
        if len(self.remarks) < MOST_FINDINGS:
            self.remarks.append(Remark(self._prefix + place, what))

    def add(self, problem: Problem) -> None:
        # The first of each verdict is always kept: it decides.
        if len(self.problems) < MOST_FINDINGS or all(p.verdict is not problem.verdict for p in self.problems):
            self.problems.append(msgspec.structs.replace(problem, place=self._prefix + problem.place))
