"""Observations summed up for Prometheus."""

from magistrate.adapters.telemetry.exposition import Bounded, Counter, Histogram, render
from magistrate.pipeline.ports import Observation

TOTAL_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STEP_BOUNDS = (0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 30)


class Metrics:
    """All series of the control process. Not thread-safe: the loop that receives also renders."""

    def __init__(self, version: str) -> None:
        self._model = Bounded(100)  # because clients choose model names
        self._endpoint = Bounded(200)
        self._label = Bounded(300)
        self._rule = Bounded(500)
        self._build = Counter("magistrate_build_info", "The running version.", ("version",))
        self._build.add(1, version)
        self._requests = Counter(
            "magistrate_requests_total",
            "Governed exchanges, by what was decided and how they ended.",
            ("dialect", "operation", "model", "endpoint", "verdict", "ending"),
        )
        self._refusals = Counter(
            "magistrate_refusals_total", "Answers that were no, by stable code.", ("code",)
        )
        self._would = Counter(
            "magistrate_shadow_total",
            "What shadow controls would have decided, had they been enforced.",
            ("verdict",),
        )
        self._rules = Counter("magistrate_rules_total", "Exchanges that a policy determined.", ("rule",))
        self._findings = Counter(
            "magistrate_findings_total",
            "Exchanges in which a label was found, ancestors included.",
            ("label",),
        )
        self._tokens = Counter(
            "magistrate_tokens_total", "Tokens as endpoints counted them.", ("endpoint", "model", "direction")
        )
        self._cost = Counter(
            "magistrate_cost_total", "Cost in the currency of the endpoint's price.", ("endpoint", "model")
        )
        self._total = Histogram(
            "magistrate_request_duration_seconds",
            "From the request's arrival to its last byte, endpoint included.",
            ("dialect", "operation"),
            TOTAL_BOUNDS,
        )
        self._steps = Histogram(
            "magistrate_step_duration_seconds",
            "Time in each step of the line; `open` and `close` are the wait for durable evidence, `call` is the endpoint.",
            ("step",),
            STEP_BOUNDS,
        )
        self._dropped = Counter(
            "magistrate_telemetry_dropped_total", "Observations that gateways could not deliver."
        )
        self._malformed = Counter("magistrate_telemetry_malformed_total", "Datagrams that could not be read.")

    def observe(self, seen: Observation) -> None:
        """Add one governed exchange."""
        model, endpoint = self._model(seen.model), self._endpoint(seen.endpoint)
        self._requests.add(1, seen.dialect, seen.operation, model, endpoint, seen.verdict, seen.ending)
        self._total.observe(seen.total_us / 1e6, seen.dialect, seen.operation)
        spent: dict[str, int] = {}
        for step, microseconds in seen.steps_us:
            spent[step] = spent.get(step, 0) + microseconds
        for step, microseconds in spent.items():
            self._steps.observe(microseconds / 1e6, step)
        if seen.code:
            self._refusals.add(1, seen.code)
        if seen.would:
            self._would.add(1, seen.would)
        for rule in seen.rules:
            self._rules.add(1, self._rule(rule))
        for label in seen.labels:
            self._findings.add(1, self._label(label))
        for direction, tokens in (("input", seen.input_tokens), ("output", seen.output_tokens)):
            if tokens:
                self._tokens.add(tokens, endpoint, model, direction)
        if seen.cost_nano:
            self._cost.add(seen.cost_nano / 1e9, endpoint, model)

    def lost(self, dropped: int, malformed: int) -> None:
        """Add what never became an observation here."""
        self._dropped.add(dropped)
        self._malformed.add(malformed)

    def render(self) -> bytes:
        """Return the exposition (``text/plain; version=0.0.4``)."""
        families = (value for value in vars(self).values() if isinstance(value, Counter | Histogram))
        return render(families)
