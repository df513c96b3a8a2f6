"""A script that makes one call with OVHcloud's SDK. Run as `python_ovh_script.py BASE_URL`."""

import os
import sys

import ovh
import ovh.client

# The SDK has a fixed table of endpoints.
ovh.client.ENDPOINTS["bench"] = sys.argv[1]
client = ovh.Client(
    endpoint="bench",
    application_key=os.environ["BENCH_APPLICATION_KEY"],
    application_secret=os.environ["BENCH_SECRET"],
    consumer_key=os.environ["BENCH_CONSUMER_KEY"],
)
print(client.get("/me")["nichandle"])
