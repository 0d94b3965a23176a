"""Steps 1 and 2: what is asked, and who asks."""

from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.identity.credential import credential
from magistrate.pipeline import headers
from magistrate.pipeline.case import Case
from magistrate.wire import routes
from magistrate.wire.compression import decompress


def read(case: Case) -> None:
    """Find the route, open the body and read it as the route's dialect.

    Raises:
        Refused: no such route or method; a body that is too large or cannot be read; datasets that are named in no form.
    """
    inbound = case.inbound
    found = routes.match(inbound.method, inbound.path)
    if found is None:
        allowed = routes.methods(inbound.path)
        if allowed:
            raise Refused(Code.METHOD_NOT_ALLOWED, f"this path takes {', '.join(sorted(allowed))}")
        raise Refused(Code.NOT_FOUND, "no such path: what magistrate cannot read it does not forward")
    case.wire, case.params = found
    limit = case.line.limits.request_bytes
    if inbound.overflow:
        raise Refused(Code.REQUEST_TOO_LARGE, f"the body is longer than {limit} bytes")
    case.body = decompress(inbound.body, inbound.headers.get("content-encoding", ""), limit)
    case.exchange = case.line.dialects[case.wire.dialect].read_request(case.body, case.params)
    case.datasets = headers.datasets(inbound.headers)


def identify(case: Case) -> None:
    """Find out who is asking.

    Raises:
        Refused: no credential, a wrong one, or one that expired.
    """
    presented = credential(case.inbound.headers, case.inbound.query)
    case.principal = case.line.keys.authenticate(presented, case.inbound.received_us)
