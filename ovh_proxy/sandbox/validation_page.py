"""The page on which a user validates or refuses a consumer key."""

from html import escape
from urllib.parse import parse_qs

from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.grants import ConsumerKey, Grants
from ovh_proxy.sandbox.responses import Response, html_response
from ovh_proxy.sandbox.routes import Route

# In seconds; None is unlimited. The first is preselected, as on OVHcloud's page.
VALIDITIES: dict[str, float | None] = {
    "86400": 86400,
    "300": 300,
    "604800": 604800,
    "unlimited": None,
}
LABELS = {"86400": "1 day", "300": "5 minutes", "604800": "1 week", "unlimited": "Unlimited"}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
{content}
</body>
</html>
"""

FORM = """<p>The application <strong>{application}</strong> asks to be granted these calls:</p>
<ul>
{rules}
</ul>
<form method="post" action="/auth/">
<input type="hidden" name="credentialToken" value="{token}">
<p><label>Validity <select name="validity">
{validities}
</select></label></p>
<p><button name="decision" value="validate">Validate</button>
<button name="decision" value="refuse">Refuse</button></p>
</form>"""


class ValidationPage:
    """The page behind the validation URL of a consumer key."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/auth/", self.show, "The page", is_open=True, version=""),
            Route("POST", "/auth/", self.decide, "Its form", is_open=True, version=""),
        )

    async def show(self, call: Call) -> Response:
        """The page with the requested rules and the form."""
        key = self._grants.pending(call.api_path.parameters.get("credentialToken", ""))
        if key is None:
            return nothing_pending()
        name = self._grants.applications[key.application_key].name
        return page("Validate a consumer key", form_of(key, name))

    async def decide(self, call: Call) -> Response:
        """Validates or refuses the key, then redirects to the application's URL."""
        fields = parse_qs(call.received.body.decode("latin-1"))
        form = {name: values[0] for name, values in fields.items()}
        key = self._grants.pending(form.get("credentialToken", ""))
        decision, validity = form.get("decision"), form.get("validity", "86400")
        if key is None:
            return nothing_pending()
        if decision not in ("validate", "refuse") or validity not in VALIDITIES:
            return page("Validate or refuse?", "<p>Please go back and choose.</p>", 400)
        if decision == "validate":
            self._grants.validate(key.consumer_key, call.now, VALIDITIES[validity])
        else:
            self._grants.set_state(key.consumer_key, "refused")
        if key.redirection:
            return Response(302, b"", headers=(("Location", key.redirection),))
        return page("Done", f"<p>The consumer key is {decision}d. You can close this page.</p>")


def nothing_pending() -> Response:
    """The page for an unknown or already used token."""
    return page("Nothing to validate", "<p>This link is unknown, or was used before.</p>", 404)


def page(title: str, content: str, status: int = 200) -> Response:
    """A page with a title and content that is already HTML."""
    return html_response(PAGE.format(title=escape(title), content=content), status)


def form_of(key: ConsumerKey, application: str) -> str:
    """The form in HTML."""
    rules = (f"<li><code>{escape(method)} {escape(path)}</code></li>" for method, path in key.rules)
    validities = (f'<option value="{value}">{LABELS[value]}</option>' for value in VALIDITIES)
    return FORM.format(
        application=escape(application),
        rules="\n".join(rules),
        token=escape(key.validation_token),
        validities="\n".join(validities),
    )
