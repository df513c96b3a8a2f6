"""A call with a service account through python-ovh."""

import ovh

client = ovh.Client(endpoint="ovh-eu", client_id="EU.made-up", client_secret="made-up")
print(client.get("/me")["nichandle"])  # noqa: T201
