"""An allowed and a rejected call with python-ovh."""

import ovh

client = ovh.Client()
print(client.get("/me")["nichandle"])  # noqa: T201
try:
    client.delete("/domain/zone/example.org/record/1")
except ovh.APIError as refused:
    print(type(refused).__name__, refused)  # noqa: T201
