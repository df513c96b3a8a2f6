"""The headers that carry a trace from one program to the next."""

from collections.abc import Mapping

from ovh_proxy.ovhcloud.messages import Headers

# W3C Trace Context sections 3.2 and 3.3, W3C Baggage section 3.
_PARENT, _STATE = b"traceparent", b"tracestate"
_ALL = frozenset({_PARENT, _STATE, b"baggage"})


def read_context(headers: Headers) -> dict[str, str]:
    """What a client says of the trace that it is in; empty where that has two readings.

    Source: W3C Trace Context section 3.3.1: several tracestate fields are one list.
    """
    parents = [value for name, value in headers if name.lower() == _PARENT]
    if len(parents) != 1:
        return {}
    states = [value for name, value in headers if name.lower() == _STATE]
    context = {"traceparent": parents[0].decode("latin-1")}
    if states:
        context["tracestate"] = b",".join(states).decode("latin-1")
    return context


def without_context(headers: Headers) -> Headers:
    """The headers without a trace: it is nobody's business outside."""
    return tuple(line for line in headers if line[0].lower() not in _ALL)


def with_context(headers: Headers, context: Mapping[str, str]) -> Headers:
    """The headers with our part of the trace in the place of the client's."""
    kept = [line for line in headers if line[0].lower() not in (_PARENT, _STATE)]
    ours = [(name.encode("ascii"), value.encode("latin-1")) for name, value in context.items()]
    return (*kept, *ours)
