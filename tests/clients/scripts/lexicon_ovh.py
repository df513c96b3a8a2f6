"""Creates, updates and deletes a record with lexicon, with the keys of the environment."""

import json
import sys

from lexicon.client import Client
from lexicon.config import ConfigResolver
from requests import HTTPError

options = {"provider_name": "ovh", "domain": sys.argv[1]}
name = ("TXT", "_acme-challenge.new")
try:
    with Client(ConfigResolver().with_env().with_dict(options)) as operations:
        operations.create_record(*name, "first")
        operations.update_record(None, *name, "second")
        listed = [record["content"] for record in operations.list_records(*name)]
        operations.delete_record(None, *name, "second")
        left = operations.list_records(*name)
    print(json.dumps({"listed": listed, "left": left}))  # noqa: T201
except HTTPError as refused:
    sys.exit(f"{refused.response.status_code} {refused.response.json()['message']}")
