"""The one-shot user's script with OVHcloud's own SDK; run as `python_ovh_script.py BASE_URL`."""

import os
import sys

import ovh
import ovh.client

# The SDK knows a fixed table of endpoints.
ovh.client.ENDPOINTS["bench"] = sys.argv[1]
client = ovh.Client(
    endpoint="bench",
    application_key=os.environ["BENCH_APPLICATION_KEY"],
    application_secret=os.environ["BENCH_SECRET"],
    consumer_key=os.environ["BENCH_CONSUMER_KEY"],
)
print(client.get("/me")["nichandle"])
