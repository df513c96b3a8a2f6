"""Creates, updates and deletes a record with python-ovh, with the keys of the environment."""

import json

import ovh

client = ovh.Client()
zone = "/domain/zone/example.org"


def name_of_failure(call, *arguments, **fields):
    try:
        call(*arguments, **fields)
    except ovh.APIError as failure:
        return type(failure).__name__
    return None


me = client.get("/me")["nichandle"]
made = client.post(f"{zone}/record", fieldType="A", subDomain="new", target="192.0.2.77", ttl=60)
record = f"{zone}/record/{made['id']}"
client.put(record, target="192.0.2.78")
changed = client.get(record)["target"]
listed = made["id"] in client.get(f"{zone}/record", fieldType="A", subDomain="new")
client.delete(record)
gone = name_of_failure(client.get, record)
print(json.dumps({"me": me, "changed": changed, "listed": listed, "gone": gone}))  # noqa: T201
