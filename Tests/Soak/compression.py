"""permessage-deflate (RFC 7692) as a client speaks it: what it offers, what was agreed, and both windows."""
import zlib

TAIL = b"\0\0\xff\xff"
OFFERS = ["", "; client_no_context_takeover", "; server_no_context_takeover",
          "; client_no_context_takeover; server_no_context_takeover", "; client_max_window_bits",
          "; client_max_window_bits=10", "; server_max_window_bits=9; client_max_window_bits=9"]


class Agreement:
    """Compresses and inflates; `unpack` raises ValueError where the gateway has not kept to what was agreed."""

    def __init__(self, offer, response, random):
        self.random = random
        words = [word.strip() for word in response.split(";")]
        if words[0] != "permessage-deflate":
            raise ValueError(f"the response to {offer!r} was {response!r}")
        values = dict(word.partition("=")[::2] for word in words[1:])
        for name, value in values.items():
            known = name in ("client_no_context_takeover", "server_no_context_takeover") and not value
            if not known and not (name.endswith("_max_window_bits") and 8 <= int(value) <= 15):
                raise ValueError(f"the response {response!r} has {name!r}")
        if "client_max_window_bits" in values and "client_max_window_bits" not in offer:
            raise ValueError(f"the response {response!r} names what was not offered")
        if "server_no_context_takeover" in offer and "server_no_context_takeover" not in values:
            raise ValueError(f"the response {response!r} does not agree to what was asked for")
        self.keeps_own = "client_no_context_takeover" not in values and "client_no_context_takeover" not in offer
        self.keeps_theirs = "server_no_context_takeover" not in values
        # zlib makes nothing of 8 bits, and none is offered.
        self.own_bits = int(values.get("client_max_window_bits", 15))
        self.their_bits = int(values.get("server_max_window_bits", 15))
        if "server_max_window_bits=9" in offer and self.their_bits > 9:
            raise ValueError(f"the response {response!r} has a larger window than was asked for")
        self.level = random.choice([0, 1, 1, 6])
        self.deflater = self.inflater = None

    def pack(self, payload):
        """A message, its last octets left away (7.2.1)."""
        if self.deflater is None or not self.keeps_own:
            self.deflater = zlib.compressobj(self.level, zlib.DEFLATED, -max(self.own_bits, 9))
        if not payload:
            return b"\0"
        if not self.keeps_own and self.random.random() < 0.1:
            # 7.2.3.4: a last block, and an empty one behind it.
            return self.deflater.compress(payload) + self.deflater.flush(zlib.Z_FINISH) + b"\0"
        data = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[:-4]

    def unpack(self, data):
        if self.inflater is None or not self.keeps_theirs:
            self.inflater = zlib.decompressobj(-self.their_bits)
        try:
            whole = self.inflater.decompress(data + TAIL)
        except zlib.error as error:
            raise ValueError(f"what came compressed does not inflate: {error}") from None
        if self.inflater.eof or self.inflater.unused_data:
            raise ValueError("what came compressed has a last block")
        return whole
