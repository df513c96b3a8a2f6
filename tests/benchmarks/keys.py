"""The made-up keys that every contender signs with, and the token that ours asks for."""

import hashlib

APPLICATION_KEY = "7kbG7Bk7S9Nt7ZSV"
APPLICATION_SECRET = "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF"
CONSUMER_KEY = "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"
TOKEN = "a-client-token-that-only-the-benchmark-knows"
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
# The slot that every SDK fills.
TOKEN_HEADER = ("X-Ovh-Application", TOKEN)
