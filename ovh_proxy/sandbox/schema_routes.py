"""The API's description of itself, made from the table of routes."""

from collections.abc import Mapping, Sequence
from functools import partial

from ovh_proxy.sandbox.account_routes import BILLS, INSTANCES, ME, POLICIES, SERVERS
from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.domain_routes import SEED, zone_fields
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route

PREFIXES = {"v1": "/1.0", "v2": "/v2"}

SECTIONS = {
    "v1": {
        "/auth": "Authentication",
        "/dedicated/server": "Operations about the DEDICATED.SERVER service",
        "/domain": "Operations about the DOMAIN service",
        "/instance": "Operations about the INSTANCE service",
        "/ip": "Operations about the IP service",
        "/me": "Details about your account",
        "/sandbox": "Answers of any size, speed and status, for tests",
    },
    "v2": {"/iam": "Operations about the IAM service"},
}

SAMPLES: dict[str, Mapping[str, object]] = {
    "nichandle.Nichandle": ME,
    "billing.Bill": next(iter(BILLS.values())),
    "dedicated.server.Dedicated": next(iter(SERVERS.values())),
    "dedicated.server.BandwidthBurst": {"capacity": "additional", "status": "active"},
    "instance.Instance": INSTANCES[0],
    "domain.zone.Zone": zone_fields("example.org"),
    "zone.Record": {name: getattr(SEED[0], name) for name in SEED[0].__dataclass_fields__},
    "ip.ReverseIp": {"ipReverse": "192.0.2.1", "reverse": "host.example.org."},
    "iam.Policy": POLICIES[0],
    "auth.Credential": {"validationUrl": "", "consumerKey": "", "state": ""},
    "auth.AccessRule": {"method": "GET", "path": "/*"},
}

TYPES = {bool: "boolean", int: "long", float: "double", str: "string", list: "string[]"}
Json = dict[str, object]


def schema_routes(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The schema of these routes: an index for each version, a description for each section."""
    made = []
    for version, sections in SECTIONS.items():
        described = [route for route in routes if route.version == version]
        handler = partial(send_index, version)
        made.append(Route("GET", "/", handler, "The index", is_open=True, version=version))
        for section in sections:
            within = [route for route in described if is_within(route.template, section)]
            handler = partial(send_section, version, section, within)
            path = f"{section}.json"
            made.append(Route("GET", path, handler, "A section", is_open=True, version=version))
    return tuple(made)


def is_within(template: str, section: str) -> bool:
    """Whether a route belongs to a section."""
    return template == section or template.startswith(f"{section}/")


async def send_index(version: str, call: Call) -> Response:
    """The sections of a version."""
    sections = [
        {"path": path, "schema": "{path}.{format}", "format": ["json"], "description": text}
        for path, text in SECTIONS[version].items()
    ]
    return json_response({"basePath": f"{call.origin}{PREFIXES[version]}", "apis": sections})


async def send_section(version: str, section: str, routes: Sequence[Route], call: Call) -> Response:
    """The operations of a section and the types that they return."""
    templates = dict.fromkeys(route.template for route in routes)
    named = {route.returns.removesuffix("[]") for route in routes}
    return json_response(
        {
            "apiVersion": "1.0",
            "basePath": f"{call.origin}{PREFIXES[version]}",
            "resourcePath": section,
            "apis": [path_of(template, routes) for template in templates],
            "models": {name: model_of(name) for name in sorted(named & SAMPLES.keys())},
        }
    )


def path_of(template: str, routes: Sequence[Route]) -> Json:
    """A path with its operations."""
    here = [route for route in routes if route.template == template]
    operations = [operation_of(route) for route in here]
    return {"path": template, "description": here[0].description, "operations": operations}


def operation_of(route: Route) -> Json:
    return {
        "httpMethod": "GET" if route.method == "*" else route.method,
        "description": route.description,
        "noAuthentication": route.is_open,
        "apiStatus": {"value": "PRODUCTION", "description": "Stable production version"},
        "parameters": [
            *(parameter("path", name, "string", is_required=True) for name in route.names),
            *(parameter("query", name, "string") for name in route.query),
            *(parameter("body", name, kind) for name, kind in (route.body or {}).items()),
        ],
        "responseType": route.returns,
    }


def parameter(where: str, name: str, kind: str, *, is_required: bool = False) -> Json:
    """One parameter of an operation."""
    return {
        "paramType": where,
        "name": name,
        "dataType": kind,
        "fullType": kind,
        "description": "",
        "required": is_required,
    }


def model_of(name: str) -> Json:
    """A type, derived from its sample."""
    kinds = {field: TYPES.get(type(value), "object") for field, value in SAMPLES[name].items()}
    properties = {field: {"type": kind, "fullType": kind} for field, kind in kinds.items()}
    namespace, _, own = name.rpartition(".")
    return {"id": own, "namespace": namespace, "description": "", "properties": properties}
