"""The test keys that every contender signs with, and the client token of ovh-proxy."""

import hashlib

APPLICATION_KEY = "7kbG7Bk7S9Nt7ZSV"
APPLICATION_SECRET = "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"
CONSUMER_KEY = "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"
TOKEN = "a-client-token-that-only-the-benchmark-knows"
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
# The header that every SDK sends.
TOKEN_HEADER = ("X-Ovh-Application", TOKEN)
