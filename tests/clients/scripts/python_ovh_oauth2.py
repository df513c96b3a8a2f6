"""A service account's call, as a user of python-ovh writes it."""

import ovh

client = ovh.Client(endpoint="ovh-eu", client_id="EU.made-up", client_secret="made-up")
print(client.get("/me")["nichandle"])  # noqa: T201
