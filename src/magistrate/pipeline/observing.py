"""What operators see of a finished case: numbers and names, never content."""

from magistrate.pipeline.case import Case
from magistrate.pipeline.ports import Observation


def observe(case: Case) -> None:
    """Tell telemetry how the case ended."""
    exchange, decision, outcome = case.exchange, case.decision, case.outcome()
    case.line.telemetry.observe(
        Observation(
            record=case.record,
            trace=case.trace,
            ts_us=case.inbound.received_us,
            dialect=exchange.dialect if exchange else (case.wire.dialect if case.wire else ""),
            operation=exchange.operation if exchange else "",
            model=exchange.model[:200] if exchange else "",
            endpoint=outcome.endpoint,
            user=case.principal.user,
            application=case.principal.application,
            verdict=decision.effect.value if decision else "deny",
            ending=outcome.ending.value,
            status=outcome.status,
            code=outcome.code.value if outcome.code else "",
            rules=outcome.rules or (decision.rules if decision else ()),
            labels=tuple(sorted({*case.labels, *case.answer_labels})),
            stream=exchange.stream if exchange else False,
            total_us=case.total_us,
            steps_us=tuple(case.marks),
            input_tokens=outcome.usage.input_tokens,
            output_tokens=outcome.usage.output_tokens,
            cost_nano=outcome.cost_nano,
            would=decision.would.effect.value if decision and decision.would else "",
        )
    )
